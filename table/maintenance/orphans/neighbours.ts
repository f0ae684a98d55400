/** Whether the table has its folder for itself. */
import { loadMetadataFile } from '../../catalog/file.ts'
import { FirnError } from '../../errors.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
import { prefetch } from '../../scan/prefetch.ts'
import type { TableMetadata } from '../../spec/metadata.ts'
import type { Table } from '../../table.ts'
import { canonicalPath } from '../canonical-path.ts'
import type { Listing } from './listing.ts'
import type { References } from './references.ts'

const METADATA_FILE = /(?:^|\/)metadata\/[^/]*\.metadata\.json(?:\.gz)?$/
const HINT = /(?:^|\/)metadata\/version-hint\.text$/
/** Metadata files read at once. */
const DEPTH = 8

/**
 * Reads every metadata file of the folder that the table does not name: a neighbour that is idle lies between lost tries
 * and forgotten versions of our own.
 * @throws {FirnError} `FIRN_LOCATION_SHARED` (invalid): metadata of another table, or a history of this one that the
 *   catalog does not know, lies in the folder or below it, so that what this one does not reference may be that one's.
 */
export async function assertOwnMetadata(
  table: Table,
  { objects }: Listing,
  { paths }: References,
  options: AbortableOptions,
): Promise<void> {
  const { store, metadata } = table
  const { location } = metadata
  const below = objects.find(({ key }) => !key.startsWith('metadata/') && (METADATA_FILE.test(key) || HINT.test(key)))
  if (below !== undefined) throw shared(location, below.key)
  const unnamed = objects.flatMap(({ key }) =>
    METADATA_FILE.test(key) && !paths.has(canonicalPath(`${location}/${key}`)) ? [key] : [],
  )
  const read = async (key: string, signal: AbortSignal) => ({ key, found: await readIfWhole(store, key, { signal }) })
  for await (const { key, found } of prefetch(unnamed, read, { depth: DEPTH, signal: options.signal })) {
    if (found === undefined) continue
    if (found.tableUuid !== metadata.tableUuid) throw shared(location, key)
    if (isOtherHistory(metadata, found) && !(await isCommitted(table, key, options))) throw forked(location, key)
  }
}

/** `undefined` when it cannot be told: damaged files belong to nobody. */
async function readIfWhole(
  store: ObjectStore,
  key: string,
  options: AbortableOptions,
): Promise<TableMetadata | undefined> {
  try {
    return (await loadMetadataFile(store, key, 0, options)).metadata
  } catch (error) {
    if (FirnError.is(error) && (error.kind === 'corrupt' || error.kind === 'not-found')) return undefined
    throw error
  }
}

/**
 * Whether `found` cannot be a try that lost against `current`, nor an older version of it. One of those is no newer;
 * and what it stands on was committed, so that it is in the log of `current` as far as that goes back.
 */
function isOtherHistory(current: TableMetadata, found: TableMetadata): boolean {
  if (found.lastSequenceNumber > current.lastSequenceNumber) return true
  if (found.lastUpdatedMillis > current.lastUpdatedMillis) return true
  const logStart = current.metadataLog[0]?.timestampMillis ?? Number.POSITIVE_INFINITY
  const logged = new Set(current.metadataLog.map(({ metadataFile }) => canonicalPath(metadataFile)))
  return found.metadataLog.some(
    ({ timestampMillis, metadataFile }) => timestampMillis > logStart && !logged.has(canonicalPath(metadataFile)),
  )
}

/** Whether the metadata file has become the table's since the table was read. */
async function isCommitted(table: Table, key: string, options: AbortableOptions): Promise<boolean> {
  const { metadata, metadataLocation, location } = await table.refresh(options)
  const named = [metadataLocation, ...metadata.metadataLog.map(({ metadataFile }) => metadataFile)]
  return named.map(canonicalPath).includes(canonicalPath(`${location}/${key}`))
}

function shared(location: string, key: string): FirnError {
  const message = `${location}/${key} is metadata of another table: whose files are orphans cannot be told`
  return new FirnError('invalid', 'FIRN_LOCATION_SHARED', message, {
    detail: { location, key },
    help: 'Give each table a folder of its own: copy one of them elsewhere, or delete the one that nobody uses.',
  })
}

function forked(location: string, key: string): FirnError {
  const message = `${location}/${key} is metadata of this table that its catalog does not know, and no older: the table may be registered under a second name`
  return new FirnError('invalid', 'FIRN_LOCATION_SHARED', message, {
    detail: { location, key },
    help: 'Where it has no other name, the file is left of a commit that died: delete the file, or commit to the table, then plan again.',
  })
}
