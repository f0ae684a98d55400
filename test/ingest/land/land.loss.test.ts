/** Losses: none is silent, and with `failOnDataLoss` none is passed before somebody accepts it. */
import { describe, expect, test } from 'vitest'
import type { KinesisApi } from '../../../ingest/index.ts'
import { HOUR, intercept, numbered, SHARD, STREAM, sorted, type World, world } from '../kinesis-world.ts'
import { stagedMetas } from '../staged-records.ts'
import { unsteady } from '../unsteady-store.ts'

const DATA_LOSS = { code: 'FIRN_DATA_LOSS', kind: 'failed', help: expect.stringContaining('--accept-gap') }
const DAY = 24 * HOUR
const chainsOf = async ({ store }: World) =>
  (await stagedMetas(store, STREAM)).map(({ shardId, count, gap, ended }) => [shardId, count, gap, ended])

describe('failOnDataLoss', () => {
  test('stops a shard before the gap is written, run after run, until the gap is accepted; others go on', async () => {
    const w = world(2)
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 6)
    w.kinesis.trim(STREAM, SHARD(0), 6)
    for (let run = 0; run < 3; run++) {
      w.put(1, 100 + run, 1)
      const failure = { ...DATA_LOSS, detail: { stream: STREAM, shardId: SHARD(0), after: expect.any(String) } }
      await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(failure)
      expect(sorted(await w.texts())).toEqual([...numbered(0, 3), ...numbered(100, 101 + run)])
    }
    const accepted = await w.land({ failOnDataLoss: true, acceptGap: true })
    expect(accepted).toMatchObject({ records: 3, gaps: [{ shardId: SHARD(0) }] })
    w.put(0, 9, 2)
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 2, gaps: [] })
    expect(sorted(await w.texts())).toEqual([...numbered(0, 3), ...numbered(6, 11), ...numbered(100, 103)])
  })

  test('keeps what was read before the loss', async () => {
    const w = world(1, { pageRecords: 5 })
    w.put(0, 0, 20)
    let calls = 0
    const client = intercept(w.kinesis, 'getRecords', (call) => {
      if (++calls === 2) {
        w.clock.advance(301_000) // the iterator is gone, and so are the records behind the first page
        w.kinesis.trim(STREAM, SHARD(0), 10)
      }
      return call()
    })
    await expect(w.land({ client, failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
    expect(await w.texts()).toEqual(numbered(0, 5))
  })

  test('leaves the chain of a vanished parent open; its children land and wait for the parent in compaction', async () => {
    const w = world(1)
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 3)
    w.kinesis.splitShard(STREAM, SHARD(0))
    w.put(1, 6, 2)
    w.kinesis.dropShard(STREAM, SHARD(0))
    await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
    expect(await chainsOf(w)).toEqual([
      [SHARD(0), 3, false, false],
      [SHARD(1), 2, false, false],
    ])
    expect((await stagedMetas(w.store, STREAM))[1]?.parents).toEqual([SHARD(0)])
    await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
    expect(await w.land({ failOnDataLoss: true, acceptGap: true })).toMatchObject({ gaps: [{ shardId: SHARD(0) }] })
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 0, gaps: [] })
    expect((await chainsOf(w))[1]).toEqual([SHARD(0), 0, true, true])
  })

  test('does not fail for a shard that was idle for longer than the retention, before there is a record', async () => {
    const w = world(1, { retentionMillis: DAY })
    w.put(0, 0, 1)
    await w.land()
    w.clock.advance(2 * DAY)
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 0, gaps: [] })
    w.put(0, 1, 1)
    await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
  })

  test('spends no budget on a shard that may not go on: the others get all of it', async () => {
    const w = world(3)
    for (const shard of [0, 1, 2]) w.put(shard, shard * 100, 1)
    await w.land()
    w.put(0, 1, 40)
    w.kinesis.trim(STREAM, SHARD(0), 11)
    for (const shard of [1, 2]) w.put(shard, shard * 100 + 1, 8)
    const run = () => w.land({ failOnDataLoss: true, budget: { maxRecords: 8 }, shardConcurrency: 1 })
    for (let i = 0; i < 2; i++) await expect(run()).rejects.toMatchObject(DATA_LOSS)
    expect(sorted(await w.texts())).toEqual([...numbered(0, 1), ...numbered(100, 109), ...numbered(200, 209)])
  })

  test('goes on behind a gap that another lander has recorded', async () => {
    const w = world(1)
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 6)
    w.kinesis.trim(STREAM, SHARD(0), 6)
    await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
    await w.land({ failOnDataLoss: false })
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 0, gaps: [] })
  })
})

