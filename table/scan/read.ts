/** From planned files to Arrow batches: one per row group, without deleted rows, filtered and projected. */
import type { RecordBatch } from 'apache-arrow'
import type { ReadMemory } from '../format/read-memory.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { fieldsById, projectSchema, type Schema } from '../spec/schema.ts'
import type { PrimitiveValue } from '../spec/types.ts'
import { createDeleteReader, type DeleteReader, type FileDeletes, openDeletes } from './deletes.ts'
import type { Expression } from './expression.ts'
import { type DataFileReader, openTableFile, type PlannedFile, type ReadRowGroupOptions, sizesOf } from './open-file.ts'
import type { FileScanTask } from './plan.ts'
import { prefetch } from './prefetch.ts'
import { type OpenTask, type OrderedRows, type RowTest, readInOrder, readRows } from './row-group.ts'

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

export interface ReadInOrderOptions extends ReadTaskOptions {
  /** Rows of the row group as they are stored, deleted ones included; each at most once. */
  readonly order: Uint32Array
  /** Rows of a batch at most. */
  readonly batchRows: number
  /** Only rows that pass. */
  readonly keep?: RowTest | undefined
  /** Default: the garbage collector's. */
  readonly memory?: ReadMemory | undefined
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
  /**
   * The rows of `order` that are left, in that order. Every batch has buffers of its own: it can be transferred.
   * @throws {FirnError} as `read`; `FIRN_INVALID_OPTION` (invalid) for a row that the row group does not have.
   */
  readInOrder(rowGroup: number, options: ReadInOrderOptions): Promise<OrderedRows>
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
  const { rowGroupRows, rowGroups } = sizesOf(parquet)
  let total = 0
  const starts = rowGroupRows.map((rows) => {
    total += rows
    return total - rows
  })
  const file: OpenTask = { parquet, schema, constants: partitionConstants(task, schema), deletes, starts }
  return {
    rowGroupRows,
    rowGroups,
    hasDeletes: deletes !== undefined,
    read: (rowGroup, { columns, where, ...readAbort } = {}) =>
      readRows(file, rowGroup, projectSchema(schema, columns), where, readAbort),
    readInOrder: (rowGroup, { columns, ...ordered }) =>
      readInOrder(file, rowGroup, projectSchema(schema, columns), ordered),
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
