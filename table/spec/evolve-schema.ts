/**
 * Schema evolution as a pure function. A field keeps its id whatever happens to its name, place or type; an id is never
 * given twice, not even after a drop. Spec: "Schema Evolution".
 */
import { assertNever } from '../errors.ts'
import { printJson } from '../format/json.ts'
import { evolveProperties, type PropertyChange } from './evolve-properties.ts'
import { currentSchema, defaultSortOrder, defaultSpec, type TableMetadata } from './metadata.ts'
import { childrenOf, fieldChain, fieldPathText, findField, highestFieldId, printSchema, type Schema } from './schema.ts'
import {
  chainAt,
  editField,
  editMembers,
  invalidChange,
  type NewColumn,
  type Position,
  type SchemaChange,
  withFreshIds,
} from './schema-change.ts'
import { parseTransform } from './transform.ts'
import { decimalOf, isPrimitive, type NestedField, type PrimitiveType } from './types.ts'

export interface EvolvedSchema {
  /** An older schema of the table when it is equal to what the changes lead to. */
  readonly schema: Schema
  readonly lastColumnId: number
  /** To commit together with the schema: name mapping and per-column properties follow renames. */
  readonly properties: PropertyChange
}

interface Draft {
  readonly fields: readonly NestedField[]
  readonly identifiers: readonly number[]
}

/**
 * The current schema of `metadata` after `changes`.
 * @throws {FirnError} `FIRN_SCHEMA_CHANGE_INVALID`, `FIRN_COLUMN_NOT_FOUND` (invalid) with the next step.
 */
export function evolveSchema(metadata: TableMetadata, changes: readonly SchemaChange[]): EvolvedSchema {
  const base = currentSchema(metadata)
  let lastColumnId = Math.max(metadata.lastColumnId, ...metadata.schemas.map(highestFieldId))
  const nextId = (): number => ++lastColumnId
  let draft: Draft = { fields: base.fields, identifiers: base.identifierFieldIds }
  for (const change of changes) draft = applyChange(draft, change, metadata, nextId)
  const changed: Schema = {
    ...base,
    schemaId: Math.max(...metadata.schemas.map((schema) => schema.schemaId)) + 1,
    fields: draft.fields,
    identifierFieldIds: draft.identifiers,
  }
  checkPaths(changed)
  checkIdentifiers(changed)
  checkPartitionNames(metadata, base, changed)
  const content = (schema: Schema): string => printJson({ ...printSchema(schema), 'schema-id': 0 })
  const equal = [base, ...metadata.schemas].find((schema) => content(schema) === content(changed))
  const schema = equal ?? changed
  return {
    schema,
    lastColumnId: equal === undefined ? lastColumnId : metadata.lastColumnId,
    properties: evolveProperties(metadata.properties, base, schema),
  }
}

function applyChange(draft: Draft, change: SchemaChange, metadata: TableMetadata, nextId: () => number): Draft {
  const { fields } = draft
  const edit = (path: string, map: (field: NestedField) => NestedField): Draft => {
    const chain = changeable(fields, path)
    return { ...draft, fields: editField(fields, chain.at(-1)!.id, map) }
  }
  if ('add' in change) return { ...draft, fields: addColumn(fields, change.add, nextId) }
  if ('drop' in change) return dropColumn(draft, change.drop, metadata)
  if ('rename' in change) return { ...draft, fields: renameColumn(fields, change.rename, change.to) }
  if ('move' in change) return { ...draft, fields: moveColumn(fields, change.move, change) }
  if ('promote' in change) return edit(change.promote, (field) => promoted(field, change.type))
  if ('makeOptional' in change) return edit(change.makeOptional, (field) => ({ ...field, required: false }))
  if ('doc' in change) {
    return edit(change.doc, ({ doc: _, ...field }) =>
      change.text === undefined ? field : { ...field, doc: change.text },
    )
  }
  if ('identifier' in change) {
    return { ...draft, identifiers: change.identifier.map((path) => chainAt(fields, path).at(-1)!.id) }
  }
  return assertNever(change)
}

/** A chain that does not lead through the keys of a map: rows are found by them. */
function changeable(fields: readonly NestedField[], path: string): readonly NestedField[] {
  const chain = chainAt(fields, path)
  chain.forEach((field, index) => {
    const above = chain[index - 1]
    if (above === undefined || isPrimitive(above.type) || above.type.type !== 'map') return
    if (above.type.keyId === field.id) throw invalidChange(`"${path}" is the key of a map, which cannot change`)
  })
  return chain
}

/** A struct member, with its struct; elements and values have no name and place to change. */
function member(fields: readonly NestedField[], path: string): { field: NestedField; parent: NestedField | undefined } {
  const chain = changeable(fields, path)
  const parent = chain.at(-2)
  if (parent !== undefined && !isPrimitive(parent.type) && parent.type.type !== 'struct') {
    throw invalidChange(`"${path}" is not a column of the table or of a struct`)
  }
  return { field: chain.at(-1)!, parent }
}

function addColumn(
  fields: readonly NestedField[],
  { parent: parentPath, name, type, required = false, doc }: NewColumn,
  nextId: () => number,
): readonly NestedField[] {
  let parent = parentPath === undefined ? undefined : changeable(fields, parentPath).at(-1)!
  // The struct inside a list or the values of a map.
  while (parent !== undefined && !isPrimitive(parent.type) && ['list', 'map'].includes(parent.type.type)) {
    parent = childrenOf(parent.type).at(-1)!
  }
  if (name === '') throw invalidChange('a column needs a name')
  if (required) {
    throw invalidChange(
      `column "${name}" cannot be required: the rows that are there have no value, and defaults need format version 3`,
      'Add it as optional.',
    )
  }
  const path = parentPath === undefined ? name : `${parentPath}.${name}`
  return editMembers(fields, parent, (members) => {
    refuseName(members, name, path)
    const id = nextId()
    const field = { id, name, required, type: withFreshIds(type, nextId) }
    return [...members, doc === undefined ? field : { ...field, doc }]
  })
}

