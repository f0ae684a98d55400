/** What is known of a column's values in a set of rows: from file metrics, partition values, summaries, row groups. */
import { decodeBound } from '../manifest/bounds.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { PartitionSummary } from '../manifest/manifest-list.ts'
import { applyTransform, canApply, parseTransform, type Transform, transformResultType } from '../spec/transform.ts'
import { compareOrdered, type OrderedValue, type SourceRange, sourceRange, toOrdered } from '../spec/transform-range.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import type { ColumnReference } from './expression.ts'

/** Anything that is not known is possible. Bounds speak of values that are neither null nor NaN. */
export interface ColumnFacts extends SourceRange {
  readonly mayBeNull: boolean
  readonly mayBeNan: boolean
  /** A value that is neither null nor NaN. */
  readonly mayBeOrdinary: boolean
  /** False when no row has exactly this value; for hashes, which say nothing else. */
  readonly mayEqual?: (value: PrimitiveValue) => boolean
}

const isFloat = (type: PrimitiveType): boolean => type === 'float' || type === 'double'

/** Bounds that contradict each other, or that no version of the type has, bound nothing. */
function boundsOf(type: PrimitiveType, lower: Uint8Array | undefined, upper: Uint8Array | undefined): SourceRange {
  return rangeOf(type, boundOf(type, lower), boundOf(type, upper))
}

function rangeOf(type: PrimitiveType, lower: OrderedValue | undefined, upper: OrderedValue | undefined): SourceRange {
  if (lower !== undefined && upper !== undefined && compareOrdered(type, lower, upper) > 0) return {}
  return { lower, upper }
}

function boundOf(type: PrimitiveType, bytes: Uint8Array | undefined): OrderedValue | undefined {
  if (bytes === undefined || type === 'string') return bytes
  const value = usableBound(type, bytes)
  return value === undefined ? undefined : toOrdered(value)
}

/** Most bytes of a decimal of 38 digits. */
const MAX_DECIMAL_BYTES = 16

/** The value of a bound, or `undefined` for one that no version of the type has: it bounds nothing. */
export function usableBound(type: PrimitiveType, bytes: Uint8Array): Exclude<PrimitiveValue, null> | undefined {
  // Four bytes were a date before the column became a timestamp; they count days.
  if ((type === 'timestamp' || type === 'timestamptz' || type === 'time') && bytes.length !== 8) return undefined
  if (decimalOf(type) !== undefined && (bytes.length === 0 || bytes.length > MAX_DECIMAL_BYTES)) return undefined
  try {
    const value = decodeBound(type, bytes)
    // Old writers took NaN for a bound.
    return value === null || Number.isNaN(value) ? undefined : value
  } catch {
    return undefined
  }
}

/** @param insideOptional whether the column stands in a struct that rows may lack. */
export function fileFacts(file: DataFile, column: ColumnReference, insideOptional: boolean): ColumnFacts {
  const { fieldId: id, type } = column
  const nulls = file.nullValueCounts.get(id)
  const nans = isFloat(type) ? file.nanValueCounts.get(id) : 0
  const total = Math.max(file.valueCounts.get(id) ?? 0, file.recordCount)
  const { lower, upper } = boundsOf(type, file.lowerBounds.get(id), file.upperBounds.get(id))
  return {
    lower,
    upper,
    // Writers disagree on whether rows without the struct count as nulls of what is inside.
    mayBeNull: nulls === undefined || nulls > 0 || insideOptional,
    mayBeNan: nans === undefined || nans > 0,
    mayBeOrdinary: nulls === undefined || nulls + (nans ?? 0) < total,
  }
}

/** From one value of a file's partition tuple; `undefined` when it says nothing about the column. */
export function partitionFacts(
  transform: Transform,
  type: PrimitiveType,
  value: PrimitiveValue,
): ColumnFacts | undefined {
  const kind = parseTransform(transform)?.kind
  if (kind === 'void' || !canApply(transform, type)) return undefined
  if (value === null) return { mayBeNull: true, mayBeNan: false, mayBeOrdinary: false }
  if (Number.isNaN(value)) return { mayBeNull: false, mayBeNan: true, mayBeOrdinary: false }
  const ordered = toOrdered(value)
  const ordinary = { mayBeNull: false, mayBeNan: false, mayBeOrdinary: true }
  if (kind === 'bucket') return { ...ordinary, mayEqual: inBuckets(transform, type, Number(value), Number(value)) }
  return { ...sourceRange(transform, type, ordered, ordered), ...ordinary }
}

/** From what a manifest list says of one partition field over a whole manifest. */
export function summaryFacts(
  transform: Transform,
  type: PrimitiveType,
  summary: PartitionSummary,
): ColumnFacts | undefined {
  const kind = parseTransform(transform)?.kind
  if (kind === 'void' || !canApply(transform, type)) return undefined
  const result = transformResultType(transform, type)
  const { lower, upper } = boundsOf(result, summary.lowerBound, summary.upperBound)
  const possible = {
    mayBeNull: summary.containsNull,
    mayBeNan: isFloat(type) && summary.containsNan !== false,
    // Without bounds every value is null or NaN, unless the writer just left them out.
    mayBeOrdinary: summary.lowerBound !== undefined || summary.upperBound !== undefined || !summary.containsNull,
  }
  if (lower === undefined || upper === undefined) return possible
  if (kind === 'bucket') return { ...possible, mayEqual: inBuckets(transform, type, Number(lower), Number(upper)) }
  return { ...sourceRange(transform, type, lower, upper), ...possible }
}

/** Asked with the literals of a filter only, so each is hashed once. */
function inBuckets(transform: Transform, type: PrimitiveType, first: number, last: number) {
  const hash = bucketHash(transform, type)
  return (value: PrimitiveValue): boolean => {
    const bucket = hash(value)
    return bucket >= first && bucket <= last
  }
}

const hashes = new Map<string, (value: PrimitiveValue) => number>()

function bucketHash(transform: Transform, type: PrimitiveType): (value: PrimitiveValue) => number {
  const key = `${transform} ${type}`
  if (hashes.size >= 1000) hashes.clear()
  const known = hashes.get(key)
  if (known !== undefined) return known
  const buckets = new Map<PrimitiveValue, number>()
  const hash = (value: PrimitiveValue): number => {
    const before = buckets.get(value)
    if (before !== undefined) return before
    if (buckets.size >= 10_000) buckets.clear()
    const bucket = Number(applyTransform(transform, type, value))
    buckets.set(value, bucket)
    return bucket
  }
  hashes.set(key, hash)
  return hash
}

/** Statistics of a column chunk, or of a page: bounds as decoded values, or the bytes of a text. */
export interface ChunkStatistics {
  readonly lower?: PrimitiveValue | undefined
  readonly upper?: PrimitiveValue | undefined
  readonly nulls?: number | undefined
  /** Rows, nulls included. */
  readonly values: number
}

/** Parquet has no count of NaN: floats may always be one. A bound that is NaN spoils the other one too. */
export function chunkFacts({ lower, upper, nulls, values }: ChunkStatistics, type: PrimitiveType): ColumnFacts {
  const known = (value: PrimitiveValue | undefined): OrderedValue | undefined =>
    value === undefined || value === null ? undefined : toOrdered(value)
  const range = Number.isNaN(lower) || Number.isNaN(upper) ? {} : rangeOf(type, known(lower), known(upper))
  return {
    ...range,
    mayBeNull: nulls === undefined || nulls > 0,
    mayBeNan: isFloat(type),
    mayBeOrdinary: nulls === undefined || nulls < values,
  }
}
