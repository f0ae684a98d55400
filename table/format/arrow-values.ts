/** Single values of Arrow columns as Iceberg values. */
import type { Data } from 'apache-arrow'
import { assertNever } from '../errors.ts'
import {
  decimalOf,
  fixedLengthOf,
  type IcebergType,
  isPrimitive,
  type PrimitiveType,
  type PrimitiveValue,
} from '../spec/types.ts'
import { unsupported } from './arrow-schema.ts'

/**
 * A value of any type: a struct is a plain object by field name, a list an array, a map an array of `[key, value]` in
 * the order of the file.
 */
export type IcebergValue = PrimitiveValue | readonly IcebergValue[] | { readonly [field: string]: IcebergValue }

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

/** Value `index` of a column of `type`, null included. Bytes are views of the column. */
export function valueAt(type: PrimitiveType, data: Data, index: number): PrimitiveValue
export function valueAt(type: IcebergType, data: Data, index: number): IcebergValue
export function valueAt(type: IcebergType, data: Data, index: number): IcebergValue {
  if (!isValidAt(data, index)) return null
  return isPrimitive(type) ? primitiveAt(type, data, index) : nestedAt(type, data, index)
}

function primitiveAt(type: PrimitiveType, data: Data, index: number): PrimitiveValue {
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

function nestedAt(type: Exclude<IcebergType, PrimitiveType>, data: Data, index: number): IcebergValue {
  if (type.type === 'struct') {
    // `fromEntries` defines members, so that a field called `__proto__` is one like any other.
    return Object.fromEntries(
      type.fields.map((field, child) => [field.name, valueAt(field.type, data.children[child] as Data, index)]),
    )
  }
  const offsets = data.valueOffsets as Int32Array
  const [start, end] = [offsets[index]!, offsets[index + 1]!]
  const items = data.children[0] as Data
  switch (type.type) {
    case 'list':
      return Array.from({ length: end - start }, (_, item) => valueAt(type.element, items, start + item))
    case 'map': {
      const [keys, values] = items.children as [Data, Data]
      return Array.from({ length: end - start }, (_, item) => [
        valueAt(type.key, keys, start + item),
        valueAt(type.value, values, start + item),
      ])
    }
    case 'unsupported':
      throw unsupported(type.name, '(of an unread type)')
    default:
      return assertNever(type)
  }
}

/** Arrow's 128-bit decimals are four little-endian words, two's complement. */
function decimalAt(words: Uint32Array, index: number): bigint {
  let value = 0n
  for (let word = 3; word >= 0; word--) value = (value << 32n) | BigInt(words[index * 4 + word]!)
  return BigInt.asIntN(128, value)
}
