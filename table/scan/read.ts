/** From planned files to Arrow batches: one per row group, without deleted rows, filtered and projected. */
import type { Data, RecordBatch } from 'apache-arrow'
import { batchOfColumns, concatBatches, takeRows } from '../format/arrow-take.ts'
import type { ParquetFile } from '../format/parquet-reader.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { fieldsById, projectSchema, type Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveValue } from '../spec/types.ts'
import { leafColumn, leafValueAt, pathTo } from './columns.ts'
import { mergeColumns, rowKeys } from './delete-columns.ts'
import { createDeleteReader, type DeleteReader, type FileDeletes, openDeletes } from './deletes.ts'
import { columnsOf, type Expression, evaluate } from './expression.ts'
import { type DataFileReader, openTableFile, type PlannedFile, type ReadRowGroupOptions } from './open-file.ts'
import type { FileScanTask } from './plan.ts'
import { prefetch } from './prefetch.ts'
import { rowGroupMayMatch } from './prune.ts'

/** Row groups read ahead of the consumer. */
export const DEFAULT_READ_DEPTH = 4
/** Files opened ahead of the row group that is read. */
const OPEN_DEPTH = 2

export interface OpenTaskOptions extends AbortableOptions {
  /** Shares what it read of delete files between tasks; default: one of the task's own. */
  readonly deletes?: DeleteReader
}

export interface ReadTaskOptions extends ReadRowGroupOptions {
  /** Only rows for which it is true. */
  readonly where?: Expression | undefined
}

/** A `FileScanTask`, or what is left of one that was sent somewhere. */
export interface OpenableTask extends Pick<FileScanTask, 'deletes' | 'spec' | 'nameMapping'> {
  readonly file: PlannedFile
}

/** Random access to the rows of one data file that its delete files leave. */
export interface TaskReader extends DataFileReader {
  /** True when some rows may be deleted: a batch may then have fewer rows than `rowGroupRows` says. */
  readonly hasDeletes: boolean
  /** @throws {FirnError} as `DataFileReader.read`. */
  read(rowGroup: number, options?: ReadTaskOptions): Promise<RecordBatch>
}

/**
 * A planned file with its deletes applied. Spec: "Scan Planning".
 * @param location the metadata's `location`. @param schema of the snapshot that the task was planned for.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT`, `FIRN_ROW_COUNT_MISMATCH`, `FIRN_DELETES_CORRUPT` (corrupt);
 *   `FIRN_STORE_UNAVAILABLE` (unavailable).
 */
export async function openFileTask(
  store: ObjectStore,
  location: string,
  task: OpenableTask,
  schema: Schema,
  options: OpenTaskOptions = {},
): Promise<TaskReader> {
  const { deletes: shared, ...abort } = options
  const { nameMapping } = task
  const parquet = await openTableFile(store, location, task.file, {
    ...abort,
    ...(nameMapping === undefined ? {} : { nameMapping }),
  })
  let deletes: FileDeletes | undefined
  if (task.deletes.length > 0) {
    const reader = shared ?? createDeleteReader(store, location, abort)
    deletes = await reader.load(task.file, task.deletes)
  }
  const rowGroupRows = parquet.rowGroups.map((group) => group.rows)
  let total = 0
  const starts = rowGroupRows.map((rows) => {
    total += rows
    return total - rows
  })
  const file: OpenTask = { parquet, schema, constants: partitionConstants(task, schema), deletes, starts }
  return {
    rowGroupRows,
    hasDeletes: deletes !== undefined,
    read: (rowGroup, { columns, where, ...readAbort } = {}) =>
      readRows(file, rowGroup, projectSchema(schema, columns), where, readAbort),
  }
}

/** Columns that an `identity` field of the file's spec gives a value to, should the file not have them. */
function partitionConstants({ file, spec }: OpenableTask, schema: Schema): ReadonlyMap<number, PrimitiveValue> {
  const constants = new Map<number, PrimitiveValue>()
  for (const [index, field] of (spec?.fields ?? []).entries()) {
    if (field.transform !== 'identity') continue
    const value = file.partition[index] ?? null
    const type = fieldsById(schema).get(field.sourceId)?.type
    // The column may have been promoted since the manifest was written.
    constants.set(field.sourceId, type === 'long' && typeof value === 'number' ? BigInt(value) : value)
  }
  return constants
}

interface OpenTask {
  readonly parquet: ParquetFile
  readonly schema: Schema
  readonly constants: ReadonlyMap<number, PrimitiveValue>
  readonly deletes: FileDeletes | undefined
  /** First row of each row group. */
  readonly starts: readonly number[]
}

async function readRows(
  { parquet, schema, constants, deletes, starts }: OpenTask,
  rowGroup: number,
  projected: Schema,
  where: Expression | undefined,
  options: AbortableOptions,
): Promise<RecordBatch> {
  const first = starts[rowGroup] ?? 0
  const rows = parquet.rowGroups[rowGroup]?.rows ?? 0
  const positions = deletes?.positions
  // All gone: nothing of it needs to be read.
  if (rows > 0 && positions?.hasAll(first, first + rows) === true) return concatBatches(projected, [])
  if (where !== undefined && !mayMatch(parquet, rowGroup, schema, constants, where)) return concatBatches(projected, [])
  const { readSchema, apart } = columnsToRead(schema, projected, where, deletes)
  const read = { ...options, constants }
  const [batch, nested] = await Promise.all([
    parquet.read(rowGroup, readSchema, read),
    apart.length === 0 ? undefined : parquet.read(rowGroup, { ...schema, fields: apart }, read),
  ])
  const fields = [...readSchema.fields, ...apart]
  const data = [...batch.data.children, ...(nested?.data.children ?? [])] as Data[]
  const deleted = isDeleted(deletes, first, fields, data)
  const passes = where === undefined ? undefined : filterOf(where, fields, data)
  if (deleted === undefined && passes === undefined) return project(batch, readSchema, projected)
  const kept = new Int32Array(batch.numRows)
  let count = 0
  for (let row = 0; row < batch.numRows; row++) {
    if (deleted?.(row) !== true && passes?.(row) !== false) kept[count++] = row
  }
  const wanted = project(batch, readSchema, projected)
  return count === batch.numRows ? wanted : takeRows(wanted, projected, kept.subarray(0, count))
}

