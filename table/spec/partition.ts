/** Partition specs and tuples. Spec: "Partitioning". */
import { createHash } from 'node:crypto'
import { type JsonObject, JsonReader } from '../format/json.ts'
import { partitionValueToText } from './partition-text.ts'
import { primitiveTypeOf, type Schema } from './schema.ts'
import { type Transform, transformResultType } from './transform.ts'
import type { PrimitiveType, PrimitiveValue } from './types.ts'

export interface PartitionField {
  readonly sourceId: number
  /** From 1000 up, unique over all specs of the table. */
  readonly fieldId: number
  readonly name: string
  readonly transform: Transform
}

export interface PartitionSpec {
  readonly specId: number
  readonly fields: readonly PartitionField[]
}

/** One value per field of the spec, in its order. */
export type PartitionTuple = readonly PrimitiveValue[]

/** `last-partition-id` of a table that never had a partition field. */
export const NO_PARTITION_ID = 999

export function parsePartitionSpec(json: unknown, where = 'partition-spec'): PartitionSpec {
  const reader = new JsonReader(json, where)
  return { specId: reader.integer('spec-id'), fields: parsePartitionFields(reader.objects('fields')) }
}

/** Format version 1 has no field ids: they count up from 1000. */
export function parsePartitionFields(fields: readonly JsonReader[]): readonly PartitionField[] {
  return fields.map((field, index) => ({
    sourceId: sourceIdOf(field),
    fieldId: field.optionalInteger('field-id') ?? 1000 + index,
    name: field.string('name'),
    transform: field.string('transform'),
  }))
}

/** Format version 3 has `source-ids` where a transform takes several columns; those transforms are not known here. */
export function sourceIdOf(field: JsonReader): number {
  const first = field.has('source-id') || !field.has('source-ids') ? undefined : field.array('source-ids')[0]
  return typeof first === 'number' && Number.isSafeInteger(first) ? first : field.integer('source-id')
}

export function printPartitionSpec(spec: PartitionSpec): JsonObject {
  return { 'spec-id': spec.specId, fields: printPartitionFields(spec) }
}

export const printPartitionFields = (spec: PartitionSpec): readonly JsonObject[] =>
  spec.fields.map((field) => ({
    'source-id': field.sourceId,
    'field-id': field.fieldId,
    name: field.name,
    transform: field.transform,
  }))

/** Dropped fields of a format version 1 spec stay behind as `void`. */
export const isUnpartitioned = ({ fields }: PartitionSpec): boolean =>
  fields.every(({ transform }) => transform === 'void')

/** Tells the partitions of all specs apart. Equal for equal values; -0.0 and 0.0 differ, NaN equals itself. */
export const partitionKey = (of: { readonly specId: number; readonly partition: PartitionTuple }): string => {
  const parts = of.partition.map((value) => {
    if (value === null || value === undefined) return 'n'
    if (typeof value === 'string') return JSON.stringify(value)
    if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`
    return Object.is(value, -0) ? '-0' : String(value)
  })
  return `${of.specId}(${parts.join(',')})`
}

/** Result type of each field of the spec. */
export const partitionTypes = (spec: PartitionSpec, schema: Schema): readonly PrimitiveType[] =>
  spec.fields.map((field) => transformResultType(field.transform, primitiveTypeOf(schema, field.sourceId)))

/** `arrived_at_day=2026-11-21/…`, or the empty string for an unpartitioned spec. */
export function partitionPath(spec: PartitionSpec, schema: Schema, tuple: PartitionTuple): string {
  return spec.fields
    .map((field, index) => {
      const value = tuple[index] ?? null
      // The column of a null may be gone from every schema, as that of a dropped field of format version 1.
      const type =
        value === null ? 'string' : transformResultType(field.transform, primitiveTypeOf(schema, field.sourceId))
      const text = partitionValueToText(field.transform, type, value)
      return `${encodeURIComponent(field.name)}=${folderText(text)}`
    })
    .join('/')
}

/** Names of folders have at most 255 bytes on most file systems, and whole keys 1,024 in S3. */
const MAX_FOLDER_TEXT = 120

/** The value for people, who read paths; no reader takes values from there, so that a long one may be cut. */
function folderText(text: string): string {
  const encoded = encodeURIComponent(text)
  if (encoded.length <= MAX_FOLDER_TEXT) return encoded
  const start = encoded.slice(0, MAX_FOLDER_TEXT - 20)
  // not within the percent-encoded bytes of a character
  let whole = start.length
  while (!isWhole(start.slice(0, whole))) whole--
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return `${start.slice(0, whole)}~${digest}`
}

function isWhole(encoded: string): boolean {
  try {
    decodeURIComponent(encoded)
    return true
  } catch {
    return false
  }
}
