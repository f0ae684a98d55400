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
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow'
import { FirnError } from '../errors.ts'
import type { Schema } from '../spec/schema.ts'
import { decimalOf, fixedLengthOf, type IcebergType, isPrimitive, type NestedField } from '../spec/types.ts'

/** Arrow metadata key that parquet-wasm turns into a Parquet `field_id`. */
export const FIELD_ID_KEY = 'PARQUET:field_id'

/** @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` (invalid) for nested columns and uuid. */
export function arrowSchema(schema: Schema): ArrowSchema {
  return new ArrowSchema(schema.fields.map(arrowField))
}

export function arrowField(field: NestedField): Field {
  const metadata = new Map([[FIELD_ID_KEY, String(field.id)]])
  return new Field(field.name, arrowType(field.type, field.name), !field.required, metadata)
}

export function arrowType(type: IcebergType, column: string): DataType {
  if (!isPrimitive(type)) throw unsupported(type.type, column)
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
      // Readers that go by the Parquet annotation need one that the writer cannot set.
      throw unsupported(type, column)
    default: {
      const decimal = decimalOf(type)
      return decimal
        ? new Decimal(decimal.scale, decimal.precision, 128)
        : new FixedSizeBinary(fixedLengthOf(type) ?? 0)
    }
  }
}

function unsupported(type: string, column: string): FirnError {
  return new FirnError(
    'invalid',
    'FIRN_TYPE_UNSUPPORTED',
    `column ${column}: type ${type} is not read or written yet`,
    {
      detail: { column, type },
      help: 'Leave the column out of the projection, or use a flat type.',
    },
  )
}
