/** Writes the tables of `values.ts` through the table door, several snapshots each, and says what each must read as. */
import { systemClock } from '../../table/clock.ts'
import { openCatalog, openStore, type Table } from '../../table/index.ts'
import { applyTransform } from '../../table/spec/transform.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from '../../table/spec/types.ts'
import { readRows, writeRows } from '../table/support.ts'
import { type Column, canonicalText, type Digests, digestRows, digestTexts, type Row } from './digest.ts'
import { type InteropTable, KEY, rowsBetween, rowsWithoutBounds, TABLES } from './values.ts'

export interface Filter {
  readonly column: string
  readonly type: PrimitiveType
  readonly op: '=' | '>='
  /** As people write it: `2026-11-21`, `12.30`, … */
  readonly literal: string
  /** Engines that give the wrong rows, whoever wrote the table. */
  readonly without: readonly string[]
  /** Digest of the column `key` over the rows that pass. */
  readonly keys: string
}

export interface ExpectedSnapshot {
  readonly id: string
  readonly digests: Digests
  /** Data files that the snapshot reads. */
  readonly files: number
  /** Mean of `word_count`, where the table has one. */
  readonly averageWordCount?: number
}

export interface ExpectedTable {
  readonly name: string
  /** As another engine is given it. */
  readonly folder: string
  readonly columns: readonly Column[]
  readonly snapshots: readonly ExpectedSnapshot[]
  readonly filters: readonly Filter[]
  readonly without: readonly string[]
}

/** @param warehouse `file:` or `s3:` URL. */
export async function writeFlatTables(warehouse: string): Promise<ExpectedTable[]> {
  const catalog = openCatalog(openStore(warehouse, { clock: systemClock }), { clock: systemClock })
  const expected: ExpectedTable[] = []
  for (const definition of TABLES) {
    const table = await catalog.createTable(definition.name, {
      schema: { schemaId: 0, fields: definition.fields, identifierFieldIds: [definition.fields[0]!.id] },
      partitionSpec: { specId: 0, fields: definition.partition },
      sortOrder: {
        orderId: 1,
        fields: [
          { sourceId: definition.fields[0]!.id, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' },
        ],
      },
      properties: {},
    })
    expected.push(await fillTable(table, definition))
  }
  return expected
}

async function fillTable(created: Table, definition: InteropTable): Promise<ExpectedTable> {
  const columns = definition.fields.map(({ name, type }): Column => ({ name, type: type as PrimitiveType }))
  // an empty snapshot first and in the middle: both are legal, and the first has a manifest list without entries
  const batches: readonly (readonly Row[])[] = [
    [],
    rowsBetween(columns, 0, 60),
    rowsWithoutBounds(columns, 1000, 20),
    [],
    rowsBetween(columns, 2000, 2100),
  ]
  const rows: Row[] = []
  const snapshots: ExpectedSnapshot[] = []
  let table = created
  let files = 0
  for (const batch of batches) {
    const added = []
    for (const { partition, members } of groupByPartition(definition, batch)) {
      // small files and row groups, so that bounds and offsets of many are at work
      added.push(...(await writeRows(table, members, partition, { targetFileSizeBytes: 8_192, rowGroupRows: 20 })))
    }
    const appended = await table.append(added)
    table = appended.table
    rows.push(...batch)
    files += added.length
    snapshots.push({ id: String(appended.snapshot!.snapshotId), digests: digestRows(columns, rows), files })
  }
  await checkOwnReader(table, columns, snapshots)
  const filters = columns.flatMap((column) => filtersOf(definition, column, rows))
  const { name, without = [] } = definition
  return { name, folder: table.location, columns, snapshots, filters, without }
}

function groupByPartition(
  { fields, partition }: InteropTable,
  rows: readonly Row[],
): { partition: PrimitiveValue[]; members: Row[] }[] {
  const groups = new Map<string, { partition: PrimitiveValue[]; members: Row[] }>()
  for (const row of rows) {
    const tuple = partition.map(({ sourceId, transform }) => {
      const { name, type } = fields.find(({ id }) => id === sourceId)!
      return applyTransform(transform, type as PrimitiveType, row[name] ?? null)
    })
    const key = JSON.stringify(tuple.map((value) => (value instanceof Uint8Array ? [...value] : String(value))))
    const group = groups.get(key) ?? { partition: tuple, members: [] }
    groups.set(key, group)
    group.members.push(row)
  }
  return [...groups.values()]
}

async function checkOwnReader(
  table: Table,
  columns: readonly Column[],
  snapshots: readonly ExpectedSnapshot[],
): Promise<void> {
  for (const { id } of table.metadata.snapshots.map(({ snapshotId }) => ({ id: snapshotId }))) {
    const found = digestRows(columns, await readBack(table, columns, id))
    const wanted = snapshots.find((snapshot) => snapshot.id === String(id))!.digests
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      throw new Error(`our own reader disagrees about ${table.name} at ${id}: ${JSON.stringify({ found, wanted })}`)
    }
  }
}

