/** A stream that is deleted, and made again under its name with the same shard ids, while a run reads it. */
import { expect, test } from 'vitest'
import { type KinesisApi, kinesisSource, land } from '../../../ingest/index.ts'
import type { KinesisSourceOptions } from '../../../ingest/kinesis/source.ts'
import { intercept, numbered, SHARD, STREAM, sorted, world } from '../kinesis-world.ts'
import { stagedMetas } from '../staged-records.ts'

const RECREATED = { code: 'FIRN_STREAM_RECREATED', kind: 'unavailable' }

/** `event` happens before the `at`-th call of `operation`. */
function before<K extends 'getRecords' | 'getShardIterator'>(
  client: KinesisApi,
  operation: K,
  at: number,
  event: () => void,
): KinesisApi {
  let calls = 0
  return intercept(client, operation, (call) => {
    if (++calls === at) event()
    return call()
  })
}

test.each([
  ['before its first shard is read', 'getShardIterator', 1],
  ['between the pages of a shard', 'getRecords', 2],
] as const)('%s: nothing of the new stream lands in the old chains', async (_when, operation, at) => {
  const { land, put, kinesis, clock, store, texts } = world(2, { pageRecords: 5 })
  put(0, 0, 12)
  put(1, 12, 12)
  const recreate = (): void => {
    clock.advance(60_000)
    kinesis.control(STREAM).deleteAndRecreate(2)
    put(0, 100, 12)
    put(1, 112, 12)
  }
  await expect(land({ client: before(kinesis, operation, at, recreate) })).rejects.toMatchObject(RECREATED)
  const old = await texts()
  expect(old.filter((text) => Number(text.slice(1)) >= 100)).toEqual([])
  expect(await land()).toMatchObject({ records: 24, gaps: [] })
  expect(sorted(await texts())).toEqual([...sorted(old), ...numbered(100, 124)])
  expect(new Set((await stagedMetas(store, STREAM)).slice(-2).map(({ created }) => created)).size).toBe(1)
})

test('with everything landed before: the old chains neither go on nor report a gap', async () => {
  const { land, put, kinesis, clock, store, texts } = world(1)
  put(0, 0, 5)
  await land()
  const recreate = (): void => {
    clock.advance(60_000)
    kinesis.control(STREAM).deleteAndRecreate()
    put(0, 5, 5)
  }
  await expect(land({ client: before(kinesis, 'getShardIterator', 1, recreate) })).rejects.toMatchObject(RECREATED)
  expect(await land()).toMatchObject({ records: 5 })
  expect(await texts()).toEqual(numbered(0, 10))
  expect((await stagedMetas(store, STREAM)).map(({ gap }) => gap)).toEqual([false, false])
})

test('deleted for good: the run says that the stream is gone', async () => {
  const { land, put, kinesis, texts } = world(1, { pageRecords: 5 })
  put(0, 0, 12)
  const client = before(kinesis, 'getRecords', 2, () => kinesis.deleteStream(STREAM))
  await expect(land({ client })).rejects.toMatchObject({ code: 'FIRN_STREAM_NOT_FOUND' })
  expect(await texts()).toEqual([])
})

test('an end that a new stream tells is not written into the old chain', async () => {
  const { land, put, kinesis, clock, store } = world(1)
  put(0, 0, 5)
  await land()
  const recreate = (): void => {
    clock.advance(60_000)
    kinesis.control(STREAM).deleteAndRecreate()
    kinesis.splitShard(STREAM, SHARD(0))
  }
  // AWS and some emulators take a position of the old stream for one before the first record.
  const client = before(kinesis, 'getShardIterator', 1, recreate)
  const lenient = intercept(client, 'getShardIterator', async (call) => {
    await call().catch(() => {})
    return kinesis.getShardIterator(STREAM, SHARD(0), { type: 'TRIM_HORIZON' })
  })
  await expect(land({ client: lenient })).rejects.toMatchObject(RECREATED)
  expect((await stagedMetas(store, STREAM)).map(({ ended }) => ended)).toEqual([false])
})

test('a setting of LATEST is for the first stream of a name: of one made again all is landed, unless a run asks', async () => {
  const { put, kinesis, clock, store, texts } = world(1)
  const run = (start: Pick<KinesisSourceOptions, 'start' | 'defaultStart'>) => {
    clock.advance(1_000)
    return land({ store, source: kinesisSource({ stream: STREAM, client: kinesis, clock, ...start }), clock })
  }
  const again = (): void => {
    clock.advance(60_000)
    kinesis.control(STREAM).deleteAndRecreate()
  }
  const defaultStart = { type: 'LATEST' } as const
  put(0, 0, 5)
  expect(await run({ defaultStart })).toMatchObject({ records: 0 })
  put(0, 5, 5)
  expect(await run({ defaultStart })).toMatchObject({ records: 5 })
  again()
  put(0, 10, 5) // before the first run that sees the new stream
  expect(await run({ defaultStart })).toMatchObject({ records: 5 })
  expect(await texts()).toEqual(numbered(5, 15))
  again()
  put(0, 15, 5)
  expect(await run({ start: defaultStart })).toMatchObject({ records: 0 })
})
