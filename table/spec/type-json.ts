/** Types and fields as JSON. Spec: Appendix C "Schemas". */
import { assertNever, FirnError } from '../errors.ts'
import { type JsonObject, JsonReader } from '../format/json.ts'
import { valueFromJson, valueToJson } from './json-value.ts'
import { type IcebergType, isPrimitive, type NestedField, type PrimitiveValue, parseTypeName } from './types.ts'

/** Types nest no deeper than this: deeper ones come from damage or malice and would overflow the stack. */
export const MAX_TYPE_DEPTH = 100

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt), `FIRN_TYPE_UNSUPPORTED` (invalid). */
export function parseType(json: unknown, where: string, depth = 0): IcebergType {
  if (typeof json === 'string') return parseTypeName(json)
  if (depth > MAX_TYPE_DEPTH) throw corrupt(where, `types nest deeper than ${MAX_TYPE_DEPTH}`)
  const reader = new JsonReader(json, where)
  const kind = reader.string('type')
  switch (kind) {
    case 'struct':
      return { type: 'struct', fields: parseFields(reader, where, depth + 1) }
    case 'list':
      return {
        type: 'list',
        elementId: reader.integer('element-id'),
        elementRequired: reader.boolean('element-required'),
        element: parseType(reader.value['element'], `${where}.element`, depth + 1),
      }
    case 'map':
      return {
        type: 'map',
        keyId: reader.integer('key-id'),
        key: parseType(reader.value['key'], `${where}.key`, depth + 1),
        valueId: reader.integer('value-id'),
        valueRequired: reader.boolean('value-required'),
        value: parseType(reader.value['value'], `${where}.value`, depth + 1),
      }
    default:
      throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `${where}: type "${kind}" is not struct, list or map`)
  }
}

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt), also when two fields of the struct share a name. */
export function parseFields(reader: JsonReader, where: string, depth = 0): readonly NestedField[] {
  const fields = reader.objects('fields').map((field): NestedField => {
    const name = field.string('name')
    const doc = field.optionalString('doc')
    const type = parseType(field.value['type'], `${where}.${name}`, depth)
    const initialDefault = parseDefault(field, 'initial-default', type, `${where}.${name}`)
    const writeDefault = parseDefault(field, 'write-default', type, `${where}.${name}`)
    return {
      id: field.integer('id'),
      name,
      required: field.boolean('required'),
      type,
      ...(doc === undefined ? {} : { doc }),
      ...(initialDefault === undefined ? {} : { initialDefault }),
      ...(writeDefault === undefined ? {} : { writeDefault }),
    }
  })
  const names = new Set<string>()
  for (const { name } of fields) {
    if (names.has(name)) throw corrupt(where, `two fields are named "${name}"`)
    names.add(name)
  }
  return fields
}

function parseDefault(
  field: JsonReader,
  key: 'initial-default' | 'write-default',
  type: IcebergType,
  where: string,
): PrimitiveValue | undefined {
  // A struct's default says nothing that those of its fields do not; a list or map has none but null.
  if (!field.has(key) || !isPrimitive(type)) return undefined
  const value = valueFromJson(type, field.value[key])
  if (value === undefined) throw corrupt(where, `${key} is no value of type ${type}`)
  return value
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
    case 'unsupported':
      return type.name
    default:
      return assertNever(type)
  }
}

export function printField(field: NestedField): JsonObject {
  const { type, initialDefault, writeDefault } = field
  const printed = (value: PrimitiveValue): unknown => (isPrimitive(type) ? valueToJson(type, value) : null)
  return {
    id: field.id,
    name: field.name,
    required: field.required,
    type: printType(type),
    ...(field.doc === undefined ? {} : { doc: field.doc }),
    ...(initialDefault === undefined ? {} : { 'initial-default': printed(initialDefault) }),
    ...(writeDefault === undefined ? {} : { 'write-default': printed(writeDefault) }),
  }
}

const corrupt = (where: string, message: string): FirnError =>
  new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: ${message}`, { detail: { where } })
