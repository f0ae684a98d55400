/** Inputs that a range split or a spill could trip over, and runs that do not get to their end. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompactOptions, CompactResult } from '../../../jobs/compaction/index.ts'
import { readQuarantine } from '../../../jobs/compaction/refused/read-quarantine.ts'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import { parseDataset } from '../../../jobs/datasets/index.ts'
import { type Executor, inlineExecutor, workerExecutor } from '../../../jobs/executors/executor.ts'
import { processExecutor } from '../../../jobs/executors/processes.ts'
import { openCatalog, openStore, planRewrite } from '../../../table/index.ts'
import { aggregate } from '../../ingest/kpl-encoder.ts'
import {
  articleRecords,
  bytesOf,
  fixedClock,
  loadTable,
  memoryWarehouse,
  NOON,
  rowsOf,
  runCompaction,
  stage,
  type TestRecord,
  type Warehouse,
} from './fixture.ts'
import { changing, said, squeezed, stagedDataset, TINY, tableOf } from './staged-fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-staged-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

function fileWarehouse(name: string): Warehouse {
  const clock = fixedClock(NOON)
  const store = openStore(pathToFileURL(join(folder, name)).href, { clock })
  return { store, catalog: openCatalog(store, { clock }), clock }
}

const records = (count: number, data: (n: number) => TestRecord['data']): TestRecord[] =>
  Array.from({ length: count }, (_, n) => ({ sequence: String(n + 1), arrivalMillis: NOON + n, data: data(n) }))

/** The same records compacted in memory and by four tasks that spill everything. */
async function both(
  input: readonly TestRecord[],
  more: Partial<CompactOptions> = {},
  change: (task: CompactionTask) => CompactionTask = (task) => task,
): Promise<{ plain: CompactResult; result: CompactResult; actual: Warehouse }> {
  const [expected, actual] = [memoryWarehouse(), memoryWarehouse()]
  for (const warehouse of [expected, actual]) await stage(warehouse, { a: { records: input } }, { recordsPerChunk: 7 })
  const plain = await runCompaction(expected, { dataset: stagedDataset(), ...more })
  const executor = changing(squeezed(inlineExecutor(actual.store)), change)
  const result = await runCompaction(actual, { dataset: stagedDataset(), executor, tasks: 4, ...more })
  expect(said(result)).toEqual(said(plain))
  expect(await tableOf(actual)).toEqual(await tableOf(expected))
  return { plain, result, actual }
}

const spillOf = async ({ store }: Warehouse): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of store.list('_spill/')) keys.push(key)
  return keys
}

const body = (n: number): object => ({ article_id: `a${n}`, content: `text ${n % 9}`, publish_date: '2026-11-20' })

