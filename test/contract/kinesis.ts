/**
 * What a Kinesis shows to a consumer. Run against the in-memory one and, on the wire, against kinesis-local, so that
 * tests on the former mean something for the latter.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KinesisApi, kinesisSource, type LandResult, land, type RequestedStart } from '../../ingest/index.ts'
import type { Clock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { stagedRecords } from '../ingest/staged-records.ts'

export interface KinesisBackend {
  readonly api: KinesisApi
  readonly clock: Clock
  createStream(name: string, shards: number): Promise<void>
  /** Split in the middle of its range. */
  splitShard(name: string, shardId: string): Promise<void>
  mergeShards(name: string, first: string, second: string): Promise<void>
  /** Delete the stream, wait for a second at least, and make it again under its name. */
  recreateStream(name: string, shards: number): Promise<void>
  close(): Promise<void>
}

const SHARD_0 = 'shardId-000000000000'
const SHARD_1 = 'shardId-000000000001'

export function kinesisContract(name: string, open: () => Promise<KinesisBackend>): void {
  describe(`${name} as a Kinesis`, () => {
    let backend: KinesisBackend
    let streams = 0
    beforeAll(async () => {
      backend = await open()
    })
    afterAll(async () => {
      await backend?.close()
    })
    const newStream = async (shards: number): Promise<string> => {
      const stream = `contract-${++streams}`
      await backend.createStream(stream, shards)
      return stream
    }
    const put = async (stream: string, from: number, count: number): Promise<void> => {
      const entries = Array.from({ length: count }, (_, i) => ({
        partitionKey: `key-${from + i}`,
        data: Buffer.from(`record ${from + i} ⛄`),
      }))
      const outcomes = await backend.api.putRecords(stream, entries)
      expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    }

    describeStreams(() => backend, newStream)
    describeReading(() => backend, newStream, put)
    describeResharding(() => backend, newStream, put)
    describeLanding(name, () => backend, newStream, put)
  })
}

type NewStream = (shards: number) => Promise<string>
type Put = (stream: string, from: number, count: number) => Promise<void>

/** All records from an iterator to the tip or the end. */
async function drain(
  api: KinesisApi,
  first: string,
  limit?: number,
): Promise<{ texts: string[]; sequences: string[]; pages: number; ended: boolean; children: string[] }> {
  const texts: string[] = []
  const sequences: string[] = []
  let iterator: string | undefined = first
  let pages = 0
  for (;;) {
    const page = await api.getRecords(iterator, limit === undefined ? {} : { limit })
    pages++
    for (const record of page.records) {
      texts.push(Buffer.from(record.data).toString())
      sequences.push(record.sequenceNumber)
    }
    iterator = page.nextIterator
    if (iterator === undefined) return { texts, sequences, pages, ended: true, children: [...page.childShards] }
    if (page.millisBehindLatest === 0 && page.records.length === 0)
      return { texts, sequences, pages, ended: false, children: [] }
  }
}

function describeStreams(backend: () => KinesisBackend, newStream: NewStream): void {
  test('describes an active stream by its creation time and retention', async () => {
    const before = backend().clock.nowMillis()
    const description = await backend().api.describeStream(await newStream(1))
    expect(description.status).toBe('ACTIVE')
    expect(description.retentionMillis).toBe(86_400_000)
    expect(Math.abs(description.createdMillis - before)).toBeLessThan(60_000)
  })

  test('a stream that does not exist is not found, by every call that names it', async () => {
    const { api } = backend()
    const missing = { code: 'FIRN_STREAM_NOT_FOUND', kind: 'not-found' }
    await expect(api.describeStream('nope')).rejects.toMatchObject(missing)
    await expect(api.listShards('nope')).rejects.toMatchObject(missing)
    await expect(api.getShardIterator('nope', SHARD_0, { type: 'TRIM_HORIZON' })).rejects.toMatchObject(missing)
    const stream = await newStream(1)
    await expect(api.getShardIterator(stream, SHARD_1, { type: 'TRIM_HORIZON' })).rejects.toMatchObject(missing)
  })

  test('lists shards in pages that name each once', async () => {
    const stream = await newStream(5)
    const found: string[] = []
    let nextToken: string | undefined
    let pages = 0
    do {
      const token = nextToken === undefined ? {} : { nextToken }
      const page = await backend().api.listShards(stream, { maxResults: 2, ...token })
      found.push(...page.shards.map(({ shardId }) => shardId))
      expect(page.shards.every(({ closed, parents }) => !closed && parents.length === 0)).toBe(true)
      nextToken = page.nextToken
      pages++
    } while (nextToken !== undefined)
    expect(pages).toBe(3)
    expect(found).toEqual([0, 1, 2, 3, 4].map((i) => `shardId-00000000000${i}`))
  })
}

