/** Iceberg schemas as Arrow schemas, with the field ids that Parquet writers and readers need. */
import {
  Schema as ArrowSchema,
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow'
import { assertNever, FirnError } from '../errors.ts'
import type { Schema } from '../spec/schema.ts'
import {
  decimalOf,
  fixedLengthOf,
  type IcebergType,
  isPrimitive,
  type ListType,
  type MapType,
  type NestedField,
  type PrimitiveType,
} from '../spec/types.ts'

/** Arrow metadata key that parquet-wasm turns into a Parquet `field_id`. */
export const FIELD_ID_KEY = 'PARQUET:field_id'

/** @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` (invalid) for a type that Iceberg v2 does not have. */
export function arrowSchema(schema: Schema): ArrowSchema {
  return new ArrowSchema(schema.fields.map((field) => arrowField(field)))
}

/** @param path of the field, for messages. */
export function arrowField(field: NestedField, path: string = field.name): Field {
  const metadata = new Map([[FIELD_ID_KEY, String(field.id)]])
  return new Field(field.name, arrowType(field.type, path), !field.required, metadata)
}

/** @param column for messages: its path. */
export function arrowType(type: IcebergType, column: string): DataType {
  if (!isPrimitive(type)) return nestedType(type, column)
  switch (type) {
    case 'boolean':
      return new Bool()
    case 'int':
      return new Int32()
    case 'long':
      return new Int64()
    case 'float':
      return new Float32()
    case 'double':
      return new Float64()
    case 'date':
      return new DateDay()
    case 'time':
      return new TimeMicrosecond()
    case 'timestamp':
      return new TimestampMicrosecond()
    case 'timestamptz':
      return new TimestampMicrosecond('UTC')
    case 'string':
      return new Utf8()
    case 'binary':
      return new Binary()
    case 'uuid':
      return new FixedSizeBinary(16)
    default: {
      const decimal = decimalOf(type)
      if (decimal) return new Decimal(decimal.scale, decimal.precision, 128)
      const length = fixedLengthOf(type)
      if (length === undefined) throw unsupported(type, column)
      return new FixedSizeBinary(length)
    }
  }
}

/** A map's keys and values as a struct of two: Arrow and Parquet know no other form. */
export const entryFields = (type: MapType): readonly [NestedField, NestedField] => [
  { id: type.keyId, name: 'key', required: true, type: type.key },
  { id: type.valueId, name: 'value', required: type.valueRequired, type: type.value },
]

/** A list's element as a field. */
export const elementField = (type: ListType): NestedField => ({
  id: type.elementId,
  name: 'element',
  required: type.elementRequired,
  type: type.element,
})

function nestedType(type: Exclude<IcebergType, PrimitiveType>, column: string): DataType {
  const child = (field: NestedField): Field => arrowField(field, `${column}.${field.name}`)
  switch (type.type) {
    case 'struct':
      return new Struct(type.fields.map(child))
    case 'list':
      return new List(child(elementField(type)))
    case 'map': {
      const map = new Map_(new Field('key_value', new Struct(entryFields(type).map(child)), false) as never)
      // The constructor renames the group to `entries`. Parquet calls it `key_value`, and some readers go by it.
      Object.assign(map.children[0] as object, { name: 'key_value' })
      return map
    }
    case 'unsupported':
      throw unsupported(type.name, column)
    default:
      return assertNever(type)
  }
}

export function unsupported(type: string, column: string): FirnError {
  return new FirnError(
    'invalid',
    'FIRN_TYPE_UNSUPPORTED',
    `column ${column}: type ${type} is not read or written yet`,
    {
      detail: { column, type },
      help: 'Leave the column out of the projection.',
    },
  )
}
