/**
 * The loader beside other engines: splits are their buckets, deltas their incremental reads, folders of their plain
 * Parquet files hold their rows; a run is resumed on a table with deletes, and its positions are those of the files.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type DatasetOptions, openDataset } from '../../loader/index.ts'
import { FirnError } from '../../table/errors.ts'
import { withDataset } from '../loader/support.ts'
import { type Column, type Digests, digestRows } from './digest.ts'
import { runScript } from './engines.ts'
import { openPlace } from './inspect.ts'
import type { Engines } from './install.ts'
import { compareEpochs, type ForeignSnapshot, rowsOf } from './loader-epochs.ts'
import { BATCH, comparePositions, keysOf, type RowPlaces, resumeAnywhere, sum } from './loader-positions.ts'

/** By column and key the bucket of the row; null: in none. */
type Buckets = Readonly<Record<string, Readonly<Record<string, number | null>>>>

interface SplitTable extends Partial<RowPlaces> {
  /** Below the warehouse, or the URL of the metadata file. */
  readonly folder: string
  readonly buckets: Buckets
  /** By key, of the one column: the partition of twice as many buckets, each of them one file. */
  readonly partitions?: Readonly<Record<string, number | null>>
  /** Keys of the rows that pass. */
  readonly filters?: readonly (readonly [where: string, keys: readonly string[]])[]
}

interface GrownTable {
  readonly folder: string
  readonly ids: Readonly<Record<string, string>>
  readonly ranges: readonly (readonly [after: string, upTo: string, digests: Digests])[]
  readonly hidden: readonly (readonly [after: string, upTo: string])[]
}

interface PlainFolder {
  /** Its path. */
  readonly folder: string
  readonly columns: readonly Column[]
  readonly digests: Digests
  /** Columns of types that are not read. */
  readonly refused?: readonly string[]
}

interface ForeignTable {
  readonly folder: string
  readonly snapshots: readonly ForeignSnapshot[]
}

interface Written {
  readonly splits: readonly SplitTable[]
  readonly delta?: GrownTable
  readonly tables?: readonly ForeignTable[]
  /** Tables whose files are not Parquet. */
  readonly refused?: readonly string[]
  readonly folders: readonly PlainFolder[]
}

export interface LoaderComparison {
  readonly splits: number
  readonly ranges: number
  readonly folders: number
  readonly differences: readonly string[]
}

export async function compareLoader(engines: Engines, parent: string): Promise<LoaderComparison> {
  const comparisons: LoaderComparison[] = []
  for (const script of ['loader_spark', 'loader_files']) {
    const warehouse = pathToFileURL(join(parent, script)).href
    const request = { engine: 'spark', engines, warehouse, tables: [] } as const
    comparisons.push(await compareWritten(warehouse, await runScript<Written>(request, script, [])))
  }
  return {
    splits: sum(comparisons.map(({ splits }) => splits)),
    ranges: sum(comparisons.map(({ ranges }) => ranges)),
    folders: sum(comparisons.map(({ folders }) => folders)),
    differences: comparisons.flatMap(({ differences }) => differences),
  }
}

