/** However a run is cut into runs, ranges and tasks: the table is the one that a run in memory makes. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompactOptions } from '../../../jobs/compaction/index.ts'
import type { TaskBudget } from '../../../jobs/compaction/memory.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { memoryWarehouse, NOON, runCompaction, stage, type TestRecord, type Warehouse } from './fixture.ts'
import { said, squeezed, stagedDataset, tableOf } from './staged-fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-staged-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

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

const budgetOf = ({ runBytes, mergeBytes, tableEntries }: Shape): TaskBudget => ({
  residentBytes: runBytes,
  runBytes,
  blockBytes: 300,
  mergeBytes,
  tableEntries,
})

const options = (shape: Shape, more: Partial<CompactOptions>): Partial<CompactOptions> => ({
  dataset: stagedDataset(shape.keep, shape.partition),
  maxBadRatio: 1,
  ...more,
})

describe('a run of several tasks, ranges and sorted runs', () => {
  it('makes the table that a run in memory makes', async () => {
    await fc.assert(
      fc.asyncProperty(shape, async (shape) => {
        const [expected, actual] = [await staged(shape), await staged(shape)]
        const plain = await runCompaction(expected, options(shape, {}))
        const result = await runCompaction(
          actual,
          options(shape, {
            executor: squeezed(inlineExecutor(actual.store), budgetOf(shape)),
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
