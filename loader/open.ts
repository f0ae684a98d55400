/** From options to an open dataset: find the table, pin the snapshot, list its files. */
import { type Clock, systemClock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import {
  arrowSchema,
  type FileScanTask,
  openCatalog,
  openStore,
  openTableAt,
  type StoreOptions,
  type Table,
} from '../table/index.ts'
import { Dataset } from './dataset.ts'
import { type DatasetOptions, invalid, resolveOptions } from './options.ts'
import type { FileRef } from './source/units.ts'

/**
 * A table at one snapshot as shuffled batches, the same ones for anybody who asks for the same snapshot and seed.
 * Reads metadata only. Close it with `await dataset[Symbol.asyncDispose]()`.
 * @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_COLUMN_NOT_FOUND` (invalid); `FIRN_TABLE_NOT_FOUND`,
 *   `FIRN_SNAPSHOT_NOT_FOUND`, `FIRN_REF_NOT_FOUND` (not-found); `FIRN_DELETES_UNSUPPORTED` (invalid);
 *   `FIRN_STORE_UNAVAILABLE` (unavailable); `signal.reason` on abort.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const resolved = resolveOptions(options)
  const { signal, storeOptions = {}, clock = systemClock } = options
  signal?.throwIfAborted()
  const table = await openTable(options, storeOptions, clock)
  const snapshot = table.snapshotFor(resolved.selector)
  if (snapshot === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `table ${table.location} has no snapshot to read yet`, {
      detail: { table: options.table },
      help: 'Add rows to it first: firn compact <table>',
    })
  }
  const { snapshotId } = snapshot
  const scan = table.scan({ snapshotId, ...(resolved.columns === undefined ? {} : { columns: resolved.columns }) })
  const arrow = arrowSchema(scan.schema) // refuses columns of types that are not read yet
  const tasks = await scan.planFiles({ signal })
  refuseDeletes(tasks, table)
  const files = tasks.map(refOf)
  return new Dataset({
    options: resolved,
    table,
    snapshot,
    schema: scan.schema,
    arrow,
    files,
    storeOptions,
    signal,
    clock,
  })
}

function refOf({ file, spec, nameMapping }: FileScanTask): FileRef {
  const { filePath, fileFormat, fileSizeBytes, recordCount, partition } = file
  const ref: FileRef = { filePath, fileFormat, fileSizeBytes, recordCount, partition }
  return { ...ref, ...(spec === undefined ? {} : { spec }), ...(nameMapping === undefined ? {} : { nameMapping }) }
}

/** A unit is a whole row group, so rows that delete files take away would come out as if they were still there. */
function refuseDeletes(tasks: readonly FileScanTask[], table: Table): void {
  const affected = tasks.find((task) => task.deletes.length > 0)
  if (affected === undefined) return
  const message = `table ${table.location} has delete files, which a dataset does not apply`
  throw new FirnError('invalid', 'FIRN_DELETES_UNSUPPORTED', message, {
    detail: { path: affected.file.filePath, deletes: affected.deletes.length },
    help: 'Rewrite the files that have deletes, or read a snapshot from before them.',
  })
}

async function openTable(
  { table, warehouse, signal }: DatasetOptions,
  storeOptions: Omit<StoreOptions, 'clock'>,
  clock: Clock,
): Promise<Table> {
  const open = (url: string): ReturnType<typeof openStore> => openStore(url, { ...storeOptions, clock })
  if (/^[a-z0-9]+:\//i.test(table)) {
    const file = /^(.*?)\/+metadata\/([^/]+\.metadata\.json)$/.exec(table)
    const folder = open(file?.[1] ?? table.replace(/\/+$/, ''))
    return openTableAt(folder, { clock, signal, ...(file === null ? {} : { metadataFile: `metadata/${file[2]}` }) })
  }
  if (warehouse === undefined) {
    throw invalid('warehouse', 'the URL of a warehouse, or a table that is a URL itself', warehouse)
  }
  const store = typeof warehouse === 'string' ? open(warehouse) : warehouse
  return openCatalog(store, { clock }).loadTable(table, { signal })
}
