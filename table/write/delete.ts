/** Deleting rows by a filter, copy-on-write: no delete files are made. */
import type { TableState } from '../catalog/catalog.ts'
import { type Validation, validateChange } from '../commit/conflicts.ts'
import { FirnError } from '../errors.ts'
import type { ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { pathTo } from '../scan/columns.ts'
import { columnsOf, type Expression } from '../scan/expression.ts'
import { type FileScanTask, planFiles } from '../scan/plan.ts'
import { fileMustMatch } from '../scan/prune.ts'
import { currentSchema, specById, type TableMetadata } from '../spec/metadata.ts'
import type { Schema } from '../spec/schema.ts'
import type { PlannedChange, WriteContext } from './context.ts'
import { rowsWhere, takeOut } from './copy-on-write.ts'
import { type ProduceOptions, produceSnapshot, snapshotRequirements } from './produce.ts'
import { headOf } from './snapshot-options.ts'

/**
 * Take the rows for which `filter` is true out, and put `added` in.
 * @returns an empty change when nothing is to be done and no property is to be set: none must have come at its commit.
 */
export async function planDelete(
  context: Pick<WriteContext, 'store' | 'clock' | 'operations'>,
  { metadata }: TableState,
  filter: Expression,
  added: readonly DataFile[],
  options: ProduceOptions,
): Promise<PlannedChange> {
  const schema = currentSchema(metadata)
  assertColumns(filter, schema)
  const head = headOf(metadata, options.branch)
  const abort = { signal: options.signal }
  const tasks = await planFiles(context.store, metadata, head, filter, {
    schema,
    tableName: context.operations.table,
    clock: context.clock,
    ...abort,
  })
  const whole: FileScanTask[] = []
  const partial: FileScanTask[] = []
  for (const task of tasks) {
    const matches = fileMustMatch(filter, task.file, specById(metadata, task.file.specId), schema)
    ;(matches ? whole : partial).push(task)
  }
  const rewrite = await takeOut(context, metadata, partial, rowsWhere(filter, schema), abort)
  const removed = [...whole.map((task) => task.file), ...rewrite.removed]
  const files = [...added, ...rewrite.added]
  const operation = added.length === 0 && rewrite.added.length === 0 ? 'delete' : 'overwrite'
  const validation = {
    startSnapshotId: head?.snapshotId ?? ('empty' as const),
    filter,
    deletes: true,
    ignoreEqualityDeletes: false,
  }
  if (removed.length === 0 && files.length === 0 && options.setProperties === undefined) {
    return emptyChange(context.store, metadata, validation, options)
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
    if (pathTo(schema.fields, id) !== undefined) continue
    const message = `the filter names column ${id}, which schema ${schema.schemaId} does not have`
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', message, {
      help: `Its columns are: ${schema.fields.map(({ name }) => name).join(', ')}`,
    })
  }
}

/** What a change that has nothing to do still says: that nothing came meanwhile for which it would have. */
function emptyChange(
  store: ObjectStore,
  metadata: TableMetadata,
  validation: Validation,
  options: ProduceOptions,
): PlannedChange {
  return {
    isEmpty: true,
    isOwn: () => true,
    requirements: (base) => snapshotRequirements(base, metadata, options),
    prepare: async (base, _attempt, _timestampMillis, committed = base) => {
      const head = headOf(committed, options.branch)
      const nothing = { removed: [], added: [] }
      await validateChange(store, committed, head, validation, nothing, { signal: options.signal })
      return []
    },
  }
}
