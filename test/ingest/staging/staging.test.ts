/** Listings and the small objects beside the chunks. */
import { beforeEach, expect, test } from 'vitest'
import { chunkKey, listChunks, listIncarnations, registerConsumer } from '../../../ingest/index.ts'
import { encodeChunk } from '../../../ingest/staging/chunk.ts'
import { emptyRows } from '../../../ingest/staging/chunk-rows.ts'
import { ensureStart } from '../../../ingest/staging/stream-start.ts'
import { readCaughtUp, writeCaughtUp } from '../../../ingest/staging/stream-state.ts'
import { epochMillis } from '../../../table/ids.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { unavailable, unsteady } from '../unsteady-store.ts'
import { virtualClock, virtualStart } from '../virtual-clock.ts'

let store: ObjectStore
let stores = 0
beforeEach(() => {
  store = openMemoryStore(`staging-${++stores}`)
})

const orders = { stream: 'orders', created: 7 }
const stage = async (stream: string, created: number, shardId: string, after: string): Promise<void> => {
  const meta = {
    stream,
    created,
    shardId,
    parents: [],
    after,
    last: after,
    count: 0,
    gap: false,
    ended: true,
    lander: '0',
  }
  await store.put(chunkKey(meta, shardId, after), await encodeChunk(meta, emptyRows))
}
const bytesAt = async (key: string): Promise<unknown> =>
  JSON.parse(Buffer.from((await store.get(key)).bytes).toString())

test('incarnations come by name, then oldest first, whatever lies between', async () => {
  for (const [stream, created] of [
    ['b', 12],
    ['b', 9],
    ['a', 100],
    ['a.b', 1],
    ['a-b', 2],
    ['b', 100],
  ] as const) {
    for (const after of ['0', '5', '10']) await stage(stream, created, 'shard', after)
    await ensureStart(store, { stream, created }, {}, { nowMillis: virtualStart })
  }
  await store.put('_staging/readme.txt', Buffer.from('by hand'))
  await store.put('_staging/b@x/odd', Buffer.from('by hand'))
  expect((await listIncarnations(store)).map(({ stream, created }) => `${stream}@${created}`)).toEqual([
    'a@100',
    'a-b@2',
    'a.b@1',
    'b@9',
    'b@12',
    'b@100',
  ])
  expect((await listIncarnations(store, { stream: 'b' })).map(({ created }) => created)).toEqual([9, 12, 100])
  expect(await listIncarnations(store, { stream: 'c' })).toEqual([])
})

test('listing incarnations costs a few requests, not one for every page of chunks', async () => {
  for (let i = 0; i < 50; i++) await stage('orders', 7, 'shard', String(i))
  let lists = 0
  const counting = unsteady(store, (operation, call) => {
    if (operation === 'list') lists++
    return call()
  })
  expect(await listIncarnations(counting)).toEqual([orders])
  expect(lists).toBe(2)
})

test('chunks come by shard, then by position as a number; foreign objects are left out', async () => {
  for (const after of ['100', '9', '0']) await stage('orders', 7, 'shard-b', after)
  await stage('orders', 7, 'shard-a', '55')
  await store.put('_staging/orders@7/shards/shard-a/notes.txt', Buffer.from('x'))
  await store.put('_staging/orders@7/shards/shard-a/12.arrows.zst', Buffer.from('x'))
  const chunks = await listChunks(store, orders)
  expect(chunks.map(({ shardId, after }) => [shardId, after])).toEqual([
    ['shard-a', '55'],
    ['shard-b', '0'],
    ['shard-b', '9'],
    ['shard-b', '100'],
  ])
  expect(chunks[0]).toMatchObject({ ...orders, key: chunkKey(orders, 'shard-a', '55'), sizeBytes: expect.any(Number) })
})

test('a consumer is registered once, and again only when it changed', async () => {
  const consumer = { table: 'news.articles', tableUuid: 'u-1', catalog: 'file', location: 's3://b/news/articles' }
  let puts = 0
  const counting = unsteady(store, (operation, call) => {
    if (operation === 'put') puts++
    return call()
  })
  await registerConsumer(counting, orders, consumer)
  await registerConsumer(counting, orders, consumer)
  expect(puts).toBe(1)
  const key = '_staging/orders@7/consumers/news.articles.json'
  expect(await bytesAt(key)).toEqual({
    table: 'news.articles',
    table_uuid: 'u-1',
    catalog: 'file',
    location: 's3://b/news/articles',
  })
  await registerConsumer(counting, orders, { ...consumer, tableUuid: 'u-2' })
  expect(await bytesAt(key)).toMatchObject({ table_uuid: 'u-2' })
})

test('times at the tip only move on, survive racing runs, and are forgotten with their shard', async () => {
  const clock = virtualClock()
  const write = (times: Record<string, number>, keep: (shardId: string) => boolean = () => true) => {
    const reached = new Map(Object.entries(times).map(([shardId, millis]) => [shardId, epochMillis(millis)]))
    return writeCaughtUp(store, orders, reached, { clock, keep })
  }
  await Promise.all([write({ a: 5_000, b: 1_000 }), write({ a: 3_000, c: 2_000 }), write({ b: 9_000 })])
  const read = async () => Object.fromEntries(await readCaughtUp(store, orders))
  expect(await read()).toEqual({ a: 5_000, b: 9_000, c: 2_000 })
  await write({ a: 4_000 }, (shardId) => shardId !== 'c')
  expect(await read()).toEqual({ a: 5_000, b: 9_000 })
})

test('a store that is away while state is written is reported', async () => {
  const away = unsteady(store, (operation, call) => (operation === 'put' ? Promise.reject(unavailable()) : call()))
  const consumer = { table: 'a.b', tableUuid: 'u', catalog: 'file', location: 'x' }
  await expect(registerConsumer(away, orders, consumer)).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
})
