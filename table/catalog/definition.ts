/** What a new table must be, so that every engine reads it. Follows Java's PartitionSpec.Builder and Schema. */
import { FirnError } from '../errors.ts'
import { arrowSchema } from '../format/arrow-schema.ts'
import { NO_PARTITION_ID, type PartitionField, type PartitionSpec } from '../spec/partition.ts'
import { childrenOf, fieldChain, type Schema } from '../spec/schema.ts'
import type { SortOrder } from '../spec/sort.ts'
import { canApply, parseTransform } from '../spec/transform.ts'
import { fixedLengthOf, isPrimitive, type NestedField, type PrimitiveType } from '../spec/types.ts'

export interface TableDefinition {
  readonly schema: Schema
  readonly partitionSpec: PartitionSpec
  readonly sortOrder: SortOrder
  readonly properties: Readonly<Record<string, string>>
}

/** @throws {FirnError} `FIRN_TABLE_DEFINITION_INVALID`, `FIRN_TYPE_UNSUPPORTED` (invalid). */
export function checkDefinition(definition: TableDefinition): void {
  checkSchema(definition.schema)
  checkPartitioning(definition)
  checkSorting(definition)
  for (const [key, value] of Object.entries(definition.properties)) {
    if (typeof value !== 'string') throw invalid(`property ${key} must be a string`)
  }
}

function checkSchema(schema: Schema): void {
  if (schema.fields.length === 0) throw invalid('a table needs at least one column')
  const all = checkFields(schema.fields, '')
  if (!allDiffer(all.map((field) => field.id))) throw invalid('column ids must differ')
  if (all.some((field) => !Number.isInteger(field.id) || field.id < 1)) throw invalid('column ids begin at 1')
  // Refuses the types that are not written.
  arrowSchema(schema)
  for (const id of schema.identifierFieldIds) {
    const chain = fieldChain(schema, id) ?? []
    const field = chain.at(-1)
    if (field === undefined || chain.some((one) => !one.required) || !isInStructs(chain)) {
      throw invalid(`key column ${id} must be a required column, inside required structs or none`)
    }
    if (!isPrimitive(field.type) || field.type === 'float' || field.type === 'double') {
      throw invalid(`key column ${field.name} cannot be ${typeName(field.type)}`)
    }
  }
}

/** Names must differ among siblings. @returns the fields with all that are inside them. */
function checkFields(fields: readonly NestedField[], path: string): readonly NestedField[] {
  const where = path === '' ? 'the table' : `column ${path}`
  if (!allDiffer(fields.map((field) => field.name))) throw invalid(`two columns of ${where} have one name`)
  if (fields.some((field) => field.name === '')) throw invalid(`a column of ${where} has no name`)
  return fields.flatMap((field) => {
    const inner = path === '' ? field.name : `${path}.${field.name}`
    const children = childrenOf(field.type)
    // Parquet has no struct without fields.
    if (typeName(field.type) === 'struct' && children.length === 0) throw invalid(`struct ${inner} has no fields`)
    return [field, ...checkFields(children, inner)]
  })
}

const typeName = (type: NestedField['type']): string => (isPrimitive(type) ? type : type.type)

/** Whether a field is in every row at most once: in no list and no map. */
const isInStructs = (chain: readonly NestedField[]): boolean =>
  chain.slice(0, -1).every(({ type }) => typeName(type) === 'struct')

function checkPartitioning({ schema, partitionSpec }: TableDefinition): void {
  const { fields } = partitionSpec
  if (!allDiffer(fields.map((field) => field.name))) throw invalid('partition names must differ')
  if (!allDiffer(fields.map((field) => field.fieldId))) throw invalid('partition field ids must differ')
  const redundant = fields.find((field, index) => fields.slice(0, index).some((other) => isRedundant(other, field)))
  if (redundant !== undefined) {
    throw invalid(`partition ${redundant.name} is redundant beside another field of the same column`)
  }
  for (const field of fields) {
    if (field.name === '') throw invalid('a partition field needs a name')
    if (field.fieldId <= NO_PARTITION_ID) throw invalid(`partition field id ${field.fieldId}: they begin at 1000`)
    const type = sourceType(schema, field.sourceId, `partition ${field.name}`)
    if (!canApply(field.transform, type))
      throw invalid(`partition ${field.name}: ${field.transform} of ${type} is not supported`)
    // Java cannot read such a partition back.
    if (fixedLengthOf(type) !== undefined) throw invalid(`partition ${field.name}: ${type} cannot be partitioned by`)
    const namesake = schema.fields.find((column) => column.name === field.name)
    if (namesake !== undefined && (field.transform !== 'identity' || namesake.id !== field.sourceId)) {
      throw invalid(`partition ${field.name} has the name of another column`)
    }
  }
}

/** As in Java: one column is not partitioned by twice as it is, nor by two spans of time. */
function isRedundant(a: PartitionField, b: PartitionField): boolean {
  const family = ({ transform }: PartitionField): string => {
    const kind = parseTransform(transform)?.kind ?? transform
    return ['year', 'month', 'day', 'hour'].includes(kind) ? 'time' : kind
  }
  return a.sourceId === b.sourceId && family(a) === family(b) && ['identity', 'time'].includes(family(a))
}

function checkSorting({ schema, sortOrder }: TableDefinition): void {
  if (sortOrder.fields.length === 0 && sortOrder.orderId !== 0) throw invalid('a sort order without columns has id 0')
  if (sortOrder.fields.length > 0 && sortOrder.orderId < 1) throw invalid('sort order 0 is reserved for "unsorted"')
  for (const { sourceId, transform } of sortOrder.fields) {
    const type = sourceType(schema, sourceId, 'sort order')
    if (!canApply(transform, type)) throw invalid(`sort order: ${transform} of ${type} is not supported`)
  }
}

/** Struct children may be sources; what is in a list or map has no one value in a row. */
function sourceType(schema: Schema, id: number, where: string): PrimitiveType {
  const chain = fieldChain(schema, id)
  const field = chain?.at(-1)
  if (chain === undefined || field === undefined) throw invalid(`${where}: there is no column with id ${id}`)
  if (!isPrimitive(field.type)) throw invalid(`${where}: column ${field.name} is nested`)
  if (!isInStructs(chain)) throw invalid(`${where}: column ${field.name} is in a list or map`)
  return field.type
}

const allDiffer = (values: readonly unknown[]): boolean => new Set(values).size === values.length

const invalid = (message: string): FirnError => new FirnError('invalid', 'FIRN_TABLE_DEFINITION_INVALID', message)