function describeReading(backend: () => KinesisBackend, newStream: NewStream, put: Put): void {
  test('gives back bytes, keys and arrival times in the order of the shard', async () => {
    const { api, clock } = backend()
    const stream = await newStream(1)
    const before = clock.nowMillis()
    await put(stream, 0, 20)
    const page = await api.getRecords(await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' }))
    expect(page.records.map(({ data }) => Buffer.from(data).toString())).toEqual(
      Array.from({ length: 20 }, (_, i) => `record ${i} ⛄`),
    )
    expect(page.records.map(({ partitionKey }) => partitionKey)).toEqual(
      Array.from({ length: 20 }, (_, i) => `key-${i}`),
    )
    for (const { arrivalMillis } of page.records) expect(Math.abs(arrivalMillis - before)).toBeLessThan(60_000)
    expect(page.millisBehindLatest).toBe(0)
    expect(page.nextIterator).toBeDefined()
    const sequences = page.records.map(({ sequenceNumber }) => BigInt(sequenceNumber))
    expect(sequences.every((sequence, i) => i === 0 || sequence > (sequences[i - 1] as bigint))).toBe(true)
  })

  test('a limit cuts pages, and nothing is lost between them', async () => {
    const { api } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 10)
    const first = await api.getRecords(await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' }), {
      limit: 3,
    })
    expect(first.records).toHaveLength(3)
    const rest = await drain(api, first.nextIterator as string, 3)
    expect(rest.texts).toEqual(Array.from({ length: 7 }, (_, i) => `record ${i + 3} ⛄`))
  })

  test('reads on after a sequence number', async () => {
    const { api } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 6)
    const all = await drain(api, await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' }))
    const sequenceNumber = all.sequences[3] as string
    const after = await api.getShardIterator(stream, SHARD_0, { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber })
    expect((await drain(api, after)).sequences).toEqual(all.sequences.slice(4))
  })

  test('LATEST and a timestamp leave out what came before', async () => {
    const { api, clock } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 3)
    await clock.sleep(20)
    const latest = await api.getShardIterator(stream, SHARD_0, { type: 'LATEST' })
    const timestampMillis = clock.nowMillis()
    await clock.sleep(20)
    await put(stream, 3, 2)
    const expected = ['record 3 ⛄', 'record 4 ⛄']
    expect((await drain(api, latest)).texts).toEqual(expected)
    const at = await api.getShardIterator(stream, SHARD_0, { type: 'AT_TIMESTAMP', timestampMillis })
    expect((await drain(api, at)).texts).toEqual(expected)
  })

  test('a timestamp later than now is refused', async () => {
    const { api, clock } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 1) // kinesis-local looks at the time only where there is a record
    const iteratorAt = (timestampMillis: number) =>
      api.getShardIterator(stream, SHARD_0, { type: 'AT_TIMESTAMP', timestampMillis })
    const refusal = { code: 'FIRN_STREAM_REQUEST_INVALID', kind: 'invalid' }
    await expect(iteratorAt(clock.nowMillis() + 3_600_000)).rejects.toMatchObject(refusal)
    await iteratorAt(clock.nowMillis() - 1_000)
  })

  test('a stream made again under its name is another one: later creation, same shard ids, old iterators are void', async () => {
    const { api } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 3)
    const { createdMillis } = await api.describeStream(stream)
    const iterator = await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' })
    const { records } = await api.getRecords(iterator)
    await backend().recreateStream(stream, 1)
    await put(stream, 3, 3)
    const again = await api.describeStream(stream)
    expect(Math.floor(again.createdMillis / 1000)).toBeGreaterThan(Math.floor(createdMillis / 1000))
    expect((await api.listShards(stream)).shards.map(({ shardId }) => shardId)).toEqual([SHARD_0])
    const sequenceNumber = records[2]?.sequenceNumber as string
    const position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber } as const
    await expect(api.getShardIterator(stream, SHARD_0, position)).rejects.toMatchObject({
      code: 'FIRN_STREAM_NOT_FOUND',
    })
    const fresh = await drain(api, await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' }))
    expect(fresh.texts).toEqual(['record 3 ⛄', 'record 4 ⛄', 'record 5 ⛄'])
  })

  test('a key always lands on the same shard, and keys spread over shards', async () => {
    const stream = await newStream(2)
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    const shardsOf = async (): Promise<string[]> => {
      const entries = keys.map((partitionKey) => ({ partitionKey, data: Buffer.from('x') }))
      return (await backend().api.putRecords(stream, entries)).map((outcome) => (outcome.ok ? outcome.shardId : '?'))
    }
    const first = await shardsOf()
    expect(await shardsOf()).toEqual(first)
    expect(new Set(first)).toEqual(new Set([SHARD_0, SHARD_1]))
  })
}

