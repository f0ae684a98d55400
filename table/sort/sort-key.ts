/**
 * Sort keys as bytes whose plain byte order is the sort order: a sort compares two numbers and rarely a few bytes,
 * never values. Nulls, directions, transforms, NaN and UTF-8 order are decided here, once, while keys are made.
 *
 * A field is one byte for "null before" (0), "value" (1) or "null after" (2), then the value: integers big-endian with
 * the sign flipped, floats as their ordered bits (-0.0 before 0.0, every NaN alike and last), text with 00 written as
 * 00 FF and ended by 00 00, so that the next field never decides too early. A falling field has its value inverted.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { valueAt } from '../format/arrow-values.ts'
import { isNullAt, type LeafColumn, leafColumn } from '../scan/columns.ts'
import type { Schema } from '../spec/schema.ts'
import type { SortField, SortOrder } from '../spec/sort.ts'
import { applyTransform, transformResultType } from '../spec/transform.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'

const NULL_FIRST = 0
const VALUE = 1
const NULL_LAST = 2

/** Bytes that grow. */
export class KeyBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(1 << 12)
  length = 0

  /** Makes room for `size` more bytes and gives where they start. */
  reserve(size: number): number {
    const start = this.length
    const end = start + size
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, Math.ceil(this.bytes.length * 1.5)))
      this.bytes.copy(grown, 0, 0, start)
      this.bytes = grown
    }
    this.length = end
    return start
  }

  byte(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
  }

  invertFrom(start: number): void {
    for (let index = start; index < this.length; index++) this.bytes[index] = this.bytes[index]! ^ 0xff
  }
}

/** Appends the key of one row. */
export type RowKey = (row: number, out: KeyBuffer) => void

/** Makes keys of a batch's rows. */
export type KeyMaker = (batch: RecordBatch) => RowKey

/** @param schema whose columns the batches have, in the same order. */
export function sortKeyMaker(schema: Schema, order: SortOrder): KeyMaker {
  return (batch) => {
    const columns = batch.data.children as Data[]
    const parts = order.fields.map((field) => fieldKey(field, leafColumn(field.sourceId, schema.fields, columns)))
    return (row, out) => {
      for (const part of parts) part(row, out)
    }
  }
}

function fieldKey(field: SortField, leaf: LeafColumn): RowKey {
  const write = valueWriter(field, leaf.type, leaf.data)
  const nullMark = field.nullOrder === 'nulls-first' ? NULL_FIRST : NULL_LAST
  const falling = field.direction === 'desc'
  return (row, out) => {
    if (isNullAt(leaf, row)) {
      out.byte(nullMark)
      return
    }
    out.byte(VALUE)
    const start = out.length
    write(row, out)
    if (falling) out.invertFrom(start)
  }
}

function valueWriter(field: SortField, source: PrimitiveType, data: Data): RowKey {
  if (field.transform !== 'identity') {
    const type = transformResultType(field.transform, source)
    return (row, out) => writeValue(type, applyTransform(field.transform, source, valueAt(source, data, row)), out)
  }
  switch (source) {
    case 'int':
    case 'date': {
      const values = data.values as Int32Array
      return (row, out) => {
        const at = out.reserve(4)
        out.bytes.writeInt32BE(values[row]! ^ 0x8000_0000, at)
      }
    }
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const longs = data.values as BigInt64Array
      // two words: a bigint each would be an allocation per row
      const words = new Int32Array(longs.buffer, longs.byteOffset, longs.length * 2)
      return (row, out) => {
        const at = out.reserve(8)
        out.bytes.writeInt32BE(words[row * 2 + 1]! ^ 0x8000_0000, at)
        out.bytes.writeInt32BE(words[row * 2]!, at + 4)
      }
    }
    case 'string':
    case 'binary': {
      const offsets = data.valueOffsets as Int32Array
      const values = data.values as Uint8Array
      return (row, out) => writeBytes(values, offsets[row]!, offsets[row + 1]!, out)
    }
    default:
      return (row, out) => writeValue(source, valueAt(source, data, row), out)
  }
}

/** The key of one value of a sort field, as rows have it. Null is a value here. */
export function writeFieldValue(field: SortField, type: PrimitiveType, value: PrimitiveValue, out: KeyBuffer): void {
  if (value === null) {
    out.byte(field.nullOrder === 'nulls-first' ? NULL_FIRST : NULL_LAST)
    return
  }
  out.byte(VALUE)
  const start = out.length
  writeValue(type, value, out)
  if (field.direction === 'desc') out.invertFrom(start)
}

