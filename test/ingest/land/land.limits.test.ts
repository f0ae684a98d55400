/** Runs that end before the tip, by a budget or a stop: at a record boundary, with everything taken in a chunk. */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import {
  fileSource,
  type KinesisApi,
  kinesisSource,
  type LandBudget,
  type LandResult,
  land,
} from '../../../ingest/index.ts'
import { readCaughtUp } from '../../../ingest/staging/stream-state.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { HOUR, intercept, numbered, SHARD, STREAM, sorted, world } from '../kinesis-world.ts'
import { stagedMetas, stagedRecords } from '../staged-records.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { virtualClock } from '../virtual-clock.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())

describe('a budget', () => {
  test('of records ends the run between two of them; the next run goes on', async () => {
    const { land, put, texts } = world(1, { pageRecords: 4 })
    put(0, 0, 10)
    const budget = { maxRecords: 6 }
    expect(await land({ budget })).toMatchObject({ records: 6, chunks: 1, endedBy: 'budget' })
    expect(await texts()).toEqual(numbered(0, 6))
    expect(await land({ budget })).toMatchObject({ records: 4, endedBy: 'tip' })
    expect(await texts()).toEqual(numbered(0, 10))
  })

  test('that is used up by the very last record has reached the tip', async () => {
    const { land, put } = world(1)
    put(0, 0, 6)
    expect(await land({ budget: { maxRecords: 6 } })).toMatchObject({ records: 6, endedBy: 'tip' })
  })

  test('of bytes is not exceeded, but by a first record that is larger: any budget gets on', async () => {
    const { land, kinesis } = world(1)
    for (const size of [10, 10, 500, 10]) kinesis.putInto(STREAM, SHARD(0), Buffer.alloc(size, 65))
    const budget = { maxBytes: 25 }
    expect(await land({ budget })).toMatchObject({ records: 2, bytes: 20, endedBy: 'budget' })
    expect(await land({ budget })).toMatchObject({ records: 1, bytes: 500, endedBy: 'budget' })
    expect(await land({ budget })).toMatchObject({ records: 1, bytes: 10, endedBy: 'tip' })
  })

  test('of time asks for no further page once it is over', async () => {
    const { land, put, kinesis, clock, texts } = world(1, { pageRecords: 5 })
    put(0, 0, 50)
    const client = intercept(kinesis, 'getRecords', (call) => {
      clock.advance(60_000)
      return call()
    })
    const budget = { maxMillis: 150_000 }
    expect(await land({ client, budget })).toMatchObject({ records: 15, chunks: 1, endedBy: 'budget' })
    expect(kinesis.calls('getRecords')).toBe(3)
    expect(await land()).toMatchObject({ records: 35, endedBy: 'tip' })
    expect(await texts()).toEqual(numbered(0, 50))
  })

  test('that left records of a closed shard does not mark it as ended, and its children wait', async () => {
    const { land, put, kinesis, store } = world(1)
    put(0, 0, 5)
    kinesis.splitShard(STREAM, SHARD(0))
    put(1, 5, 5)
    expect(await land({ budget: { maxRecords: 3 } })).toMatchObject({ records: 3, shards: [{ ended: false }] })
    expect(await stagedMetas(store, STREAM)).toMatchObject([{ shardId: SHARD(0), count: 3, ended: false }])
    expect(await land()).toMatchObject({ records: 7, endedBy: 'tip' })
  })

  test('does not make a shard look as if it was read to its tip', async () => {
    const { land, put, clock } = world(1, { retentionMillis: 24 * HOUR })
    put(0, 0, 5)
    await land({ budget: { maxRecords: 3 } })
    clock.advance(25 * HOUR)
    expect((await land()).gaps).toHaveLength(1)
  })

  test('serves every shard in the end, though one of them has always more than a whole run takes', async () => {
    const { land, put, clock, texts } = world(3, { pageRecords: 10 })
    put(1, 0, 5)
    put(2, 5, 5)
    for (let run = 0; run < 4; run++) {
      put(0, 100 * (run + 1), 100)
      clock.advance(1_000)
      await land({ budget: { maxRecords: 20 }, shardConcurrency: 1 })
    }
    expect(sorted(await texts()).slice(0, 10)).toEqual(numbered(0, 10))
  })

  test.each([{ maxRecords: 0 }, { maxBytes: -1 }, { maxMillis: Number.NaN }])('%o is refused', async (budget) => {
    const { land, kinesis } = world(1)
    await expect(land({ budget })).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION', kind: 'invalid' })
    expect(kinesis.calls('describeStream')).toBe(0)
  })

  test('over files goes on at the very byte where it ended', async () => {
    const clock = virtualClock()
    const store = openMemoryStore('budget-files', { clock })
    const paths = [
      folder.write('a.ndjson', '{"v":0}\n{"v":1}\n\n{"v":2}\n{"v":3}\n'),
      folder.write('b.ndjson', '4\n5\n'),
    ]
    const run = (): Promise<LandResult> =>
      land({ store, source: fileSource({ paths, clock }), clock, budget: { maxRecords: 2 }, shardConcurrency: 1 })
    expect(await run()).toMatchObject({ records: 2, endedBy: 'budget' })
    expect(await run()).toMatchObject({ records: 2, endedBy: 'budget' })
    expect(await run()).toMatchObject({ records: 2, endedBy: 'tip' })
    folder.append('a.ndjson', '{"v":6}\n')
    expect(await run()).toMatchObject({ records: 1, endedBy: 'tip' })
    const texts = (await stagedRecords(store, 'files')).map(({ text }) => text)
    expect(texts.toSorted()).toEqual(['{"v":0}', '{"v":1}', '{"v":2}', '{"v":3}', '{"v":6}', '4', '5'].toSorted())
    dropMemoryStore('budget-files')
  })

  test('of any size, run after run, lands every record once and then says tip', async () => {
    const limit = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined })
    const shard = fc.record({ records: fc.integer({ min: 0, max: 12 }), split: fc.boolean() })
    let runs = 0
    const property = fc.asyncProperty(
      fc.array(shard, { minLength: 1, maxLength: 4 }),
      fc.array(fc.record({ maxRecords: limit, maxBytes: limit }), { minLength: 1, maxLength: 4 }),
      fc.record({
        pageRecords: fc.integer({ min: 1, max: 6 }),
        maxRecords: fc.integer({ min: 1, max: 5 }),
        shardConcurrency: fc.integer({ min: 1, max: 3 }),
      }),
      async (shards, budgets, { pageRecords, maxRecords, shardConcurrency }) => {
        const name = `budget-${++runs}`
        const clock = virtualClock(runs)
        const kinesis = new MemoryKinesis({ clock, pageRecords })
        kinesis.createStream(STREAM, shards.length)
        let put = 0
        const fill = (shardId: string, count: number): void => {
          for (let i = 0; i < count; i++) kinesis.putInto(STREAM, shardId, `r${put++}`)
        }
        for (const [i, { records, split }] of shards.entries()) {
          fill(SHARD(i), records)
          if (split) for (const child of kinesis.splitShard(STREAM, SHARD(i))) fill(child, records)
        }
        clock.advance(10)
        const store = openMemoryStore(name, { clock })
        let result: LandResult | undefined
        for (let run = 0; result?.endedBy !== 'tip'; run++) {
          if (run > put + 1) expect.fail('runs do not get on')
          const { maxRecords: records, maxBytes } = budgets[run % budgets.length] as Partial<LandBudget>
          const budget = { ...(records && { maxRecords: records }), ...(maxBytes && { maxBytes }) }
          result = await land({
            ...{ store, clock, budget, shardConcurrency },
            source: kinesisSource({ stream: STREAM, client: kinesis, clock }),
            chunkLimits: { maxBytes: 1e6, maxRecords },
          })
          expect(result.records).toBeLessThanOrEqual(records ?? put)
          if (result.records > 1) expect(result.bytes).toBeLessThanOrEqual(maxBytes ?? put * 5)
        }
        expect(sorted((await stagedRecords(store, STREAM)).map(({ text }) => text))).toEqual(numbered(0, put))
        dropMemoryStore(name)
      },
    )
    await fc.assert(property, { numRuns: 60 })
  }, 60_000)
})

