/** Tables whose needs cannot be told stop the pruning of their stream, and no other; an operator gets unstuck. */
import { expect, test } from 'vitest'
import { deregisterConsumer, listConsumers, registerConsumer } from '../../../../ingest/index.ts'
import { planPrune, runPrune } from '../../../../jobs/maintenance/prune/run.ts'
import { FirnError } from '../../../../table/errors.ts'
import { openCatalog } from '../../../../table/index.ts'
import { articleRecords, stage } from '../../compaction/fixture.ts'
import { type AgedWarehouse, agedWarehouse, CREATED, STREAM } from './aged-warehouse.ts'

const INCARNATION = { stream: STREAM, created: CREATED }
const ENTRY = `_staging/${STREAM}@${CREATED}/consumers/news.articles.json`

/** Two chunks could go. */
async function consumed(): Promise<AgedWarehouse> {
  const warehouse = agedWarehouse()
  await warehouse.land(9)
  await warehouse.compact()
  warehouse.later(4)
  return warehouse
}

async function drop({ store }: AgedWarehouse): Promise<void> {
  const keys: string[] = []
  for await (const { key } of store.list('news/articles/')) keys.push(key)
  for (const key of keys) await store.delete(key)
}

const stops: readonly (readonly [string, (warehouse: AgedWarehouse) => Promise<unknown>, RegExp, string])[] = [
  ['was dropped', drop, /news\.articles.*cannot be told/, 'FIRN_CONSUMER_UNREADABLE'],
  [
    'was dropped and made again',
    async (warehouse) => {
      await drop(warehouse)
      // the new one is registered with its first run; until then the entry is the old one's
      const entry = await warehouse.store.get(ENTRY)
      await warehouse.compact()
      await warehouse.store.put(ENTRY, entry.bytes)
    },
    /dropped and made again/,
    'FIRN_CONSUMER_UNREADABLE',
  ],
  [
    'has damaged positions',
    async (warehouse) => {
      const table = await warehouse.load()
      await table.setProperties({ [`firn.positions.${STREAM}@${CREATED}`]: '{"a":-1}' })
    },
    /holds no positions/,
    'FIRN_CONSUMER_UNREADABLE',
  ],
  [
    'has a damaged entry',
    (warehouse) => warehouse.store.put(ENTRY, Buffer.from('{"table": "news.articles"}')),
    /"table_uuid" is undefined/,
    'FIRN_CONSUMER_UNREADABLE',
  ],
  [
    'is in another catalog',
    async (warehouse) => {
      const { metadata, location } = await warehouse.load()
      const consumer = { table: 'news.articles', tableUuid: metadata.tableUuid, catalog: 'rest', location }
      await registerConsumer(warehouse.store, INCARNATION, consumer)
    },
    /registered from a REST catalog, and looked for in the warehouse's folders/,
    'FIRN_CONSUMER_UNREADABLE',
  ],
  [
    'was forgotten, and no other reads the stream',
    (warehouse) => deregisterConsumer(warehouse.store, INCARNATION, 'news.articles'),
    /no table reads stream MyStream@7/,
    'FIRN_NO_CONSUMER',
  ],
]

test.each(stops)('nothing is pruned when a table %s', async (_what, change, message, code) => {
  const warehouse = await consumed()
  const before = await planPrune(warehouse)
  expect(before.totals.chunks).toBe(2)
  const chunks = await warehouse.chunks()
  await change(warehouse)
  expect(await planPrune(warehouse)).toMatchObject({
    totals: { chunks: 0 },
    streams: [{ stopped: { code, message: expect.stringMatching(message) } }],
  })
  // also when it came to be so after the plan
  await expect(runPrune(warehouse, before)).rejects.toMatchObject({ code, kind: 'failed' })
  expect(await warehouse.chunks()).toEqual(chunks)
})

test('a stream that is stopped keeps no other from being pruned, and a forgotten table no longer stops its own', async () => {
  const warehouse = await consumed()
  const other = { stream: 'Other', created: 5 }
  await stage(warehouse, { a: { records: articleRecords(0, 9) } }, { ...other, recordsPerChunk: 3 })
  const consumer = { table: 'news.gone', tableUuid: 'x', catalog: 'file', location: 'memory://gone' }
  await registerConsumer(warehouse.store, other, consumer)
  expect(await planPrune(warehouse)).toMatchObject({ totals: { chunks: 2 }, streams: [{ stopped: null }, {}] })
  await registerConsumer(warehouse.store, INCARNATION, consumer)
  expect((await planPrune(warehouse)).totals.chunks).toBe(0)
  expect(await deregisterConsumer(warehouse.store, INCARNATION, 'news.gone')).toBe(true)
  expect(await deregisterConsumer(warehouse.store, INCARNATION, 'news.gone')).toBe(false)
  expect((await listConsumers(warehouse.store, INCARNATION)).map(({ table }) => table)).toEqual(['news.articles'])
  expect((await planPrune(warehouse)).totals.chunks).toBe(2)
})

test("tables of one name in two catalogs do not take each other's place: the second is refused", async () => {
  const warehouse = agedWarehouse()
  await warehouse.land(9)
  // Registered from a REST catalog over the same warehouse; it has consumed nothing so far.
  const other = { table: 'news.articles', tableUuid: 'other', catalog: 'rest', location: 's3://lake/articles' }
  await registerConsumer(warehouse.store, INCARNATION, other)
  const chunks = await warehouse.chunks()
  await expect(warehouse.compact()).rejects.toMatchObject({
    code: 'FIRN_CONSUMER_CONFLICT',
    kind: 'failed',
    help: expect.stringContaining('firn staging forget MyStream@7 news.articles'),
  })
  warehouse.later(4)
  expect(await planPrune(warehouse)).toMatchObject({ totals: { chunks: 0 }, streams: [{ stopped: {} }] })
  expect(await warehouse.chunks()).toEqual(chunks)
  await deregisterConsumer(warehouse.store, INCARNATION, 'news.articles')
  expect(await warehouse.compact()).toMatchObject({ records_read: 9 })
  await expect(registerConsumer(warehouse.store, INCARNATION, other)).rejects.toThrow(/in the warehouse's folders/)
  await expect(registerConsumer(warehouse.store, INCARNATION, { ...other, tableUuid: 'third' })).rejects.toThrow()
})

test('a table that moved to another catalog with its uuid takes its entry along', async () => {
  const warehouse = await consumed()
  const { metadata } = await warehouse.load()
  const moved = { table: 'news.articles', tableUuid: metadata.tableUuid, catalog: 'rest', location: 's3://lake/a' }
  await registerConsumer(warehouse.store, INCARNATION, moved)
  expect(await listConsumers(warehouse.store, INCARNATION)).toMatchObject([{ consumer: moved }])
})

test('a store that does not answer is no reason to call a table unreadable', async () => {
  const warehouse = await consumed()
  const { store } = warehouse
  const down = {
    ...store,
    url: store.url,
    put: store.put.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    get: async (key: string) => {
      if (!key.startsWith('news/')) return await store.get(key)
      throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
    },
  }
  const catalog = openCatalog(down, { clock: warehouse.clock })
  await expect(planPrune({ ...warehouse, store: down, catalog })).rejects.toMatchObject({ kind: 'unavailable' })
})
