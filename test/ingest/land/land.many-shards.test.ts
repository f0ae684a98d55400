/** A thousand shards: how many are read at once, what is held in memory, and what they cost when nothing is new. */
import { expect, test } from 'vitest'
import { kinesisSource, type LandOptions, type LandResult, land, type RecordSource } from '../../../ingest/index.ts'
import { FirnError } from '../../../table/errors.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { MemoryKinesis, type MemoryKinesisOptions } from '../../contract/memory-kinesis.ts'
import { SHARD, STREAM } from '../kinesis-world.ts'
import { stagedMetas } from '../staged-records.ts'
import { virtualClock } from '../virtual-clock.ts'

const SHARDS = 1_000

interface Held {
  /** Reads under way, and the most there were. */
  inFlight: number
  mostInFlight: number
  /** Record data handed over and not in a chunk yet, pages included, and the most there was. */
  mostBytes: number
}

/** The source and the store, with a count of what is between them. */
function watched(
  source: RecordSource,
  store: ObjectStore,
): { source: RecordSource; store: ObjectStore; held: Held } & {
  puts: string[]
  onProgress: NonNullable<LandOptions['onProgress']>
} {
  const held: Held = { inFlight: 0, mostInFlight: 0, mostBytes: 0 }
  const handed = new Map<string, number>()
  const written = new Map<string, number>()
  const puts: string[] = []
  const look = (): void => {
    let bytes = 0
    for (const [shardId, count] of handed) bytes += count - (written.get(shardId) ?? 0)
    held.mostBytes = Math.max(held.mostBytes, bytes)
  }
  return {
    held,
    puts,
    onProgress: ({ shardId, bytes }) => written.set(shardId, bytes),
    source: {
      ...source,
      read: async function* (shard, from, options) {
        held.mostInFlight = Math.max(held.mostInFlight, ++held.inFlight)
        try {
          for await (const page of source.read(shard, from, options)) {
            const bytes = page.records.reduce((sum, { data }) => sum + data.byteLength, 0)
            handed.set(shard.shardId, (handed.get(shard.shardId) ?? 0) + bytes)
            look()
            yield page
          }
        } finally {
          held.inFlight--
        }
      },
    },
    store: {
      url: store.url,
      get: (...args) => store.get(...args),
      head: (...args) => store.head(...args),
      list: (...args) => store.list(...args),
      delete: (...args) => store.delete(...args),
      put: (key, ...rest) => {
        puts.push(key)
        return store.put(key, ...rest)
      },
    },
  }
}

let worlds = 0
function thousand(options: Omit<MemoryKinesisOptions, 'clock'> = {}) {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock, listPageShards: 100, ...options })
  kinesis.createStream(STREAM, SHARDS)
  const store = openMemoryStore(`thousand-${++worlds}`, { clock })
  const run = async (rest: Partial<LandOptions> = {}): Promise<{ result: LandResult; held: Held; puts: string[] }> => {
    clock.advance(10)
    const { held, puts, ...parts } = watched(kinesisSource({ stream: STREAM, client: kinesis, clock }), store)
    const result = await land({ ...parts, clock, ...rest })
    return { result, held, puts }
  }
  return { clock, kinesis, store, run }
}

test('a share of the open bytes for each shard that is read, a page each, and no more, whatever is waiting', async () => {
  const { kinesis, run, store } = thousand({ pageRecords: 4 })
  const record = Buffer.alloc(1_000, 65)
  for (let shard = 0; shard < SHARDS; shard++) {
    for (let i = 0; i < 12; i++) kinesis.putInto(STREAM, SHARD(shard), record)
  }
  const [shardConcurrency, maxOpenBytes, page] = [10, 50_000, 4_000]
  const { result, held } = await run({ shardConcurrency, maxOpenBytes })
  expect(result).toMatchObject({ records: 12 * SHARDS, gaps: [], endedBy: 'tip' })
  expect(held.mostInFlight).toBe(shardConcurrency)
  expect(held.mostBytes).toBeGreaterThan(maxOpenBytes / 2)
  expect(held.mostBytes).toBeLessThanOrEqual(maxOpenBytes + shardConcurrency * page)
  // 5,000 bytes of each shard at once: its 12 records are three chunks, not twelve.
  expect(await stagedMetas(store, STREAM)).toHaveLength(3 * SHARDS)
}, 60_000)

test('nothing new costs a call per shard and one small object for them all', async () => {
  const { kinesis, run, store } = thousand()
  for (let shard = 0; shard < SHARDS; shard += 3) kinesis.putInto(STREAM, SHARD(shard), 'x')
  await run()
  const before = kinesis.calls('getRecords')
  const chunks = (await stagedMetas(store, STREAM)).length
  const { result, puts } = await run()
  expect(result).toMatchObject({ records: 0, chunks: 0, endedBy: 'tip' })
  expect(kinesis.calls('getRecords') - before).toBe(SHARDS)
  expect(puts).toEqual([expect.stringMatching(/\/caught-up\.json$/)])
  expect((await stagedMetas(store, STREAM)).length).toBe(chunks)
}, 60_000)

test('a shard list that is throttled, and whose page tokens expire, is still read whole', async () => {
  let lists = 0
  const { kinesis, run, clock } = thousand({
    fault: (operation) => {
      if (operation !== 'listShards') return
      if (++lists % 3 === 0) throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'injected')
      if (lists === 8) clock.advance(301_000)
    },
  })
  for (let shard = 0; shard < SHARDS; shard += 100) kinesis.putInto(STREAM, SHARD(shard), 'x')
  const { result } = await run()
  expect(result).toMatchObject({ records: SHARDS / 100, expiredIterators: 1 })
  expect(result.throttled).toBeGreaterThanOrEqual(4)
  expect(result.shards).toHaveLength(SHARDS)
}, 60_000)

test('a thousand shards that split while they are read land whole in one run, parents first', async () => {
  const { kinesis, run, store } = thousand()
  for (let shard = 0; shard < SHARDS; shard++) {
    kinesis.putInto(STREAM, SHARD(shard), 'parent')
    for (const child of kinesis.splitShard(STREAM, SHARD(shard))) kinesis.putInto(STREAM, child, 'child')
  }
  const order: string[] = []
  const { result } = await run({ shardConcurrency: 64, onProgress: ({ shardId }) => order.push(shardId) })
  expect(result).toMatchObject({ records: 3 * SHARDS, endedBy: 'tip' })
  const at = new Map(order.map((shardId, index) => [shardId, index]))
  const metas = await stagedMetas(store, STREAM)
  expect(metas.filter(({ ended }) => ended)).toHaveLength(SHARDS)
  const early = metas.filter(({ shardId, parents }) =>
    parents.some((parent) => (at.get(parent) as number) > (at.get(shardId) as number)),
  )
  expect(early).toEqual([])
}, 60_000)
