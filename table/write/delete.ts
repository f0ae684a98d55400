/** Deleting rows by a filter, copy-on-write: no delete files are made. */
import type { TableState } from '../catalog/catalog.ts'
import { FirnError } from '../errors.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { columnsOf, type Expression } from '../scan/expression.ts'
import { type FileScanTask, planFiles } from '../scan/plan.ts'
import { fileMustMatch } from '../scan/prune.ts'
import { currentSchema, specById } from '../spec/metadata.ts'
import type { Schema } from '../spec/schema.ts'
import type { PlannedChange, WriteContext } from './context.ts'
import { rowsWhere, takeOut } from './copy-on-write.ts'
import { type ProduceOptions, produceSnapshot } from './produce.ts'
import { headOf } from './snapshot-options.ts'

/**
 * Take the rows for which `filter` is true out, and put `added` in.
 * @returns `undefined` when nothing is to be done and no property is to be set.
 */
export async function planDelete(
  context: Pick<WriteContext, 'store' | 'clock'>,
  { metadata }: TableState,
  filter: Expression,
  added: readonly DataFile[],
  options: ProduceOptions,
): Promise<PlannedChange | undefined> {
  const schema = currentSchema(metadata)
  assertColumns(filter, schema)
  const head = headOf(metadata, options.branch)
  const abort = { signal: options.signal }
  const tasks = await planFiles(context.store, metadata, head, filter, { schema, ...abort })
  const whole: FileScanTask[] = []
  const partial: FileScanTask[] = []
  for (const task of tasks) {
    const matches = fileMustMatch(filter, task.file, specById(metadata, task.file.specId), schema)
    ;(matches ? whole : partial).push(task)
  }
  const rewrite = await takeOut(context, metadata, partial, rowsWhere(filter, schema), abort)
  const removed = [...whole.map((task) => task.file), ...rewrite.removed]
  const files = [...added, ...rewrite.added]
  if (removed.length === 0 && files.length === 0 && options.setProperties === undefined) return undefined
  const operation = added.length === 0 && rewrite.added.length === 0 ? 'delete' : 'overwrite'
  const validation = {
    startSnapshotId: head?.snapshotId ?? ('empty' as const),
    filter,
    deletes: true,
    ignoreEqualityDeletes: false,
  }
  return produceSnapshot(
    context.store,
    metadata,
    { operation, added: files, removed, written: rewrite.written, validation },
    context.clock,
    options,
  )
}

/** @throws {FirnError} `FIRN_COLUMN_NOT_FOUND` (invalid). */
export function assertColumns(filter: Expression, schema: Schema): void {
  for (const id of columnsOf(filter)) {
    if (schema.fields.some((field) => field.id === id)) continue
    const message = `the filter names column ${id}, which schema ${schema.schemaId} does not have`
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', message)
  }
}
