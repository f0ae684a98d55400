/**
 * Iceberg types and the values that stand for them here. Spec: "Schemas and Data Types".
 *
 * Values: boolean; int, date (days), float, double -> number; long, time, timestamp, timestamptz (µs) and the unscaled
 * decimal -> bigint; string; uuid, fixed, binary -> Uint8Array; absent -> null.
 */
import { FirnError } from '../errors.ts'
import { type JsonObject, JsonReader } from '../format/json.ts'

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

export type IcebergType = PrimitiveType | StructType | ListType | MapType

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

/** @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` for a type that Iceberg v2 does not have. */
export function parsePrimitiveType(text: string): PrimitiveType {
  if (SIMPLE.has(text)) return text as PrimitiveType
  const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(text)
  if (decimal && Number(decimal[1]) >= 1 && Number(decimal[1]) <= 38 && Number(decimal[2]) <= Number(decimal[1])) {
    return `decimal(${Number(decimal[1])}, ${Number(decimal[2])})`
  }
  const fixed = /^fixed\[\s*(\d+)\s*\]$/.exec(text)
  if (fixed && Number(fixed[1]) >= 1) return `fixed[${Number(fixed[1])}]`
  throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `type "${text}" is not a type of Iceberg format version 2`, {
    detail: { type: text.slice(0, 100) },
  })
}

export function parseType(json: unknown, where: string): IcebergType {
  if (typeof json === 'string') return parsePrimitiveType(json)
  const reader = new JsonReader(json, where)
  const kind = reader.string('type')
  switch (kind) {
    case 'struct':
      return { type: 'struct', fields: parseFields(reader, where) }
    case 'list':
      return {
        type: 'list',
        elementId: reader.integer('element-id'),
        elementRequired: reader.boolean('element-required'),
        element: parseType(reader.value['element'], `${where}.element`),
      }
    case 'map':
      return {
        type: 'map',
        keyId: reader.integer('key-id'),
        key: parseType(reader.value['key'], `${where}.key`),
        valueId: reader.integer('value-id'),
        valueRequired: reader.boolean('value-required'),
        value: parseType(reader.value['value'], `${where}.value`),
      }
    default:
      throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `${where}: type "${kind}" is not struct, list or map`)
  }
}

export function parseFields(reader: JsonReader, where: string): readonly NestedField[] {
  return reader.objects('fields').map((field) => {
    const name = field.string('name')
    const doc = field.optionalString('doc')
    return {
      id: field.integer('id'),
      name,
      required: field.boolean('required'),
      type: parseType(field.value['type'], `${where}.${name}`),
      ...(doc === undefined ? {} : { doc }),
    }
  })
}

export function printType(type: IcebergType): unknown {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'struct':
      return { type: 'struct', fields: type.fields.map(printField) }
    case 'list':
      return {
        type: 'list',
        'element-id': type.elementId,
        'element-required': type.elementRequired,
        element: printType(type.element),
      }
    case 'map':
      return {
        type: 'map',
        'key-id': type.keyId,
        key: printType(type.key),
        'value-id': type.valueId,
        'value-required': type.valueRequired,
        value: printType(type.value),
      }
  }
}

export function printField(field: NestedField): JsonObject {
  return {
    id: field.id,
    name: field.name,
    required: field.required,
    type: printType(field.type),
    ...(field.doc === undefined ? {} : { doc: field.doc }),
  }
}