describe('a stream that forgets as AWS does, without a word', () => {
  const forgetful = { retentionMillis: DAY, trims: true, skipsTrimmed: true }

  test('is noticed when nobody was at the tip for longer than the retention', async () => {
    const w = world(1, forgetful)
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 3)
    w.clock.advance(DAY + HOUR)
    w.put(0, 6, 3)
    expect(await w.land()).toMatchObject({ records: 3, gaps: [{ shardId: SHARD(0) }] })
    expect(await w.texts()).toEqual([...numbered(0, 3), ...numbered(6, 9)])
  })

  test('is noticed inside a run that was held up: the gap lies between the two chunks', async () => {
    const w = world(1, { ...forgetful, pageRecords: 5, iteratorLifeMillis: 10 * DAY })
    w.put(0, 0, 12)
    let held = false
    const slow = unsteady(w.store, async (operation, call) => {
      const done = await call()
      if (operation === 'put' && !held && (await stagedMetas(w.store, STREAM)).length > 0) {
        held = true // the first chunk took a day to write, the page behind it is gone meanwhile
        w.clock.advance(DAY + 1_000)
        w.put(0, 100, 2)
      }
      return done
    })
    const result = await w.land({ store: slow, limits: { maxBytes: 1e6, maxRecords: 4 } })
    expect(result.gaps).toHaveLength(1)
    expect(await chainsOf(w)).toEqual([
      [SHARD(0), 4, false, false],
      [SHARD(0), 1, false, false],
      [SHARD(0), 2, true, false],
    ])
  })

  test('is noticed though the retention was raised after the loss; later runs go by the new one', async () => {
    const w = world(2, forgetful)
    const raised: KinesisApi = new Proxy(w.kinesis, {
      get: (target, name) => {
        const member = Reflect.get(target, name)
        if (name !== 'describeStream') return typeof member === 'function' ? member.bind(target) : member
        return async (stream: string) => ({ ...(await target.describeStream(stream)), retentionMillis: 7 * DAY })
      },
    })
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 3)
    w.clock.advance(DAY + HOUR)
    w.put(0, 6, 1)
    w.put(1, 7, 1)
    // a run that ends early does not make the others forget
    const cut = await w.land({ client: raised, budget: { maxRecords: 1 }, shardConcurrency: 1 })
    const rest = await w.land({ client: raised })
    expect([...cut.gaps, ...rest.gaps].map(({ shardId }) => shardId).toSorted()).toEqual([SHARD(0), SHARD(1)])
    w.put(0, 8, 1)
    await w.land({ client: raised })
    w.clock.advance(DAY + HOUR)
    w.put(0, 9, 1)
    expect(await w.land({ client: raised })).toMatchObject({ gaps: [] })
    expect((await w.land()).gaps).toEqual([])
    w.clock.advance(DAY + HOUR)
    w.put(0, 10, 1)
    expect(await w.land()).toMatchObject({ gaps: [{ shardId: SHARD(0) }] })
  })

  /** Shard 0 is read to its end by a run whose budget leaves nothing for its children 1 and 2. */
  async function childrenUnread(): Promise<World> {
    const w = world(1, forgetful)
    w.put(0, 0, 3)
    await w.land()
    w.put(0, 3, 1)
    w.kinesis.splitShard(STREAM, SHARD(0))
    w.put(1, 4, 2)
    w.put(2, 6, 2)
    expect(await w.land({ budget: { maxRecords: 1 } })).toMatchObject({ records: 1, endedBy: 'budget' })
    return w
  }

  test('is noticed in shards that no run had begun: their parents had been read', async () => {
    const w = await childrenUnread()
    w.clock.advance(DAY + HOUR)
    w.put(1, 8, 1)
    w.put(2, 9, 1)
    expect((await w.land()).gaps.map(({ shardId }) => shardId)).toEqual([SHARD(1), SHARD(2)])
    expect(sorted(await w.texts())).toEqual([...numbered(0, 4), ...numbered(8, 10)])
  })

  test('is noticed of such shards when they are gone themselves', async () => {
    const w = await childrenUnread()
    w.kinesis.splitShard(STREAM, SHARD(1)) // 3, 4
    w.clock.advance(DAY + HOUR)
    expect((await w.land()).gaps.map(({ shardId }) => shardId)).toEqual([SHARD(1)])
    expect((await w.land()).gaps).toEqual([])
  })

  test('is not suspected of children while a parent is listed: all that they got is still there', async () => {
    const w = world(1, forgetful)
    w.put(0, 0, 3)
    await w.land()
    w.clock.advance(DAY)
    w.put(0, 3, 1)
    w.kinesis.splitShard(STREAM, SHARD(0))
    w.put(1, 4, 1)
    w.clock.advance(HOUR)
    expect((await w.land()).gaps.map(({ shardId }) => shardId)).toEqual([SHARD(0)])
    expect(sorted(await w.texts())).toEqual(numbered(0, 5))
  })

  test('loses nothing in the first run: it begins at the oldest record there is', async () => {
    const w = world(1, forgetful)
    w.put(0, 0, 3)
    w.clock.advance(DAY + HOUR)
    w.put(0, 3, 3)
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 3, gaps: [] })
  })

  test('is not suspected where old records are still handed out, as by emulators', async () => {
    const w = world(1, { retentionMillis: DAY, pageRecords: 2 })
    w.put(0, 0, 5)
    w.clock.advance(3 * DAY)
    expect(await w.land({ failOnDataLoss: true })).toMatchObject({ records: 5, gaps: [] })
  })
})

