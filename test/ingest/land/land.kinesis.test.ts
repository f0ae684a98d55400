/** Landing runs over an in-memory stream: what Kinesis can do to a consumer, one rule a test. */
import { expect, test } from 'vitest'
import { chunkKey, type KinesisApi, kinesisSource, land } from '../../../ingest/index.ts'
import { encodeChunk } from '../../../ingest/staging/chunk.ts'
import { emptyRows } from '../../../ingest/staging/chunk-rows.ts'
import { FirnError } from '../../../table/errors.ts'
import { HOUR, intercept, numbered, SHARD, STREAM, sorted, world } from '../kinesis-world.ts'
import { stagedMetas } from '../staged-records.ts'
import { virtualStart } from '../virtual-clock.ts'

test('every shard on every page of the shard list is landed', async () => {
  const { land, put, texts } = world(7, { listPageShards: 2 })
  for (let shard = 0; shard < 7; shard++) put(shard, shard * 10, 10)
  const result = await land()
  expect(result.shards).toHaveLength(7)
  expect(result).toMatchObject({ stream: STREAM, records: 70, created: Math.floor(virtualStart / 1000) })
  expect(sorted(await texts())).toEqual(numbered(0, 70))
})

test('empty pages on the way to the records do not end a shard', async () => {
  const { land, put, texts } = world(1, { emptyPages: 12, pageRecords: 5 })
  put(0, 0, 12)
  expect(await land()).toMatchObject({ records: 12, shards: [{ millisBehindLatest: 0, ended: false }] })
  expect(await texts()).toEqual(numbered(0, 12))
})

test('records that share the newest millisecond are all read, though the server says 0 behind', async () => {
  const { land, put } = world(1, { coarseBehind: true, pageRecords: 4 })
  put(0, 0, 11)
  expect(await land()).toMatchObject({ records: 11 })
})

test('a server that answers with empty pages for ever does not keep the run, which fails', async () => {
  const { land, put, kinesis } = world(1, { emptyPages: Number.MAX_SAFE_INTEGER })
  put(0, 0, 3)
  await expect(land()).rejects.toMatchObject({ code: 'FIRN_STREAM_UNAVAILABLE', kind: 'unavailable' })
  expect(kinesis.calls('getRecords')).toBeLessThanOrEqual(2_001)
})

test('empty pages that come nearer to the tip are read on, however many they are', async () => {
  const { land, put, kinesis, clock, texts } = world(1, { emptyPages: 5_000 })
  put(0, 0, 3)
  clock.advance(HOUR)
  let behind = 0
  const sparse = intercept(kinesis, 'getRecords', async (call) => {
    const page = await call()
    if (page.records.length > 0) return page
    behind = behind === 0 ? 10_000_000 : behind - 1_000
    return { ...page, millisBehindLatest: page.millisBehindLatest === 0 ? 0 : behind }
  })
  expect(await land({ client: sparse })).toMatchObject({ records: 3, endedBy: 'tip' })
  expect(await texts()).toEqual(numbered(0, 3))
})

test('reading stops at records that arrived after the run began', async () => {
  const { land, put, clock, kinesis } = world(1, { pageRecords: 1 })
  put(0, 0, 3)
  const busy = intercept(kinesis, 'getRecords', (call) => {
    kinesis.putInto(STREAM, SHARD(0), 'late') // the shard never falls silent
    return call()
  })
  const before = clock.nowMillis()
  const result = await land({ client: busy })
  expect(result.records).toBe(4)
  expect(clock.nowMillis() - before).toBeLessThan(5_000)
})

test('what was read before Kinesis refused for good is landed: runs that are cut short each time get on', async () => {
  const { land, put, kinesis, texts } = world(1, { pageRecords: 5 })
  put(0, 0, 20)
  for (let run = 1; run <= 3; run++) {
    let pages = 0
    const client = intercept(kinesis, 'getRecords', (call) => {
      if (++pages > 1) throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'injected')
      return call()
    })
    await expect(land({ client })).rejects.toMatchObject({ code: 'FIRN_STREAM_THROTTLED' })
    expect(await texts()).toEqual(numbered(0, 5 * run))
  }
})

