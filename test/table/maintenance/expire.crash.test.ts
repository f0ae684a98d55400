/** Expiry and removal of orphans, dying at every write. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { EXPIRING_PROPERTY } from '../../../table/commit/refs.ts'
import { FirnError } from '../../../table/errors.ts'
import { faultyStore, type StoreCall } from '../../../table/io/faulty.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { planExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planOrphans, runOrphans } from '../../../table/maintenance/orphans.ts'
import {
  appendEach,
  DAY,
  dataNames,
  idsOf,
  keysOf,
  type Lab,
  lab,
  lostKeys,
  referencedKeys,
  smallFile,
} from './expire-support.ts'

const isMetadata = (key: string): boolean => /\/v\d+\.metadata\.json$/.test(key)

/** A history in which snapshots, refs, manifests, data files and metadata files all come to an end. */
async function storied(): Promise<Lab> {
  const at = await lab({ 'write.metadata.previous-versions-max': '3' })
  let table = await appendEach(at.table, ['a', 'b', 'c'])
  await table.createTag('first', idsOf(table)[0])
  table = await table.createTag('short', idsOf(table)[1], { maxRefAgeMillis: DAY })
  const removed = ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`)
  table = (await table.replaceFiles(removed, [await smallFile(table, 'ab')], {})).table
  table = (await table.commitFiles({ operation: 'delete', added: [], removed: [`${table.location}/data/c.parquet`] }))
    .table
  table = await appendEach(table, ['d', 'e', 'f', 'g', 'h'])
  // Of a run that died before its commit.
  await smallFile(table, 'never-committed')
  await at.clock.sleep(10 * DAY)
  return { ...at, table }
}

const maintain = async (store: ObjectStore, { clock }: Lab): Promise<void> => {
  const table = await openCatalog(store, { clock }).loadTable('t.events')
  const { table: expired } = await runExpire(table, planExpire(table, {}, clock), {}, clock)
  await runOrphans(expired, await planOrphans(expired, {}, clock))
}

describe('expiry and removal of orphans', () => {
  test('leave exactly what the table leads to, and the newest versions of its metadata', async () => {
    const at = await storied()
    await maintain(at.store, at)
    const table = await at.table.refresh()
    expect(await dataNames(table)).toEqual(['a', 'ab', 'd', 'e', 'f', 'g', 'h'])
    const version = Number(/v(\d+)\.metadata\.json$/.exec(table.metadataLocation)![1])
    const newest = Array.from({ length: 10 }, (_, i) => `metadata/v${version - i}.metadata.json`)
    const owed = new Set([...(await referencedKeys(table)), ...newest])
    expect(new Set(await keysOf(table.store))).toEqual(owed)
  })

  test('that die at any write lose nothing that is referenced; done again they leave nothing else', async () => {
    const origin = await storied()
    const calls = await writesOf(await copyOf(origin))
    const expected = await dataNames(origin.table)
    expect(calls.filter(({ operation }) => operation === 'delete').length).toBeGreaterThan(15)
    for (const call of calls) {
      // What a dead delete did is what the next one finds.
      for (const kill of call.operation === 'put' ? (['before', 'after'] as const) : (['after'] as const)) {
        const at = await copyOf(origin)
        const weather = {
          seed: 1,
          clock: at.clock,
          kill: ({ index }: StoreCall) => (index === call.index ? kill : undefined),
        }
        await maintain(faultyStore(at.store, weather), at).catch((error: unknown) => {
          if (!FirnError.is(error)) throw error
        })
        const where = `dies ${kill} ${call.operation} ${call.key}`
        expect(await lostKeys(await at.table.refresh()), where).toEqual([])
        await at.clock.sleep(10 * DAY)
        await maintain(at.store, at)
        const table = await at.table.refresh()
        expect(await lostKeys(table), where).toEqual([])
        expect(table.metadata.properties, where).not.toHaveProperty(EXPIRING_PROPERTY)
        const owed = await referencedKeys(table)
        const rest = (await keysOf(table.store)).filter((key) => !owed.has(key) && !isMetadata(key))
        expect(rest, where).toEqual([])
        expect(await dataNames(table), where).toEqual(
          expected.filter((name) => !['b', 'c', 'never-committed'].includes(name)),
        )
      }
    }
  }, 60_000)
})

/** The puts and deletes of a maintenance: between two of them the table does not change. */
async function writesOf(at: Lab): Promise<readonly StoreCall[]> {
  const calls: StoreCall[] = []
  const note = (call: StoreCall): undefined => void calls.push(call)
  await maintain(faultyStore(at.store, { seed: 1, clock: at.clock, kill: note }), at)
  return calls.filter(({ operation }) => operation === 'put' || operation === 'delete')
}

let copies = 0

/** The same objects under the same URL, in another store. */
async function copyOf({ store, clock }: Lab): Promise<Lab> {
  const objects = openMemoryStore(`copy-${process.pid}-${copies++}`, { clock })
  for (const key of await keysOf(store)) await objects.put(key, (await store.get(key)).bytes)
  const copy: ObjectStore = {
    url: store.url,
    put: (key, body, options) => objects.put(key, body, options),
    get: (key, options) => objects.get(key, options),
    head: (key, options) => objects.head(key, options),
    list: (prefix, options) => objects.list(prefix, options),
    delete: (key, options) => objects.delete(key, options),
  }
  const catalog = openCatalog(copy, { clock })
  await clock.sleep(10 * DAY)
  return { clock, store: copy, catalog, table: await catalog.loadTable('t.events') }
}
