/** A landing run that dies, or loses an answer, at every single store operation: every record exactly once. */
import { expect, test } from 'vitest'
import { type KinesisApi, kinesisSource, land } from '../../../ingest/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { stagedMetas, stagedRecords } from '../staged-records.ts'
import { unavailable, unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

const STREAM = 'crashing'
const RECORDS = 30
const limits = { maxBytes: 1_000, maxRecords: 4 }

/** Three shards, one of them split: chunks, end markers, start.json and caught-up.json are all written. */
function prepare(name: string, beforeRead: () => Promise<void> = async () => {}) {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock, pageRecords: 7 })
  kinesis.createStream(STREAM, 2)
  let put = 0
  const putInto = (shard: number, count: number): void => {
    for (let i = 0; i < count; i++) kinesis.putInto(STREAM, `shardId-00000000000${shard}`, `r${put++}`)
  }
  putInto(0, 12)
  putInto(1, 8)
  kinesis.splitShard(STREAM, 'shardId-000000000000')
  putInto(2, 5)
  putInto(3, 5)
  clock.advance(10)
  const run = (store: ObjectStore, shardConcurrency = 1) => {
    const client: KinesisApi = new Proxy(kinesis, {
      get: (target, operation) => {
        const member = Reflect.get(target, operation)
        if (operation !== 'getRecords') return typeof member === 'function' ? member.bind(target) : member
        return async (...args: unknown[]) => {
          await beforeRead()
          return Reflect.apply(member, target, args)
        }
      },
    })
    const source = kinesisSource({ stream: STREAM, client, start: { type: 'TRIM_HORIZON' }, clock })
    return land({ store, source, clock, chunkLimits: limits, shardConcurrency })
  }
  return { clock, run, store: openMemoryStore(name, { clock }), close: () => dropMemoryStore(name) }
}

const everyRecord = Array.from({ length: RECORDS }, (_, i) => `r${i}`).toSorted()

async function expectExactlyOnce(store: ObjectStore): Promise<void> {
  expect((await stagedRecords(store, STREAM)).map(({ text }) => text).toSorted()).toEqual(everyRecord)
}

async function countOperations(): Promise<number> {
  const { run, store, close } = prepare('count')
  let operations = 0
  await run(
    unsteady(store, (_operation, call) => {
      operations++
      return call()
    }),
  )
  close()
  return operations
}

test('a run that is killed before or after any operation is completed by the next one', async () => {
  const operations = await countOperations()
  expect(operations).toBeGreaterThan(14)
  for (let at = 1; at <= operations; at++) {
    for (const when of ['before', 'after'] as const) {
      const { run, store, close } = prepare(`kill-${at}-${when}`)
      let operation = 0
      const dying = unsteady(store, async (_name, call) => {
        operation++
        if (operation > at || (operation === at && when === 'before')) throw new Error('killed')
        const result = await call()
        if (operation >= at) throw new Error('killed')
        return result
      })
      await expect(run(dying), `${at} ${when}`).rejects.toThrow('killed')
      await run(store)
      await expectExactlyOnce(store)
      expect(await run(store)).toMatchObject({ records: 0, chunks: 0 })
      close()
    }
  }
})

test('a put whose answer is lost, before or after it took effect, costs no record and makes no second one', async () => {
  for (let at = 1; at <= 14; at++) {
    for (const when of ['before', 'after'] as const) {
      const { run, store, close } = prepare(`lost-${at}-${when}`)
      let puts = 0
      const lossy = unsteady(store, async (name, call) => {
        if (name !== 'put' || ++puts !== at) return call()
        if (when === 'after') await call()
        throw unavailable()
      })
      // The small state objects are not worth a loop of their own: the run fails, the next one goes on.
      const result = await run(lossy).catch(() => undefined)
      if (result === undefined) await run(store)
      else expect(result.records, `${at} ${when}`).toBe(RECORDS)
      await expectExactlyOnce(store)
      close()
    }
  }
})

test('a store that does not answer at all for a while is waited for', async () => {
  const { run, store, clock, close } = prepare('outage')
  let failures = 0
  const flaky = unsteady(store, async (name, call) => {
    if (name === 'put' && failures < 4 && (await stagedMetas(store, STREAM)).length === 2) {
      failures++
      throw unavailable()
    }
    return call()
  })
  expect(await run(flaky)).toMatchObject({ records: RECORDS })
  expect(failures).toBe(4)
  expect(clock.slept.length).toBeGreaterThan(4)
  await expectExactlyOnce(store)
  close()
})

test('a run suspended for days looks at the listing again before it writes', async () => {
  let suspend: () => Promise<void> = async () => {}
  const { run, store, clock, close } = prepare('suspended', () => suspend())
  let suspended = false
  suspend = async () => {
    if (suspended || (await stagedMetas(store, STREAM)).length === 0) return
    // Another run lands everything meanwhile, and all but the last chunks are pruned: their keys are free again.
    suspended = true
    clock.advance(4 * 86_400_000)
    await run(store)
    const keys: string[] = []
    for await (const { key } of store.list(`_staging/${STREAM}`)) if (key.endsWith('.zst')) keys.push(key)
    const folder = (key: string): string => key.slice(0, key.lastIndexOf('/'))
    for (const [i, key] of keys.entries()) {
      const next = keys[i + 1]
      if (next !== undefined && folder(next) === folder(key)) await store.delete(key)
    }
  }
  expect(await run(store)).toMatchObject({ records: 4, chunks: 1 }) // from before it was suspended
  expect(suspended).toBe(true)
  const left = (await stagedMetas(store, STREAM)).map(({ shardId }) => shardId)
  expect(left).toEqual([...new Set(left)]) // one chunk a shard: nothing was written below what had been pruned
  close()
})