test('an iterator that expired is replaced, and reading goes on behind the last record', async () => {
  let slow = 0
  const { land, put, texts, clock } = world(1, {
    pageRecords: 5,
    fault: (operation, call) => {
      if (operation === 'getRecords' && (call === 1 || call === 4)) {
        slow++
        clock.advance(301_000)
      }
    },
  })
  put(0, 0, 23)
  expect(await land()).toMatchObject({ records: 23, gaps: [] })
  expect(slow).toBe(2)
  expect(await texts()).toEqual(numbered(0, 23))
})

test('throttling, lost answers and server errors are tried again with growing, jittered pauses', async () => {
  const codes = ['FIRN_STREAM_THROTTLED', 'FIRN_STREAM_UNAVAILABLE'] as const
  const { land, put, texts, clock } = world(2, {
    pageRecords: 10,
    fault: (_operation, call) => {
      if (call % 3 !== 0) throw new FirnError('unavailable', codes[call % 2] as (typeof codes)[0], 'injected')
    },
  })
  put(0, 0, 25)
  put(1, 25, 25)
  expect(await land()).toMatchObject({ records: 50 })
  expect(sorted(await texts())).toEqual(numbered(0, 50))
  expect(new Set(clock.slept).size).toBeGreaterThan(5)
})

test('a stream that stays throttled ends the run as unavailable, and keeps what was landed', async () => {
  let dead = false
  const { land, put, texts, kinesis } = world(1, {
    pageRecords: 5,
    fault: (operation) => {
      if (dead && operation === 'getRecords') throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'injected')
    },
  })
  put(0, 0, 5)
  await land()
  put(0, 5, 5)
  dead = true
  await expect(land()).rejects.toMatchObject({ code: 'FIRN_STREAM_THROTTLED', kind: 'unavailable' })
  expect(kinesis.calls('getRecords')).toBeLessThan(20)
  dead = false
  await land()
  expect(await texts()).toEqual(numbered(0, 10))
})

test('calls to a shard keep a fifth of a second apart, and five seconds after a full page', async () => {
  const { land, kinesis, clock } = world(1, { pageRecords: 10 })
  for (let i = 0; i < 20; i++) kinesis.putInto(STREAM, SHARD(0), Buffer.alloc(1_000_000))
  const calls: number[] = []
  const watched = intercept(kinesis, 'getRecords', (call) => {
    calls.push(clock.monotonicMillis())
    return call()
  })
  await land({ client: watched })
  const pauses = calls.slice(1).map((at, i) => at - (calls[i] as number))
  expect(pauses).toEqual([5_000, 5_000])
})

test('parents are read to their end before their children, also in the order of the chunks of one run', async () => {
  const { land, put, kinesis, texts, store } = world(2, { pageRecords: 3 })
  put(0, 0, 10)
  kinesis.splitShard(STREAM, SHARD(0)) // 2, 3
  put(2, 10, 5)
  kinesis.mergeShards(STREAM, SHARD(2), SHARD(1)) // 4
  put(4, 20, 5)
  const order: string[] = []
  const result = await land({ onProgress: ({ shardId }) => order.push(shardId) })
  expect(result.shards.map(({ ended }) => ended)).toEqual([true, true, true, false, false])
  expect(order.indexOf(SHARD(0))).toBeLessThan(order.indexOf(SHARD(2)))
  expect(order.indexOf(SHARD(2))).toBeLessThan(order.indexOf(SHARD(4)))
  expect(sorted(await texts())).toEqual([...numbered(0, 15), ...numbered(20, 25)])
  const parents = new Map((await stagedMetas(store, STREAM)).map(({ shardId, parents }) => [shardId, parents]))
  expect(parents.get(SHARD(2))).toEqual([SHARD(0)])
  expect(parents.get(SHARD(4))?.toSorted()).toEqual([SHARD(1), SHARD(2)])
})

