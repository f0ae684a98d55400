/**
 * Tables of another engine as training sets: whatever the history of the table, an epoch holds the rows that the
 * engine reads at the snapshot, with its deletes; another epoch holds them in another order, and worker threads in the
 * same one.
 */
import type { Dataset } from '../../loader/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { IcebergValue } from '../../table/format/arrow-values.ts'
import { snapshotId } from '../../table/ids.ts'
import type { Table } from '../../table/index.ts'
import { type IcebergType, isPrimitive, type NestedField } from '../../table/spec/types.ts'
import { withDataset } from '../loader/support.ts'
import { type Column, canonicalText, type Digests, digestRows, type Row } from './digest.ts'
import { ownRows, rowsOfBatch } from './expected.ts'

export interface EpochsRequest {
  readonly table: Table
  /** Of the table's folder or metadata file. */
  readonly url: string
  readonly snapshot: { readonly id: string; readonly columns: readonly Column[]; readonly digests: Digests }
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
  const read = columns.filter(({ type }) => isBatchable(type))
  const names = read.map(({ name }) => name)
  const scan = table.scan({ snapshotId: snapshotId(BigInt(id)), columns: names })
  const ours = digestRows(read, await ownRows(scan))
  const wanted = { count: digests.count, sha256: { ...digests.sha256, rows: ours.sha256['rows']! } }
  const options = { table: url, snapshot: { id }, columns: names, batch: { size: BATCH_ROWS } }
  const order = async (dataset: Dataset): Promise<string> => orderOf(read, await rowsOf(dataset, 0, scan.schema.fields))
  try {
    const refusal = await refusalOf(url, snapshot)
    if (refusal !== undefined) return refusal
    const wrong = await withDataset({ ...options, numWorkers: 0 }, async (dataset) => {
      if (digests.count === 0) return await emptiness(dataset)
      const epochs = [await rowsOf(dataset, 0, scan.schema.fields), await rowsOf(dataset, 1, scan.schema.fields)]
      const counted = [dataset.length ?? digests.count, await dataset.count()]
      if (counted.some((rows) => rows !== digests.count)) return `counts ${counted}, expected ${digests.count}`
      return differenceOf(read, epochs, wanted)
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

function differenceOf(
  columns: readonly Column[],
  epochs: readonly (readonly Row<IcebergValue>[])[],
  wanted: Digests,
): string | undefined {
  for (const [epoch, rows] of epochs.entries()) {
    const { count, sha256 } = digestRows(columns, rows)
    if (count !== wanted.count) return `epoch ${epoch} has ${count} rows, expected ${wanted.count}`
    const wrong = Object.keys(sha256).filter((name) => wanted.sha256[name] !== sha256[name])
    if (wrong.length > 0) return `epoch ${epoch} has other values in ${wrong.join(', ')}`
  }
  const orders = new Set(epochs.map((rows) => orderOf(columns, rows)))
  return wanted.count >= MANY_ROWS && orders.size < epochs.length ? 'two epochs have one order' : undefined
}

/** Lists are batched at any depth; structs and maps are refused by the name of their column. */
export const isBatchable = (type: IcebergType): boolean =>
  isPrimitive(type) || (type.type === 'list' && isBatchable(type.element))

async function refusalOf(url: string, { id, columns }: EpochsRequest['snapshot']): Promise<string | undefined> {
  for (const { name, type } of columns) {
    if (isBatchable(type)) continue
    const options = { table: url, snapshot: { id }, columns: [name], batch: { size: 1 }, numWorkers: 0 }
    const outcome = await withDataset(options, async () => 'a dataset').catch((error: unknown) => error)
    const named = FirnError.is(outcome, 'FIRN_TYPE_UNSUPPORTED') && outcome.message.includes(`column ${name}`)
    if (!named) return `${name} is nested and not refused by its name: ${String(outcome)}`
  }
  return undefined
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
