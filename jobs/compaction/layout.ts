/** Where and in which order rows of a task are written: the table's schema, partitions and sort order, and its store. */
import { FirnError } from '../../table/errors.ts'
import {
  applyTransform,
  normaliseLocation,
  type PartitionSpec,
  type PrimitiveType,
  parsePartitionSpec,
  parseSchema,
  parseSortOrder,
  type Schema,
  type SortOrder,
} from '../../table/index.ts'
import { type ObjectStore, subStore } from '../../table/io/object-store.ts'
import { columnsOf, type DatasetDefinition } from '../datasets/index.ts'
import { type Column, cellAt } from './enrich/columns.ts'
import type { EnrichedRows } from './enrich/enrich.ts'
import type { CellValue } from './enrich/validate.ts'
import type { PartitionKey, SortKey } from './order.ts'
import type { CompactionTask, TaskContext } from './task.ts'

export interface TableLayout {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly sortOrder: SortOrder
}

export const layoutOf = (task: CompactionTask): TableLayout => ({
  schema: parseSchema(task.tableSchema),
  spec: parsePartitionSpec(task.partitionSpec),
  sortOrder: parseSortOrder(task.sortOrder),
})

/** The store of the table's folder. @throws {FirnError} `FIRN_TABLE_OUTSIDE_WAREHOUSE` (invalid). */
export function storeOf({ location, ownStore }: CompactionTask, { store, openTableStore }: TaskContext): ObjectStore {
  const inside = normaliseLocation(location).startsWith(`${store.url}/`)
  if (ownStore !== true || inside || openTableStore === undefined) return tableStore(store, normaliseLocation(location))
  return openTableStore(normaliseLocation(location))
}

/** The table's folder as a store of its own. */
function tableStore(warehouse: ObjectStore, location: string): ObjectStore {
  const root = `${warehouse.url}/`
  if (location.startsWith(root)) return subStore(warehouse, location.slice(root.length))
  throw new FirnError(
    'invalid',
    'FIRN_TABLE_OUTSIDE_WAREHOUSE',
    `the table at ${location} is not in the warehouse ${warehouse.url}`,
    {
      help: 'give the warehouse that holds the table',
    },
  )
}

/** One reader per field of the partition tuple. */
export function partitionKeys(
  rows: EnrichedRows,
  { schema, spec }: TableLayout,
  compactedAtMicros: bigint,
): readonly PartitionKey[] {
  return spec.fields.map((field) => {
    const transform = (type: PrimitiveType, value: CellValue): CellValue =>
      applyTransform(field.transform, type, value) as CellValue
    if (isTimeOfRun(rows.dataset, schema, field.sourceId)) {
      const value = transform('timestamptz', compactedAtMicros)
      return () => value
    }
    const { column, type } = columnOf(rows, schema, field.sourceId)
    // an int column of the dataset that is long in the table by now
    const widened = (value: CellValue): CellValue =>
      type === 'long' && typeof value === 'number' ? BigInt(value) : value
    const partitionOf = memoized((value) => transform(type, widened(value)))
    return (row) => partitionOf(cellAt(column, row))
  })
}

/** The column that has one value in all rows of a run. */
function isTimeOfRun(dataset: DatasetDefinition, schema: Schema, fieldId: number): boolean {
  const name = schema.fields.find((field) => field.id === fieldId)?.name
  return columnsOf(dataset).some((column) => column.name === name && column.from.kind === 'compacted_at')
}

/** Neighbouring rows mostly hold the same day; computing it costs big-integer arithmetic. */
function memoized(transform: (value: CellValue) => CellValue): (value: CellValue) => CellValue {
  let lastValue: CellValue | undefined
  let lastResult: CellValue = null
  return (value) => {
    if (value !== lastValue) {
      lastResult = transform(value)
      lastValue = value
    }
    return lastResult
  }
}

/** @throws {FirnError} `FIRN_TRANSFORM_UNSUPPORTED`, `FIRN_DATASET_MISMATCH` (invalid). */
export function sortKeys(rows: EnrichedRows, { schema, sortOrder }: TableLayout): readonly SortKey[] {
  return sortOrder.fields.flatMap((field) => {
    if (field.transform !== 'identity') {
      throw new FirnError(
        'invalid',
        'FIRN_TRANSFORM_UNSUPPORTED',
        `cannot sort by ${field.transform}; only by columns themselves`,
      )
    }
    if (isTimeOfRun(rows.dataset, schema, field.sourceId)) return []
    const { column } = columnOf(rows, schema, field.sourceId)
    return [{ column, direction: field.direction, nullOrder: field.nullOrder }]
  })
}

function columnOf(rows: EnrichedRows, schema: Schema, fieldId: number): { column: Column; type: PrimitiveType } {
  const field = schema.fields.find((candidate) => candidate.id === fieldId)
  const column = field === undefined ? undefined : rows.columns.get(field.name)
  if (field !== undefined && column !== undefined) return { column, type: field.type as PrimitiveType }
  throw new FirnError(
    'invalid',
    'FIRN_DATASET_MISMATCH',
    `the table is partitioned or sorted by ${field?.name ?? `field ${fieldId}`}, which dataset ${rows.dataset.name} does not read from records`,
  )
}