describe('a run of four tasks', () => {
  it('leaves one of many versions of one key', async () => {
    const { result } = await both(records(200, (n) => ({ ...body(n), article_id: n % 10 === 0 ? `a${n}` : 'hot' })))
    expect(result).toMatchObject({ rows_added: 21, duplicates: 179 })
  })

  it('splits rows that all sort alike over ranges', async () => {
    const { result, actual } = await both(records(200, (n) => ({ article_id: `a${n}`, content: 'same' })))
    expect(result.rows_added).toBe(200)
    const paths = (await (await loadTable(actual)).scan().planFiles()).map(({ file }) => file.filePath)
    const ranges = new Set(paths.map((path) => path.split('/').at(-1)!.split('-')[2]))
    expect(ranges.size).toBe(4)
  })

  it.each([
    ['one boundary for all', (): readonly string[] => Array.from({ length: 9 }, () => 'AAAA')],
    ['boundaries beyond every row', (): readonly string[] => ['/////w==', '/////wAA']],
    ['no sample', (): readonly string[] => []],
  ])('is right with a bad sample: %s', async (_what, sample) => {
    const [expected, actual] = [memoryWarehouse(), memoryWarehouse()]
    const input = { a: { records: records(60, body) } }
    for (const warehouse of [expected, actual]) await stage(warehouse, input, { recordsPerChunk: 7 })
    const plain = await runCompaction(expected, { dataset: stagedDataset() })
    const inline = squeezed(inlineExecutor(actual.store))
    const executor: Executor = {
      run: async (tasks, options) =>
        (await inline.run(tasks, options)).map((each) => ('sample' in each ? { ...each, sample: sample() } : each)),
    }
    const result = await runCompaction(actual, { dataset: stagedDataset(), executor, tasks: 4 })
    expect(said(result)).toEqual(said(plain))
    expect(await tableOf(actual)).toEqual(await tableOf(expected))
  })

  it('reads records of 3 MB among small ones', async () => {
    const giant = 'giant '.repeat(500_000)
    const { result } = await both(records(40, (n) => ({ ...body(n), content: n % 13 === 5 ? `${n}${giant}` : `${n}` })))
    expect(result.rows_added).toBe(40)
  })

  it('makes files that do not overlap', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 1500) } }, { recordsPerChunk: 100 })
    const executor = squeezed(inlineExecutor(warehouse.store), { ...TINY, runBytes: 100_000, mergeBytes: 10_000 })
    const result = await runCompaction(warehouse, { executor, tasks: 3 })
    expect(result.files_added).toBeGreaterThan(3)
    expect((await planRewrite(await loadTable(warehouse), {})).overlapDepth).toBe(1)
  })

  it('opens aggregates, and tells their records apart', async () => {
    const user = (n: number): { partitionKey: string; data: Buffer } => ({
      partitionKey: `k${n}`,
      data: Buffer.from(n % 5 === 4 ? 'bad' : JSON.stringify({ article_id: `a${n % 7}`, content: `v${n}` })),
    })
    const packed = records(12, (n) => aggregate([user(3 * n), user(3 * n + 1), user(3 * n + 2)])).map((record) => ({
      ...record,
      arrivalMillis: NOON,
    }))
    const { result, actual } = await both(packed, { maxBadRatio: 1 })
    expect(result).toMatchObject({ kinesis_records: 12, records_read: 36, rows_added: 7, duplicates: 22 })
    expect(result.quarantined).toEqual({ 'decode.json': 7 })
    const refused: string[] = []
    for (const path of result.quarantine_objects) {
      for await (const { sequenceNumber, subSequenceNumber, partitionKey } of readQuarantine(actual.store, path)) {
        refused.push(`${sequenceNumber} ${subSequenceNumber} ${partitionKey}`)
      }
    }
    const bad = [4, 9, 14, 19, 24, 29, 34].map((n) => `${Math.floor(n / 3) + 1} ${n % 3} k${n}`)
    expect(refused).toEqual(bad)
  })

  it('fails above the ratio of bad records before anything is written, and leaves no spilled object', async () => {
    const warehouse = memoryWarehouse()
    await stage(
      warehouse,
      { a: { records: records(40, (n) => (n % 4 === 0 ? 'bad' : body(n))) } },
      { recordsPerChunk: 7 },
    )
    const executor = squeezed(inlineExecutor(warehouse.store))
    const error: unknown = await runCompaction(warehouse, { executor, tasks: 3, maxBadRatio: 0.1 }).catch(
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ code: 'FIRN_TOO_MANY_BAD_RECORDS', detail: { bad: 10, records: 40 } })
    expect(await spillOf(warehouse)).toEqual([])
    for await (const { key } of warehouse.store.list('news/articles/data/')) expect(key).toBeUndefined()
  })

  it('notices a task that loses a row', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: records(40, body) } }, { recordsPerChunk: 7 })
    const inline = squeezed(inlineExecutor(warehouse.store))
    const losing: Executor = {
      run: (tasks, options) =>
        inline.run(
          tasks
            .map((task) => (task.stage?.kind === 'dedup' ? { ...task, stage: { ...task.stage, keys: [] } } : task))
            .map((task) =>
              task.stage?.kind === 'write'
                ? { ...task, stage: { ...task.stage, runs: task.stage.runs.slice(1) } }
                : task,
            ),
          options,
        ),
    }
    const error: unknown = await runCompaction(warehouse, { executor: losing, tasks: 2 }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'FIRN_ACCOUNTING_FAILED' })
    expect(await spillOf(warehouse)).toEqual([])
  })
})

