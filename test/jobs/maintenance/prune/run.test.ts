/** What pruning leaves for those who read the stream, and for landing. */
import { describe, expect, test } from 'vitest'
import { planPrune, runPrune } from '../../../../jobs/maintenance/prune/run.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { articleRecords, rowsOf } from '../../compaction/fixture.ts'
import { type AgedWarehouse, agedWarehouse, CREATED, DAY, STREAM } from './aged-warehouse.ts'

const idsOf = async (warehouse: AgedWarehouse, table?: string): Promise<unknown[]> =>
  (await rowsOf(await warehouse.load(table))).map((row) => row['article_id']).sort()
const articles = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `article-${String(from + n).padStart(6, '0')}`)
const problems = async (warehouse: AgedWarehouse, table?: string) =>
  (await verifyTable({ table: await warehouse.load(table), warehouse: warehouse.store })).problems
const plan = (warehouse: AgedWarehouse, more: object = {}) => planPrune({ ...warehouse, ...more })

/** Two runs of one table over shard `a`: records 0 to 8, then 9 to 17; three records a chunk. */
async function twoRuns(): Promise<AgedWarehouse> {
  const warehouse = agedWarehouse()
  for (const end of [9, 18]) {
    await warehouse.land(end)
    await warehouse.compact()
  }
  return warehouse
}

describe('of a chain', () => {
  test('what is consumed and three days old goes, but for the last chunk; landing and compaction go on from there', async () => {
    const warehouse = await twoRuns()
    await warehouse.expireOld()
    expect((await plan(warehouse)).totals.chunks).toBe(0) // too young
    warehouse.later(4)
    expect(await warehouse.prune()).toMatchObject({ chunks: 5, left: 0 })
    expect(await warehouse.chunks()).toEqual(['a/15'])
    expect((await plan(warehouse)).totals.chunks).toBe(0)
    await warehouse.land(18)
    expect(await warehouse.chunks()).toEqual(['a/15'])
    expect(await warehouse.compact()).toMatchObject({ nothing_to_do: true })
    await warehouse.land(21)
    expect(await warehouse.compact()).toMatchObject({ rows_added: 3 })
    expect(await idsOf(warehouse)).toEqual(articles(0, 21))
    expect(await problems(warehouse)).toEqual([])
  })

  test('a snapshot that can be gone back to keeps its records: they are compacted again after pruning', async () => {
    const warehouse = await twoRuns()
    warehouse.later(4)
    expect(await plan(warehouse)).toMatchObject({
      totals: { chunks: 3 },
      // the first snapshot had consumed up to 9: of what follows, the last chunk stays anyway
      streams: [{ held: [{ table: 'news.articles', chunks: 2, snapshotId: expect.stringMatching(/^\d+$/) }] }],
    })
    await warehouse.prune()
    expect(await warehouse.chunks()).toEqual(['a/9', 'a/12', 'a/15'])
    await warehouse.reprocessFrom(0)
    expect(await idsOf(warehouse)).toEqual(articles(0, 9))
    expect(await warehouse.compact()).toMatchObject({ rows_added: 9 })
    expect(await idsOf(warehouse)).toEqual(articles(0, 18))
  })

  test('a snapshot whose positions nobody can tell keeps everything, until it expires', async () => {
    const warehouse = await twoRuns()
    const [first] = (await warehouse.load()).metadata.snapshots
    await warehouse.store.put(`_manifests/news.articles/${first!.snapshotId}.json`, Buffer.from('{'))
    warehouse.later(4)
    expect((await plan(warehouse)).streams).toMatchObject([{ chains: [], held: [{ chunks: 5 }] }])
    await warehouse.expireOld()
    expect((await plan(warehouse)).totals.chunks).toBe(5)
  })

  test('the slowest of several tables decides, and one that registered without a run yet keeps everything', async () => {
    const warehouse = await twoRuns()
    await warehouse.compact('news.other')
    await warehouse.land(27)
    await warehouse.compact()
    for (const table of ['news.articles', 'news.other']) await warehouse.expireOld(table)
    warehouse.later(4)
    expect(await plan(warehouse)).toMatchObject({ streams: [{ held: [{ table: 'news.other', chunks: 2 }] }] })
    await warehouse.prune()
    expect(await warehouse.chunks()).toEqual(['a/18', 'a/21', 'a/24'])
    expect(await warehouse.compact('news.other')).toMatchObject({ rows_added: 9 })
    expect(await idsOf(warehouse, 'news.other')).toEqual(articles(0, 27))
  })

  test('a table that is new begins at the oldest chunk left, and says where that is', async () => {
    const warehouse = await twoRuns()
    await warehouse.expireOld()
    warehouse.later(4)
    await warehouse.prune()
    const late = { stream: `${STREAM}@${CREATED}`, shard_id: 'a', after: '15' }
    expect(await warehouse.compact('news.new')).toMatchObject({ rows_added: 3, late_starts: [late] })
    expect(await idsOf(warehouse, 'news.new')).toEqual(articles(15, 18))
    expect(await warehouse.compact('news.new')).toMatchObject({ nothing_to_do: true })
  })
})

