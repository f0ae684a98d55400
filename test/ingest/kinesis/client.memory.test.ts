/** What the Kinesis in memory adds for simulations: the limits and losses of the real one, by the clock alone. */
import { describe, expect, test } from 'vitest'
import type { KinesisPage } from '../../../ingest/index.ts'
import { MemoryKinesis, type MemoryKinesisOptions } from '../../contract/memory-kinesis.ts'
import { numbered, SHARD, STREAM, world } from '../kinesis-world.ts'
import { virtualClock } from '../virtual-clock.ts'

const MIB = 1024 * 1024
const THROTTLED = { code: 'FIRN_STREAM_THROTTLED' }
const EXPIRED = { code: 'FIRN_ITERATOR_EXPIRED' }
const NOT_FOUND = { code: 'FIRN_STREAM_NOT_FOUND' }

function stream(shards: number, options: Omit<MemoryKinesisOptions, 'clock'> = {}) {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock, ...options })
  kinesis.createStream(STREAM, shards)
  const begin = (shard = 0): Promise<string> => kinesis.getShardIterator(STREAM, SHARD(shard), { type: 'TRIM_HORIZON' })
  const put = (text: string | Uint8Array, shard = 0): string => kinesis.putInto(STREAM, SHARD(shard), text)
  return { clock, kinesis, control: kinesis.control(STREAM), begin, put }
}
const textsOf = ({ records }: KinesisPage): string[] => records.map(({ data }) => Buffer.from(data).toString())

describe('limits', () => {
  test('more than five calls a second and shard are refused; other shards and later seconds are not', async () => {
    const { kinesis, clock, begin } = stream(2, { limits: true })
    const [first, second] = [await begin(0), await begin(1)]
    for (let call = 0; call < 5; call++) await kinesis.getRecords(first)
    await expect(kinesis.getRecords(first)).rejects.toMatchObject(THROTTLED)
    await kinesis.getRecords(second)
    clock.advance(1_000)
    await kinesis.getRecords(first)
    for (let call = 0; call < 5; call++) await begin(0)
    await expect(begin(0)).rejects.toMatchObject(THROTTLED)
  })

  test('a page ends at 10 MiB, and calls are refused for 5 s after it', async () => {
    const { kinesis, clock, begin, put } = stream(1, { limits: true })
    for (let i = 0; i < 25; i++) put(Buffer.alloc(MIB))
    const first = await kinesis.getRecords(await begin())
    expect(first.records).toHaveLength(10)
    clock.advance(4_999)
    await expect(kinesis.getRecords(first.nextIterator as string)).rejects.toMatchObject(THROTTLED)
    clock.advance(1)
    const second = await kinesis.getRecords(first.nextIterator as string)
    expect(second.records).toHaveLength(10)
    clock.advance(5_000)
    const last = await kinesis.getRecords(second.nextIterator as string)
    expect(last.records).toHaveLength(5)
    await kinesis.getRecords(last.nextIterator as string) // not full: no pause
  })

  test('a record of 10 MiB has a page of its own', async () => {
    const { kinesis, begin, put } = stream(1)
    for (const size of [10, 10 * MIB, 10]) put(Buffer.alloc(size))
    const sizes: number[][] = []
    let iterator: string | undefined = await begin()
    for (let page = 0; page < 3; page++) {
      const answer: KinesisPage = await kinesis.getRecords(iterator as string)
      sizes.push(answer.records.map(({ data }) => data.byteLength))
      iterator = answer.nextIterator
    }
    expect(sizes).toEqual([[10], [10 * MIB], [10]])
  })

  test('iterators and page tokens expire after five minutes', async () => {
    const { kinesis, clock, begin } = stream(3, { listPageShards: 2 })
    const iterator = await begin()
    const { nextToken } = await kinesis.listShards(STREAM)
    clock.advance(300_001)
    await expect(kinesis.getRecords(iterator)).rejects.toMatchObject(EXPIRED)
    await expect(kinesis.listShards(STREAM, { nextToken: nextToken as string })).rejects.toMatchObject(EXPIRED)
  })
})

