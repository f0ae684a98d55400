/** Table properties that name columns, after a change of the schema. As Java's SchemaUpdate keeps them. */
import { parseJson, printJson } from '../format/json.ts'
import { childrenOf, fieldChain, fieldPathText, fieldsById, type Schema } from './schema.ts'
import type { NestedField } from './types.ts'

export interface PropertyChange {
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}

const NAME_MAPPING = 'schema.name-mapping.default'
/** Properties that end in a column's path. */
const PER_COLUMN = [
  'write.metadata.metrics.column.',
  'write.parquet.bloom-filter-enabled.column.',
  'write.parquet.stats-enabled.column.',
]

export function evolveProperties(
  properties: Readonly<Record<string, string>>,
  before: Schema,
  after: Schema,
): PropertyChange {
  const set: Record<string, string> = {}
  const remove: string[] = []
  for (const prefix of PER_COLUMN) {
    for (const id of fieldsById(before).keys()) {
      const path = fieldPathText(before, id)
      const value = properties[prefix + path]
      const now = fieldPathText(after, id)
      if (value === undefined || now === path) continue
      remove.push(prefix + path)
      if (now !== '') set[prefix + now] = value
    }
  }
  const mapping = properties[NAME_MAPPING]
  const updated = mapping === undefined ? undefined : updateNameMapping(mapping, before, after)
  if (updated !== undefined && updated !== mapping) set[NAME_MAPPING] = updated
  return { set, remove: remove.filter((key) => set[key] === undefined) }
}

interface Mapped {
  'field-id'?: number
  names: string[]
  fields?: Mapped[]
}

/**
 * A renamed column is found under both names, an added one under its own, which it takes from any other; a dropped one
 * stays, so that its old files keep being understood. `undefined` for text that is no mapping: then nothing changes.
 */
function updateNameMapping(text: string, before: Schema, after: Schema): string | undefined {
  let mapping: unknown
  try {
    mapping = parseJson(text)
  } catch {
    return undefined
  }
  if (!isMapping(mapping)) return undefined
  updateLevel(mapping, after.fields, before)
  return printJson(mapping)
}

function isMapping(value: unknown): value is Mapped[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item: Partial<Mapped> | null) =>
        Array.isArray(item?.names) && (item.fields === undefined || item.fields === null || isMapping(item.fields)),
    )
  )
}

function updateLevel(mapping: Mapped[], fields: readonly NestedField[], before: Schema): void {
  for (const field of fields) {
    const old = fieldChain(before, field.id)?.at(-1)
    const own = mapping.find((item) => item['field-id'] === field.id)
    if (old === undefined || (own !== undefined && old.name !== field.name)) {
      for (const item of mapping) if (item !== own) item.names = item.names.filter((name) => name !== field.name)
    }
    if (old === undefined && own === undefined) mapping.push(mappingOf(field))
    if (own === undefined) continue
    if (!own.names.includes(field.name) && old !== undefined && old.name !== field.name) own.names.push(field.name)
    const children = childrenOf(field.type)
    if (children.length === 0) continue
    own.fields = own.fields ?? []
    updateLevel(own.fields, children, before)
  }
}

function mappingOf(field: NestedField): Mapped {
  const children = childrenOf(field.type)
  return {
    'field-id': field.id,
    names: [field.name],
    ...(children.length === 0 ? {} : { fields: children.map(mappingOf) }),
  }
}
