/** From options to an open dataset: find the table or folder, fix the snapshot, plan what is read. */
import type { Schema as ArrowSchema } from 'apache-arrow'
import { type Clock, systemClock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import { openCatalog, openStore, openTableAt, type Snapshot, type StoreOptions, type Table } from '../table/index.ts'
import { Dataset } from './dataset.ts'
import { isUrl } from './options/origin.ts'
import { type DatasetOptions, inMemory, type ResolvedOptions, resolveOptions, unreachableWorkers } from './options.ts'
import { transformedSchema } from './read/transform.ts'
import type { LoaderPlan } from './source/plan.ts'
import { planFolder } from './source/plan-folder.ts'
import { planTable } from './source/plan-table.ts'

/**
 * A table at one snapshot as shuffled batches, the same ones for anybody who asks for the same snapshot and seed.
 * Reads metadata and at most four footers; of a folder of Parquet files every footer. Close it with
 * `await dataset[Symbol.asyncDispose]()`.
 * @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_COLUMN_NOT_FOUND`, `FIRN_WHERE_INVALID`, `FIRN_DELTA_HIDDEN`,
 *   `FIRN_TRANSFORM_UNSUPPORTED`, `FIRN_FOLDER_MIXED`, `FIRN_PATH_OUTSIDE_TABLE` (invalid); `FIRN_TABLE_NOT_FOUND`, `FIRN_SNAPSHOT_NOT_FOUND`,
 *   `FIRN_REF_NOT_FOUND`, `FIRN_FOLDER_EMPTY` (not-found); `FIRN_STORE_UNAVAILABLE` (unavailable); `signal.reason` on
 *   abort.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const resolved = resolveOptions(options)
  const { signal, storeOptions = {}, clock = systemClock } = options
  signal?.throwIfAborted()
  if (resolved.origin.kind === 'folder') {
    const store = openStore(resolved.origin.url, { ...storeOptions, clock })
    const plan = await planFolder(store, resolved, { storeOptions, signal })
    return new Dataset({ plan, schema: await schemaOf(plan), options: resolved, store, signal, clock })
  }
  const table = await openTable(resolved.origin.table, options, storeOptions, clock)
  checkWorkers(resolved, table)
  const snapshot = snapshotOf(table, resolved)
  const ownStore = (await table.workerStoreOptions()) ?? storeOptions
  const plan = await planTable(table, snapshot, resolved, { storeOptions: ownStore, signal })
  const schema = await schemaOf(plan)
  return new Dataset({ plan, schema, options: resolved, store: table.store, table, snapshot, signal, clock })
}

/** Of the batches: a transform is asked once, in this thread, what it makes of no rows. */
async function schemaOf({ arrow, read: { transform } }: LoaderPlan): Promise<ArrowSchema> {
  return transform === undefined ? arrow : await transformedSchema(transform, arrow)
}

function snapshotOf(table: Table, { selector }: ResolvedOptions): Snapshot {
  const snapshot = table.snapshotFor(selector)
  if (snapshot !== undefined) return snapshot
  throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `table ${table.location} has no snapshot to read yet`, {
    detail: { table: table.name ?? table.location },
    help: 'Add rows to it first: firn compact <table>',
  })
}

function checkWorkers({ numWorkers }: ResolvedOptions, table: Table): void {
  if (numWorkers > 0 && inMemory(table.store.url)) throw unreachableWorkers(numWorkers)
}

async function openTable(
  name: string,
  { warehouse, catalog, allowedLocations, signal }: DatasetOptions,
  storeOptions: Omit<StoreOptions, 'clock'>,
  clock: Clock,
): Promise<Table> {
  const how = { signal, ...(allowedLocations === undefined ? {} : { allowedLocations }) }
  if (catalog !== undefined) return catalog.loadTable(name, how)
  const open = (url: string): ReturnType<typeof openStore> => openStore(url, { ...storeOptions, clock })
  if (isUrl(name)) {
    const file = /^(.*?)\/+metadata\/([^/]+\.metadata\.json)$/.exec(name)
    const folder = open(file?.[1] ?? name.replace(/\/+$/, ''))
    return openTableAt(folder, { ...how, clock, ...(file === null ? {} : { metadataFile: `metadata/${file[2]}` }) })
  }
  const store = typeof warehouse === 'string' ? open(warehouse) : warehouse!
  return openCatalog(store, { clock }).loadTable(name, how)
}
