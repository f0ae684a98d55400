/** Changes of what a table is: properties, schema, partition spec, sort order, format version. */
import { FirnError } from '../errors.ts'
import { printJson } from '../format/json.ts'
import { evolveSchema } from '../spec/evolve-schema.ts'
import { evolveSort, type SortColumn } from '../spec/evolve-sort.ts'
import { evolveSpec, type SpecChange } from '../spec/evolve-spec.ts'
import { currentSchema, defaultSortOrder, defaultSpec, type TableMetadata } from '../spec/metadata.ts'
import { printPartitionFields } from '../spec/partition.ts'
import { printSchema, type Schema } from '../spec/schema.ts'
import type { SchemaChange } from '../spec/schema-change.ts'
import { printSortOrder, type SortOrder } from '../spec/sort.ts'
import type { Change } from './commit.ts'
import { sameTable } from './requirements.ts'
import type { TableUpdate } from './updates.ts'

/** As in the Java library: engines show these as properties, or take them for more than that. */
const RESERVED: ReadonlySet<string> = new Set([
  'format-version',
  'uuid',
  'snapshot-count',
  'current-snapshot-summary',
  'current-snapshot-id',
  'current-snapshot-timestamp-ms',
  'current-schema',
  'default-partition-spec',
  'default-sort-order',
])

/**
 * Properties set and removed; a try on a newer table keeps everybody else's.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) for a value that is no string, a reserved key, or a key set and removed at once.
 */
export function propertiesChange(
  planned: TableMetadata,
  set: Readonly<Record<string, string>>,
  remove: readonly string[] = [],
): Change {
  for (const [key, value] of Object.entries(set)) {
    if (typeof value !== 'string') throw invalid(`property ${key} must be a string`)
    if (RESERVED.has(key)) throw invalid(`property ${key} is reserved: the table's own metadata says it`)
    if (remove.includes(key)) throw invalid(`property ${key} cannot be set and removed at once`)
  }
  const holds = ({ properties }: TableMetadata): boolean =>
    Object.entries(set).every(([key, value]) => Object.hasOwn(properties, key) && properties[key] === value) &&
    remove.every((key) => !Object.hasOwn(properties, key))
  return {
    isOwn: holds,
    requirements: [sameTable(planned)],
    prepare: (base) => {
      return holds(base) ? [] : propertyUpdates(set, remove)
    },
  }
}

const propertyUpdates = (set: Readonly<Record<string, string>>, remove: readonly string[]): readonly TableUpdate[] => [
  ...(Object.keys(set).length === 0 ? [] : [{ action: 'set-properties' as const, updates: set }]),
  ...(remove.length === 0 ? [] : [{ action: 'remove-properties' as const, removals: remove }]),
]

/** Without its id, which says nothing about what a schema is. */
const schemaText = (schema: Schema): string => printJson(printSchema({ ...schema, schemaId: 0 }))

/** The changes of a schema by name, applied again to the schema of each try's base. @throws as `evolveSchema`. */
export function schemaChange(planned: TableMetadata, changes: readonly SchemaChange[]): Change {
  let wanted: string | undefined
  return {
    isOwn: (metadata) => wanted !== undefined && schemaText(currentSchema(metadata)) === wanted,
    requirements: (base) => [
      sameTable(planned),
      { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId },
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: base.lastColumnId },
    ],
    prepare: (base) => {
      const { schema, lastColumnId, properties } = evolveSchema(base, changes)
      wanted = schemaText(schema)
      if (schema.schemaId === base.currentSchemaId) return []
      const known = base.schemas.some(({ schemaId }) => schemaId === schema.schemaId)
      return [
        ...(known ? [] : [{ action: 'add-schema' as const, schema, lastColumnId }]),
        { action: 'set-current-schema', schemaId: schema.schemaId },
        ...propertyUpdates(properties.set, properties.remove),
      ]
    },
  }
}

/** New files are partitioned by the changed spec; old files keep theirs. @throws as `evolveSpec`. */
export function specChange(planned: TableMetadata, changes: readonly SpecChange[]): Change {
  let wanted: string | undefined
  return {
    isOwn: (metadata) => wanted !== undefined && printJson(printPartitionFields(defaultSpec(metadata))) === wanted,
    requirements: (base) => [
      sameTable(planned),
      { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId },
      { type: 'assert-default-spec-id', defaultSpecId: base.defaultSpecId },
      { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: base.lastPartitionId },
    ],
    prepare: (base) => {
      const { spec } = evolveSpec(base, changes)
      wanted = printJson(printPartitionFields(spec))
      if (spec.specId === base.defaultSpecId) return []
      const known = base.partitionSpecs.some(({ specId }) => specId === spec.specId)
      return [
        ...(known ? [] : [{ action: 'add-spec' as const, spec }]),
        { action: 'set-default-spec', specId: spec.specId },
      ]
    },
  }
}

/** No column: unsorted. @throws as `evolveSort`. */
export function sortOrderChange(planned: TableMetadata, columns: readonly SortColumn[]): Change {
  let wanted: string | undefined
  const text = (order: SortOrder): string => printJson(printSortOrder({ ...order, orderId: 0 }))
  return {
    isOwn: (metadata) => wanted !== undefined && text(defaultSortOrder(metadata)) === wanted,
    requirements: (base) => [
      sameTable(planned),
      { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId },
      { type: 'assert-default-sort-order-id', defaultSortOrderId: base.defaultSortOrderId },
    ],
    prepare: (base) => {
      const { sortOrder } = evolveSort(base, columns)
      const sortOrderId = sortOrder.orderId
      wanted = text(sortOrder)
      if (sortOrderId === base.defaultSortOrderId) return []
      const known = base.sortOrders.some(({ orderId }) => orderId === sortOrderId)
      return [
        ...(known ? [] : [{ action: 'add-sort-order' as const, sortOrder }]),
        { action: 'set-default-sort-order', sortOrderId },
      ]
    },
  }
}

/** From format version 1 to 2; what is there stays as it is. */
export function formatVersionChange(planned: TableMetadata): Change {
  return {
    isOwn: (metadata) => metadata.formatVersion >= 2,
    requirements: planned.tableUuid === '' ? [] : [sameTable(planned)],
    prepare: () => [{ action: 'upgrade-format-version', formatVersion: 2 }],
  }
}

const invalid = (message: string): FirnError =>
  new FirnError('invalid', 'FIRN_INVALID_OPTION', message, { help: 'Nothing was changed.' })
