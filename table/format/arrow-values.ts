/** Single values of Arrow columns as Iceberg values, and Arrow columns from what a Parquet decoder hands out. */
import { type Data, makeData } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import { arrowType } from './arrow-schema.ts'

export const isValidAt = (data: Data, index: number): boolean => {
  if (data.nullCount === 0 || data.nullBitmap.length === 0) return true
  const bit = index + data.offset
  return ((data.nullBitmap[bit >> 3]! >> (bit & 7)) & 1) === 1
}

/** UTF-8 or binary value `index` without a copy; the column must be of a variable length type and not null there. */
export function bytesAt(data: Data, index: number): Uint8Array {
  const offsets = data.valueOffsets as Int32Array
  return (data.values as Uint8Array).subarray(offsets[index], offsets[index + 1])
}

/** Value `index` of a column of `type`, null included. */
export function valueAt(type: PrimitiveType, data: Data, index: number): PrimitiveValue {
  if (!isValidAt(data, index)) return null
  switch (type) {
    case 'boolean': {
      const bit = index + data.offset
      return (((data.values as Uint8Array)[bit >> 3]! >> (bit & 7)) & 1) === 1
    }
    case 'int':
    case 'date':
    case 'float':
    case 'double':
      return (data.values as Int32Array)[index]!
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return (data.values as BigInt64Array)[index]!
    case 'string':
      return Buffer.from(bytesAt(data, index)).toString('utf8')
    case 'binary':
      return bytesAt(data, index)
    default: {
      if (decimalOf(type)) return decimalAt(data.values as Uint32Array, index)
      const size = fixedLengthOf(type) ?? 16
      return (data.values as Uint8Array).subarray(index * size, (index + 1) * size)
    }
  }
}

/** Arrow's 128-bit decimals are four little-endian words, two's complement. */
function decimalAt(words: Uint32Array, index: number): bigint {
  let value = 0n
  for (let word = 3; word >= 0; word--) value = (value << 32n) | BigInt(words[index * 4 + word]!)
  return BigInt.asIntN(128, value)
}

/** What a Parquet page decodes to: typed arrays, or arrays with gaps for nulls. */
export type DecodedValues = ArrayLike<number | bigint | boolean | Uint8Array | null | undefined>

/**
 * One Arrow column of `type` from decoded chunks that follow one another.
 * @param rowCount rows of all chunks together. @param column for messages.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt) when the chunks hold another number of rows.
 */
export function columnFromDecoded(
  type: PrimitiveType,
  chunks: readonly DecodedValues[],
  rowCount: number,
  column: string,
): Data {
  const found = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  if (found !== rowCount) {
    throw new FirnError(
      'corrupt',
      'FIRN_PARQUET_CORRUPT',
      `column ${column}: expected ${rowCount} values, got ${found}`,
    )
  }
  const validity = new Validity(rowCount)
  if (type === 'string' || type === 'binary') return variableColumn(type, chunks, rowCount, column, validity)
  const values = allocate(type, rowCount)
  let row = 0
  for (const chunk of chunks) {
    for (let index = 0; index < chunk.length; index++, row++) {
      const value = chunk[index]
      if (value === null || value === undefined) validity.setNull(row)
      else store(type, values, row, value)
    }
  }
  return makeData({ type: arrowType(type, column), length: rowCount, data: values, ...validity.done() } as never)
}

/** A column of nulls: what a file written before the column existed holds. */
export function nullColumn(type: PrimitiveType, rowCount: number, column: string): Data {
  return columnFromDecoded(type, [new Array<null>(rowCount).fill(null)], rowCount, column)
}

function variableColumn(
  type: PrimitiveType,
  chunks: readonly DecodedValues[],
  rowCount: number,
  column: string,
  validity: Validity,
): Data {
  const valueOffsets = new Int32Array(rowCount + 1)
  let row = 0
  let total = 0
  for (const chunk of chunks) {
    for (let index = 0; index < chunk.length; index++, row++) {
      const value = chunk[index]
      if (value === null || value === undefined) validity.setNull(row)
      else total += (value as Uint8Array).length
      valueOffsets[row + 1] = total
    }
  }
  if (total > 0x7fff_ffff) {
    throw new FirnError('failed', 'FIRN_BATCH_TOO_LARGE', `column ${column}: one row group holds over 2 GiB of text`)
  }
  const data = new Uint8Array(total)
  row = 0
  for (const chunk of chunks) {
    for (let index = 0; index < chunk.length; index++, row++) {
      const value = chunk[index] as Uint8Array | null | undefined
      if (value !== null && value !== undefined) data.set(value, valueOffsets[row])
    }
  }
  return makeData({ type: arrowType(type, column), length: rowCount, valueOffsets, data, ...validity.done() } as never)
}

type FixedValues = Int32Array | Float32Array | Float64Array | BigInt64Array | Uint8Array | Uint32Array

function allocate(type: PrimitiveType, rowCount: number): FixedValues {
  switch (type) {
    case 'boolean':
      return new Uint8Array((rowCount + 7) >> 3)
    case 'int':
    case 'date':
      return new Int32Array(rowCount)
    case 'float':
      return new Float32Array(rowCount)
    case 'double':
      return new Float64Array(rowCount)
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return new BigInt64Array(rowCount)
    default:
      return decimalOf(type) ? new Uint32Array(rowCount * 4) : new Uint8Array(rowCount * (fixedLengthOf(type) ?? 16))
  }
}

function store(type: PrimitiveType, values: FixedValues, row: number, value: NonNullable<DecodedValues[number]>): void {
  if (values instanceof BigInt64Array) {
    values[row] = BigInt(value as bigint | number)
  } else if (type === 'boolean') {
    if (value === true) values[row >> 3] = values[row >> 3]! | (1 << (row & 7))
  } else if (values instanceof Uint32Array) {
    let rest = BigInt.asUintN(128, unscaled(value))
    for (let word = 0; word < 4; word++, rest >>= 32n) values[row * 4 + word] = Number(rest & 0xffff_ffffn)
  } else if (values instanceof Uint8Array) {
    values.set(value as Uint8Array, row * (fixedLengthOf(type) ?? 16))
  } else {
    values[row] = Number(value)
  }
}

/** Parquet stores a decimal as int32, int64 or big-endian bytes. */
function unscaled(value: NonNullable<DecodedValues[number]>): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint)
  let number = 0n
  for (const byte of value) number = (number << 8n) | BigInt(byte)
  return BigInt.asIntN(8 * value.length, number)
}

class Validity {
  readonly #bits: Uint8Array
  #nullCount = 0

  constructor(rowCount: number) {
    this.#bits = new Uint8Array((rowCount + 7) >> 3).fill(0xff)
  }

  setNull(row: number): void {
    this.#bits[row >> 3] = this.#bits[row >> 3]! & ~(1 << (row & 7))
    this.#nullCount++
  }

  done(): { nullCount: number; nullBitmap?: Uint8Array } {
    return this.#nullCount === 0 ? { nullCount: 0 } : { nullCount: this.#nullCount, nullBitmap: this.#bits }
  }
}
