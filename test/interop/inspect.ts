/**
 * Every metadata table of PyIceberg beside ours, at every snapshot, row by row. Both sides print a value alike:
 * whole numbers, times (microseconds) and unscaled decimals in digits, other floating point as hexadecimal of its
 * 64-bit form, dates as ISO, bytes as hexadecimal; what is empty is nothing.
 */
import { systemClock } from '../../table/clock.ts'
import { snapshotId } from '../../table/ids.ts'
import * as door from '../../table/index.ts'
import { currentSchema } from '../../table/spec/metadata.ts'
import { fieldsById } from '../../table/spec/schema.ts'
import { isPrimitive, type NestedField } from '../../table/spec/types.ts'
import { runScript } from './engines.ts'
import type { Engines } from './install.ts'

interface TablePlace {
  readonly name: string
  /** URL of the table or of its metadata file. */
  readonly folder: string
}

type Printed = null | string | readonly Printed[] | { readonly [key: string]: Printed }
type Tables = Readonly<Record<string, readonly Printed[]>>
/** By `<metadata table>` or `<metadata table> <snapshot id>`; null where PyIceberg itself failed. */
type Inspected = Readonly<Record<string, Readonly<Record<string, readonly Printed[] | null>>>>

/** The table in a folder, or of one metadata file. */
export async function openPlace(url: string): Promise<door.Table> {
  const file = /^(.*)\/(metadata\/[^/]+\.metadata\.json)$/.exec(url)
  const store = door.openStore(file?.[1] ?? url, { clock: systemClock })
  return door.openTableAt(store, { clock: systemClock, ...(file === null ? {} : { metadataFile: file[2]! }) })
}

/** @returns how many metadata tables were compared, and one line per difference. */
export async function inspectLikePyiceberg(
  engines: Engines,
  places: readonly TablePlace[],
): Promise<{ readonly compared: number; readonly differences: readonly string[] }> {
  const all = await Promise.all(places.map(async ({ name, folder }) => ({ name, table: await openPlace(folder) })))
  // PyIceberg 0.12 makes no metadata table of a table with a uuid: Arrow cannot make such a column from values
  const opened = all.filter(({ table }) => ![...fieldsById(currentSchema(table.metadata)).values()].some(isUuid))
  const nothing = { columns: [], key: undefined as never, snapshots: [], filters: [], without: [] }
  // by metadata file: PyIceberg does not find compressed ones by the folder
  const tables = opened.map(({ name, table }) => ({ ...nothing, name, folder: table.metadataLocation }))
  const request = { engine: 'pyiceberg', engines, warehouse: '', tables } as const
  const theirs = await runScript<Inspected>(request, 'pyiceberg_inspect', tables)
  const differences: string[] = []
  let compared = 0
  for (const { name, table } of opened) {
    const ours = await inspectAll(table)
    const flat = new Set(
      currentSchema(table.metadata)
        .fields.filter(isFlat)
        .map((field) => field.name),
    )
    for (const kind of new Set([...Object.keys(ours), ...Object.keys(theirs[name]!)])) {
      const expected = theirs[name]![kind]
      if (expected === null) continue
      compared++
      const found = ours[kind]?.map((row) => ofColumns(flat, row))
      differences.push(
        ...compare(
          `${name} ${kind}`,
          found,
          expected?.map((row) => ofColumns(flat, row)),
        ),
      )
    }
  }
  return { compared, differences }
}

const isUuid = ({ type }: NestedField): boolean => type === 'uuid'
const isFlat = ({ type }: NestedField): boolean => isPrimitive(type)

/** Of nested columns PyIceberg has one line without anything, we have those of the fields inside, as Java has. */
function ofColumns(names: ReadonlySet<string>, row: Printed): Printed {
  const { readable_metrics: metrics, ...rest } = row as { readonly [key: string]: Printed }
  if (metrics === undefined || metrics === null) return row
  const kept = Object.entries(metrics as { readonly [key: string]: Printed }).filter(([name]) => names.has(name))
  return { ...rest, readable_metrics: Object.fromEntries(kept) }
}

