/**
 * Tables of another engine as training sets: whatever the history of the table, an epoch holds the rows that the
 * engine reads at the snapshot, with its deletes; another epoch holds them in another order, and worker threads in the
 * same one.
 */
import type { Dataset } from '../../loader/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { IcebergValue } from '../../table/format/arrow-values.ts'
import { snapshotId } from '../../table/ids.ts'
import type { Catalog, Table } from '../../table/index.ts'
import type { NestedField } from '../../table/spec/types.ts'
import { withDataset } from '../loader/support.ts'
import { type Column, canonicalText, type Digests, digestRows, type Row } from './digest.ts'
import { type ExpectedTable, rowsOfBatch } from './expected.ts'
import { openPlace } from './inspect.ts'

export interface ForeignSnapshot {
  readonly id: string
  readonly columns: readonly Column[]
  /** As the engine reads it. */
  readonly digests: Digests
}

export interface EpochsRequest {
  readonly table: Table
  /** Of the table's folder or metadata file. */
  readonly url: string
  readonly snapshot: ForeignSnapshot
  /** Also with two threads. */
  readonly workers: boolean
}

/** Small enough that most snapshots have several batches. */
const BATCH_ROWS = 7
/** From here on two orders are the same by chance once in millions of runs. */
const MANY_ROWS = 12

/** @returns what is wrong with the epochs of a snapshot. */
export async function compareEpochs({ table, url, snapshot, workers }: EpochsRequest): Promise<string | undefined> {
  const { id, columns, digests } = snapshot
  const { fields } = table.schemaFor({ snapshotId: snapshotId(BigInt(id)) })
  const options = { table: url, snapshot: { id }, batch: { size: BATCH_ROWS } }
  const order = async (dataset: Dataset): Promise<string> => orderOf(columns, await rowsOf(dataset, 0, fields))
  try {
    const wrong = await withDataset({ ...options, numWorkers: 0 }, async (dataset) => {
      if (digests.count === 0) return await emptiness(dataset)
      const epochs = [await rowsOf(dataset, 0, fields), await rowsOf(dataset, 1, fields)]
      const counted = [dataset.length ?? digests.count, await dataset.count()]
      if (counted.some((rows) => rows !== digests.count)) return `counts ${counted}, expected ${digests.count}`
      return differenceOf(columns, epochs, digests)
    })
    if (wrong !== undefined || !workers || digests.count === 0) return wrong
    const [alone, threaded] = [
      await withDataset({ ...options, numWorkers: 0 }, order),
      await withDataset({ ...options, numWorkers: 2 }, order),
    ]
    return alone === threaded ? undefined : 'two threads give another order'
  } catch (error) {
    return String(error)
  }
}

/** @returns one line per difference, of all snapshots of a table. */
export async function compareExpected({ name, folder, columns, snapshots }: ExpectedTable): Promise<string[]> {
  const table = await openPlace(folder)
  const differences: string[] = []
  for (const each of snapshots) {
    const snapshot = { id: each.id, columns: each.columns ?? columns, digests: each.digests }
    const wrong = await compareEpochs({ table, url: folder, snapshot, workers: each === snapshots.at(-1) })
    if (wrong !== undefined) differences.push(`${name} at ${each.id}: ${wrong}`)
  }
  return differences
}

/**
 * An epoch through a catalog, with threads and a tag that keeps the snapshot: the catalog has the tag while the
 * dataset is open, and no longer.
 */
export async function loadThroughCatalog(catalog: Catalog, name: string, wanted: Digests): Promise<string[]> {
  const tags = async (): Promise<readonly string[]> => Object.keys((await catalog.loadTable(name)).metadata.refs)
  const { fields } = (await catalog.loadTable(name)).schemaFor({})
  const options = { catalog, table: name, batch: { size: BATCH_ROWS }, numWorkers: 2, pin: 'required' } as const
  const differences = await withDataset(options, async (dataset) => {
    const epochs = [await rowsOf(dataset, 0, fields), await rowsOf(dataset, 1, fields)]
    const { pinned } = dataset.stats()
    const isPinned = pinned !== undefined && (await tags()).includes(pinned)
    return [differenceOf(fields, epochs, wanted), isPinned ? undefined : `the catalog has no tag ${pinned}`]
  }).catch((error: unknown) => [String(error)])
  const left = (await tags()).filter((tag) => tag.startsWith('firn-loader-'))
  if (left.length > 0) differences.push(`${left} are left`)
  return differences.flatMap((wrong) => (wrong === undefined ? [] : [`${name} through its catalog: ${wrong}`]))
}

function differenceOf(
  columns: readonly Column[],
  epochs: readonly (readonly Row<IcebergValue>[])[],
  wanted: Digests,
): string | undefined {
  for (const [epoch, rows] of epochs.entries()) {
    const { count, sha256 } = digestRows(columns, rows)
    if (count !== wanted.count) return `epoch ${epoch} has ${count} rows, expected ${wanted.count}`
    const wrong = Object.keys(wanted.sha256).filter((name) => wanted.sha256[name] !== sha256[name])
    if (wrong.length > 0) return `epoch ${epoch} has other values in ${wrong.join(', ')}`
  }
  const orders = new Set(epochs.map((rows) => orderOf(columns, rows)))
  return wanted.count >= MANY_ROWS && orders.size < epochs.length ? 'two epochs have one order' : undefined
}

async function emptiness(dataset: Dataset): Promise<string | undefined> {
  const outcome = await rowsOf(dataset, 0, []).catch((error: unknown) => error)
  return FirnError.is(outcome, 'FIRN_DATASET_EMPTY') ? undefined : `not empty: ${String(outcome)}`
}

/** In the order of the epoch; every batch but the last is full: what is deleted leaves no gap. */
export async function rowsOf(
  dataset: Dataset,
  epoch: number | undefined,
  fields: readonly NestedField[],
): Promise<Row<IcebergValue>[]> {
  const rows: Row<IcebergValue>[] = []
  let last = BATCH_ROWS
  for await (const batch of dataset.epoch(epoch)) {
    if (last !== BATCH_ROWS) throw new Error(`a batch of ${last} rows before the last one`)
    rows.push(...rowsOfBatch(fields, batch))
    last = batch.numRows
  }
  return rows
}

const orderOf = (columns: readonly Column[], rows: readonly Row<IcebergValue>[]): string =>
  rows.map((row) => columns.map(({ name, type }) => canonicalText(type, row[name] ?? null)).join()).join('\n')