function dropColumn(draft: Draft, path: string, metadata: TableMetadata): Draft {
  const { field, parent } = member(draft.fields, path)
  const ids = new Set<number>()
  const collect = (one: NestedField): void => {
    ids.add(one.id)
    childrenOf(one.type).forEach(collect)
  }
  collect(field)
  const source = defaultSpec(metadata).fields.find((part) => ids.has(part.sourceId) && !isVoid(part.transform))
  if (source !== undefined) {
    throw invalidChange(
      `column "${path}" is the source of the partition field ${source.name}`,
      `Drop the partition field ${source.name} from the spec first.`,
    )
  }
  if (defaultSortOrder(metadata).fields.some((part) => ids.has(part.sourceId))) {
    throw invalidChange(`column "${path}" is in the sort order`, 'Set a sort order without it first.')
  }
  if (draft.identifiers.some((id) => ids.has(id))) {
    throw invalidChange(`column "${path}" identifies rows`, 'Set other identifier columns in the same change, before.')
  }
  const fields = editMembers(draft.fields, parent, (members) => members.filter((one) => one.id !== field.id))
  const left = parent === undefined ? fields : childrenOf(chainAtId(fields, parent.id).type)
  if (left.length === 0) throw invalidChange(`"${path}" is the last column there`, 'Drop the struct or the table.')
  return { ...draft, fields }
}

const isVoid = (transform: string): boolean => parseTransform(transform)?.kind === 'void'

function chainAtId(fields: readonly NestedField[], id: number): NestedField {
  return fieldChain({ schemaId: 0, fields, identifierFieldIds: [] }, id)!.at(-1)!
}

function renameColumn(fields: readonly NestedField[], path: string, to: string): readonly NestedField[] {
  const { field, parent } = member(fields, path)
  if (to === field.name) return fields
  if (to === '') throw invalidChange('a column needs a name')
  return editMembers(fields, parent, (members) => {
    refuseName(members, to, to)
    return members.map((one) => (one.id === field.id ? { ...one, name: to } : one))
  })
}

/** Names that differ in letter case only are allowed, as in Java. */
function refuseName(members: readonly NestedField[], name: string, path: string): void {
  if (members.some((field) => field.name === name)) throw invalidChange(`there is a column "${path}" already`)
}

function moveColumn(fields: readonly NestedField[], path: string, position: Position): readonly NestedField[] {
  const { field, parent } = member(fields, path)
  return editMembers(fields, parent, (members) => {
    const others = members.filter((one) => one.id !== field.id)
    if ('first' in position) return [field, ...others]
    const name = 'after' in position ? position.after : position.before
    const wanted = findField(fields, name)
    const index = others.findIndex((one) => one.name === name || one.id === wanted?.id)
    if (index < 0)
      throw invalidChange(`"${path}" cannot be moved next to "${name}", which is no other column beside it`)
    return others.toSpliced('after' in position ? index + 1 : index, 0, field)
  })
}

function promoted(field: NestedField, type: PrimitiveType): NestedField {
  if (field.type === type) return field
  const [from, to] = [decimalOf(field.type), decimalOf(type)]
  const wider = from !== undefined && to !== undefined && from.scale === to.scale && to.precision > from.precision
  if (wider || (field.type === 'int' && type === 'long') || (field.type === 'float' && type === 'double')) {
    return { ...field, type }
  }
  const old = isPrimitive(field.type) ? field.type : field.type.type
  throw invalidChange(
    `column "${field.name}" cannot become ${type} from ${old}`,
    'Types widen only: int to long, float to double, a decimal to more digits of the same scale.',
  )
}

/** A name with a dot can spell the path of another column; engines refuse such a table as a whole. */
function checkPaths(schema: Schema): void {
  const paths = new Set<string>()
  const visit = (field: NestedField, above: string): void => {
    const path = above === '' ? field.name : `${above}.${field.name}`
    if (paths.has(path)) throw invalidChange(`two columns would have the path "${path}"`)
    paths.add(path)
    for (const child of childrenOf(field.type)) visit(child, path)
  }
  for (const field of schema.fields) visit(field, '')
}

function checkIdentifiers(schema: Schema): void {
  for (const id of schema.identifierFieldIds) {
    const chain = fieldChain(schema, id)!
    const path = fieldPathText(schema, id)
    const { type } = chain.at(-1)!
    if (!isPrimitive(type) || type === 'float' || type === 'double') {
      throw invalidChange(`"${path}" cannot identify rows: it is nested or a floating point number`)
    }
    if (chain.slice(0, -1).some((above) => isPrimitive(above.type) || above.type.type !== 'struct')) {
      throw invalidChange(`"${path}" cannot identify rows: it is inside a list or map`)
    }
    const optional = chain.find((field) => !field.required)
    if (optional !== undefined) throw invalidChange(`"${optional.name}" identifies rows and so is required`)
  }
}

/** Java refuses a table where a partition field has the name of a column that it is not the identity of. */
function checkPartitionNames(metadata: TableMetadata, base: Schema, changed: Schema): void {
  for (const part of metadata.partitionSpecs.flatMap((spec) => spec.fields)) {
    const column = findField(changed.fields, part.name)
    if (column === undefined || findField(base.fields, part.name)?.id === column.id) continue
    if (parseTransform(part.transform)?.kind === 'identity' && part.sourceId === column.id) continue
    throw invalidChange(
      `column "${part.name}" would have the name of a partition field of another column`,
      'Choose another name for the column.',
    )
  }
}