test('a shard that is split while it is read gives its children to the same run', async () => {
  const { land, put, kinesis, texts } = world(1, { pageRecords: 3 })
  put(0, 0, 6)
  let calls = 0
  const splitting = intercept(kinesis, 'getRecords', (call) => {
    if (++calls === 2) {
      kinesis.splitShard(STREAM, SHARD(0))
      put(1, 6, 2)
    }
    return call()
  })
  const result = await land({ client: splitting })
  expect(result.shards.map(({ shardId, ended }) => [shardId, ended])).toEqual([
    [SHARD(0), true],
    [SHARD(1), false],
    [SHARD(2), false],
  ])
  expect(await texts()).toEqual(numbered(0, 8))
})

test('a shard that is both parent and child names its parents, though they got their chains in the same run', async () => {
  const { land, put, kinesis, store } = world(1)
  put(0, 0, 3)
  kinesis.splitShard(STREAM, SHARD(0)) // 1, 2
  put(1, 3, 3)
  kinesis.splitShard(STREAM, SHARD(1)) // 3, 4
  put(3, 6, 3)
  await land()
  const parents = new Map((await stagedMetas(store, STREAM)).map((meta) => [meta.shardId, meta.parents]))
  expect(parents.get(SHARD(0))).toEqual([])
  expect(parents.get(SHARD(1))).toEqual([SHARD(0)])
  expect(parents.get(SHARD(3))).toEqual([SHARD(1)])
})

test('another lander that marked a shard as ended, while it has records, is a conflict to look at', async () => {
  const { land, put, kinesis, store } = world(1)
  put(0, 0, 3)
  const created = Math.floor(virtualStart / 1000)
  const meddling = (gap: boolean): KinesisApi =>
    intercept(kinesis, 'getRecords', async (call) => {
      const marker = {
        ...{ stream: STREAM, created, shardId: SHARD(0), parents: [], after: '0', last: '0' },
        lander: 'x',
      }
      const body = await encodeChunk({ ...marker, count: 0, gap, ended: true }, emptyRows)
      await store.put(chunkKey(marker, SHARD(0), '0'), body)
      return call()
    })
  await expect(land({ client: meddling(false) })).rejects.toMatchObject({
    code: 'FIRN_CHAIN_CONFLICT',
    kind: 'corrupt',
  })
  await store.delete(chunkKey({ stream: STREAM, created }, SHARD(0), '0'))
  // With a gap the marker itself reports the loss: the shard had vanished for that lander.
  expect(await land({ client: meddling(true) })).toMatchObject({ records: 0, shards: [{ ended: true }] })
})

test('a child waits while one of its parents has not ended', async () => {
  const { land, put, kinesis, store } = world(2)
  put(0, 0, 5)
  put(1, 5, 5)
  kinesis.mergeShards(STREAM, SHARD(0), SHARD(1))
  put(2, 10, 5)
  const broken = intercept(kinesis, 'getRecords', (call, token) => {
    if (String(token).includes(SHARD(1))) throw new Error('killed')
    return call()
  })
  await expect(land({ client: broken, shardConcurrency: 1 })).rejects.toThrow('killed')
  const first = await stagedMetas(store, STREAM)
  expect(first.map(({ shardId, ended }) => [shardId, ended])).toEqual([
    [SHARD(0), false],
    [SHARD(0), true],
  ])
  const second = await land()
  expect(second.shards.map(({ shardId, records, ended }) => [shardId, records, ended])).toEqual([
    [SHARD(0), 0, true],
    [SHARD(1), 5, true],
    [SHARD(2), 5, false],
  ])
})

test('a closed shard ends in a marker without rows; nothing is added behind it', async () => {
  const { land, put, kinesis, store } = world(1)
  put(0, 0, 4)
  await land()
  kinesis.splitShard(STREAM, SHARD(0))
  await land()
  await land()
  const chain = (await stagedMetas(store, STREAM)).filter(({ shardId }) => shardId === SHARD(0))
  expect(chain.map(({ count, ended }) => [count, ended])).toEqual([
    [4, false],
    [0, true],
  ])
  expect(chain[1]).toMatchObject({ after: chain[0]?.last, last: chain[0]?.last, gap: false })
})

