/** What a new table must be, so that every engine reads it. Follows Java's PartitionSpec.Builder and Schema. */
import { FirnError } from '../errors.ts'
import { arrowSchema } from '../format/arrow-schema.ts'
import { NO_PARTITION_ID, type PartitionSpec } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import type { SortOrder } from '../spec/sort.ts'
import { canApply } from '../spec/transform.ts'
import { fixedLengthOf, isPrimitive, type PrimitiveType } from '../spec/types.ts'

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
  const { fields } = schema
  if (fields.length === 0) throw invalid('a table needs at least one column')
  if (!allDiffer(fields.map((field) => field.id)) || !allDiffer(fields.map((field) => field.name))) {
    throw invalid('column ids and names must differ')
  }
  if (fields.some((field) => field.name === '' || !Number.isInteger(field.id) || field.id < 1)) {
    throw invalid('columns need a name and an id from 1 up')
  }
  // Refuses the types that are not written.
  arrowSchema(schema)
  for (const id of schema.identifierFieldIds) {
    const field = fields.find((candidate) => candidate.id === id)
    if (field?.required !== true) throw invalid(`key column ${id} must be a required column`)
    if (field.type === 'float' || field.type === 'double')
      throw invalid(`key column ${field.name} cannot be ${field.type}`)
  }
}

function checkPartitioning({ schema, partitionSpec }: TableDefinition): void {
  const { fields } = partitionSpec
  if (!allDiffer(fields.map((field) => field.name))) throw invalid('partition names must differ')
  if (!allDiffer(fields.map((field) => field.fieldId))) throw invalid('partition field ids must differ')
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

function checkSorting({ schema, sortOrder }: TableDefinition): void {
  if (sortOrder.fields.length === 0 && sortOrder.orderId !== 0) throw invalid('a sort order without columns has id 0')
  if (sortOrder.fields.length > 0 && sortOrder.orderId < 1) throw invalid('sort order 0 is reserved for "unsorted"')
  for (const { sourceId, transform } of sortOrder.fields) {
    const type = sourceType(schema, sourceId, 'sort order')
    if (!canApply(transform, type)) throw invalid(`sort order: ${transform} of ${type} is not supported`)
  }
}

function sourceType(schema: Schema, id: number, where: string): PrimitiveType {
  const field = schema.fields.find((candidate) => candidate.id === id)
  if (field === undefined) throw invalid(`${where}: there is no column with id ${id}`)
  if (!isPrimitive(field.type)) throw invalid(`${where}: column ${field.name} is nested`)
  return field.type
}

const allDiffer = (values: readonly unknown[]): boolean => new Set(values).size === values.length

const invalid = (message: string): FirnError => new FirnError('invalid', 'FIRN_TABLE_DEFINITION_INVALID', message)