test('a shard without a record that vanished before its end is a gap of its own, once', async () => {
  const w = world(1, { retentionMillis: DAY })
  w.put(0, 0, 3)
  w.kinesis.splitShard(STREAM, SHARD(0)) // 1, 2: empty while the run reads them
  await w.land()
  w.put(1, 3, 5)
  w.kinesis.splitShard(STREAM, SHARD(1)) // 3, 4
  w.put(3, 8, 2)
  w.kinesis.dropShard(STREAM, SHARD(0))
  w.kinesis.dropShard(STREAM, SHARD(1))
  await expect(w.land({ failOnDataLoss: true })).rejects.toMatchObject(DATA_LOSS)
  const result = await w.land()
  expect(result.gaps).toEqual([{ shardId: SHARD(1), after: '0' }])
  const metas = await stagedMetas(w.store, STREAM)
  expect(metas.find(({ shardId }) => shardId === SHARD(1))).toMatchObject({ count: 0, ended: true, gap: true })
  expect(await w.land()).toMatchObject({ gaps: [], chunks: 0 })
  expect(sorted(await w.texts())).toEqual([...numbered(0, 3), ...numbered(8, 10)])
})

test('a chain that ended and was pruned whole is not taken for a shard that vanished', async () => {
  const w = world(1)
  w.put(0, 0, 3)
  await w.land()
  w.kinesis.splitShard(STREAM, SHARD(0))
  await w.land()
  w.kinesis.dropShard(STREAM, SHARD(0))
  const keys: string[] = []
  for await (const { key } of w.store.list('')) if (key.includes(SHARD(0))) keys.push(key)
  expect(keys).toHaveLength(2)
  for (const key of keys) await w.store.delete(key)
  expect(await w.land({ failOnDataLoss: true })).toMatchObject({ gaps: [], chunks: 0 })
})

describe('a list of shards that leaves one out', () => {
  const leavesOut = (w: World, shardId: string, lists: number): KinesisApi => {
    let listed = 0
    return new Proxy(w.kinesis, {
      get: (target, name) => {
        const member = Reflect.get(target, name)
        if (name !== 'listShards') return typeof member === 'function' ? member.bind(target) : member
        return async (...args: Parameters<KinesisApi['listShards']>) => {
          const { shards, nextToken } = await target.listShards(...args)
          return { shards: ++listed > lists ? shards : shards.filter((each) => each.shardId !== shardId), nextToken }
        }
      },
    })
  }

  test('once is asked again: the chain stays open', async () => {
    const w = world(2)
    w.put(0, 0, 3)
    w.put(1, 3, 3)
    await w.land()
    w.put(0, 6, 1)
    w.put(1, 7, 1)
    expect(await w.land({ client: leavesOut(w, SHARD(1), 1) })).toMatchObject({ gaps: [] })
    await w.land()
    expect(sorted(await w.texts())).toEqual(numbered(0, 8))
  })

  test('each time closes its chain; when the shard is there again, open, every run says so', async () => {
    const w = world(2)
    w.put(1, 0, 3)
    await w.land()
    expect(await w.land({ client: leavesOut(w, SHARD(1), 9) })).toMatchObject({ gaps: [{ shardId: SHARD(1) }] })
    w.put(0, 3, 1)
    w.put(1, 4, 1)
    for (let run = 0; run < 2; run++) {
      await expect(w.land()).rejects.toMatchObject({ code: 'FIRN_CHAIN_CONFLICT', kind: 'corrupt' })
    }
    expect(await w.texts()).toEqual(expect.arrayContaining(numbered(0, 4)))
    w.kinesis.splitShard(STREAM, SHARD(1))
    expect(await w.land()).toMatchObject({ endedBy: 'tip' })
  })
})