test('a closed shard without a record still gets its end marker', async () => {
  const { land, kinesis, store } = world(1)
  kinesis.splitShard(STREAM, SHARD(0))
  expect((await land()).shards.map(({ ended }) => ended)).toEqual([true, false, false])
  expect(await stagedMetas(store, STREAM)).toMatchObject([{ after: '0', last: '0', count: 0, ended: true }])
})

test('a closed shard that never says it ended is taken as ended after some empty pages at its tip', async () => {
  const { land, put, kinesis, texts } = world(1, { neverEnds: true })
  put(0, 0, 4)
  kinesis.splitShard(STREAM, SHARD(0))
  put(1, 4, 2)
  put(2, 6, 2)
  expect((await land()).shards.map(({ ended }) => ended)).toEqual([true, false, false])
  expect(await texts()).toEqual(numbered(0, 8))
})

test('an end without children is not believed while the shard is open', async () => {
  const { land, put, kinesis, texts } = world(1, { pageRecords: 2 })
  put(0, 0, 6)
  const liar = intercept(kinesis, 'getRecords', async (call) => ({ ...(await call()), nextIterator: undefined }))
  const result = await land({ client: liar })
  expect(result).toMatchObject({ records: 6, shards: [{ ended: false }] })
  expect(await texts()).toEqual(numbered(0, 6))
})

test('chunks keep to their limits; a larger record has one of its own', async () => {
  const { land, kinesis, store } = world(1)
  for (const size of [10, 10, 10, 90, 10, 500, 10, 10]) kinesis.putInto(STREAM, SHARD(0), Buffer.alloc(size, 65))
  const result = await land({ limits: { maxBytes: 100, maxRecords: 3 } })
  expect(result).toMatchObject({ records: 8, bytes: 650, chunks: 4 })
  expect((await stagedMetas(store, STREAM)).map(({ count }) => count)).toEqual([3, 2, 1, 2])
})

test('start.json is made once: later runs and later shards begin where it says', async () => {
  const { land, put, kinesis, store, clock, texts } = world(1)
  put(0, 0, 3)
  clock.advance(1_000)
  const timestampMillis = clock.nowMillis()
  put(0, 3, 3)
  await land({ start: { type: 'AT_TIMESTAMP', timestampMillis } })
  kinesis.splitShard(STREAM, SHARD(0))
  put(1, 6, 2)
  await land()
  expect(await texts()).toEqual(numbered(3, 8))
  const { bytes } = await store.get(`_staging/${STREAM}@${Math.floor(virtualStart / 1000)}/start.json`)
  expect(JSON.parse(Buffer.from(bytes).toString())).toEqual({
    type: 'AT_TIMESTAMP',
    timestamp: new Date(timestampMillis).toISOString(),
  })
})

test('LATEST means the start of the first run, for good, and may be asked for again', async () => {
  const { land, put, clock, texts, store } = world(1)
  put(0, 0, 3)
  clock.advance(1_000)
  expect(await land({ start: { type: 'LATEST' } })).toMatchObject({ records: 0 })
  clock.advance(1_000)
  put(0, 3, 3)
  expect(await land({ start: { type: 'LATEST' } })).toMatchObject({ records: 3 })
  expect(await texts()).toEqual(numbered(3, 6))
  const start = await store.get(`_staging/${STREAM}@${Math.floor(virtualStart / 1000)}/start.json`)
  const json = { type: 'AT_TIMESTAMP', timestamp: expect.any(String), requested: 'LATEST' }
  expect(JSON.parse(Buffer.from(start.bytes).toString())).toEqual(json)
})

test('a stream that was deleted and made again starts new chains beside the old ones', async () => {
  const { land, put, kinesis, clock, texts } = world(1)
  put(0, 0, 3)
  const first = await land()
  kinesis.deleteStream(STREAM)
  clock.advance(60_000)
  kinesis.createStream(STREAM, 1)
  put(0, 3, 3)
  const second = await land()
  expect(second.created).toBeGreaterThan(first.created)
  expect(second.records).toBe(3)
  expect(await texts()).toEqual(numbered(0, 6))
})

