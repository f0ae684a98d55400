/** Rollback beside runs that compact at the same time, and what staging must still hold. */
import { expect, test } from 'vitest'
import { manifestKey } from '../../../jobs/compaction/manifest.ts'
import { positionsOf } from '../../../jobs/compaction/positions.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { positionsAt } from '../../../jobs/maintenance/positions-at.ts'
import { planRollback, runRollback } from '../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { newRunId } from '../../../table/clock.ts'
import { planExpire, runExpire, type SnapshotId, snapshotId, type Table } from '../../../table/index.ts'
import {
  articleRecords,
  loadTable,
  memoryWarehouse,
  rowsOf,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'
import { runReplay, setLargestRecord, sized } from '../compaction/replay-support.ts'

/** Three runs of 30 records of one shard; the third is staged, not compacted. */
async function twoOfThree(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  for (const end of [30, 60, 90]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } })
    if (end < 90) await runCompaction(warehouse)
  }
  return warehouse
}

async function goBack(warehouse: Warehouse, reprocess: boolean, to = 0): Promise<Table> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const options = { store, table, tableName: TABLE }
  const plan = await planRollback(options, table.metadata.snapshots[to]!, { reprocess })
  return (await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)).table
}

const idsOf = async (warehouse: Warehouse): Promise<unknown[]> =>
  (await rowsOf(await loadTable(warehouse))).map((row) => row['article_id']).sort()
const articles = (...ranges: readonly (readonly [number, number])[]): string[] =>
  ranges.flatMap(([from, to]) =>
    Array.from({ length: to - from }, (_, index) => `article-${String(from + index).padStart(6, '0')}`),
  )
const problems = async (warehouse: Warehouse) =>
  (await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })).problems

/** A run that reads its input, and commits only after `meanwhile`. */
async function compactAround(warehouse: Warehouse, meanwhile: () => Promise<unknown>) {
  const { run } = inlineExecutor(warehouse.store)
  let raced = false
  return runCompaction(warehouse, {
    executor: {
      run: async (tasks) => {
        const results = await run(tasks)
        if (!raced) {
          raced = true
          await meanwhile()
        }
        return results
      },
    },
  })
}

test('a compaction that is overtaken by a rollback with reprocess plans anew, from the restored positions', async () => {
  const warehouse = await twoOfThree()
  expect(await compactAround(warehouse, () => goBack(warehouse, true))).toMatchObject({ plans: 2, rows_added: 60 })
  expect(await idsOf(warehouse)).toEqual(articles([0, 90]))
  expect(await problems(warehouse)).toEqual([])
})

test('a compaction that is overtaken by a rollback without reprocess adds its rows to what is left', async () => {
  const warehouse = await twoOfThree()
  expect(await compactAround(warehouse, () => goBack(warehouse, false))).toMatchObject({ plans: 1, rows_added: 30 })
  expect(await idsOf(warehouse)).toEqual(articles([0, 30], [60, 90]))
  expect(await problems(warehouse)).toEqual([])
})

test('a run that was planned before what is undone does not take the restored positions for its own', async () => {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: articleRecords(0, 30) } })
  await runCompaction(warehouse)
  await stage(warehouse, { a: { records: articleRecords(0, 60) } })
  const stalled = await compactAround(warehouse, async () => {
    await runCompaction(warehouse)
    await goBack(warehouse, true)
  })
  // the positions are those that it began with: the planned time and the last run are not
  expect(stalled).toMatchObject({ plans: 2, rows_added: 30 })
  expect(await idsOf(warehouse)).toEqual(articles([0, 60]))
  expect(await problems(warehouse)).toEqual([])
})

test('a rollback that is overtaken by a compaction is refused: nobody asked to undo that', async () => {
  const warehouse = await twoOfThree()
  const { store, clock } = warehouse
  for (const reprocess of [true, false]) {
    const table = await loadTable(warehouse)
    const options = { store, table, tableName: TABLE }
    const plan = await planRollback(options, table.metadata.snapshots[0]!, { reprocess })
    const next = 90 + 30 * Number(!reprocess)
    await stage(warehouse, { a: { records: articleRecords(0, next) } })
    await runCompaction(warehouse)
    const failed = runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
    await expect(failed).rejects.toMatchObject({ kind: 'conflict' })
    expect(await idsOf(warehouse)).toEqual(articles([0, next]))
  }
  expect(await problems(warehouse)).toEqual([])
})

