/** From planned files to Arrow batches: one per row group, filtered and projected. */

import type { Data } from 'apache-arrow'
import { makeData, RecordBatch, Struct } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { arrowSchema } from '../format/arrow-schema.ts'
import { columnFromDecoded, valueAt } from '../format/arrow-values.ts'
import { openParquet } from '../format/parquet-reader.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { keyOfPath } from '../spec/location.ts'
import { projectSchema, type Schema } from '../spec/schema.ts'
import { isPrimitive, type PrimitiveType } from '../spec/types.ts'
import { columnsOf, type Expression, evaluate } from './expression.ts'
import type { FileScanTask } from './plan.ts'
import { prefetch } from './prefetch.ts'

/** Row groups read ahead of the consumer. */
export const DEFAULT_READ_DEPTH = 4

/** Random access to the row groups of one data file. */
export interface DataFileReader {
  readonly rowGroupRows: readonly number[]
  /**
   * Row group `rowGroup` with `columns` (default: all), found by field id, in schema order.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_STORE_UNAVAILABLE` (unavailable).
   */
  read(rowGroup: number, options?: ReadRowGroupOptions): Promise<RecordBatch>
}

export interface ReadRowGroupOptions extends AbortableOptions {
  readonly columns?: readonly string[]
}

/**
 * @param store rooted at the table's folder. @param location the metadata's `location`.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT`; `FIRN_ROW_COUNT_MISMATCH` (corrupt) when footer and manifest disagree.
 */
export async function openDataFile(
  store: ObjectStore,
  location: string,
  file: Pick<DataFile, 'filePath' | 'fileFormat' | 'fileSizeBytes' | 'recordCount'>,
  schema: Schema,
  options: AbortableOptions = {},
): Promise<DataFileReader> {
  if (file.fileFormat !== 'PARQUET') {
    throw new FirnError(
      'invalid',
      'FIRN_FILE_FORMAT_UNSUPPORTED',
      `${file.filePath} is ${file.fileFormat}, not PARQUET`,
    )
  }
  const parquet = await openParquet(store, keyOfPath(location, file.filePath), file.fileSizeBytes, options)
  if (parquet.rowCount !== file.recordCount) {
    const message = `${file.filePath}: the manifest says ${file.recordCount} rows, the file has ${parquet.rowCount}`
    throw new FirnError('corrupt', 'FIRN_ROW_COUNT_MISMATCH', message, {
      detail: { path: file.filePath, manifestRows: file.recordCount, footerRows: parquet.rowCount },
      help: 'Run: firn verify <table>',
    })
  }
  return {
    rowGroupRows: parquet.rowGroups.map((group) => group.rows),
    read: (rowGroup, { columns, ...abort } = {}) => parquet.read(rowGroup, projectSchema(schema, columns), abort),
  }
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
  const needed = filter === undefined ? new Set<number>() : columnsOf(filter)
  for (const field of projected.fields) (needed as Set<number>).add(field.id)
  const readSchema: Schema = { ...schema, fields: schema.fields.filter((field) => needed.has(field.id)) }
  const depth = options.depth ?? DEFAULT_READ_DEPTH
  let left = limit ?? Number.POSITIVE_INFINITY
  if (left <= 0) return
  const groups = rowGroupsOf(store, location, tasks, readSchema, options)
  const read = (group: RowGroup, signal: AbortSignal): Promise<RecordBatch> => group.file.read(group.index, { signal })
  for await (const batch of prefetch(groups, read, { depth, signal: options.signal })) {
    const rows = filter === undefined ? batch : selectRows(batch, readSchema, filter)
    const wanted = project(rows, readSchema, projected)
    const part = wanted.numRows > left ? wanted.slice(0, left) : wanted
    if (part.numRows > 0) yield part
    left -= part.numRows
    if (left <= 0) return
  }
}

interface RowGroup {
  readonly file: DataFileReader
  readonly index: number
}

async function* rowGroupsOf(
  store: ObjectStore,
  location: string,
  tasks: readonly FileScanTask[],
  schema: Schema,
  options: AbortableOptions,
): AsyncGenerator<RowGroup, void, undefined> {
  const open = (task: FileScanTask, signal: AbortSignal): Promise<DataFileReader> =>
    openDataFile(store, location, task.file, schema, { signal })
  for await (const file of prefetch(tasks, open, { depth: 2, signal: options.signal })) {
    for (let index = 0; index < file.rowGroupRows.length; index++) yield { file, index }
  }
}

/** The rows for which `filter` is true. */
export function selectRows(batch: RecordBatch, schema: Schema, filter: Expression): RecordBatch {
  const columns = new Map(schema.fields.map((field, index) => [field.id, batch.data.children[index] as Data]))
  const rows: number[] = []
  for (let row = 0; row < batch.numRows; row++) {
    const truth = evaluate(filter, (column) => valueAt(column.type, columns.get(column.fieldId)!, row))
    if (truth === true) rows.push(row)
  }
  if (rows.length === batch.numRows) return batch
  const children = schema.fields.map((field, index) => takeColumn(batch.data.children[index] as Data, field, rows))
  const arrow = arrowSchema(schema)
  const data = makeData({ type: new Struct(arrow.fields), length: rows.length, nullCount: 0, children })
  return new RecordBatch(arrow, data)
}

function takeColumn(data: Data, field: Schema['fields'][number], rows: readonly number[]): Data {
  if (!isPrimitive(field.type)) {
    throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `column ${field.name}: nested types are not read yet`)
  }
  const type: PrimitiveType = field.type
  const values = rows.map((row) => {
    const value = valueAt(type, data, row)
    return typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  })
  return columnFromDecoded(type, [values], rows.length, field.name)
}

function project(batch: RecordBatch, schema: Schema, projected: Schema): RecordBatch {
  if (schema.fields.length === projected.fields.length) return batch
  const children = projected.fields.map((field) => {
    const index = schema.fields.findIndex((candidate) => candidate.id === field.id)
    return batch.data.children[index] as Data
  })
  const arrow = arrowSchema(projected)
  const data = makeData({ type: new Struct(arrow.fields), length: batch.numRows, nullCount: 0, children })
  return new RecordBatch(arrow, data)
}
