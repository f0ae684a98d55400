/** Table schemas. A schema is never edited: a change appends a new one. Spec: "Schemas and Data Types", Appendix C. */
import { FirnError } from '../errors.ts'
import { type JsonObject, JsonReader } from '../format/json.ts'
import {
  type IcebergType,
  isPrimitive,
  type NestedField,
  type PrimitiveType,
  parseFields,
  printField,
} from './types.ts'

export interface Schema {
  readonly schemaId: number
  readonly fields: readonly NestedField[]
  /** Columns that identify a row; all required. */
  readonly identifierFieldIds: readonly number[]
  /** Members of the JSON object that this version does not know; written back unchanged. */
  readonly unknown?: JsonObject
}

const KNOWN = ['type', 'schema-id', 'fields', 'identifier-field-ids']

/** @throws {FirnError} `FIRN_METADATA_CORRUPT`, `FIRN_TYPE_UNSUPPORTED`. */
export function parseSchema(json: unknown, where = 'schema'): Schema {
  const reader = new JsonReader(json, where)
  const fields = parseFields(reader, where)
  const unknown = Object.fromEntries(Object.entries(reader.value).filter(([key]) => !KNOWN.includes(key)))
  return {
    schemaId: reader.optionalInteger('schema-id') ?? 0,
    fields,
    identifierFieldIds: reader.has('identifier-field-ids')
      ? reader.array('identifier-field-ids').map((id) => Number(id))
      : [],
    ...(Object.keys(unknown).length === 0 ? {} : { unknown }),
  }
}

export function printSchema(schema: Schema): JsonObject {
  return {
    ...schema.unknown,
    type: 'struct',
    'schema-id': schema.schemaId,
    fields: schema.fields.map(printField),
    ...(schema.identifierFieldIds.length === 0 ? {} : { 'identifier-field-ids': schema.identifierFieldIds }),
  }
}

/** Every field of the schema by id, nested ones included. */
export function fieldsById(schema: Schema): ReadonlyMap<number, NestedField> {
  const found = new Map<number, NestedField>()
  const visitType = (type: IcebergType): void => {
    if (isPrimitive(type)) return
    if (type.type === 'struct') type.fields.forEach(visit)
    else if (type.type === 'list') {
      visit({ id: type.elementId, name: 'element', required: type.elementRequired, type: type.element })
    } else {
      visit({ id: type.keyId, name: 'key', required: true, type: type.key })
      visit({ id: type.valueId, name: 'value', required: type.valueRequired, type: type.value })
    }
  }
  const visit = (field: NestedField): void => {
    found.set(field.id, field)
    visitType(field.type)
  }
  schema.fields.forEach(visit)
  return found
}

export const highestFieldId = (schema: Schema): number => Math.max(0, ...fieldsById(schema).keys())

/** @throws {FirnError} `FIRN_COLUMN_NOT_FOUND` (invalid), with the columns there are. */
export function fieldByName(schema: Schema, name: string): NestedField {
  const field = schema.fields.find((candidate) => candidate.name === name)
  if (!field) {
    const names = schema.fields.map((candidate) => candidate.name).join(', ')
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', `column "${name}" is not in the schema`, {
      detail: { column: name },
      help: `The columns are: ${names}`,
    })
  }
  return field
}

/** The primitive type of the field `id`, for partition sources, bounds and literals. */
export function primitiveTypeOf(schema: Schema, id: number): PrimitiveType {
  const field = fieldsById(schema).get(id)
  if (!field || !isPrimitive(field.type)) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `field ${id} is not a primitive column of the schema`, {
      detail: { fieldId: id, schemaId: schema.schemaId },
    })
  }
  return field.type
}

/** The schema with only the named top-level columns, in schema order; all of them when `names` is undefined. */
export function projectSchema(schema: Schema, names: readonly string[] | undefined): Schema {
  if (names === undefined) return schema
  const wanted = new Set(names.map((name) => fieldByName(schema, name).id))
  return { ...schema, fields: schema.fields.filter((field) => wanted.has(field.id)) }
}
