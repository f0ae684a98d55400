/**
 * Column statistics of a data file, taken from the Arrow batches while they are written: exact, and with the NaN
 * counts that a Parquet footer does not have. Spec: "Manifests", fields 108-128 and 137; "Column Statistics".
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { bytesAt, isValidAt, valueAt } from '../format/arrow-values.ts'
import { compareValues } from '../spec/compare.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import { encodeBound, truncateLower, truncateUpper } from './bounds.ts'
import { DEFAULT_METRICS_MODE, type MetricsMode } from './metrics-mode.ts'

export interface ColumnStatistics {
  readonly valueCounts: ReadonlyMap<number, number>
  readonly nullValueCounts: ReadonlyMap<number, number>
  readonly nanValueCounts: ReadonlyMap<number, number>
  /** Strings and binaries cut to as many code points or bytes as the column's mode says. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
}

export interface StatisticsCollector {
  add(batch: RecordBatch): void
  done(): ColumnStatistics
}

/**
 * Struct children are columns like others; there are no statistics of what is inside a list or map.
 * @param schema whose columns the batches have, in the same order. @param modeOf of a field by id.
 */
export function collectStatistics(
  schema: Schema,
  modeOf: (fieldId: number) => MetricsMode = () => DEFAULT_METRICS_MODE,
): StatisticsCollector {
  const columns = collectorsOf(schema.fields, modeOf)
  return {
    add(batch) {
      addColumns(columns, batch.data.children as readonly Data[], batch.numRows)
    },
    done() {
      const result = {
        valueCounts: new Map<number, number>(),
        nullValueCounts: new Map<number, number>(),
        nanValueCounts: new Map<number, number>(),
        lowerBounds: new Map<number, Uint8Array>(),
        upperBounds: new Map<number, Uint8Array>(),
      }
      forEachColumn(columns, (id, column) => {
        result.valueCounts.set(id, column.values)
        result.nullValueCounts.set(id, column.nulls)
        if (column.isFloat) result.nanValueCounts.set(id, column.nans)
        const lower = column.lowerBound()
        const upper = column.upperBound()
        if (lower !== undefined) result.lowerBounds.set(id, lower)
        if (upper !== undefined) result.upperBounds.set(id, upper)
      })
      return result
    },
  }
}

/** A column's collector, those of a struct's children, or nothing to collect. */
type Collector = ColumnCollector | CollectorTree | undefined
type CollectorTree = readonly { readonly id: number; readonly collector: Collector }[]

function collectorsOf(fields: readonly NestedField[], modeOf: (fieldId: number) => MetricsMode): CollectorTree {
  return fields.map(({ id, type }): CollectorTree[number] => {
    if (!isPrimitive(type)) {
      return { id, collector: type.type === 'struct' ? collectorsOf(type.fields, modeOf) : undefined }
    }
    const mode = modeOf(id)
    return { id, collector: mode === 'none' ? undefined : new ColumnCollector(type, mode) }
  })
}

function addColumns(columns: CollectorTree, data: readonly Data[], rows: number): void {
  columns.forEach(({ collector }, index) => {
    if (collector instanceof ColumnCollector) collector.add(data[index]!, rows)
    else if (collector !== undefined) addColumns(collector, childrenWithin(data[index]!), rows)
  })
}

function forEachColumn(columns: CollectorTree, visit: (id: number, column: ColumnCollector) => void): void {
  for (const { id, collector } of columns) {
    if (collector instanceof ColumnCollector) visit(id, collector)
    else if (collector !== undefined) forEachColumn(collector, visit)
  }
}

/** A struct's children, null where the struct is: what a child has there is in no file. */
function childrenWithin(struct: Data): readonly Data[] {
  if (struct.nullCount === 0) return struct.children as readonly Data[]
  return struct.children.map((child) => {
    const bitmap = new Uint8Array((child.offset + child.length + 7) >> 3)
    let nulls = 0
    for (let row = 0; row < child.length; row++) {
      const bit = child.offset + row
      if (isValidAt(struct, row) && isValidAt(child as Data, row))
        bitmap[bit >> 3] = bitmap[bit >> 3]! | (1 << (bit & 7))
      else nulls++
    }
    const { type, offset, length, valueOffsets, values, typeIds } = child
    const buffers = [valueOffsets, values, bitmap, typeIds]
    return child.clone(type, offset, length, nulls, buffers as never, child.children) as Data
  })
}