test('a rollback is refused too when only positions moved: its JSON manifest would say what was not so', async () => {
  const warehouse = memoryWarehouse()
  for (const end of [30, 60]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } })
    await runCompaction(warehouse)
  }
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const options = { store, table, tableName: TABLE }
  const plan = await planRollback(options, table.metadata.snapshots[0]!, { reprocess: false })
  await stage(warehouse, { a: { records: articleRecords(0, 60), ended: true } })
  expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 0, nothing_to_do: false })
  const failed = runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
  await expect(failed).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED', kind: 'conflict' })
})

test('reprocess goes back over ended shards, their children and streams that were not read then', async () => {
  const warehouse = memoryWarehouse()
  const number = (from: number, to: number) =>
    articleRecords(from, to).map((record) => ({ ...record, sequence: String(1000 + Number(record.sequence)) }))
  await stage(warehouse, { a: { records: articleRecords(0, 30) } })
  await runCompaction(warehouse)
  await stage(warehouse, {
    a: { records: articleRecords(0, 40), ended: true },
    b: { records: number(40, 50), parents: ['a'] },
  })
  await stage(warehouse, { x: { records: articleRecords(50, 55) } }, { stream: 'Other' })
  await runCompaction(warehouse, { streams: ['MyStream', 'Other'] })
  expect(await idsOf(warehouse)).toEqual(articles([0, 55]))
  const back = await goBack(warehouse, true)
  expect(back.metadata.properties).toMatchObject({
    'firn.positions.MyStream@7': '{"a":"30"}',
    'firn.positions.Other@7': '{}',
  })
  expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 25 })
  expect(await idsOf(warehouse)).toEqual(articles([0, 55]))
  expect(await problems(warehouse)).toEqual([])
})

test.each([
  ['the first chunk that would be read', (chunks: readonly string[]) => chunks.at(3)!],
  ['a chunk in the middle', (chunks: readonly string[]) => chunks.at(4)!],
  ['the last chunk', (chunks: readonly string[]) => chunks.at(-1)!],
])('reprocess is refused when staging has lost %s', async (_what, choose) => {
  const warehouse = memoryWarehouse()
  for (const end of [30, 60]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } }, { recordsPerChunk: 10 })
    await runCompaction(warehouse)
  }
  const chunks: string[] = []
  for await (const { key } of warehouse.store.list('_staging/MyStream@7/shards/a/')) chunks.push(key)
  expect(chunks).toHaveLength(6)
  await warehouse.store.delete(choose(chunks))
  await expect(goBack(warehouse, true)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE', kind: 'failed' })
  await goBack(warehouse, false)
  expect(await idsOf(warehouse)).toEqual(articles([0, 30]))
})

test('positions of then are found in what came before, in what came after, or not at all', async () => {
  const warehouse = memoryWarehouse()
  const ids: bigint[] = []
  for (const end of [10, 20, 30, 40]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } })
    ids.push(BigInt((await runCompaction(warehouse)).snapshot_id!))
  }
  const { store } = warehouse
  const table = await loadTable(warehouse)
  const current = positionsOf(table.metadata.properties)
  const at = (index: number) =>
    positionsAt({ store, table, tableName: TABLE }, snapshotId(ids[index]!), snapshotId(ids[3]!), current)
  const key = (index: number): string => manifestKey(TABLE, String(ids[index]))
  const lose = (index: number) => store.delete(key(index))
  const position = (sequence: string) => ({ 'MyStream@7': { a: sequence } })
  expect([await at(0), await at(1), await at(3)]).toEqual([position('10'), position('20'), position('40')])
  await lose(1)
  // not the one before it, which is nearer to the beginning: records would be compacted twice
  expect(await at(1)).toEqual(position('20'))
  // made again, but without positions: the same as lost
  const third = JSON.parse(Buffer.from((await store.get(key(2))).bytes).toString()) as object
  await store.put(key(2), Buffer.from(JSON.stringify({ ...third, positions: null })))
  expect(await at(2)).toEqual(position('30'))
  await expect(at(1)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE' })
  expect(await at(0)).toEqual(position('10'))
  await lose(3)
  expect(await at(3)).toEqual(position('40'))
})