describe('every executor', () => {
  const make: Readonly<Record<string, (store: Warehouse['store']) => Executor>> = {
    threads: (store) => workerExecutor({ warehouse: store.url, maxWorkers: 2 }),
    processes: (store) => processExecutor({ warehouse: store.url, maxProcesses: 2 }),
  }
  it.each(Object.keys(make))('%s: makes the same table', async (name) => {
    const [expected, actual] = [memoryWarehouse(), fileWarehouse(name)]
    const input = {
      a: { records: records(90, (n) => (n % 17 === 3 ? 'bad' : { ...body(n), article_id: `a${n % 50}` })) },
    }
    for (const warehouse of [expected, actual]) await stage(warehouse, input, { recordsPerChunk: 10 })
    const plain = await runCompaction(expected, { dataset: stagedDataset(), maxBadRatio: 1 })
    const executor = squeezed(make[name]!(actual.store))
    const result = await runCompaction(actual, { dataset: stagedDataset(), maxBadRatio: 1, executor, tasks: 2 })
    expect(said(result)).toEqual(said(plain))
    expect(await tableOf(actual)).toEqual(await tableOf(expected))
    expect(await spillOf(actual)).toEqual([])
  })
})

describe('a run that is stopped', () => {
  it.each([1, 3])('removes what %i tasks spilled', async (tasks) => {
    const warehouse = memoryWarehouse()
    const spillFolder = join(folder, `stopped-${tasks}`)
    await stage(warehouse, { a: { records: records(80, body) } }, { recordsPerChunk: 7 })
    const stop = new AbortController()
    const reason = new Error('enough')
    let put = 0
    const inline = squeezed(inlineExecutor(warehouse.store))
    const executor: Executor = {
      run: (all, options) =>
        inline.run(all, {
          ...options,
          onProgress: ({ stage: name, records: read, rows }) => {
            put = Math.max(put, read)
            if (name === 'read' && rows > 20) stop.abort(reason)
          },
        }),
    }
    const run = runCompaction(warehouse, {
      executor,
      tasks,
      signal: stop.signal,
      ...(tasks === 1 ? { spillFolder } : {}),
    })
    await expect(run).rejects.toBe(reason)
    expect(put).toBeGreaterThan(20)
    expect(await readdir(spillFolder).catch(() => [])).toEqual([])
    expect(await spillOf(warehouse)).toEqual([])
  })
})

describe('names of spilled objects', () => {
  it('are those of the run and its plan alone', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: records(40, body) } }, { recordsPerChunk: 7 })
    const places: string[] = []
    const inline = squeezed(inlineExecutor(warehouse.store))
    const executor: Executor = {
      run: (tasks, options) => {
        for (const { exchange, runId } of tasks) {
          const place = exchange.kind === 'folder' ? exchange.path : exchange.prefix
          expect(place).toContain(runId)
          places.push(place)
        }
        return inline.run(tasks, options)
      },
    }
    const first = await runCompaction(warehouse, { executor, tasks: 2 })
    await stage(warehouse, { a: { records: records(50, body) } }, { recordsPerChunk: 7 })
    const second = await runCompaction(warehouse, { executor, tasks: 2 })
    expect(new Set(places)).toEqual(new Set([first, second].map(({ run_id }) => `_spill/${run_id}/1/`)))
  })
})

describe('rows too large for a row group', () => {
  it('make smaller groups, in order', async () => {
    const dataset = parseDataset({ ...stagedDataset(), maxRecordBytes: 64 * 1024 * 1024 }, 'test')
    const warehouse = memoryWarehouse()
    const wide = 'w'.repeat(24 * 1024 * 1024)
    await stage(warehouse, {
      a: { records: records(5, (n) => bytesOf({ article_id: `a${n}`, content: `${n}${n === 0 ? '' : wide}` })) },
    })
    const result = await runCompaction(warehouse, { dataset, memoryLimitBytes: 2 ** 30 })
    expect(result.rows_added).toBe(5)
    const rows = await rowsOf(await loadTable(warehouse))
    expect(rows.map(({ content }) => String(content).slice(0, 1))).toEqual(['0', '1', '2', '3', '4'])
  })
})
