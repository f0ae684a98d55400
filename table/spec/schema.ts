/** Table schemas. A schema is never edited: a change appends a new one. Spec: "Schemas and Data Types", Appendix C. */
import { assertNever, FirnError } from '../errors.ts'
import { type JsonObject, JsonReader } from '../format/json.ts'
import { parseFields, printField } from './type-json.ts'
import { type IcebergType, isPrimitive, type NestedField, type PrimitiveType } from './types.ts'

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
  checkIds(fields, where)
  return {
    schemaId: reader.optionalInteger('schema-id') ?? 0,
    fields,
    identifierFieldIds: reader.has('identifier-field-ids')
      ? reader.array('identifier-field-ids').map((id) => Number(id))
      : [],
    ...(Object.keys(unknown).length === 0 ? {} : { unknown }),
  }
}

/** Columns are their ids: with two of one id, values would end up in the wrong column. */
function checkIds(fields: readonly NestedField[], where: string): void {
  const ids = new Set<number>()
  const visit = (field: NestedField): void => {
    if (ids.has(field.id)) {
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: two fields have the id ${field.id}`, {
        detail: { where, fieldId: field.id },
      })
    }
    ids.add(field.id)
    childrenOf(field.type).forEach(visit)
  }
  fields.forEach(visit)
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

/** By schema: schemas never change, and planning asks for each file. */
const indexes = new WeakMap<Schema, ReadonlyMap<number, readonly NestedField[]>>()

/** For each field, nested ones included, the fields from the top-level column down to itself. */
function fieldChains(schema: Schema): ReadonlyMap<number, readonly NestedField[]> {
  const known = indexes.get(schema)
  if (known !== undefined) return known
  const found = new Map<number, readonly NestedField[]>()
  const visit = (field: NestedField, above: readonly NestedField[]): void => {
    const chain = [...above, field]
    found.set(field.id, chain)
    for (const child of childrenOf(field.type)) visit(child, chain)
  }
  for (const field of schema.fields) visit(field, [])
  indexes.set(schema, found)
  return found
}

/** The fields directly inside `type`; those of lists and maps are named `element`, `key` and `value`. */
export function childrenOf(type: IcebergType): readonly NestedField[] {
  if (isPrimitive(type)) return []
  switch (type.type) {
    case 'struct':
      return type.fields
    case 'list':
      return [{ id: type.elementId, name: 'element', required: type.elementRequired, type: type.element }]
    case 'map':
      return [
        { id: type.keyId, name: 'key', required: true, type: type.key },
        { id: type.valueId, name: 'value', required: type.valueRequired, type: type.value },
      ]
    case 'unsupported':
      return []
    default:
      return assertNever(type)
  }
}

/** Every field of the schema by id, nested ones included. */
export function fieldsById(schema: Schema): ReadonlyMap<number, NestedField> {
  return new Map(Array.from(fieldChains(schema), ([id, chain]) => [id, chain.at(-1)!]))
}

/** The field `id`, wherever it stands. */
export const fieldById = (schema: Schema, id: number): NestedField | undefined => fieldChains(schema).get(id)?.at(-1)

/** The fields from the top-level column down to the field `id`; `undefined` when there is none. */
export const fieldChain = (schema: Schema, id: number): readonly NestedField[] | undefined =>
  fieldChains(schema).get(id)

/** `a.b` for the field `id`, as error messages and partition names have it. */
export const fieldPathText = (schema: Schema, id: number): string =>
  (fieldChain(schema, id) ?? []).map((field) => field.name).join('.')

/**
 * The field at a dotted path: `a.b` of struct children, `l.element` of lists, `m.key` and `m.value` of maps. Names may
 * hold dots themselves; the longest name wins.
 */
export function findField(fields: readonly NestedField[], path: string): NestedField | undefined {
  const exact = fields.find((field) => field.name === path)
  if (exact !== undefined) return exact
  const prefixes = fields.filter((field) => path.startsWith(`${field.name}.`))
  for (const field of prefixes.sort((a, b) => b.name.length - a.name.length)) {
    const found = findField(childrenOf(field.type), path.slice(field.name.length + 1))
    if (found !== undefined) return found
  }
  return undefined
}

/** @throws {FirnError} `FIRN_COLUMN_NOT_FOUND` (invalid), with the columns there are. */
export function fieldByPath(schema: Schema, path: string): NestedField {
  return findField(schema.fields, path) ?? fieldByName(schema, path)
}

export const highestFieldId = (schema: Schema): number => Math.max(0, ...fieldChains(schema).keys())

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
  const field = fieldById(schema, id)
  if (!field || !isPrimitive(field.type)) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `field ${id} is not a primitive column of the schema`, {
      detail: { fieldId: id, schemaId: schema.schemaId },
    })
  }
  return field.type
}

/**
 * The schema with only the named top-level columns, in schema order; all of them when `names` is undefined.
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`; `FIRN_TYPE_UNSUPPORTED` (invalid) for a column whose type is not read.
 */
export function projectSchema(schema: Schema, names: readonly string[] | undefined): Schema {
  const wanted = names === undefined ? undefined : new Set(names.map((name) => fieldByName(schema, name).id))
  const fields = wanted === undefined ? schema.fields : schema.fields.filter((field) => wanted.has(field.id))
  for (const field of fields) checkReadable(field, schema)
  return names === undefined ? schema : { ...schema, fields }
}

function checkReadable(column: NestedField, schema: Schema): void {
  const unsupportedIn = (type: IcebergType): string | undefined =>
    !isPrimitive(type) && type.type === 'unsupported'
      ? type.name
      : childrenOf(type)
          .map((child) => unsupportedIn(child.type))
          .find((name) => name !== undefined)
  const name = unsupportedIn(column.type)
  if (name === undefined) return
  const others = schema.fields.filter((field) => unsupportedIn(field.type) === undefined).map((field) => field.name)
  throw new FirnError(
    'invalid',
    'FIRN_TYPE_UNSUPPORTED',
    `column "${column.name}" has the type ${name} of Iceberg format version 3, which is not read`,
    { detail: { column: column.name, type: name }, help: `Name the columns to read: ${others.join(', ')}` },
  )
}
