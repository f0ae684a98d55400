/**
 * Iceberg types and the values that stand for them here. Spec: "Schemas and Data Types".
 *
 * Values: boolean; int, date (days), float, double -> number; long, time, timestamp, timestamptz (µs) and the unscaled
 * decimal -> bigint; string; uuid, fixed, binary -> Uint8Array; absent -> null.
 */
import { FirnError } from '../errors.ts'

export type PrimitiveType =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'string'
  | 'uuid'
  | 'binary'
  | `fixed[${number}]`
  | `decimal(${number}, ${number})`

export interface NestedField {
  /** Identity of the column for the life of the table; never reused. */
  readonly id: number
  readonly name: string
  readonly required: boolean
  readonly type: IcebergType
  readonly doc?: string
  /** What rows have that were written before the column was added; format version 3, primitive columns only. */
  readonly initialDefault?: PrimitiveValue
  /** What a writer fills in when it does not know the column; format version 3, primitive columns only. */
  readonly writeDefault?: PrimitiveValue
}

export interface StructType {
  readonly type: 'struct'
  readonly fields: readonly NestedField[]
}

export interface ListType {
  readonly type: 'list'
  readonly elementId: number
  readonly elementRequired: boolean
  readonly element: IcebergType
}

export interface MapType {
  readonly type: 'map'
  readonly keyId: number
  readonly key: IcebergType
  readonly valueId: number
  readonly valueRequired: boolean
  readonly value: IcebergType
}

/** A type of format version 3 that has no values here: the table opens, its other columns are read. */
export interface UnsupportedType {
  readonly type: 'unsupported'
  /** As the metadata spells it, for example `timestamp_ns`. */
  readonly name: string
}

export type IcebergType = PrimitiveType | StructType | ListType | MapType | UnsupportedType

/** One value of a primitive type; also a partition value or a literal in a filter. */
export type PrimitiveValue = null | boolean | number | bigint | string | Uint8Array

const SIMPLE: ReadonlySet<string> = new Set([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
])

/** Types of format version 3 by name; geometry and geography may carry parameters. */
const VERSION_3 = /^(timestamp_ns|timestamptz_ns|variant|unknown|geometry(\(.*\))?|geography(\(.*\))?)$/

/** The type `text`, one of version 3 included. @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` for what no version has. */
export const parseTypeName = (text: string): PrimitiveType | UnsupportedType =>
  VERSION_3.test(text) ? { type: 'unsupported', name: text } : parsePrimitiveType(text)

export const isPrimitive = (type: IcebergType): type is PrimitiveType => typeof type === 'string'

/** Precision and scale of a decimal type, or `undefined` for other types. */
export function decimalOf(type: IcebergType): { precision: number; scale: number } | undefined {
  const match = typeof type === 'string' ? /^decimal\((\d+), (\d+)\)$/.exec(type) : null
  return match ? { precision: Number(match[1]), scale: Number(match[2]) } : undefined
}

/** Length in bytes of a fixed type, or `undefined` for other types. */
export function fixedLengthOf(type: IcebergType): number | undefined {
  const match = typeof type === 'string' ? /^fixed\[(\d+)\]$/.exec(type) : null
  return match ? Number(match[1]) : undefined
}

/** A column that a file lacks takes this much for each row. */
const MAX_FIXED_BYTES = 1 << 20

/** @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` for a type that Iceberg v2 does not have, or a `fixed` above 1 MiB. */
export function parsePrimitiveType(text: string): PrimitiveType {
  if (SIMPLE.has(text)) return text as PrimitiveType
  const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(text)
  if (decimal && Number(decimal[1]) >= 1 && Number(decimal[1]) <= 38 && Number(decimal[2]) <= Number(decimal[1])) {
    return `decimal(${Number(decimal[1])}, ${Number(decimal[2])})`
  }
  const fixed = /^fixed\[\s*(\d+)\s*\]$/.exec(text)
  if (fixed && Number(fixed[1]) >= 1 && Number(fixed[1]) <= MAX_FIXED_BYTES) return `fixed[${Number(fixed[1])}]`
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
  throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `type "${shown}" is not a type of Iceberg format version 2`, {
    detail: { type: text.slice(0, 100) },
  })
}
