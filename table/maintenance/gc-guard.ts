/** What must hold of a table before any of its files may be deleted. */
import { FirnError } from '../errors.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { Table } from '../table.ts'

/** @throws {FirnError} `FIRN_GC_DISABLED` (invalid): the files of such a table may belong to others too. */
export function assertMayDelete(metadata: TableMetadata): void {
  const enabled = metadata.properties['gc.enabled'] ?? 'true'
  // As Java reads it: whatever else somebody wrote there, it was not a yes.
  if (enabled.toLowerCase() === 'true') return
  const message = `table ${metadata.location} has gc.enabled=${enabled}: none of its files may be deleted`
  throw new FirnError('invalid', 'FIRN_GC_DISABLED', message, {
    help: 'Its files may be shared with another table. Set gc.enabled to true only if they are not.',
  })
}

/**
 * The table as its catalog has it now. One that was opened by a metadata file would be as old as that file, and all
 * that came later would look like garbage.
 * @throws {FirnError} `FIRN_TABLE_READ_ONLY`, `FIRN_TABLE_MOVED`, `FIRN_FORMAT_VERSION_UNSUPPORTED`,
 *   `FIRN_GC_DISABLED` (invalid).
 */
export function newestToDeleteFrom(table: Table, options: AbortableOptions): Promise<Table> {
  return table.commitUpdates(
    {
      isOwn: () => false,
      requirements: [{ type: 'assert-table-uuid', uuid: table.metadata.tableUuid }],
      prepare: (base) => {
        assertMayDelete(base)
        return []
      },
    },
    { signal: options.signal },
  )
}

const MAX_LOOKS = 3

/**
 * What `read` finds in everything that the table leads to. When somebody else expires snapshots meanwhile, objects go
 * away under it: then it reads the table as it is by then.
 * @throws {FirnError} `FIRN_OBJECT_NOT_FOUND` when an object is gone although the table still leads to it.
 */
export async function readWhileMoving<T>(
  table: Table,
  read: (table: Table) => Promise<T>,
  options: AbortableOptions,
): Promise<{ readonly table: Table; readonly value: T }> {
  let now = table
  for (let look = 1; ; look++) {
    try {
      return { table: now, value: await read(now) }
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND') || look === MAX_LOOKS) throw error
      const later = await now.refresh(options)
      if (later.metadataLocation === now.metadataLocation) throw error
      now = later
    }
  }
}