/** @param warehouse where the engine wrote. */
export async function compareWritten(warehouse: string, written: Written): Promise<LoaderComparison> {
  const differences: string[] = []
  const check = async (what: string, compare: () => Promise<string | undefined>): Promise<void> => {
    const wrong = await compare().catch((error: unknown) => String(error))
    if (wrong !== undefined) differences.push(`${what}: ${wrong}`)
  }
  const urlOf = (folder: string): string => (/^\w+:\//.test(folder) ? folder : `${warehouse}/${folder}`)
  let splits = 0
  for (const table of written.splits) {
    const url = urlOf(table.folder)
    for (const column of Object.keys(table.buckets)) {
      await check(`${table.folder}: split by ${column}`, () => compareSplit(url, column, table))
      splits++
    }
    for (const [filter, keys] of table.filters ?? []) {
      await check(`${table.folder} where ${filter}`, () => compareFilter(url, filter, keys))
    }
    const { places, files } = table
    if (places !== undefined && files !== undefined) {
      await check(`${table.folder}: resume`, () => resumeAnywhere(url))
      await check(`${table.folder}: positions`, () => comparePositions(url, { places, files }))
    }
  }
  for (const { folder, snapshots } of written.tables ?? []) {
    const table = await openPlace(urlOf(folder))
    for (const snapshot of snapshots) {
      const request = { table, url: urlOf(folder), snapshot, workers: snapshot === snapshots.at(-1) }
      await check(`${folder} at ${snapshot.id}`, () => compareEpochs(request))
    }
  }
  for (const folder of written.refused ?? []) await check(folder, () => mustRefuse(urlOf(folder)))
  const { delta } = written
  for (const [after, upTo, digests] of delta?.ranges ?? []) {
    await check(`delta (${after}, ${upTo}]`, () => compareDelta(urlOf(delta!.folder), delta!, [after, upTo], digests))
  }
  for (const [after, upTo] of delta?.hidden ?? []) {
    await check(`delta (${after}, ${upTo}]`, () => mustHide(urlOf(delta!.folder), delta!, [after, upTo]))
  }
  for (const folder of written.folders) await check(folder.folder, () => compareFolder(folder))
  const ranges = (delta?.ranges.length ?? 0) + (delta?.hidden.length ?? 0)
  return { splits, ranges, folders: written.folders.length, differences }
}

const BUCKETS = 8
const SHARES = [
  [0, 3],
  [3, 7],
  [7, 8],
] as const

const sorted = (keys: readonly string[]): string => [...keys].sort().join()

async function compareSplit(url: string, column: string, table: SplitTable): Promise<string | undefined> {
  const buckets = Object.entries(table.buckets[column]!)
  if (buckets.length === 0) return 'the table has no rows'
  for (const [from, to] of SHARES) {
    const split = { column, buckets: BUCKETS, include: [from, to] } as const
    const found = sorted(await keysOf({ table: url, split, ...BATCH }, 0))
    const wanted = (rows: readonly (readonly [string, number | null])[]): string =>
      sorted(rows.flatMap(([key, bucket]) => (bucket !== null && bucket >= from && bucket < to ? [key] : [])))
    if (found !== wanted(buckets)) return `buckets ${from} to ${to} are ${found}, expected ${wanted(buckets)}`
    if (table.partitions === undefined) continue
    const partitions = Object.entries(table.partitions)
    const halved = partitions.map(([key, bucket]) => [key, bucket === null ? null : bucket % BUCKETS] as const)
    if (found !== wanted(halved)) return `buckets ${from} to ${to} are other partitions`
    const others = partitions.filter(([key]) => !found.split(',').includes(key)).map(([, bucket]) => bucket)
    const skipped = await withDataset(
      { table: url, split, ...BATCH },
      async (dataset) => dataset.explain().filesSkipped,
    )
    if (skipped !== new Set(others).size) return `${skipped} files are skipped, expected ${new Set(others).size}`
  }
  return undefined
}

/** The rows that pass; where no file is left out as a whole, in the order that they have among all rows. */
async function compareFilter(url: string, filter: string, keys: readonly string[]): Promise<string | undefined> {
  if (keys.length === 0) return 'no row passes'
  const all = await keysOf({ table: url, ...BATCH }, 3)
  const found = await keysOf({ table: url, filter, ...BATCH }, 3)
  if (sorted(found) !== sorted(keys)) return `keys ${sorted(found)}, expected ${sorted(keys)}`
  const skipped = await withDataset({ table: url, filter, ...BATCH }, async (dataset) => dataset.explain().filesSkipped)
  if (skipped > 0) return undefined
  const passing = new Set(keys)
  return all.filter((key) => passing.has(key)).join() === found.join() ? undefined : 'in another order'
}

function rangeOf({ ids }: GrownTable, [after, upTo]: readonly [string, string]): DatasetOptions['snapshot'] {
  return { after: ids[after]!, upTo: ids[upTo]! }
}

async function compareDelta(
  url: string,
  table: GrownTable,
  range: readonly [string, string],
  digests: Digests,
): Promise<string | undefined> {
  return await withDataset({ table: url, snapshot: rangeOf(table, range), ...BATCH }, async (dataset) => {
    const { fields } = (await openPlace(url)).schemaFor({})
    return differenceOf(fields, digests, await rowsOf(dataset, 0, fields))
  })
}

async function mustHide(url: string, table: GrownTable, range: readonly [string, string]): Promise<string | undefined> {
  const options = { table: url, snapshot: rangeOf(table, range), ...BATCH }
  const outcome = await openDataset(options).catch((error: unknown) => error)
  return FirnError.is(outcome, 'FIRN_DELTA_HIDDEN') ? undefined : `not refused: ${String(outcome)}`
}

/** Avro and ORC, before an epoch ends. */
async function mustRefuse(url: string): Promise<string | undefined> {
  const outcome = await keysOf({ table: url, ...BATCH }, 0).catch((error: unknown) => error)
  return FirnError.is(outcome) && outcome.kind === 'invalid' ? undefined : `not refused: ${String(outcome)}`
}

async function compareFolder(folder: PlainFolder): Promise<string | undefined> {
  const place = folder.folder
  const names = folder.columns.map(({ name }) => name)
  for (const name of folder.refused ?? []) {
    const outcome = await openDataset({ folder: place, columns: [name], ...BATCH }).catch((error: unknown) => error)
    const named = FirnError.is(outcome, 'FIRN_TYPE_UNSUPPORTED') && outcome.message.includes(name)
    if (!named) return `${name} is not refused by its name: ${String(outcome)}`
  }
  const fields = folder.columns.map(({ name, type }, index) => ({ id: index, name, required: false, type }))
  const orders: string[] = []
  for (const numWorkers of [0, 2]) {
    const options = { folder: place, columns: names, ...BATCH, numWorkers }
    const wrong = await withDataset(options, async (dataset) => {
      const order = new Map(dataset.schema.fields.map(({ name }, index) => [name, index]))
      const asRead = fields.toSorted((a, b) => order.get(a.name)! - order.get(b.name)!)
      const rows = await rowsOf(dataset, 0, asRead)
      orders.push(rows.map(({ key }) => String(key)).join())
      return differenceOf(folder.columns, folder.digests, rows)
    })
    if (wrong !== undefined) return wrong
  }
  return orders[0] === orders[1] ? undefined : 'two threads give another order'
}

function differenceOf(
  columns: readonly Column[],
  digests: Digests,
  rows: Parameters<typeof digestRows>[1],
): string | undefined {
  const { count, sha256 } = digestRows(columns, rows)
  if (count !== digests.count) return `${count} rows, expected ${digests.count}`
  const wrong = Object.keys(digests.sha256).filter((name) => sha256[name] !== digests.sha256[name])
  return wrong.length === 0 ? undefined : `other values in ${wrong.join(', ')}`
}
