/**
 * Arrow batches to rows for people and text formats. Timestamps keep their microseconds, which a JavaScript `Date`
 * cannot hold, and 64-bit integers stay exact; both are read from the column's own buffer.
 */
import { DataType, type RecordBatch, type Timestamp, type Vector } from 'apache-arrow'
import { isoMicros } from '../table/index.ts'
import type { Row } from './render.ts'

/** The rows of a batch, columns in schema order. */
export function rowsOf(batch: RecordBatch): Row[] {
  const columns = batch.schema.fields.map((field, at) => ({ name: field.name, read: reader(batch.getChildAt(at)!) }))
  return Array.from({ length: batch.numRows }, (_, row) =>
    Object.fromEntries(columns.map(({ name, read }) => [name, read(row)])),
  )
}

function reader(vector: Vector): (row: number) => unknown {
  const type: DataType = vector.type
  if (DataType.isTimestamp(type)) {
    const zone = type.timezone ? 'Z' : ''
    const micros = timestampMicros(vector)
    return (row) => {
      const value = micros(row)
      return value === null ? null : `${isoMicros(value)}${zone}`
    }
  }
  if (DataType.isDate(type)) {
    return (row) => {
      const value: unknown = vector.get(row)
      return value === null ? null : new Date(Number(value)).toISOString().slice(0, 10)
    }
  }
  return (row) => toPlainValue(vector.get(row))
}

/** Reads a timestamp column of any unit in microseconds. */
export function timestampMicros(vector: Vector): (row: number) => bigint | null {
  const perSecond = 1000n ** BigInt((vector.type as Timestamp).unit)
  const raw = rawInt64(vector)
  return (row) => (vector.isValid(row) ? (raw(row) * 1_000_000n) / perSecond : null)
}

/** Reads a 64-bit column without the rounding that arrow's own accessor does for timestamps. */
function rawInt64(vector: Vector): (row: number) => bigint {
  const chunks = vector.data.map(({ values, offset: _offset, length }) => ({ values: values as BigInt64Array, length }))
  return (row) => {
    let at = row
    for (const { values, length } of chunks) {
      if (at < length) return BigInt(values[at]!)
      at -= length
    }
    throw new RangeError(`row ${row} is outside its column`)
  }
}

function toPlainValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return (value.toJSON as () => unknown)()
  return value
}