describe('what happens to a stream', () => {
  test('trimming takes records by their arrival, and closed shards once they are empty and old', async () => {
    const { kinesis, clock, control, begin, put } = stream(1)
    const old = put('old')
    clock.advance(1_000)
    put('new')
    const [left, right] = control.split(SHARD(0)) as [string, string]
    control.trim(clock.nowMillis())
    expect(textsOf(await kinesis.getRecords(await begin()))).toEqual(['new'])
    const position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: old } as const
    await expect(kinesis.getShardIterator(STREAM, SHARD(0), position)).rejects.toMatchObject(NOT_FOUND)
    clock.advance(1_000)
    control.trim(clock.nowMillis())
    expect((await kinesis.listShards(STREAM)).shards.map(({ shardId }) => shardId)).toEqual([left, right])
  })

  test('time alone trims where that is asked for, and a trimmed position goes on as AWS does', async () => {
    const { kinesis, clock, put } = stream(1, { trims: true, skipsTrimmed: true, retentionMillis: 5_000 })
    const sequenceNumber = put('a')
    put('b')
    clock.advance(5_001)
    put('c')
    const position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber } as const
    const iterator = await kinesis.getShardIterator(STREAM, SHARD(0), position)
    expect(textsOf(await kinesis.getRecords(iterator))).toEqual(['c'])
  })

  test('split and merge close what they are given; neighbours are found by their ranges', async () => {
    const { control } = stream(2)
    const [low, high] = control.split(SHARD(0)) as [string, string]
    expect(control.openShards()).toEqual([low, high, SHARD(1)])
    const merged = control.merge(high, SHARD(1))
    expect(control.openShards()).toEqual([low, merged])
    expect(() => control.split(high)).toThrow('is closed')
  })

  test('a stream that was made again has the same shard ids, and knows no iterator of before', async () => {
    const { kinesis, control, begin, put } = stream(2)
    put('old')
    const iterator = await begin()
    control.deleteAndRecreate(2)
    put('new')
    await expect(kinesis.getRecords(iterator)).rejects.toMatchObject(NOT_FOUND)
    expect(textsOf(await kinesis.getRecords(await begin()))).toEqual(['new'])
  })

  test('a page without a next iterator comes as often as it is asked for, and no record is lost by it', async () => {
    const { kinesis, begin, put } = stream(1, { nullIteratorEvery: 2, pageRecords: 1 })
    for (const text of ['a', 'b', 'c']) put(text)
    const first = await kinesis.getRecords(await begin())
    const second = await kinesis.getRecords(first.nextIterator as string)
    expect(second).toMatchObject({ nextIterator: undefined, childShards: [] })
    const sequenceNumber = second.records[0]?.sequenceNumber as string
    const position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber } as const
    const again = await kinesis.getShardIterator(STREAM, SHARD(0), position)
    expect(textsOf(await kinesis.getRecords(again))).toEqual(['c'])
  })
})

describe('landing under those limits', () => {
  test('is never refused on its own account, whatever the size of records and pages', async () => {
    const { land, kinesis } = world(2, { limits: true })
    for (const size of [3, 4, 9, 1, 1, 1, 6]) kinesis.putInto(STREAM, SHARD(0), Buffer.alloc(size * MIB, 65))
    for (let i = 0; i < 30; i++) kinesis.putInto(STREAM, SHARD(1), Buffer.alloc(MIB, 66))
    kinesis.splitShard(STREAM, SHARD(1))
    const result = await land({ shardConcurrency: 1 })
    const untroubled = { gaps: [], endedBy: 'tip', expiredIterators: 0, throttled: 0 }
    expect(result).toMatchObject({ records: 37, bytes: 55 * MIB, ...untroubled })
  })

  test('counts what was refused and what expired, and loses nothing by it', async () => {
    let calls = 0
    const { land, put, clock, texts } = world(1, {
      limits: true,
      pageRecords: 5,
      fault: (operation) => {
        if (operation !== 'getRecords') return
        if (++calls === 3) clock.advance(301_000)
      },
    })
    put(0, 0, 20)
    expect(await land()).toMatchObject({ records: 20, expiredIterators: 1, throttled: 0 })
    expect(await texts()).toEqual(numbered(0, 20))
  })
})