describe('of a stream that was split', () => {
  const parent = { records: articleRecords(0, 6), ended: true }
  const child = { records: articleRecords(6, 12).map((each) => ({ ...each })), parents: ['a'] }
  const listed = (...shards: string[]) => ({
    listShards: async () => ({
      created: CREATED,
      shards: shards.map((shardId) => ({ shardId, parents: shardId === 'a' ? [] : ['a'] })),
    }),
  })

  /** The parent is consumed to its end, the child to its tip, and everything is old. */
  async function split(): Promise<AgedWarehouse> {
    const warehouse = agedWarehouse()
    await warehouse.stage({ a: parent, b: child })
    await warehouse.compact()
    warehouse.later(4)
    // a landing run that no longer finds the parent listed
    await warehouse.stage({ b: child })
    return warehouse
  }

  test('the chain of the parent goes once Kinesis has forgotten the shard; it is never read again, and its position goes', async () => {
    const warehouse = await split()
    expect(await warehouse.prune(listed('b'))).toMatchObject({ chains: 1, left: 0 })
    expect(await warehouse.chunks()).toEqual(['b/9'])
    expect(await warehouse.compact()).toMatchObject({ nothing_to_do: true })
    expect(await problems(warehouse)).toEqual([])
    const more = { b: { records: articleRecords(6, 15), parents: ['a'] } }
    await warehouse.stage(more)
    expect(await warehouse.chunks()).toEqual(['b/9', 'b/12'])
    expect(await warehouse.compact()).toMatchObject({ rows_added: 3, late_starts: [] })
    expect(await idsOf(warehouse)).toEqual(articles(0, 15))
    const positions = (await warehouse.load()).metadata.properties[`firn.positions.${STREAM}@${CREATED}`]
    expect(JSON.parse(positions!)).toEqual({ b: '15' })
    expect(await problems(warehouse)).toEqual([])
    await warehouse.reprocessFrom(0)
    expect(await warehouse.compact()).toMatchObject({ rows_added: 3 })
  })

  test.each([
    ['Kinesis still lists the shard', listed('a', 'b')],
    ['a child has no chain yet', listed('b', 'c')],
    ['Kinesis is not asked', {}],
    ['Kinesis does not answer', { listShards: () => Promise.reject(new Error('timed out')) }],
    ['the stream was made again', { listShards: async () => ({ created: 8, shards: [] }) }],
  ])('it keeps its last chunk when %s', async (_when, choice) => {
    const warehouse = await split()
    await warehouse.prune(choice)
    expect(await warehouse.chunks()).toEqual(['a/6', 'b/9'])
    expect((await plan(warehouse, choice)).totals.chunks).toBe(0)
  })

  test('it keeps its last chunk until landing has forgotten the shard: it would be ended as lost, again', async () => {
    const warehouse = agedWarehouse()
    await warehouse.stage({ a: parent, b: child })
    await warehouse.compact()
    warehouse.later(4)
    // as a landing run leaves it that died right after the end marker
    const key = `_staging/${STREAM}@${CREATED}/caught-up.json`
    await warehouse.store.put(key, Buffer.from('{"a": "2026-11-21T12:00:00Z"}'))
    await warehouse.prune(listed('b'))
    expect(await warehouse.chunks()).toEqual(['a/6', 'b/9'])
    await warehouse.stage({ b: child })
    await warehouse.prune(listed('b'))
    await warehouse.stage({ b: child })
    expect(await warehouse.chunks()).toEqual(['b/9'])
  })

  test('what Kinesis did not say is told with the plan', async () => {
    const warehouse = await split()
    const choice = { listShards: () => Promise.reject(new Error('timed out')) }
    const [stream] = (await plan(warehouse, choice)).streams
    expect(stream!.shardsUnknown).toBe('Kinesis did not say which shards there are: timed out')
  })

  test('a table that has not consumed the end keeps the chain', async () => {
    const warehouse = agedWarehouse()
    await warehouse.stage({ a: { records: articleRecords(0, 6) } })
    await warehouse.compact('news.other')
    await warehouse.stage({ a: parent, b: child })
    await warehouse.compact()
    warehouse.later(4)
    await warehouse.prune(listed('b'))
    expect(await warehouse.chunks()).toEqual(['a/6', 'b/0', 'b/9'])
    expect(await warehouse.compact('news.other')).toMatchObject({ rows_added: 6 })
  })
})

describe('what is not told', () => {
  test('an age below three days is refused', async () => {
    const warehouse = agedWarehouse()
    await expect(plan(warehouse, { minAgeMillis: 3 * DAY - 1 })).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    const young = { plannedAtMillis: warehouse.clock.nowMillis(), olderThanMillis: warehouse.clock.nowMillis() }
    const forged = { ...(await plan(warehouse)), ...young }
    await expect(runPrune(warehouse, forged)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })

  test('ages are the clock of the store: a machine that is ahead of it deletes nothing', async () => {
    const warehouse = await twoRuns()
    await warehouse.expireOld()
    warehouse.later(3 - 2 / 1440) // a minute less than three days, all told
    const ahead = (millis: number) => ({ ...warehouse.clock, nowMillis: () => warehouse.clock.nowMillis() + millis })
    const hours = { ...warehouse, clock: ahead(3_600_000) } as AgedWarehouse
    await expect(runPrune(hours, await plan(hours))).rejects.toMatchObject({ code: 'FIRN_CLOCK_SKEW' })
    const minutes = { ...warehouse, clock: ahead(240_000) } as AgedWarehouse
    expect(await plan(minutes)).toMatchObject({ totals: { chunks: 5 } })
    expect(await runPrune(minutes, await plan(minutes))).toMatchObject({ chunks: 0, left: 5 })
  })

  test('a stream that is not in staging is named', async () => {
    const warehouse = await twoRuns()
    await expect(plan(warehouse, { streams: ['Other'] })).rejects.toMatchObject({
      code: 'FIRN_STREAM_NOT_STAGED',
      help: 'staging holds MyStream',
    })
    expect((await plan(warehouse, { streams: [`${STREAM}@${CREATED}`] })).streams).toHaveLength(1)
  })
})