class ColumnCollector {
  readonly type: PrimitiveType
  readonly isFloat: boolean
  readonly #isBytes: boolean
  values = 0
  nulls = 0
  nans = 0
  /** Copies, so that no batch is kept alive. Bytes for string and binary, values otherwise. */
  #min: PrimitiveValue = null
  #max: PrimitiveValue = null

  /** Characters or bytes that bounds keep; none at all at 0. */
  readonly #boundLength: number

  constructor(type: PrimitiveType, mode: MetricsMode) {
    this.type = type
    const length = mode === 'full' ? Number.POSITIVE_INFINITY : typeof mode === 'object' ? mode.truncate : 0
    // Java compared uuids as two signed numbers for long: to such a reader, bounds in byte order hide rows.
    this.#boundLength = type === 'uuid' ? 0 : length
    this.isFloat = type === 'float' || type === 'double'
    this.#isBytes = type === 'string' || type === 'binary'
  }

  add(data: Data, rows: number): void {
    this.values += rows
    this.nulls += data.nullCount
    if (data.nullCount === rows || (this.#boundLength === 0 && !this.isFloat)) return
    if (this.#isBytes) this.#addBytes(data, rows)
    else this.#addValues(data, rows)
  }

  #addBytes(data: Data, rows: number): void {
    let min = this.#min as Uint8Array | null
    let max = this.#max as Uint8Array | null
    for (let row = 0; row < rows; row++) {
      if (!isValidAt(data, row)) continue
      const value = bytesAt(data, row)
      if (min === null || Buffer.compare(value, min) < 0) min = value
      if (max === null || Buffer.compare(value, max) > 0) max = value
    }
    this.#min = min && Uint8Array.from(min)
    this.#max = max && Uint8Array.from(max)
  }

  #addValues(data: Data, rows: number): void {
    for (let row = 0; row < rows; row++) {
      const value = valueAt(this.type, data, row)
      if (value === null) continue
      if (this.isFloat && Number.isNaN(value)) {
        this.nans++
        continue
      }
      if (this.#min === null || compareValues(this.type, value, this.#min) < 0) this.#min = owned(value)
      if (this.#max === null || compareValues(this.type, value, this.#max) > 0) this.#max = owned(value)
    }
  }

  /** A zero as lower bound is -0.0, so that a reader who tells the zeros apart skips nothing. */
  lowerBound(): Uint8Array | undefined {
    if (this.#min === null || this.#boundLength === 0) return undefined
    if (this.isFloat && this.#min === 0) return encodeBound(this.type, -0)
    if (this.type === 'string') return truncateLower(this.#min as Uint8Array, this.#boundLength)
    if (this.type === 'binary') return (this.#min as Uint8Array).slice(0, this.#boundLength)
    return encodeBound(this.type, this.#min)
  }

  upperBound(): Uint8Array | undefined {
    if (this.#max === null || this.#boundLength === 0) return undefined
    if (this.isFloat && this.#max === 0) return encodeBound(this.type, 0)
    if (this.type === 'string') return truncateUpper(this.#max as Uint8Array, this.#boundLength)
    if (this.type === 'binary') return truncateUpperBinary(this.#max as Uint8Array, this.#boundLength)
    return encodeBound(this.type, this.#max)
  }
}

const owned = (value: PrimitiveValue): PrimitiveValue => (value instanceof Uint8Array ? Uint8Array.from(value) : value)

function truncateUpperBinary(bytes: Uint8Array, length: number): Uint8Array | undefined {
  if (bytes.length <= length) return bytes
  const prefix = bytes.slice(0, length)
  for (let index = prefix.length - 1; index >= 0; index--) {
    if (prefix[index]! < 0xff) {
      prefix[index]!++
      return prefix.slice(0, index + 1)
    }
  }
  return undefined
}
