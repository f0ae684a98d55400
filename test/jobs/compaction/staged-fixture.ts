/** Runs that are cut into sorted runs, ranges and tasks however small they are, and what their tables hold. */
import type { CompactResult } from '../../../jobs/compaction/index.ts'
import type { TaskBudget } from '../../../jobs/compaction/memory.ts'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import { type DatasetDefinition, parseDataset } from '../../../jobs/datasets/index.ts'
import type { Executor } from '../../../jobs/executors/executor.ts'
import { openFileTask } from '../../../table/index.ts'
import { TABLE, type Warehouse } from './fixture.ts'

export const stagedDataset = (
  keep: 'latest' | 'first' = 'latest',
  partition: 'day' | 'content' | 'none' = 'none',
): DatasetDefinition =>
  parseDataset(
    {
      name: 'staged',
      fields: [
        { name: 'article_id', type: 'string', required: true },
        { name: 'content', type: 'string' },
        { name: 'rank', type: 'double' },
        { name: 'publish_date', type: 'timestamptz' },
        { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'content' } },
        { name: 'arrived_at', type: 'timestamptz', required: true, from: { kind: 'arrived_at' } },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
      key: 'article_id',
      eventTime: 'publish_date',
      dedup: { scope: 'run', keep },
      partition:
        partition === 'none'
          ? []
          : partition === 'day'
            ? [{ source: 'publish_date', transform: 'day' }]
            : [{ source: 'content', transform: 'identity' }],
      sort: [{ source: 'publish_date', direction: 'desc' }, { source: 'content' }],
    },
    'test',
  )

export const changing = (executor: Executor, change: (task: CompactionTask) => CompactionTask): Executor => ({
  run: (tasks, options) => executor.run(tasks.map(change), options),
})

/** Everything spills, blocks hold a few rows, two runs are merged at once. */
export const TINY: TaskBudget = { residentBytes: 0, runBytes: 0, blockBytes: 300, mergeBytes: 0, tableEntries: 1 }

export const squeezed = (executor: Executor, budget: TaskBudget = TINY): Executor =>
  changing(executor, (task) => ({ ...task, rowGroupRows: 8, targetFileSizeBytes: 6000, budget }))

/** What a run says, but for what is random or depends on where files were cut. */
export const said = ({
  run_id,
  snapshot_id,
  quarantine_objects,
  files_added,
  bytes_added,
  ...rest
}: CompactResult): object => rest

export const text = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : Object.is(each, -0) ? '-0' : each,
  )

/** The number that ends a file's name tells files of a range apart, the ones before it tell ranges and partitions. */
const numbersOf = (path: string): readonly number[] =>
  path
    .slice(path.lastIndexOf('/') + 1)
    .split('-')
    .slice(1)
    .map((part) => Number.parseInt(part, 10))

const inOrder = (a: string, b: string): number => {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  const at = left.findIndex((number, index) => number !== right[index])
  return at < 0 ? 0 : left[at]! - right[at]!
}

/** Rows of each partition, file after file as they were written. */
export async function tableOf({ catalog }: Warehouse): Promise<Record<string, readonly string[]>> {
  const table = await catalog.loadTable(TABLE)
  const tasks = [...(await table.scan().planFiles())].sort((a, b) => inOrder(a.file.filePath, b.file.filePath))
  const rows: Record<string, string[]> = {}
  for (const task of tasks) {
    const reader = await openFileTask(table.store, table.location, task, table.schemaFor())
    const partition = text(task.file.partition)
    const part = rows[partition] ?? []
    rows[partition] = part
    for (const group of reader.rowGroupRows.keys()) {
      for (const row of await reader.read(group)) part.push(text(row.toJSON()))
    }
  }
  return rows
}