test('a position that was trimmed away is a gap on the next chunk, and only there', async () => {
  const { land, put, kinesis, store, texts } = world(1)
  put(0, 0, 3)
  await land()
  put(0, 3, 6)
  kinesis.trim(STREAM, SHARD(0), 6)
  const result = await land({ limits: { maxBytes: 1e6, maxRecords: 2 } })
  expect(result.records).toBe(3)
  expect(result.gaps).toEqual([{ shardId: SHARD(0), after: (await stagedMetas(store, STREAM))[0]?.last }])
  expect((await stagedMetas(store, STREAM)).map(({ gap, count }) => [gap, count])).toEqual([
    [false, 3],
    [true, 2],
    [false, 1],
  ])
  expect(await texts()).toEqual([...numbered(0, 3), ...numbered(6, 9)])
})

test('a shard not read to its tip for longer than the retention reports a gap, one read lately does not', async () => {
  const { land, put, clock } = world(1, { retentionMillis: 24 * HOUR })
  put(0, 0, 3)
  await land()
  clock.advance(20 * HOUR)
  await land() // nothing new, but at the tip
  clock.advance(20 * HOUR)
  put(0, 3, 1)
  expect(await land()).toMatchObject({ records: 1, gaps: [] })
  clock.advance(25 * HOUR)
  put(0, 4, 1)
  expect(await land()).toMatchObject({ records: 1, gaps: [{ shardId: SHARD(0) }] })
  clock.advance(HOUR)
  put(0, 5, 1)
  expect(await land()).toMatchObject({ records: 1, gaps: [] })
})

test('a suspected gap stays suspected until a chunk carries it', async () => {
  const { land, put, clock } = world(1, { retentionMillis: 24 * HOUR })
  put(0, 0, 3)
  await land()
  clock.advance(25 * HOUR)
  expect(await land()).toMatchObject({ records: 0, gaps: [] })
  clock.advance(HOUR)
  put(0, 3, 1)
  expect((await land()).gaps).toHaveLength(1)
})

test('a parent that vanished before its end is marked as ended with a gap, and its children start', async () => {
  const { land, put, kinesis, store, texts } = world(1)
  put(0, 0, 3)
  await land()
  put(0, 3, 3)
  kinesis.splitShard(STREAM, SHARD(0))
  put(1, 6, 2)
  kinesis.dropShard(STREAM, SHARD(0))
  const result = await land()
  expect(result).toMatchObject({ records: 2, gaps: [{ shardId: SHARD(0) }] })
  expect((await stagedMetas(store, STREAM)).map(({ shardId, ended, gap }) => [shardId, ended, gap])).toEqual([
    [SHARD(0), false, false],
    [SHARD(0), true, true],
    [SHARD(1), false, false],
  ])
  expect(await texts()).toEqual([...numbered(0, 3), ...numbered(6, 8)])
  expect(await land()).toMatchObject({ records: 0, chunks: 0, gaps: [] })
})

test('an aborted run throws the reason; the next one lands the rest once', async () => {
  const { land, put, texts } = world(1, { pageRecords: 5 })
  put(0, 0, 40)
  const stop = new AbortController()
  const limits = { maxBytes: 1e6, maxRecords: 10 }
  const reason = new Error('SIGTERM')
  const run = land({ limits, signal: stop.signal, onProgress: () => stop.abort(reason) })
  await expect(run).rejects.toBe(reason)
  expect(await texts()).toEqual(numbered(0, 10))
  expect(await land({ limits })).toMatchObject({ records: 30 })
  expect(await texts()).toEqual(numbered(0, 40))
})

test('a stream that does not exist leaves nothing in staging', async () => {
  const { store, clock, kinesis } = world(1)
  const source = kinesisSource({ stream: 'nope', client: kinesis, start: { type: 'TRIM_HORIZON' }, clock })
  await expect(land({ store, source, clock })).rejects.toMatchObject({ code: 'FIRN_STREAM_NOT_FOUND' })
  for await (const { key } of store.list('')) expect.fail(`found ${key}`)
})
