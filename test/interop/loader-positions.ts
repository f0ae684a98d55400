/** Where rows stand in an epoch of a table with deletes, and where a run that stopped goes on. */
import type { DatasetOptions } from '../../loader/index.ts'
import { resolveOptions } from '../../loader/options.ts'
import { blockV1 } from '../../loader/order/blocks.ts'
import { drawOrder, rowOrder } from '../../loader/order/rows.ts'
import { planTable } from '../../loader/source/plan-table.ts'
import { compareStrings } from '../../table/index.ts'
import type { NestedField } from '../../table/spec/types.ts'
import { withDataset } from '../loader/support.ts'
import { openPlace } from './inspect.ts'
import { rowsOf } from './loader-epochs.ts'

/** As the engine sees them. */
export interface RowPlaces {
  /** Key, file and position of every live row. */
  readonly places: readonly (readonly [key: string, file: string, position: number])[]
  /** Rows of the row groups of every data file, deleted ones too. */
  readonly files: Readonly<Record<string, readonly number[]>>
}

const KEY: readonly NestedField[] = [{ id: 1, name: 'key', required: true, type: 'long' }]
export const BATCH = { batch: { size: 7 }, numWorkers: 0 } as const

/** In the order of the epoch. */
export const keysOf = (options: DatasetOptions, epoch?: number): Promise<string[]> =>
  withDataset({ ...options, columns: ['key'] }, async (dataset) =>
    (await rowsOf(dataset, epoch, KEY)).map(({ key }) => String(key)),
  )

/** Stopped behind every batch: what comes then, in a dataset opened anew, is the rest. */
export async function resumeAnywhere(url: string): Promise<string | undefined> {
  const options = { table: url, columns: ['key'], ...BATCH }
  const all = await keysOf(options, 1)
  const tokens: { readonly token: string; readonly rows: number }[] = []
  await withDataset(options, async (dataset) => {
    let rows = 0
    for await (const batch of dataset.epoch(1)) {
      rows += batch.numRows
      tokens.push({ token: dataset.stateDict(), rows })
    }
  })
  for (const [index, { token, rows }] of tokens.slice(0, -1).entries()) {
    const rest = await withDataset({ ...options, numWorkers: index === 3 ? 2 : 0 }, async (dataset) => {
      await dataset.loadStateDict(token)
      return (await rowsOf(dataset, undefined, KEY)).map(({ key }) => String(key))
    })
    if (rest.join() !== all.slice(rows).join()) return `${rest.length} rows after ${rows} of ${all.length}: others`
  }
  return tokens.length > 5 ? undefined : `only ${tokens.length} batches`
}

/**
 * The order of all rows that lie in the files, deleted ones too, without the deleted ones is the order of the epoch:
 * by the positions that the engine sees.
 */
export async function comparePositions(url: string, { places, files }: RowPlaces): Promise<string | undefined> {
  const table = await openPlace(url)
  const epoch = 2
  const options = { table: url, shuffle: { seed: 5 }, ...BATCH }
  const found = await keysOf(options, epoch)
  const plan = await planTable(table, table.currentSnapshot()!, resolveOptions(options), { storeOptions: {} })
  // a unit is a row group: by file, then as they lie in it
  const units = Object.keys(files)
    .sort(compareStrings)
    .flatMap((file) => files[file]!.map((rows, group) => ({ file, rows, before: sum(files[file]!.slice(0, group)) })))
  if (units.length !== plan.units.length) return `${plan.units.length} units, ${units.length} row groups`
  const { tableUuid, snapshotId } = plan
  const unitBytes = plan.units.map(({ bytes }) => bytes)
  // all of them are one block
  const blocks = blockV1(unitBytes, { tableUuid, snapshotId, seed: 5, epoch }, sum(unitBytes))
  const drawn = [...blocks.unitsOf(0)].map((unit, ordinal) => {
    const key = blocks.unitKey(0, ordinal)
    return { ...units[unit]!, key, rowsInOrder: rowOrder(units[unit]!.rows, key).values() }
  })
  const live = new Map(places.map(([key, file, position]) => [`${file} ${position}`, key]))
  const owners = drawOrder(
    drawn.map(({ rows }) => rows),
    drawn.map(({ key }) => key),
    { opening: blocks.isOpening(0) },
  )
  const wanted = [...owners].flatMap((ordinal) => {
    const { file, before, rowsInOrder } = drawn[ordinal]!
    return live.get(`${file} ${before + rowsInOrder.next().value!}`) ?? []
  })
  if (owners.length === live.size) return 'nothing is deleted'
  if (units.length < 3 * Object.keys(files).length) return `only ${units.length} row groups`
  return wanted.join() === found.join() ? undefined : `order ${found}, expected ${wanted}`
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0)