/** Appends `value`, which is not null, as bytes in its order. */
export function writeValue(type: PrimitiveType, value: PrimitiveValue, out: KeyBuffer): void {
  switch (type) {
    case 'boolean':
      out.byte(value === true ? 1 : 0)
      return
    case 'int':
    case 'date': {
      const at = out.reserve(4)
      out.bytes.writeInt32BE((value as number) ^ 0x8000_0000, at)
      return
    }
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const at = out.reserve(8)
      out.bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value as bigint) + (1n << 63n)), at)
      return
    }
    case 'float':
    case 'double':
      writeDouble(value as number, out)
      return
    case 'string': {
      const bytes = Buffer.from(value as string, 'utf8')
      writeBytes(bytes, 0, bytes.length, out)
      return
    }
    case 'binary': {
      const bytes = value as Uint8Array
      writeBytes(bytes, 0, bytes.length, out)
      return
    }
    default: {
      if (decimalOf(type)) {
        const shifted = BigInt.asUintN(128, (value as bigint) + (1n << 127n))
        const at = out.reserve(16)
        out.bytes.writeBigUInt64BE(shifted >> 64n, at)
        out.bytes.writeBigUInt64BE(shifted & 0xffff_ffff_ffff_ffffn, at + 8)
        return
      }
      const bytes = value as Uint8Array
      const at = out.reserve(bytes.length)
      out.bytes.set(bytes, at)
    }
  }
}

function writeDouble(value: number, out: KeyBuffer): void {
  const at = out.reserve(8)
  const { bytes } = out
  bytes.writeDoubleBE(Number.isNaN(value) ? Number.NaN : value, at)
  if (Number.isNaN(value)) bytes[at] = 0x7f
  if (bytes[at]! >= 0x80) out.invertFrom(at)
  else bytes[at] = bytes[at]! | 0x80
}

function writeBytes(values: Uint8Array, start: number, end: number, out: KeyBuffer): void {
  const at = out.reserve(end - start)
  out.bytes.set(values.subarray(start, end), at)
  if (out.bytes.subarray(at, out.length).includes(0)) {
    out.length = at
    for (let index = start; index < end; index++) {
      out.byte(values[index]!)
      if (values[index] === 0) out.byte(0xff)
    }
  }
  const tail = out.reserve(2)
  out.bytes[tail] = 0
  out.bytes[tail + 1] = 0
}

/** The keys of many rows, with their first eight bytes as two numbers. */
export class KeySet {
  readonly #buffer = new KeyBuffer()
  #ends: Uint32Array<ArrayBuffer> = new Uint32Array(1024)
  #high: Uint32Array<ArrayBuffer> = new Uint32Array(1024)
  #low: Uint32Array<ArrayBuffer> = new Uint32Array(1024)
  rows = 0

  /** Memory held, growth included. */
  get bytes(): number {
    return this.#buffer.bytes.length + this.#ends.length * 12
  }

  clear(): void {
    this.rows = 0
    this.#buffer.length = 0
  }

  add(key: RowKey, rows: number): void {
    this.#grow(this.rows + rows)
    const buffer = this.#buffer
    for (let row = 0; row < rows; row++) {
      const start = buffer.length
      key(row, buffer)
      const index = this.rows++
      const { bytes, length } = buffer
      this.#ends[index] = length
      this.#high[index] = wordAt(bytes, start, length)
      this.#low[index] = wordAt(bytes, start + 4, length)
    }
  }

  /** Order of row `a` here and row `b` of `other`. */
  compare(a: number, other: KeySet, b: number): number {
    const high = this.#high[a]! - other.#high[b]!
    if (high !== 0) return high
    const low = this.#low[a]! - other.#low[b]!
    if (low !== 0) return low
    const startA = a === 0 ? 0 : this.#ends[a - 1]!
    const startB = b === 0 ? 0 : other.#ends[b - 1]!
    const lengthA = this.#ends[a]! - startA
    const lengthB = other.#ends[b]! - startB
    const common = Math.min(lengthA, lengthB)
    const bytesA = this.#buffer.bytes
    const bytesB = other.#buffer.bytes
    for (let index = 8; index < common; index++) {
      const difference = bytesA[startA + index]! - bytesB[startB + index]!
      if (difference !== 0) return difference
    }
    return lengthA - lengthB
  }

  /** Row numbers in order; equal rows stay in theirs. */
  sorted(): Uint32Array {
    return Uint32Array.from({ length: this.rows }, (_, row) => row).sort((a, b) => this.compare(a, this, b) || a - b)
  }

  #grow(rows: number): void {
    if (rows <= this.#ends.length) return
    const size = Math.max(rows, Math.ceil(this.#ends.length * 1.5))
    this.#ends = copied(this.#ends, size)
    this.#high = copied(this.#high, size)
    this.#low = copied(this.#low, size)
  }
}

function copied(values: Uint32Array, size: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(size)
  grown.set(values)
  return grown
}

/** Big-endian; bytes past the end of the key count as 0. */
function wordAt(bytes: Buffer, at: number, end: number): number {
  if (at + 4 <= end) return bytes.readUInt32BE(at)
  let word = 0
  for (let index = 0; index < 4; index++) word = word * 256 + (at + index < end ? bytes[at + index]! : 0)
  return word
}