async function inspectAll(table: door.Table): Promise<Tables> {
  const found: Record<string, readonly door.InspectRow[]> = {
    snapshots: door.inspectSnapshots(table),
    history: door.inspectHistory(table),
    refs: door.inspectRefs(table),
    metadata_log_entries: door.inspectMetadataLogEntries(table),
    manifests: (await door.inspectManifests(table)).map(likePython),
    all_manifests: (await door.inspectAllManifests(table)).map(likePython),
    all_files: await door.inspectAllFiles(table),
    all_data_files: await door.inspectAllDataFiles(table),
    all_delete_files: await door.inspectAllDeleteFiles(table),
  }
  for (const { snapshotId: id } of table.metadata.snapshots) {
    const selector = { snapshotId: snapshotId(id) }
    found[`entries ${id}`] = (await door.inspectEntries(table, selector)).map(withoutSpecId)
    found[`files ${id}`] = await door.inspectFiles(table, selector)
    found[`data_files ${id}`] = await door.inspectDataFiles(table, selector)
    found[`delete_files ${id}`] = await door.inspectDeleteFiles(table, selector)
    found[`partitions ${id}`] = await door.inspectPartitions(table, selector)
  }
  return Object.fromEntries(Object.entries(found).map(([kind, rows]) => [kind, rows.map(print)]))
}

/** Bounds as text: PyIceberg takes an empty one for none, and prints times as Python does, not as Java. */
function likePython(row: door.InspectRow): door.InspectRow {
  const text = (value: unknown): unknown =>
    value === ''
      ? null
      : typeof value === 'string'
        ? value.replace(/T(\d\d:\d\d)(Z?)$/, 'T$1:00$2').replace(/(T.*)Z$/, '$1+00:00')
        : value
  const summaries = row['partition_summaries'] as readonly door.InspectRow[]
  const likewise = summaries.map((summary) => ({
    ...summary,
    lower_bound: text(summary['lower_bound']),
    upper_bound: text(summary['upper_bound']),
  }))
  return { ...row, partition_summaries: likewise }
}

/** PyIceberg fills it in and then leaves it out of the columns; Java has it. */
function withoutSpecId({ data_file, ...row }: door.InspectRow): door.InspectRow {
  const { spec_id: _specId, ...rest } = data_file as door.InspectRow
  return { ...row, data_file: rest }
}

function print(value: unknown): Printed {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return printNumber(value)
  if (value instanceof Date) return String(BigInt(value.getTime()) * 1000n)
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(print)
  if (typeof value !== 'object') return String(value)
  const entries = Object.entries(value)
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([key, item]) => [key, print(item)]))
}

function printNumber(value: number): string {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value)
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return Number.isNaN(value) ? 'nan' : bytes.toString('hex')
}

function compare(
  where: string,
  ours: readonly Printed[] | undefined,
  theirs: readonly Printed[] | undefined,
): string[] {
  if (ours === undefined || theirs === undefined) return [`${where}: only ${ours === undefined ? 'theirs' : 'ours'}`]
  if (ours.length !== theirs.length) return [`${where}: ${ours.length} rows, expected ${theirs.length}`]
  const [left, right] = [sorted(ours), sorted(theirs)]
  const at = left.findIndex((line, index) => line !== right[index])
  return at < 0 ? [] : [`${where}: ${firstDifference(JSON.parse(left[at]!), JSON.parse(right[at]!), '')}`]
}

const sorted = (rows: readonly Printed[]): string[] => rows.map((row) => JSON.stringify(ordered(row))).sort()

function ordered(value: Printed): Printed {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value as Readonly<Record<string, Printed>>)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, ordered(item)]))
}

function firstDifference(ours: Printed, theirs: Printed, path: string): string {
  const isObject = (value: Printed): value is Readonly<Record<string, Printed>> =>
    typeof value === 'object' && value !== null
  if (isObject(ours) && isObject(theirs)) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      if (!(key in ours) || !(key in theirs)) return `${path}/${key} only in ${key in ours ? 'ours' : 'theirs'}`
      if (JSON.stringify(ours[key]) !== JSON.stringify(theirs[key])) {
        return firstDifference(ours[key]!, theirs[key]!, `${path}/${key}`)
      }
    }
  }
  return `${path} is ${JSON.stringify(ours)}, expected ${JSON.stringify(theirs)}`
}