describe('a stop', () => {
  const stopping = (
    kinesis: MemoryKinesis,
    atCall: number,
  ): { client: KinesisApi; stop: AbortSignal; reason: Error } => {
    const stop = new AbortController()
    const reason = new Error('SIGTERM')
    let calls = 0
    const client = intercept(kinesis, 'getRecords', (call) => {
      if (++calls === atCall) stop.abort(reason)
      return call()
    })
    return { client, stop: stop.signal, reason }
  }

  test('while reading keeps what was read in chunks, and returns what the run did', async () => {
    const { land, put, kinesis, texts } = world(2, { pageRecords: 5 })
    put(0, 0, 40)
    put(1, 40, 40)
    const { client, stop } = stopping(kinesis, 3)
    const result = await land({ client, stop, shardConcurrency: 1 })
    expect(result).toMatchObject({ records: 15, chunks: 1, endedBy: 'stop' })
    expect(kinesis.calls('getRecords')).toBe(3)
    expect(await texts()).toEqual(numbered(0, 15))
    expect(await land()).toMatchObject({ records: 65, endedBy: 'tip' })
    expect(sorted(await texts())).toEqual(numbered(0, 80))
  })

  test('does not wait for pauses between calls, nor for a stream that does not answer', async () => {
    const { land, kinesis, clock } = world(1)
    const stop = new AbortController()
    const client = intercept(kinesis, 'getRecords', async () => {
      stop.abort(new Error('SIGTERM'))
      throw stop.signal.reason // what a client with an aborted request throws
    })
    const before = clock.nowMillis()
    expect(await land({ client, stop: stop.signal })).toMatchObject({ records: 0, endedBy: 'stop' })
    expect(clock.nowMillis() - before).toBe(10)
  })

  test('in the middle of a file keeps the lines that were read', async () => {
    const clock = virtualClock()
    const store = openMemoryStore('stop-files', { clock })
    const lines = Array.from({ length: 60_000 }, (_, i) => `{"v":${i},"text":"some more text for each line"}\n`)
    const paths = [folder.write('long.ndjson', lines.join(''))]
    const stop = new AbortController()
    const run = (stopping: boolean): Promise<LandResult> =>
      land({
        ...{ store, source: fileSource({ paths, clock }), clock, chunkLimits: { maxBytes: 1e6, maxRecords: 5_000 } },
        ...(stopping ? { stop: stop.signal, onProgress: () => stop.abort(new Error('SIGTERM')) } : {}),
      })
    const { records, endedBy } = await run(true)
    expect(endedBy).toBe('stop')
    expect(records).toBeGreaterThan(5_000)
    expect(records).toBeLessThan(60_000)
    expect(await run(false)).toMatchObject({ records: 60_000 - records, endedBy: 'tip' })
    const texts = (await stagedRecords(store, 'files')).map(({ text }) => text)
    expect(texts).toEqual(lines.map((line) => line.trimEnd()))
    dropMemoryStore('stop-files')
  }, 60_000)

  test('before anything was read throws its reason', async () => {
    const { land, put, store, kinesis } = world(1)
    put(0, 0, 3)
    const reason = new Error('SIGTERM')
    await expect(land({ stop: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(kinesis.calls('describeStream')).toBe(0)
    for await (const { key } of store.list('')) expect.fail(`found ${key}`)
  })

  test('gives way to the signal: then nothing more is written', async () => {
    const { land, put, kinesis, texts } = world(1, { pageRecords: 5 })
    put(0, 0, 20)
    const { client, stop, reason } = stopping(kinesis, 2)
    const hard = new AbortController()
    stop.addEventListener('abort', () => hard.abort(reason))
    await expect(land({ client, stop, signal: hard.signal })).rejects.toBe(reason)
    expect(await texts()).toEqual([])
  })

  test('counts the tips that were reached, and only those', async () => {
    const { land, put, kinesis, store } = world(2, { pageRecords: 5 })
    put(0, 0, 3)
    put(1, 3, 20)
    const { client, stop } = stopping(kinesis, 4) // the first two read shard 0 to its tip
    const { created } = await land({ client, stop, shardConcurrency: 1 })
    expect([...(await readCaughtUp(store, { stream: STREAM, created })).keys()]).toEqual([SHARD(0)])
  })
})
