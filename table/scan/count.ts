/** Counting rows, from metadata where that proves the count. */
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { Schema } from '../spec/schema.ts'
import { type DeleteReader, openDeletes } from './deletes.ts'
import type { Expression } from './expression.ts'
import type { FileScanTask } from './plan.ts'
import { prefetch } from './prefetch.ts'
import { fileMustMatch } from './prune.ts'
import { openFileTask } from './read.ts'

/** Files counted at once. */
const DEPTH = 4

/**
 * Rows of `tasks` for which `filter` is true. A file that no delete touches and that matches as a whole is counted
 * by its manifest entry, one with position deletes alone by those; of the others the columns that matter are read.
 * @throws {FirnError} as reading the tasks.
 */
export async function countRows(
  store: ObjectStore,
  location: string,
  tasks: readonly FileScanTask[],
  schema: Schema,
  filter: Expression | undefined,
  options: AbortableOptions = {},
): Promise<number> {
  const scope = openDeletes(store, location, options)
  const { deletes } = scope
  const count = async (task: FileScanTask, abort: AbortSignal): Promise<number> => {
    const { file, spec } = task
    const whole = filter === undefined || (spec !== undefined && fileMustMatch(filter, file, spec, schema))
    const known = whole ? await countByMetadata(task, deletes) : undefined
    if (known !== undefined) return known
    const reader = await openFileTask(store, location, task, schema, { signal: abort, deletes })
    let rows = 0
    for (let group = 0; group < reader.rowGroupRows.length; group++) {
      rows += (await reader.read(group, { columns: [], where: whole ? undefined : filter, signal: abort })).numRows
    }
    return rows
  }
  let total = 0
  try {
    for await (const rows of prefetch(tasks, count, { depth: DEPTH, signal: options.signal })) total += rows
  } finally {
    scope.close()
  }
  return total
}

/** Rows of a whole file, when no column has to be read for it. */
async function countByMetadata(task: FileScanTask, reader: DeleteReader): Promise<number | undefined> {
  const { file, deletes } = task
  if (deletes.length === 0) return file.recordCount
  if (deletes.some((each) => each.file.content !== 'position-deletes')) return undefined
  const { positions } = await reader.load(file, deletes)
  return file.recordCount - (positions?.size ?? 0)
}