test('positions of then are not taken from behind a gap', async () => {
  const warehouse = memoryWarehouse()
  const ids: bigint[] = []
  for (const end of [5, 10, 20]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } })
    ids.push(BigInt((await runCompaction(warehouse)).snapshot_id!))
  }
  const [zeroth, first, second] = ids.map(snapshotId) as [SnapshotId, SnapshotId, SnapshotId]
  const back = await goBack(warehouse, false, 1)
  const { store, clock } = warehouse
  const plan = planExpire(back, { snapshotIds: [zeroth, second] }, clock)
  const { table } = await runExpire(back, plan, { graceMillis: 0 }, clock)
  const source = { store, table, tableName: TABLE }
  const current = positionsOf(table.metadata.properties)
  const head = table.currentSnapshot()!.snapshotId
  expect(await positionsAt(source, first, head, current)).toEqual({ 'MyStream@7': { a: '10' } })
  await store.delete(manifestKey(TABLE, first))
  // the rollback knows where it began, at 20: that is not where the first run ended
  await expect(positionsAt(source, first, head, current)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE' })
})

test('rows that a rollback with reprocess gave back are not restored beside the positions of now', async () => {
  const warehouse = await twoOfThree()
  await goBack(warehouse, true)
  await expect(goBack(warehouse, false, 1)).rejects.toMatchObject({
    code: 'FIRN_ROLLBACK_REPEATS',
    help: expect.stringContaining('--reprocess'),
  })
  // also when all of it was read again: what those runs refused would count beside the rows of then
  await runCompaction(warehouse)
  await expect(goBack(warehouse, false, 1)).rejects.toMatchObject({ code: 'FIRN_ROLLBACK_REPEATS' })
  await goBack(warehouse, false, 2)
  expect(await idsOf(warehouse)).toEqual(articles([0, 30]))
  await goBack(warehouse, true, 1)
  expect(await idsOf(warehouse)).toEqual(articles([0, 60]))
  expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 30 })
  expect(await idsOf(warehouse)).toEqual(articles([0, 90]))
  expect(await problems(warehouse)).toEqual([])
})

test('rows of a replay that was taken back are not restored while their records count as refused', async () => {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: [...sized('small', 1, 2, 10), ...sized('large', 3, 1, 900)] } })
  await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  await goBack(warehouse, true)
  await expect(goBack(warehouse, false, 1)).rejects.toMatchObject({ code: 'FIRN_ROLLBACK_REPEATS' })
  await goBack(warehouse, true, 1)
  expect(await runReplay(warehouse)).toMatchObject({ nothing_to_do: true, unchanged: false })
  expect(await idsOf(warehouse)).toEqual(['large-3', 'small-1', 'small-2'])
  expect(await problems(warehouse)).toEqual([])
})

test('files are restored without their digests when the JSON manifest that knows them is damaged', async () => {
  const warehouse = await twoOfThree()
  await goBack(warehouse, false)
  const { snapshotId } = (await loadTable(warehouse)).metadata.snapshots[1]!
  await warehouse.store.put(manifestKey(TABLE, snapshotId), Buffer.from('{'))
  await goBack(warehouse, false, 1)
  expect(await idsOf(warehouse)).toEqual(articles([0, 60]))
  expect((await problems(warehouse)).map(({ code }) => code)).toEqual(['json-manifest-mismatch'])
})

test('what a rollback gave back is told from its JSON manifest: without that nothing is restored', async () => {
  const warehouse = await twoOfThree()
  await goBack(warehouse, true)
  const table = await loadTable(warehouse)
  await warehouse.store.delete(manifestKey(TABLE, table.currentSnapshot()!.snapshotId))
  await expect(goBack(warehouse, false, 1)).rejects.toMatchObject({ code: 'FIRN_MANIFEST_CORRUPT' })
})
