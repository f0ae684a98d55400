/** What another engine must find in a table: digests of every snapshot, and which rows pass which filter. */
import type { Data, RecordBatch } from 'apache-arrow'
import { type IcebergValue, valueAt } from '../../table/format/arrow-values.ts'
import type { TableScan } from '../../table/index.ts'
import { decimalOf, type NestedField, type PrimitiveType, type PrimitiveValue } from '../../table/spec/types.ts'
import {
  type Column,
  canonicalText,
  type Digests,
  digestRows,
  digestTexts,
  type FlatColumn,
  type Row,
} from './digest.ts'

export interface ExpectedTable {
  readonly name: string
  /** As another engine is given it. */
  readonly folder: string
  readonly columns: readonly Column[]
  /** Unique and never null. */
  readonly key: FlatColumn
  readonly snapshots: readonly ExpectedSnapshot[]
  /** Of the current schema, where the newest snapshot has another. */
  readonly now?: Digests
  readonly refs?: readonly ExpectedRef[]
  /** Of the current snapshot. */
  readonly filters: readonly Filter[]
  /** Engines that cannot read it, whoever wrote it. */
  readonly without: readonly string[]
}

export interface ExpectedSnapshot {
  readonly id: string
  /** Where they are not the table's. */
  readonly columns?: readonly Column[]
  readonly digests: Digests
  /** Data files that the snapshot reads; `undefined` where entries of files that are gone stand beside them. */
  readonly files: number | undefined
  /** Mean of `word_count`, where the table has one. */
  readonly averageWordCount?: number
}

/** A branch or tag. Spark reads a branch by the table's current schema, others by that of the snapshot. */
export interface ExpectedRef {
  readonly name: string
  readonly type: 'branch' | 'tag'
  readonly columns: readonly Column[]
  readonly digests: Digests
  readonly nowColumns: readonly Column[]
  readonly now: Digests
}

export interface Filter {
  readonly column: string
  readonly type: PrimitiveType
  readonly op: '=' | '>='
  /** As people write it: `2026-11-21`, `12.30`, … */
  readonly literal: string
  /** Engines that give the wrong rows, whoever wrote the table. */
  readonly without: readonly string[]
  /** Digest of the key over the rows that pass. */
  readonly keys: string
}

/** The rows of a scan by our own reader. */
export async function ownRows(scan: TableScan): Promise<Row<IcebergValue>[]> {
  const rows: Row<IcebergValue>[] = []
  for await (const batch of scan.batches()) rows.push(...rowsOfBatch(scan.schema.fields, batch))
  return rows
}

/** Bytes are views of the batch. */
export const rowsOfBatch = (fields: readonly NestedField[], batch: RecordBatch): Row<IcebergValue>[] =>
  Array.from({ length: batch.numRows }, (_, row) =>
    Object.fromEntries(
      fields.map(({ name, type }, index) => [name, valueAt(type, batch.data.children[index] as Data, row)]),
    ),
  )

/** @throws {Error} that names the columns that differ. */
export function mustEqual(
  where: string,
  columns: readonly Column[],
  found: readonly Row<IcebergValue>[],
  wanted: Digests,
): void {
  const { count, sha256 } = digestRows(columns, found)
  const wrong = Object.keys(sha256).filter(
    (name) => wanted.sha256[name] !== undefined && sha256[name] !== wanted.sha256[name],
  )
  if (count !== wanted.count || wrong.length > 0) {
    throw new Error(
      `our own reader disagrees about ${where}: ${count} of ${wanted.count} rows, columns ${wrong.join(', ')}`,
    )
  }
}

const FILTERED: readonly string[] = ['int', 'long', 'date', 'timestamp', 'timestamptz', 'string']

export interface FilterRequest {
  readonly columns: readonly FlatColumn[]
  readonly key: FlatColumn
  readonly rows: readonly Row[]
  /** The table is partitioned by hour, day or month of a column. */
  readonly byTime: boolean
  /** The table is partitioned by truncated decimals. */
  readonly byTruncatedDecimal?: boolean
  /** Literals a column. */
  readonly literals: number
}

/** Literals that partitions, bounds and row groups are pruned by; a wrong bound makes rows disappear. */
export function filtersOf(request: FilterRequest): Filter[] {
  const { columns, key, rows, literals } = request
  return columns.flatMap(({ name, type }) => {
    if (!FILTERED.includes(type) && !decimalOf(type)) return []
    const distinct = new Map(rows.map((row) => [canonicalText(type, row[name] ?? null), row[name] ?? null]))
    // PyIceberg looks at the value before a literal, and there is none before the first year
    const usable = (text: string): boolean => text !== 'null' && !['-719162', '-62135596800000000'].includes(text)
    const values = [...distinct].filter(([text]) => usable(text)).map(([, value]) => value)
    return spread(values, literals).map((value, index): Filter => {
      const op = index % 2 === 0 ? '=' : '>='
      const passing = rows.filter((row) => passes(row[name] ?? null, op, value))
      const keys = digestTexts(passing.map((row) => canonicalText(key.type, row[key.name] ?? null)))
      const without = failsInDuckdb(request, type, value) ? ['duckdb'] : []
      return { column: name, type, op, literal: literalOf(type, value), without, keys }
    })
  })
}

/**
 * DuckDB 1.5.5 rounds a time before 1970 up to the next hour, day or month and prunes the partition with its rows. Of a
 * truncated decimal it took -9999990.00 for a large positive one and failed, and found no row equal to the largest of 38
 * digits, which were there. Where exactly it begins to err is not known: all negative ones and all beyond 64 bits are
 * left out, of every decimal column of a table with a truncated partition.
 */
function failsInDuckdb(request: FilterRequest, type: PrimitiveType, value: PrimitiveValue): boolean {
  if (typeof value !== 'bigint') return false
  if (decimalOf(type)) return request.byTruncatedDecimal === true && (value < 0n || value >= 1n << 63n)
  return request.byTime && value < 0n
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
    const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
    const seconds = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, 19)
    return `${seconds}.${String(fraction).padStart(6, '0')}`
  }
  return String(value)
}
