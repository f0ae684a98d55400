/** Reads a damaged table in every way there is, and says what came of it. */
import { openTableAt } from '../../table/catalog/open.ts'
import { FirnError } from '../../table/errors.ts'
import {
  inspectAllEntries,
  inspectAllManifests,
  inspectEntries,
  inspectFiles,
  inspectHistory,
  inspectManifests,
  inspectMetadataLogEntries,
  inspectPartitions,
  inspectRefs,
  inspectSnapshots,
} from '../../table/inspect.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import { parseWhere } from '../../table/scan/where.ts'
import type { Table } from '../../table/table.ts'
import { canonical, nestedRows } from '../table/format/random-types.ts'
import { testClock } from '../table/support.ts'
import type { FuzzTable, ObjectKind } from './tables.ts'

export interface Reading {
  readonly columns: string
  readonly rows: readonly string[]
}

export type Verdict =
  /** The rows of the undamaged table. */
  | 'same rows'
  /** A typed error that names an object of the table. */
  | 'corrupt'
  | 'invalid'
  | 'not-found'
  /**
   * As many rows of the same columns, with other values: the flipped bits are within values that carry no checksum, and
   * no reader can know them.
   */
  | 'other values'
  /** A damaged delete file, without a checksum, that names other rows. */
  | 'other rows deleted'
  /** Metadata without a checksum that is whole and says something else: a column renamed, another snapshot, another number. */
  | 'other meaning'
  /** None of the above: what the fuzzer looks for. */
  | 'FINDING'

export interface Outcome {
  readonly verdict: Verdict
  readonly detail: string
}

/** Every row of the newest snapshot, and a name for the columns. */
export async function readAll(table: Table): Promise<Reading> {
  const scan = table.scan()
  const columns = JSON.stringify(scan.schema.fields)
  const rows: string[] = []
  for await (const batch of scan.batches()) {
    for (const row of nestedRows(scan.schema, batch)) rows.push(JSON.stringify(canonical(row as never)))
  }
  return { columns, rows: rows.sort() }
}

/** Everything that looks at metadata alone. Each must end in rows or in a typed error. */
async function inspect(table: Table, check: (error: unknown) => void): Promise<void> {
  const looks: readonly (() => unknown)[] = [
    () => inspectSnapshots(table),
    () => inspectHistory(table),
    () => inspectMetadataLogEntries(table),
    () => inspectRefs(table),
    () => inspectManifests(table),
    () => inspectAllManifests(table),
    () => inspectEntries(table),
    () => inspectFiles(table),
    () => inspectAllEntries(table),
    () => inspectPartitions(table),
  ]
  for (const look of looks) {
    try {
      await look()
    } catch (error) {
      check(error)
    }
  }
}

const FILTERS = [
  'n > 20 and day is not null',
  "id >= 'row 1' or score < 1.5",
  'big in (9007199254740999)',
  'key < 7',
  "text starts with 'a'",
]

/** Scans with pruning: what they leave out depends on statistics, so that only errors are looked at. */
async function filter(table: Table, check: (error: unknown) => void): Promise<void> {
  for (const text of FILTERS) {
    try {
      const scan = table.scan({ where: parseWhere(text, table.schemaFor()) })
      for await (const _batch of scan.batches());
      await scan.count()
    } catch (error) {
      // Whose columns another table has.
      if (!FirnError.is(error, 'FIRN_COLUMN_NOT_FOUND') && !FirnError.is(error, 'FIRN_WHERE_INVALID')) check(error)
    }
  }
}

let stores = 0

/** What reading `table` gives with some bytes `changed`; the damaged object is of the `kind`. */
export async function judge(
  table: FuzzTable,
  expected: Reading,
  kind: ObjectKind,
  changed: ReadonlyMap<string, Uint8Array>,
): Promise<Outcome> {
  const name = `case-${process.pid}-${stores++}`
  const store = openMemoryStore(name)
  for (const [each, content] of table.objects) await store.put(each, changed.get(each) ?? content)
  // Where a path is damaged, the error can only name the object by what is left of it.
  const known = [name, ...[...table.objects.keys()].map((each) => each.split('/').at(-1)!)]
  const names = (message: string): boolean =>
    known.some((each) => message.includes(each)) || /[a-z]:\/\/\S/.test(message)
  const findings: string[] = []
  const check = (error: unknown): string => {
    if (!FirnError.is(error)) findings.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
    else if (!['corrupt', 'invalid', 'not-found'].includes(error.kind))
      findings.push(`${error.kind} ${error.code}: ${error.message}`)
    else if (!names(error.message)) findings.push(`no object is named: ${error.code}: ${error.message}\n${error.stack}`)
    return FirnError.is(error) ? error.kind : 'FINDING'
  }
  try {
    const outcome = await read(table, store, expected, kind, check)
    return findings.length === 0 ? outcome : { verdict: 'FINDING', detail: findings[0]! }
  } finally {
    dropMemoryStore(name)
  }
}

async function read(
  { name }: FuzzTable,
  store: ReturnType<typeof openMemoryStore>,
  expected: Reading,
  kind: ObjectKind,
  check: (error: unknown) => string,
): Promise<Outcome> {
  let opened: Table
  try {
    opened = await openTableAt(store, { clock: testClock(1) })
  } catch (error) {
    return { verdict: check(error) as Verdict, detail: (error as Error).message }
  }
  await inspect(opened, check)
  await filter(opened, check)
  let reading: Reading
  try {
    reading = await readAll(opened)
  } catch (error) {
    return { verdict: check(error) as Verdict, detail: (error as Error).message }
  }
  return compare(name, reading, expected, kind)
}

/** Which differences a reader could have noticed. */
function compare(table: string, reading: Reading, expected: Reading, kind: ObjectKind): Outcome {
  const [found, wanted] = [reading.rows.length, expected.rows.length]
  const isSame = found === wanted && reading.rows.every((row, index) => row === expected.rows[index])
  if (isSame && reading.columns === expected.columns) return { verdict: 'same rows', detail: '' }
  const detail = `${table} ${kind}: ${found} rows for ${wanted}${reading.columns === expected.columns ? '' : `, columns ${reading.columns}`}`
  if (kind === 'data' && found === wanted && reading.columns === expected.columns)
    return { verdict: 'other values', detail }
  if (kind === 'deletes' && reading.columns === expected.columns) return { verdict: 'other rows deleted', detail }
  if (kind === 'metadata' || kind === 'list' || kind === 'manifest') return { verdict: 'other meaning', detail }
  return { verdict: 'FINDING', detail: `rows that are wrong: ${detail}` }
}
