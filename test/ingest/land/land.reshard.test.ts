/**
 * Streams that are split and merged while they are read, by a Kinesis that throttles, cuts iterators off and lets them
 * expire, in histories chosen by fast-check: every record lands once, and after those of its shard's parents.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type KinesisApi, kinesisSource, land, listChunks, readChunkMeta } from '../../../ingest/index.ts'
import { FirnError } from '../../../table/errors.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { intercept, numbered, SHARD, STREAM, sorted, world } from '../kinesis-world.ts'
import { stagedMetas, stagedRecords } from '../staged-records.ts'
import { unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

type Event =
  | { readonly type: 'put'; readonly count: number }
  | { readonly type: 'split' | 'merge'; readonly at: number }
  | { readonly type: 'wait'; readonly millis: number }
  | { readonly type: 'throttle' }

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('put' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('split' as const, 'merge' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), millis: fc.constantFrom(100, 400_000) }) },
  { weight: 2, arbitrary: fc.constant({ type: 'throttle' as const }) },
)

/** The stream, and what happens to it: some events between runs, one before each call of a run. */
function history(seed: number, options: { pageRecords: number; nullIteratorEvery: number; emptyPages: number }) {
  const clock = virtualClock(seed)
  const pending: Event[] = []
  const kinesis = new MemoryKinesis({
    ...{ clock, limits: true, ...options },
    fault: (operation) => {
      const next = operation === 'putRecords' ? undefined : pending.shift()
      if (next !== undefined) happen(next)
    },
  })
  let put = 0
  const happen = (next: Event): void => {
    const stream = kinesis.control(STREAM)
    const open = stream.openShards()
    if (next.type === 'throttle') throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'injected')
    if (next.type === 'wait') {
      clock.advance(next.millis)
    } else if (next.type === 'put') {
      for (let i = 0; i < next.count; i++) {
        const shardId = open[(put * 7) % open.length] as string
        kinesis.putInto(STREAM, shardId, `r${put}`, `k${put++}`)
      }
    } else if (next.type === 'split') {
      stream.split(open[next.at % open.length] as string)
    } else if (open.length > 1) {
      const first = next.at % (open.length - 1)
      stream.merge(open[first] as string, open[first + 1] as string)
    }
  }
  return {
    clock,
    kinesis,
    pending,
    happen: (next: Event) => next.type !== 'throttle' && happen(next),
    count: () => put,
  }
}

let worlds = 0
test('every record lands once, whatever the resharding, the refusals and the budgets', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.record({ between: fc.array(event, { maxLength: 8 }), during: fc.array(event, { maxLength: 30 }) }), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.record({
      shards: fc.integer({ min: 1, max: 3 }),
      pageRecords: fc.integer({ min: 1, max: 5 }),
      nullIteratorEvery: fc.constantFrom(0, 0, 3),
      emptyPages: fc.constantFrom(0, 0, 2),
      shardConcurrency: fc.integer({ min: 1, max: 3 }),
      budget: fc.constantFrom({}, {}, { maxRecords: 5 }),
    }),
    async (rounds, { shards, shardConcurrency, budget, ...options }) => {
      const name = `reshard-${++worlds}`
      const { clock, kinesis, pending, happen, count } = history(worlds, options)
      kinesis.createStream(STREAM, shards)
      const memory = openMemoryStore(name, { clock })
      const written: string[] = []
      const store = unsteady(memory, async (operation, call) => {
        const result = await call()
        if (operation === 'put') for (const { key } of await listChunks(memory, { stream: STREAM, created })) note(key)
        return result
      })
      const note = (key: string): void => void (written.includes(key) || written.push(key))
      const created = Math.floor((await kinesis.describeStream(STREAM)).createdMillis / 1000)
      const run = (client: KinesisApi, limits = {}) =>
        land({
          ...{ store, clock, shardConcurrency, budget: limits, chunkLimits: { maxBytes: 1e6, maxRecords: 4 } },
          source: kinesisSource({ stream: STREAM, client, clock }),
        })
      for (const { between, during } of rounds) {
        for (const next of between) happen(next)
        pending.splice(0, pending.length, ...during)
        clock.advance(10)
        // Refused too often in a row, a run gives up; the next one goes on.
        await run(kinesis, budget).catch((error: unknown) => {
          if (!FirnError.is(error, 'FIRN_STREAM_THROTTLED')) throw error
        })
      }
      pending.length = 0
      clock.advance(10)
      expect((await run(kinesis)).gaps).toEqual([])
      expect(sorted((await stagedRecords(memory, STREAM)).map(({ text }) => text))).toEqual(numbered(0, count()))

      // No chunk of a child is older than the end marker of a parent.
      const ended = new Set<string>()
      const refs = new Map((await listChunks(memory, { stream: STREAM, created })).map((ref) => [ref.key, ref]))
      const { shards: listed } = await kinesis.listShards(STREAM)
      const parentsOf = new Map(listed.map(({ shardId, parents }) => [shardId, parents]))
      for (const key of written) {
        const ref = refs.get(key)
        if (ref === undefined) continue
        const meta = await readChunkMeta(memory, ref)
        expect(parentsOf.get(ref.shardId)?.filter((parent) => !ended.has(parent))).toEqual([])
        if (meta.ended) ended.add(ref.shardId)
      }
      expect([...ended].sort()).toEqual(listed.filter(({ closed }) => closed).map(({ shardId }) => shardId))
      dropMemoryStore(name)
    },
  )
  await fc.assert(property, { numRuns: 60 })
}, 60_000)

test('a child waits in compaction for a parent that vanished in the run that had landed some of it', async () => {
  const { land, put, kinesis, store } = world(2, { pageRecords: 5 })
  put(0, 0, 10)
  put(1, 100, 1)
  kinesis.splitShard(STREAM, SHARD(0)) // 2, 3
  kinesis.splitShard(STREAM, SHARD(1)) // 4, 5
  put(2, 10, 5)
  let pages = 0
  const client = intercept(kinesis, 'getRecords', (call, token) => {
    if (String(token).includes(SHARD(0)) && ++pages === 2) kinesis.dropShard(STREAM, SHARD(0))
    return call()
  })
  await land({ client, shardConcurrency: 1 })
  const metas = await stagedMetas(store, STREAM)
  expect(metas.find(({ shardId }) => shardId === SHARD(0))).toMatchObject({ count: 5, ended: false })
  expect(metas.find(({ shardId }) => shardId === SHARD(2))).toMatchObject({ count: 5, parents: [SHARD(0)] })
  expect(await land()).toMatchObject({ gaps: [{ shardId: SHARD(0) }] })
})
