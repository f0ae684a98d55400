/** Which rows of a run survive, and in which order they are written. Pure but for the columns that it reads. */

import { compareStrings } from '../../table/index.ts'
import { DEFAULT_DEDUP } from '../datasets/index.ts'
import type { Column, Utf8Column } from './enrich/columns.ts'
import type { EnrichedRows } from './enrich/enrich.ts'
import type { CellValue } from './enrich/validate.ts'

/**
 * One row per key: the latest, or the first where the dataset says so, by (arrival, stream, shard, sequence,
 * sub-sequence).
 *
 * Rows of chains were added by stream, shard, sequence and sub-sequence, so among equal arrivals the later row is the
 * later version.
 * @param origins of the rows, when they were not added in that order.
 * @returns row numbers, ascending.
 */
export function latestOfEachKey(rows: EnrichedRows, origins?: readonly string[]): Uint32Array {
  const keys = rows.columns.get(rows.dataset.key) as Utf8Column
  const { keep } = rows.dataset.dedup ?? DEFAULT_DEDUP
  const kept = new Map<string, number>()
  for (let row = 0; row < rows.rowCount; row++) {
    const key = keys.text(row)!
    const other = kept.get(key)
    if (other === undefined) kept.set(key, row)
    else {
      const order = rows.arrivals.compare(other, row) || compareStrings(origins?.[other] ?? '', origins?.[row] ?? '')
      if (keep === 'latest' ? order <= 0 : order > 0) kept.set(key, row)
    }
  }
  return Uint32Array.from(kept.values()).sort()
}

/** Sorts by one column; nulls are placed whatever the direction. */
export interface SortKey {
  readonly column: Column
  readonly direction: 'asc' | 'desc'
  readonly nullOrder: 'nulls-first' | 'nulls-last'
}

/** Negative when row `a` comes before row `b`. */
export function rowComparator(keys: readonly SortKey[]): (a: number, b: number) => number {
  return (a, b) => {
    for (const { column, direction, nullOrder } of keys) {
      const nullA = column.nulls.has(a)
      const nullB = column.nulls.has(b)
      if (nullA && nullB) continue
      if (nullA || nullB) return nullA === (nullOrder === 'nulls-first') ? -1 : 1
      const difference = column.compare(a, b)
      if (difference !== 0) return direction === 'asc' ? difference : -difference
    }
    return 0
  }
}

export interface PartitionRows {
  readonly tuple: readonly CellValue[]
  /** In the table's sort order. */
  readonly rows: Uint32Array
}

/** One field of the partition tuple of a row. */
export type PartitionKey = (row: number) => CellValue

/**
 * Rows by partition, partitions by the order of their values, rows of each sorted. Each partition is written as a run
 * of files in this order, so no two files of a commit overlap on the sort key.
 */
export function partitionAndSort(
  survivors: Uint32Array,
  partitionKeys: readonly PartitionKey[],
  sortKeys: readonly SortKey[],
): readonly PartitionRows[] {
  const groups = new Map<string, { tuple: readonly CellValue[]; rows: number[] }>()
  for (const row of survivors) {
    const tuple = partitionKeys.map((key) => key(row))
    const name = JSON.stringify(tuple, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
    const group = groups.get(name)
    if (group === undefined) groups.set(name, { tuple, rows: [row] })
    else group.rows.push(row)
  }
  const compare = rowComparator(sortKeys)
  return [...groups.values()]
    .sort((a, b) => compareTuples(a.tuple, b.tuple))
    .map(({ tuple, rows }) => ({ tuple, rows: Uint32Array.from(rows).sort(compare) }))
}

function compareTuples(a: readonly CellValue[], b: readonly CellValue[]): number {
  for (let i = 0; i < a.length; i++) {
    const left = a[i]!
    const right = b[i]!
    if (left === right) continue
    if (left === null || right === null) return left === null ? -1 : 1
    if (typeof left === 'string' && typeof right === 'string') return compareStrings(left, right)
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