function describeResharding(backend: () => KinesisBackend, newStream: NewStream, put: Put): void {
  test('a split shard is closed, drains to its end and names its children', async () => {
    const { api } = backend()
    const stream = await newStream(1)
    await put(stream, 0, 5)
    await backend().splitShard(stream, SHARD_0)
    await put(stream, 5, 5)
    const { shards } = await api.listShards(stream)
    expect(shards.map(({ shardId, parents, closed }) => [shardId, parents, closed])).toEqual([
      [SHARD_0, [], true],
      [SHARD_1, [SHARD_0], false],
      ['shardId-000000000002', [SHARD_0], false],
    ])
    const parent = await drain(api, await api.getShardIterator(stream, SHARD_0, { type: 'TRIM_HORIZON' }), 2)
    expect(parent.texts).toHaveLength(5)
    const end = await api.getShardIterator(stream, SHARD_0, {
      type: 'AFTER_SEQUENCE_NUMBER',
      sequenceNumber: parent.sequences[4] as string,
    })
    const last = parent.ended ? parent : await drain(api, end)
    expect(last.ended).toBe(true)
    expect(last.children.toSorted()).toEqual([SHARD_1, 'shardId-000000000002'])
  })

  test('a merged shard has both parents', async () => {
    const { api } = backend()
    const stream = await newStream(2)
    await backend().mergeShards(stream, SHARD_0, SHARD_1)
    const { shards } = await api.listShards(stream)
    expect(shards.map(({ closed }) => closed)).toEqual([true, true, false])
    expect(shards[2]?.parents.toSorted()).toEqual([SHARD_0, SHARD_1])
  })
}

