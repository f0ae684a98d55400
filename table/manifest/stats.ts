/**
 * Column statistics of a data file, taken from the Arrow batches while they are written: exact, and with the NaN
 * counts that a Parquet footer does not have. Spec: "Manifests", fields 108-128 and 137; "Column Statistics".
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { bytesAt, isValidAt, valueAt } from '../format/arrow-values.ts'
import { compareValues } from '../spec/compare.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import { encodeBound, truncateLower, truncateUpper } from './bounds.ts'

export interface ColumnStatistics {
  readonly valueCounts: ReadonlyMap<number, number>
  readonly nullValueCounts: ReadonlyMap<number, number>
  readonly nanValueCounts: ReadonlyMap<number, number>
  /** Strings and binaries cut to 16 code points or bytes. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
}

export interface StatisticsCollector {
  add(batch: RecordBatch): void
  done(): ColumnStatistics
}

/** @param schema whose columns the batches have, in the same order. */
export function collectStatistics(schema: Schema): StatisticsCollector {
  const columns = schema.fields.map((field) => ({
    id: field.id,
    column: isPrimitive(field.type) ? new ColumnCollector(field.type) : undefined,
  }))
  return {
    add(batch) {
      columns.forEach(({ column }, index) => {
        column?.add(batch.data.children[index] as Data, batch.numRows)
      })
    },
    done() {
      const result = {
        valueCounts: new Map<number, number>(),
        nullValueCounts: new Map<number, number>(),
        nanValueCounts: new Map<number, number>(),
        lowerBounds: new Map<number, Uint8Array>(),
        upperBounds: new Map<number, Uint8Array>(),
      }
      for (const { id, column } of columns) {
        if (column === undefined) continue
        result.valueCounts.set(id, column.values)
        result.nullValueCounts.set(id, column.nulls)
        if (column.isFloat) result.nanValueCounts.set(id, column.nans)
        const lower = column.lowerBound()
        const upper = column.upperBound()
        if (lower !== undefined) result.lowerBounds.set(id, lower)
        if (upper !== undefined) result.upperBounds.set(id, upper)
      }
      return result
    },
  }
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

  constructor(type: PrimitiveType) {
    this.type = type
    this.isFloat = type === 'float' || type === 'double'
    this.#isBytes = type === 'string' || type === 'binary'
  }

  add(data: Data, rows: number): void {
    this.values += rows
    this.nulls += data.nullCount
    if (data.nullCount === rows) return
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
    if (this.#min === null) return undefined
    if (this.isFloat && this.#min === 0) return encodeBound(this.type, -0)
    if (this.type === 'string') return truncateLower(this.#min as Uint8Array)
    if (this.type === 'binary') return (this.#min as Uint8Array).slice(0, 16)
    return encodeBound(this.type, this.#min)
  }

  upperBound(): Uint8Array | undefined {
    if (this.#max === null) return undefined
    if (this.isFloat && this.#max === 0) return encodeBound(this.type, 0)
    if (this.type === 'string') return truncateUpper(this.#max as Uint8Array)
    if (this.type === 'binary') return truncateUpperBinary(this.#max as Uint8Array)
    return encodeBound(this.type, this.#max)
  }
}

const owned = (value: PrimitiveValue): PrimitiveValue => (value instanceof Uint8Array ? Uint8Array.from(value) : value)

function truncateUpperBinary(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length <= 16) return bytes
  const prefix = bytes.slice(0, 16)
  for (let index = prefix.length - 1; index >= 0; index--) {
    if (prefix[index]! < 0xff) {
      prefix[index]!++
      return prefix.slice(0, index + 1)
    }
  }
  return undefined
}
