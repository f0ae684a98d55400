/** However a run is cut into runs, ranges and tasks: the table is the one that a run in memory makes. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompactOptions, CompactResult } from '../../../jobs/compaction/index.ts'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import { parseDataset } from '../../../jobs/datasets/index.ts'
import { type Executor, inlineExecutor } from '../../../jobs/executor.ts'
import { openFileTask } from '../../../table/index.ts'
import { memoryWarehouse, NOON, runCompaction, stage, TABLE, type TestRecord, type Warehouse } from './fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-staged-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

const dataset = (keep: 'latest' | 'first', partition: 'day' | 'content' | 'none') =>
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

interface Shape {
  readonly keep: 'latest' | 'first'
  readonly partition: 'day' | 'content' | 'none'
  readonly shards: readonly (readonly TestRecord['data'][])[]
  readonly recordsPerChunk: number
  readonly tasks: number
  readonly runBytes: number
  readonly mergeBytes: number
  readonly tableEntries: number
  readonly inWarehouse: boolean
}

const article = fc.record({
  article_id: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom('hot', 'warm') },
    { weight: 3, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }) },
  ),
  content: fc.option(fc.constantFrom('a', 'a b', 'ÿ', '\u{1f600}', '\uffff', ''), { nil: null }),
  rank: fc.option(fc.constantFrom(0, -0, 1.5), { nil: null }),
  publish_date: fc.option(
    fc.constantFrom('2026-11-21T10:00:00Z', '2026-11-20T10:00:00Z', '1969-12-31T23:59:59.999999Z'),
    {
      nil: null,
    },
  ),
})

const shape: fc.Arbitrary<Shape> = fc.record({
  keep: fc.constantFrom('latest', 'first'),
  partition: fc.constantFrom('day', 'content', 'none'),
  shards: fc.array(
    fc.array(fc.oneof({ weight: 12, arbitrary: article }, { weight: 1, arbitrary: fc.constant('no record') }), {
      minLength: 1,
      maxLength: 40,
    }),
    { minLength: 1, maxLength: 3 },
  ),
  recordsPerChunk: fc.integer({ min: 1, max: 12 }),
  tasks: fc.integer({ min: 1, max: 4 }),
  runBytes: fc.constantFrom(0, 20_000, 1e9),
  mergeBytes: fc.constantFrom(0, 1e6),
  tableEntries: fc.constantFrom(1, 1000),
  inWarehouse: fc.boolean(),
})

async function staged({ shards, recordsPerChunk }: Shape): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  const records = Object.fromEntries(
    shards.map((data, shard) => [
      `shard-${shard}`,
      {
        records: data.map((each, index) => ({
          sequence: String(index + 1),
          arrivalMillis: NOON + ((index * 7) % 5) * 1000,
          data: each,
        })),
      },
    ]),
  )
  await stage(warehouse, records, { recordsPerChunk })
  return warehouse
}

const changing = (executor: Executor, change: (task: CompactionTask) => CompactionTask): Executor => ({
  run: (tasks, options) => executor.run(tasks.map(change), options),
})

const squeezed = (store: Warehouse['store'], { runBytes, mergeBytes, tableEntries }: Shape): Executor =>
  changing(inlineExecutor(store), (task) => ({
    ...task,
    rowGroupRows: 8,
    targetFileSizeBytes: 6000,
    budget: { residentBytes: runBytes, runBytes, blockBytes: 300, mergeBytes, tableEntries },
  }))

const options = (shape: Shape, more: Partial<CompactOptions>): Partial<CompactOptions> => ({
  dataset: dataset(shape.keep, shape.partition),
  maxBadRatio: 1,
  ...more,
})

/** What a run says, but for what is random or depends on where files were cut. */
const said = ({ run_id, snapshot_id, quarantine_objects, files_added, bytes_added, ...rest }: CompactResult): object =>
  rest

const text = (value: unknown): string =>
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
async function tableOf({ catalog }: Warehouse): Promise<Record<string, readonly string[]>> {
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

describe('a run of several tasks, ranges and sorted runs', () => {
  it('makes the table that a run in memory makes', async () => {
    await fc.assert(
      fc.asyncProperty(shape, async (shape) => {
        const [expected, actual] = [await staged(shape), await staged(shape)]
        const plain = await runCompaction(expected, options(shape, {}))
        const result = await runCompaction(
          actual,
          options(shape, {
            executor: squeezed(actual.store, shape),
            tasks: shape.tasks,
            ...(shape.inWarehouse ? {} : { spillFolder: folder }),
          }),
        )
        expect(said(result)).toEqual(said(plain))
        expect(await tableOf(actual)).toEqual(await tableOf(expected))
        expect(await readdir(folder)).toEqual([])
        for await (const { key } of actual.store.list('_spill/')) expect(key).toBeUndefined()
      }),
      { numRuns: 60 },
    )
  })
})
