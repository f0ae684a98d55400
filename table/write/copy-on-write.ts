/**
 * Taking rows out of data files, file by file: a file that loses all its rows goes, one that loses some is written anew
 * without them, any other is left alone. Deletes that apply to a file that is written anew are applied with it.
 */
import type { RecordBatch } from 'apache-arrow'
import { newUuid } from '../clock.ts'
import { takeRows } from '../format/arrow-take.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { pathTo } from '../scan/columns.ts'
import { openDeletes } from '../scan/deletes.ts'
import { columnsOf, type Expression, evaluate } from '../scan/expression.ts'
import type { FileScanTask } from '../scan/plan.ts'
import { openFileTask, type TaskReader } from '../scan/read.ts'
import { currentSchema, defaultSortOrder, schemaForSpec, specById, type TableMetadata } from '../spec/metadata.ts'
import { projectSchema, type Schema } from '../spec/schema.ts'
import { columnReader } from './column-reader.ts'
import type { WriteContext } from './context.ts'
import { createDataFileWriter, targetFileSizeBytes, type WrittenFile } from './writer.ts'

/** Rows of a group that is written; foreign files may have groups that memory does not hold twice. */
const MAX_ROW_GROUP_ROWS = 131_072

/** The rows to take out. */
export interface RowSelection {
  /** Top-level columns that `of` looks at. */
  readonly columns: readonly string[]
  /**
   * A test of the rows of one batch by number. Called twice for each batch.
   * @param schema of the batch; has `columns` at least. @param firstRow number of its first row among those that the
   * deletes of its file leave.
   */
  of(schema: Schema, batch: RecordBatch, firstRow: number): (row: number) => boolean
}

export interface FileRewrite {
  readonly removed: readonly DataFile[]
  readonly added: readonly DataFile[]
  /** The added ones with their digests. */
  readonly written: readonly WrittenFile[]
}

/**
 * @param tasks planned with the table's current schema.
 * @throws {FirnError} as reading and writing data files.
 */
export const takeOut = (
  { store, clock }: Pick<WriteContext, 'store' | 'clock'>,
  metadata: TableMetadata,
  tasks: readonly FileScanTask[],
  selection: RowSelection,
  options: AbortableOptions = {},
): Promise<FileRewrite> =>
  // Data files are named by this plan: another plan of the same run writes others.
  takeOutRows(store, metadata, tasks, selection, { ...options, fileNamePrefix: newUuid(clock) })

export interface TakeOutOptions extends AbortableOptions {
  /** Of the written files; unique to the call. */
  readonly fileNamePrefix: string
}

/**
 * The same under names that the caller chooses. Commits nothing.
 * @param store rooted at the table's folder.
 */
export async function takeOutRows(
  store: ObjectStore,
  metadata: TableMetadata,
  tasks: readonly FileScanTask[],
  selection: RowSelection,
  { fileNamePrefix: prefix, ...options }: TakeOutOptions,
): Promise<FileRewrite> {
  const { location } = metadata
  const schema = currentSchema(metadata)
  const removed: DataFile[] = []
  const written: WrittenFile[] = []
  const scope = openDeletes(store, location, options)
  const { deletes, signal } = scope
  try {
    for (const [index, task] of tasks.entries()) {
      const reader = await openFileTask(store, location, task, schema, { signal, deletes })
      const { live, selected } = await countSelected(reader, schema, selection, signal)
      if (selected === 0) continue
      removed.push(task.file)
      if (selected === live) continue
      const spec = specById(metadata, task.file.specId)
      const writer = createDataFileWriter({
        store,
        location,
        schema,
        spec,
        partitionSchema: schemaForSpec(metadata, spec, schema),
        partition: task.file.partition,
        sortOrderId: task.file.sortOrderId ?? 0,
        fileNamePrefix: `${prefix}-${index}`,
        targetFileSizeBytes: targetFileSizeBytes(metadata),
        rowGroupRows: Math.min(Math.max(...reader.rowGroupRows, 1), MAX_ROW_GROUP_ROWS),
        properties: metadata.properties,
        sortOrder: defaultSortOrder(metadata),
      })
      let firstRow = 0
      for (let group = 0; group < reader.rowGroupRows.length; group++) {
        const batch = await reader.read(group, { signal })
        const kept = keep(batch, schema, selection.of(schema, batch, firstRow))
        firstRow += batch.numRows
        if (kept.numRows > 0) await writer.write(kept, { signal })
      }
      written.push(...(await writer.close({ signal })))
    }
  } finally {
    scope.close()
  }
  return { removed, added: written.map(({ dataFile }) => dataFile), written }
}

async function countSelected(
  reader: TaskReader,
  schema: Schema,
  selection: RowSelection,
  signal: AbortSignal,
): Promise<{ readonly live: number; readonly selected: number }> {
  const projected = projectSchema(schema, selection.columns)
  let live = 0
  let selected = 0
  for (let group = 0; group < reader.rowGroupRows.length; group++) {
    const batch = await reader.read(group, { columns: selection.columns, signal })
    const test = selection.of(projected, batch, live)
    live += batch.numRows
    for (let row = 0; row < batch.numRows; row++) if (test(row)) selected++
  }
  return { live, selected }
}

function keep(batch: RecordBatch, schema: Schema, test: (row: number) => boolean): RecordBatch {
  const rows = new Int32Array(batch.numRows)
  let count = 0
  for (let row = 0; row < batch.numRows; row++) if (!test(row)) rows[count++] = row
  return count === batch.numRows ? batch : takeRows(batch, schema, rows.subarray(0, count))
}

/** Rows for which `filter` is true: not those for which it is unknown. */
export function rowsWhere(filter: Expression, schema: Schema): RowSelection {
  const ids = columnsOf(filter)
  const columns = [...new Set([...ids].flatMap((id) => pathTo(schema.fields, id)?.[0]?.name ?? []))]
  return {
    // A filter that names no column still needs the number of rows.
    columns: columns.length > 0 ? columns : [schema.fields[0]!.name],
    of: (batchSchema, batch) => {
      const read = columnReader(batchSchema, batch)
      return (row) => evaluate(filter, (column) => read(column, row)) === true
    },
  }
}