/** `readRows` gives bytes as hexadecimal. */
async function readBack(table: Table, columns: readonly Column[], snapshotId: bigint): Promise<Row[]> {
  const rows = await readRows(table.scan({ snapshotId: snapshotId as never }))
  const bytes = columns.filter(({ type }) => type === 'binary' || type.startsWith('fixed'))
  return rows.map((row) => {
    const copy: Record<string, PrimitiveValue> = { ...row }
    for (const { name } of bytes) if (copy[name] !== null) copy[name] = Buffer.from(copy[name] as string, 'hex')
    return copy
  })
}

/** Literals that partitions, bounds and row groups are pruned by; a wrong bound makes rows disappear. */
function filtersOf(table: InteropTable, column: Column, rows: readonly Row[]): Filter[] {
  const { name, type } = column
  if (!['int', 'long', 'date', 'timestamp', 'timestamptz', 'string'].includes(type) && !decimalOf(type)) return []
  const distinct = new Map(rows.map((row) => [canonicalText(type, row[name] ?? null), row[name] ?? null]))
  // PyIceberg looks at the value before a literal, and there is none before the first year
  const usable = (text: string): boolean => text !== 'null' && !['-719162', '-62135596800000000'].includes(text)
  const values = [...distinct].filter(([text]) => usable(text)).map(([, value]) => value)
  const byTime = table.partition.some(({ transform }) => ['hour', 'day', 'month'].includes(transform))
  return spread(values, 5).map((value, index): Filter => {
    const op = index % 2 === 0 ? '=' : '>='
    const passing = rows.filter((row) => passes(row[name] ?? null, op, value))
    const keys = digestTexts(passing.map((row) => canonicalText('long', row[KEY] ?? null)))
    // DuckDB 1.5.5 rounds such a literal up to the next hour, day or month, and prunes the partition that has its rows
    const without = byTime && typeof value === 'bigint' && value < 0n ? ['duckdb'] : []
    return { column: name, type, op, literal: literalOf(type, value), without, keys }
  })
}

/** `count` of `values`, evenly from first to last. */
function spread<T>(values: readonly T[], count: number): readonly T[] {
  if (values.length <= count) return values
  return Array.from({ length: count }, (_, index) => values[Math.floor((index * (values.length - 1)) / (count - 1))]!)
}

function passes(value: PrimitiveValue, op: '=' | '>=', literal: PrimitiveValue): boolean {
  if (value === null) return false
  if (op === '=') return value === literal
  if (typeof value === 'string') return Buffer.compare(Buffer.from(value), Buffer.from(literal as string)) >= 0
  return value >= (literal as typeof value)
}

function literalOf(type: PrimitiveType, value: PrimitiveValue): string {
  const decimal = decimalOf(type)
  if (decimal) {
    const digits = String(value)
      .replace('-', '')
      .padStart(decimal.scale + 1, '0')
    const point = digits.length - decimal.scale
    return `${(value as bigint) < 0n ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
  }
  if (type === 'date') return new Date((value as number) * 86_400_000).toISOString().slice(0, 10)
  if (type === 'timestamp' || type === 'timestamptz') {
    const micros = value as bigint
    const second = (micros - (((micros % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n
    const seconds = new Date(Number(second) * 1000).toISOString().slice(0, 19)
    return `${seconds}.${String(micros - second * 1_000_000n).padStart(6, '0')}`
  }
  return String(value)
}
