/** The partition record of a manifest entry: its Avro schema and its values. Spec: "Manifests", field 102. */
import { type AvroComplexSchema, type AvroRecord, type AvroSchema, optional } from '../format/avro.ts'
import { type PartitionSpec, type PartitionTuple, partitionTypes } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import { decodeUnscaled } from './bounds.ts'

/** Avro names start with a letter or `_`; other characters become `_x<hex>` as in Java's AvroSchemaUtil. */
export function avroName(name: string): string {
  const escaped = Array.from(name, (char, index) =>
    /[A-Za-z_]/.test(char) || (index > 0 && /[0-9]/.test(char))
      ? char
      : /[0-9]/.test(char)
        ? `_${char}`
        : `_x${char.codePointAt(0)!.toString(16).toUpperCase()}`,
  )
  return escaped.join('')
}

export function partitionAvroSchema(spec: PartitionSpec, schema: Schema): AvroComplexSchema {
  const types = partitionTypes(spec, schema)
  // A named type may be defined once in a document, and PyIceberg does not follow references to it: a second use gets
  // a name of its own.
  const defined = new Set<string>()
  const fields = spec.fields.map((field, index) => {
    const type = avroTypeOf(types[index]!, field.fieldId, defined)
    const name = avroName(field.name)
    const entry = optional(name, field.fieldId, type)
    return name === field.name ? entry : { ...entry, 'iceberg-field-name': field.name }
  })
  return { type: 'record', name: 'r102', fields }
}

function avroTypeOf(type: PrimitiveType, fieldId: number, defined: Set<string>): AvroSchema {
  const fixed = (base: string, size: number, attributes: object): AvroSchema => {
    const name = defined.has(base) ? `${base}_${fieldId}` : base
    defined.add(name)
    return { type: 'fixed', size, name, ...attributes }
  }
  switch (type) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return type
    case 'binary':
      return 'bytes'
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': type === 'timestamptz' }
    case 'uuid':
      return fixed('uuid_fixed', 16, { logicalType: 'uuid' })
    default: {
      const decimal = decimalOf(type)
      if (decimal) {
        const { precision, scale } = decimal
        return fixed(`decimal_${precision}_${scale}`, decimalBytes(precision), { logicalType: 'decimal', ...decimal })
      }
      const size = fixedLengthOf(type) ?? 0
      return fixed(`fixed_${size}`, size, {})
    }
  }
}

/** Bytes that hold every unscaled value of `precision` digits. */
function decimalBytes(precision: number): number {
  let size = 1
  while (2n ** BigInt(8 * size - 1) <= 10n ** BigInt(precision) - 1n) size++
  return size
}

export function partitionToAvro(spec: PartitionSpec, schema: Schema, tuple: PartitionTuple): AvroRecord {
  const types = partitionTypes(spec, schema)
  return Object.fromEntries(
    spec.fields.map((field, index) => [avroName(field.name), valueToAvro(types[index]!, tuple[index] ?? null)]),
  )
}

function valueToAvro(type: PrimitiveType, value: PrimitiveValue): unknown {
  if (value === null) return null
  const decimal = decimalOf(type)
  if (decimal) return bigEndian(value as bigint, decimalBytes(decimal.precision))
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

/** Two's complement, big-endian, padded to `size`: unlike a bound, an Avro fixed has one length. */
function bigEndian(value: bigint, size: number): Buffer {
  const hex = BigInt.asUintN(8 * size, value)
    .toString(16)
    .padStart(2 * size, '0')
  return Buffer.from(hex, 'hex')
}

/** @param value as avsc decodes it; foreign writers use plain `int` for a day. */
export function valueFromAvro(type: PrimitiveType, value: unknown): PrimitiveValue {
  if (value === null || value === undefined) return null
  if (decimalOf(type)) return decodeUnscaled(value as Uint8Array)
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  switch (type) {
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return BigInt(value as bigint | number)
    case 'int':
    case 'date':
    case 'float':
    case 'double':
      return Number(value)
    default:
      return value as PrimitiveValue
  }
}