function describeLanding(name: string, backend: () => KinesisBackend, newStream: NewStream, put: Put): void {
  let stores = 0
  const newStore = (): ObjectStore => openMemoryStore(`kinesis-contract-${name}-${++stores}`)
  const landing = (store: ObjectStore, stream: string, start?: RequestedStart) => {
    const { api: client, clock } = backend()
    return land({ store, clock, source: kinesisSource({ stream, client, start, clock, pageRecords: 7 }) })
  }
  const texts = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => `record ${from + i} ⛄`).toSorted()
  const staged = async (store: ObjectStore, stream: string): Promise<string[]> =>
    (await stagedRecords(store, stream)).map(({ text }) => text).toSorted()
  const byShard = (result: LandResult) => result.shards.map(({ shardId, records, ended }) => [shardId, records, ended])

  test('landing takes every record once; a second run finds nothing to do', async () => {
    const store = newStore()
    const stream = await newStream(3)
    await put(stream, 0, 50)
    await backend().clock.sleep(5)
    const first = await landing(store, stream)
    expect(first.records).toBe(50)
    expect(first.shards.map(({ millisBehindLatest }) => millisBehindLatest)).toEqual([0, 0, 0])
    expect(await landing(store, stream)).toMatchObject({ records: 0, chunks: 0 })
    await put(stream, 50, 10)
    await backend().clock.sleep(5)
    expect(await landing(store, stream)).toMatchObject({ records: 10, gaps: [] })
    expect(await staged(store, stream)).toEqual(texts(0, 60))
  })

  test('landing reads a split stream to the end, parents before children', async () => {
    const store = newStore()
    const stream = await newStream(1)
    await put(stream, 0, 20)
    await backend().splitShard(stream, SHARD_0)
    await put(stream, 20, 20)
    await backend().clock.sleep(5)
    const result = await landing(store, stream)
    expect(byShard(result)).toEqual([
      [SHARD_0, 20, true],
      [SHARD_1, expect.any(Number), false],
      ['shardId-000000000002', expect.any(Number), false],
    ])
    expect(await staged(store, stream)).toEqual(texts(0, 40))
    expect(await landing(store, stream)).toMatchObject({ records: 0, chunks: 0 })
  })

  test('landing ends at a budget between two records, and goes on with the next run', async () => {
    const store = newStore()
    const stream = await newStream(2)
    await put(stream, 0, 30)
    await backend().clock.sleep(5)
    const counts: number[] = []
    for (let run = 0; run < 4; run++) {
      const { api: client, clock } = backend()
      const source = kinesisSource({ stream, client, clock, pageRecords: 7 })
      const result = await land({ store, clock, source, budget: { maxRecords: 12 } })
      counts.push(result.records)
      if (result.endedBy === 'tip') break
    }
    expect(counts).toEqual([12, 12, 6])
    expect(await staged(store, stream)).toEqual(texts(0, 30))
  })

  test('landing gives a stream that was made again chains of its own', async () => {
    const store = newStore()
    const stream = await newStream(1)
    await put(stream, 0, 5)
    await backend().clock.sleep(5)
    const first = await landing(store, stream)
    await backend().recreateStream(stream, 1)
    await put(stream, 5, 5)
    await backend().clock.sleep(5)
    const second = await landing(store, stream)
    expect(second).toMatchObject({ records: 5, gaps: [] })
    expect(second.created).toBeGreaterThan(first.created)
    expect(await staged(store, stream)).toEqual(texts(0, 10))
  })

  test('a first run from LATEST leaves out what was there before, and only that', async () => {
    const store = newStore()
    const stream = await newStream(2)
    await put(stream, 0, 10)
    await backend().clock.sleep(20)
    expect(await landing(store, stream, { type: 'LATEST' })).toMatchObject({ records: 0 })
    await backend().clock.sleep(20)
    await put(stream, 10, 10)
    await backend().clock.sleep(5)
    expect(await landing(store, stream)).toMatchObject({ records: 10 })
    expect(await staged(store, stream)).toEqual(texts(10, 20))
  })

  test('a start to come is refused, writes nothing, and keeps no later run from beginning', async () => {
    const store = newStore()
    const stream = await newStream(1)
    await put(stream, 0, 3)
    await backend().clock.sleep(5)
    const timestampMillis = epochMillis(Date.parse('2062-01-01'))
    const refusal = { code: 'FIRN_START_INVALID', kind: 'invalid' }
    await expect(landing(store, stream, { type: 'AT_TIMESTAMP', timestampMillis })).rejects.toMatchObject(refusal)
    for await (const { key } of store.list('')) expect.fail(`found ${key}`)
    expect(await landing(store, stream, { type: 'TRIM_HORIZON' })).toMatchObject({ records: 3 })
  })
}
