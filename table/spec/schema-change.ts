/** Changes of a schema as data, and the edits of a tree of fields that they come down to. */
import { FirnError } from '../errors.ts'
import { childrenOf, findField } from './schema.ts'
import { type IcebergType, isPrimitive, type NestedField, type PrimitiveType } from './types.ts'

/** Where a column goes within its struct; neighbours by name. */
export type Position = { readonly first: true } | { readonly after: string } | { readonly before: string }

/**
 * One change. Columns are named by dotted path: `a.b` in structs, `l.element` in lists, `m.value` in maps; the keys of
 * a map cannot change. Changes apply in order, each to what the one before it left.
 */
export type SchemaChange =
  | { readonly add: NewColumn }
  | { readonly drop: string }
  | { readonly rename: string; readonly to: string }
  | ({ readonly move: string } & Position)
  /** int to long, float to double, a decimal to more digits. */
  | { readonly promote: string; readonly type: PrimitiveType }
  | { readonly makeOptional: string }
  /** Without `text` the comment goes away. */
  | { readonly doc: string; readonly text?: string }
  /** The columns that identify a row, all of them; none with an empty list. */
  | { readonly identifier: readonly string[] }

export interface NewColumn {
  /** Struct, list of structs or map to structs that gets the column; the table itself when absent. */
  readonly parent?: string
  readonly name: string
  /** Ids inside a nested type do not matter: fresh ones are given. */
  readonly type: IcebergType
  readonly required?: boolean
  readonly doc?: string
}

export function invalidChange(message: string, help?: string): FirnError {
  return new FirnError('invalid', 'FIRN_SCHEMA_CHANGE_INVALID', `schema change: ${message}`, {
    ...(help === undefined ? {} : { help }),
  })
}

/** The fields from the top down to the one at `path`. @throws {FirnError} `FIRN_COLUMN_NOT_FOUND` (invalid). */
export function chainAt(fields: readonly NestedField[], path: string): readonly NestedField[] {
  const target = findField(fields, path)
  const search = (level: readonly NestedField[]): readonly NestedField[] | undefined => {
    for (const field of level) {
      if (field === target || field.id === target?.id) return [field]
      const below = search(childrenOf(field.type))
      if (below !== undefined) return [field, ...below]
    }
    return undefined
  }
  const chain = target === undefined ? undefined : search(fields)
  if (chain !== undefined) return chain
  throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', `column "${path}" is not in the schema`, {
    detail: { column: path },
    help: `The columns are: ${fields.map((field) => field.name).join(', ')}`,
  })
}

/** The tree with the field `id`, wherever it stands, replaced by what `edit` makes of it. */
export function editField(
  fields: readonly NestedField[],
  id: number,
  edit: (field: NestedField) => NestedField,
): readonly NestedField[] {
  return fields.map((field) => (field.id === id ? edit(field) : { ...field, type: editInside(field.type, id, edit) }))
}

function editInside(type: IcebergType, id: number, edit: (field: NestedField) => NestedField): IcebergType {
  if (isPrimitive(type) || type.type === 'unsupported') return type
  const children = editField(childrenOf(type), id, edit)
  if (type.type === 'struct') return { ...type, fields: children }
  const last = children.at(-1)!
  if (type.type === 'list') return { ...type, element: last.type, elementRequired: last.required }
  return { ...type, key: children[0]!.type, value: last.type, valueRequired: last.required }
}

/** The tree with the members of one struct replaced: those of the field `parent`, or the top-level columns. */
export function editMembers(
  fields: readonly NestedField[],
  parent: NestedField | undefined,
  edit: (members: readonly NestedField[]) => readonly NestedField[],
): readonly NestedField[] {
  if (parent === undefined) return edit(fields)
  return editField(fields, parent.id, (field) => {
    if (isPrimitive(field.type) || field.type.type !== 'struct') {
      throw invalidChange(`"${field.name}" is not a struct`)
    }
    return { ...field, type: { type: 'struct', fields: edit(field.type.fields) } }
  })
}

/** `type` with new ids: those of one level before those below it, as Java numbers them. */
export function withFreshIds(type: IcebergType, nextId: () => number): IcebergType {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'struct': {
      const ids = type.fields.map(() => nextId())
      const fields = type.fields.map((field, index) => ({
        ...field,
        id: ids[index]!,
        type: withFreshIds(field.type, nextId),
      }))
      return { type: 'struct', fields }
    }
    case 'list': {
      const elementId = nextId()
      return { ...type, elementId, element: withFreshIds(type.element, nextId) }
    }
    case 'map': {
      const keyId = nextId()
      const valueId = nextId()
      return {
        ...type,
        keyId,
        valueId,
        key: withFreshIds(type.key, nextId),
        value: withFreshIds(type.value, nextId),
      }
    }
    default:
      throw invalidChange(`the type ${type.name} of format version 3 cannot be written`)
  }
}