/** By what the footer says of the row group's columns. */
function mayMatch(
  parquet: ParquetFile,
  rowGroup: number,
  schema: Schema,
  constants: ReadonlyMap<number, PrimitiveValue>,
  where: Expression,
): boolean {
  const ids = columnsOf(where)
  const fields = schema.fields.filter((field) => [...ids].some((id) => pathTo([field], id) !== undefined))
  return rowGroupMayMatch(where, parquet.statistics(rowGroup, { ...schema, fields }, { constants }))
}

/**
 * The wanted columns, those of the filter and those of equality deletes, which a later schema may have dropped.
 * @returns `apart`: structs of which equality deletes look at a part only; they are read by themselves.
 */
function columnsToRead(
  schema: Schema,
  projected: Schema,
  where: Expression | undefined,
  deletes: FileDeletes | undefined,
): { readonly readSchema: Schema; readonly apart: readonly NestedField[] } {
  const needed = new Set(projected.fields.map((field) => field.id))
  for (const id of where === undefined ? [] : columnsOf(where)) needed.add(pathTo(schema.fields, id)?.[0]?.id ?? id)
  const dropped = new Map<number, NestedField>()
  const structs: NestedField[] = []
  for (const { columns } of deletes?.equalities ?? []) {
    for (const column of columns) {
      if (!isPrimitive(column.type)) structs.push(column)
      else if (schema.fields.some((field) => field.id === column.id)) needed.add(column.id)
      else dropped.set(column.id, column)
    }
  }
  const fields = schema.fields.filter((field) => needed.has(field.id))
  return { readSchema: { ...schema, fields: [...fields, ...dropped.values()] }, apart: mergeColumns(structs) }
}

/** @param first row of the columns, in its file. @returns `undefined` when no row can be deleted. */
function isDeleted(
  deletes: FileDeletes | undefined,
  first: number,
  fields: readonly NestedField[],
  columns: readonly Data[],
): ((row: number) => boolean) | undefined {
  if (deletes === undefined) return undefined
  const { positions, equalities } = deletes
  const sets = equalities
    .filter(({ keys }) => keys.size > 0)
    .map(({ ids, keys }) => ({ keys, keyOf: rowKeys(ids, fields, columns) }))
  return (row) => positions?.has(first + row) === true || sets.some(({ keys, keyOf }) => keys.has(keyOf(row)))
}

function filterOf(
  where: Expression,
  fields: readonly NestedField[],
  columns: readonly Data[],
): (row: number) => boolean {
  const leaves = new Map([...columnsOf(where)].map((id) => [id, leafColumn(id, fields, columns)]))
  return (row) => evaluate(where, (column) => leafValueAt(leaves.get(column.fieldId)!, row)) === true
}

function project(batch: RecordBatch, schema: Schema, projected: Schema): RecordBatch {
  if (schema.fields.length === projected.fields.length) return batch
  const children = projected.fields.map((field) => {
    const index = schema.fields.findIndex((candidate) => candidate.id === field.id)
    return batch.data.children[index] as Data
  })
  return batchOfColumns(projected, children, batch.numRows)
}

export interface ReadTasksOptions extends AbortableOptions {
  readonly depth?: number
}

/**
 * Batches of `projected`, in the order of `tasks`.
 * @param schema of the snapshot. @param projected its columns that the caller wants. @param limit rows at most.
 */
export async function* readTasks(
  store: ObjectStore,
  location: string,
  tasks: readonly FileScanTask[],
  schema: Schema,
  projected: Schema,
  filter: Expression | undefined,
  limit: number | undefined,
  options: ReadTasksOptions = {},
): AsyncGenerator<RecordBatch, void, undefined> {
  const { depth = DEFAULT_READ_DEPTH, signal } = options
  let left = limit ?? Number.POSITIVE_INFINITY
  if (left <= 0) return
  const columns = projected.fields.map((field) => field.name)
  const groups = rowGroupsOf(store, location, tasks, schema, { signal })
  const read = ({ file, index }: RowGroup, abort: AbortSignal): Promise<RecordBatch> =>
    file.read(index, { columns, where: filter, signal: abort })
  for await (const batch of prefetch(groups, read, { depth, signal })) {
    const part = batch.numRows > left ? batch.slice(0, left) : batch
    if (part.numRows > 0) yield part
    left -= part.numRows
    if (left <= 0) return
  }
}

interface RowGroup {
  readonly file: TaskReader
  readonly index: number
}

async function* rowGroupsOf(
  store: ObjectStore,
  location: string,
  tasks: readonly FileScanTask[],
  schema: Schema,
  options: AbortableOptions,
): AsyncGenerator<RowGroup, void, undefined> {
  const scope = openDeletes(store, location, options)
  const { deletes } = scope
  const open = (task: FileScanTask, abort: AbortSignal): Promise<TaskReader> =>
    openFileTask(store, location, task, schema, { signal: abort, deletes })
  try {
    for await (const file of prefetch(tasks, open, { depth: OPEN_DEPTH, signal: options.signal })) {
      for (let index = 0; index < file.rowGroupRows.length; index++) yield { file, index }
    }
  } finally {
    scope.close()
  }
}
