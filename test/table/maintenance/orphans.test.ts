/** Orphans are found and removed; nothing that the table may need is. */
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fileTableOperations } from '../../../table/catalog/file.ts'
import { openCatalog, openTableAt } from '../../../table/catalog/open.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import { openFileStore } from '../../../table/io/file.ts'
import { ORPHAN_MIN_AGE_MILLIS, type OrphanPlan, planOrphans, runOrphans } from '../../../table/maintenance/orphans.ts'
import { printMetadata, type TableMetadata } from '../../../table/spec/metadata.ts'
import { Table } from '../../../table/table.ts'
import { commitFiles as commitForeign, putMetadata } from '../scan/delete-tables.ts'
import { eventsTable } from '../support.ts'
import {
  appendEach,
  DAY,
  dataNames,
  entryOf,
  keysOf,
  type Lab,
  lab,
  lostKeys,
  printed,
  referencedKeys,
  smallFile,
  tableStore,
} from './expire-support.ts'

const put = (table: Table, key: string, text = key): Promise<unknown> => table.store.put(key, Buffer.from(text))
const keysIn = (plan: OrphanPlan): readonly string[] => plan.orphans.map(({ key }) => key)

/** A table with something of everything, and days later. */
async function settled(properties: Readonly<Record<string, string>> = {}): Promise<Lab> {
  const at = await lab(properties)
  const table = await appendEach(at.table, ['a', 'b'])
  await at.clock.sleep(4 * DAY)
  return { ...at, table }
}

describe('what is an orphan', () => {
  test('nothing in a table that only ever committed', async () => {
    const at = await settled()
    const plan = await planOrphans(at.table, {}, at.clock)
    expect(plan.orphans).toEqual([])
    expect(plan.totals).toMatchObject({ objects: (await keysOf(at.table.store)).length, young: 0, hidden: 0 })
  })

  test('old objects that nothing leads to, by kind; young ones are counted', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await put(table, 'data/lost.parquet', '12345')
    await put(table, 'metadata/lost-m0.avro')
    await put(table, 'metadata/snap-1-1-lost.avro')
    await put(table, 'metadata/lost.stats')
    await at.clock.sleep(4 * DAY)
    await put(table, 'data/young.parquet')
    const plan = await planOrphans(table, {}, at.clock)
    expect(printed(plan)).toEqual(plan)
    expect(plan.orphans.map(({ key, kind }) => [key, kind])).toEqual([
      ['data/lost.parquet', 'content'],
      ['metadata/lost-m0.avro', 'manifest'],
      ['metadata/lost.stats', 'statistics'],
      ['metadata/snap-1-1-lost.avro', 'manifest-list'],
    ])
    expect(plan.orphans[0]).toMatchObject({ sizeBytes: 5, etag: (await table.store.head('data/lost.parquet'))!.etag })
    expect(plan.totals).toMatchObject({ orphans: 4, young: 1 })
  })

  test('not what any snapshot, branch or tag leads to, nor statistics, nor the log, nor the hint', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    table = await table.createBranch('side', table.metadata.snapshots[0]!.snapshotId)
    table = await appendEach(table, ['on-side'], 'side')
    const removed = ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`)
    table = (await table.replaceFiles(removed, [await smallFile(table, 'ab')], {})).table
    await put(table, 'metadata/some.puffin')
    const statistics = [{ 'snapshot-id': 1, 'statistics-path': `${table.location}/metadata/some.puffin` }]
    table = await putMetadata(table, { ...table.metadata, unknown: { statistics } })
    await at.clock.sleep(4 * DAY)
    expect((await planOrphans(table, {}, at.clock)).orphans).toEqual([])
  })

  test("not hidden objects, which are somebody else's business; a partition column may begin with _", async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await put(table, '_SUCCESS')
    await put(table, 'data/.part-0.crc')
    await put(table, 'data/_temporary/0/part-0.parquet')
    await put(table, 'data/_day=1/part-0.parquet')
    await at.clock.sleep(4 * DAY)
    const plan = await planOrphans(table, {}, at.clock)
    expect(keysIn(plan)).toEqual(['data/_day=1/part-0.parquet'])
    expect(plan.totals.hidden).toBe(3)
  })

  test('not what is spelt in another way: escapes, doubled slashes', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await put(table, 'data/day=2020%2F01/f.parquet')
    await put(table, 'data/b c.parquet')
    const foreign = await commitForeign(table, [
      entryOf(`${table.location}/data//day=2020%2F01/f.parquet`, 1, [0]),
      entryOf(`${table.location}/data/b%20c.parquet`, 1, [0]),
    ])
    await at.clock.sleep(4 * DAY)
    expect((await planOrphans(foreign, {}, at.clock)).orphans).toEqual([])
  })

  test('not old metadata files that the log names', async () => {
    const at = await lab()
    let { table } = at
    for (let i = 0; i < 15; i++) table = await table.setProperties({ turn: String(i) })
    await at.clock.sleep(4 * DAY)
    table = await table.setProperties({ turn: 'last' })
    expect((await planOrphans(table, {}, at.clock)).orphans).toEqual([])
  })

  test('metadata files that the log has forgotten, but for versions that a stalled writer may stand on', async () => {
    const at = await lab({ 'write.metadata.previous-versions-max': '1' })
    let table = await appendEach(at.table, ['a'])
    for (let i = 0; i < 15; i++) table = await table.setProperties({ turn: String(i) })
    const newest = Number(/v(\d+)\.metadata/.exec(table.metadataLocation)![1])
    const young = await planOrphans(table, { minAgeMillis: 0, allowYoung: 'test' }, at.clock)
    expect(young.orphans.filter(({ kind }) => kind === 'metadata')).toEqual([])
    await at.clock.sleep(4 * DAY)
    // All versions are of one time: none is old beside the newest.
    expect((await planOrphans(table, {}, at.clock)).orphans).toEqual([])
    table = await table.setProperties({ turn: 'last' })
    const plan = await planOrphans(table, {}, at.clock)
    const expected = Array.from({ length: newest + 1 - 10 }, (_, i) => `metadata/v${i + 1}.metadata.json`)
    expect([...keysIn(plan)].sort()).toEqual(expected.sort())
  })
})

test('metadata as a catalog service names it: the current file and the logged ones stay', async () => {
  const at = await settled()
  const { store, location } = at.table
  const name = (version: number) => `metadata/0000${version}-aaaa.metadata.json`
  const metadata = {
    ...at.table.metadata,
    metadataLog: [{ timestampMillis: epochMillis(1), metadataFile: `${location}/${name(1)}` }],
  }
  for (const version of [0, 1, 2]) await put(at.table, name(version), printMetadata(metadata))
  for (const key of await keysOf(store, 'metadata/v')) await store.delete(key)
  await at.clock.sleep(4 * DAY)
  const state = { metadata, metadataLocation: `${location}/${name(2)}`, version: 0 }
  const operations = { ...fileTableOperations(store, at.clock), load: async () => state }
  const table = new Table('t.events', store, state, at.clock, { operations, writable: true })
  expect(keysIn(await planOrphans(table, {}, at.clock))).toEqual([name(0)])
})

test('on a file system: what is left are the files of the table', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'firn-orphans-'))
  try {
    const store = openFileStore(folder)
    const table = await appendEach((await eventsTable(store)).table, ['a', 'b'])
    await smallFile(table, 'lost')
    const weekAgo = new Date(systemClock.nowMillis() - 7 * DAY)
    for (const key of await keysOf(store)) await utimes(join(folder, key), weekAgo, weekAgo)
    const opened = await openCatalog(store, { clock: systemClock }).loadTable('t.events')
    const plan = await planOrphans(opened, {}, systemClock)
    expect(keysIn(plan)).toEqual(['data/lost.parquet'])
    expect((await runOrphans(opened, printed(plan))).result).toMatchObject({ deleted: 1, changed: [] })
    expect(new Set(await keysOf(opened.store))).toEqual(await referencedKeys(opened))
  } finally {
    await rm(folder, { recursive: true })
  }
})

describe('refusals', () => {
  test('an age below three days without a reason', async () => {
    const at = await settled()
    const minAgeMillis = ORPHAN_MIN_AGE_MILLIS - 1
    const refused = { code: 'FIRN_INVALID_OPTION', kind: 'invalid' }
    await expect(planOrphans(at.table, { minAgeMillis }, at.clock)).rejects.toMatchObject(refused)
    await expect(planOrphans(at.table, { minAgeMillis, allowYoung: ' ' }, at.clock)).rejects.toMatchObject(refused)
    await expect(planOrphans(at.table, { minAgeMillis: Number.NaN }, at.clock)).rejects.toMatchObject(refused)
    const plan = await planOrphans(at.table, { minAgeMillis, allowYoung: 'nobody writes' }, at.clock)
    expect(plan.allowYoung).toBe('nobody writes')
    await expect(runOrphans(at.table, { ...plan, allowYoung: null })).rejects.toMatchObject(refused)
  })

  test('gc.enabled=false, in the plan and in the run', async () => {
    const at = await settled()
    const plan = await planOrphans(at.table, {}, at.clock)
    const locked = await at.table.setProperties({ 'gc.enabled': 'false' })
    await expect(planOrphans(locked, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_GC_DISABLED' })
    await expect(runOrphans(at.table, plan)).rejects.toMatchObject({ code: 'FIRN_GC_DISABLED' })
  })

  test('a table opened by one metadata file, to which all that came later would be garbage', async () => {
    const at = await settled()
    const metadataFile = 'metadata/v2.metadata.json'
    const old = await openTableAt(tableStore(at.store), { clock: at.clock, metadataFile })
    await expect(planOrphans(old, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_TABLE_READ_ONLY' })
  })

  test('another table below the folder, or in it', async () => {
    const below = await settled()
    await put(below.table, 'nested/metadata/v1.metadata.json')
    const shared = { code: 'FIRN_LOCATION_SHARED' }
    await expect(planOrphans(below.table, {}, below.clock)).rejects.toMatchObject(shared)
    const within = await settled()
    const plan = await planOrphans(within.table, {}, within.clock)
    const other = await lab()
    const text = Buffer.from((await other.table.store.get('metadata/v1.metadata.json')).bytes).toString('utf8')
    const uuid = other.table.metadata.tableUuid
    expect(text).toContain(uuid)
    const foreign = text.replace(uuid, '00000000-0000-4000-8000-000000000000')
    await put(within.table, 'metadata/00-registered-elsewhere.metadata.json', foreign)
    await expect(planOrphans(within.table, {}, within.clock)).rejects.toMatchObject(shared)
    await expect(runOrphans(within.table, plan)).rejects.toMatchObject(shared)
  })

  test('another table whose metadata is older than what this one has forgotten', async () => {
    const at = await settled()
    const foreign = { ...at.table.metadata, tableUuid: '00000000-0000-4000-8000-000000000000' }
    await put(at.table, 'metadata/00-registered-elsewhere.metadata.json', printMetadata(foreign))
    await at.clock.sleep(DAY)
    await put(at.table, 'metadata/00-lost-try.metadata.json', printMetadata(at.table.metadata))
    await expect(planOrphans(at.table, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_LOCATION_SHARED' })
  })

  describe('metadata of the same table that its catalog does not name', () => {
    const name = 'metadata/00-unnamed.metadata.json'
    type Change = (metadata: TableMetadata) => Partial<TableMetadata>
    async function planBeside(change: Change): Promise<OrphanPlan> {
      const at = await settled()
      await put(at.table, name, printMetadata({ ...at.table.metadata, ...change(at.table.metadata) }))
      await at.clock.sleep(4 * DAY)
      return planOrphans(at.table, {}, at.clock)
    }
    const stray = (metadata: TableMetadata, timestampMillis: number) => [
      ...metadata.metadataLog,
      { timestampMillis: epochMillis(timestampMillis), metadataFile: `${metadata.location}/metadata/x.metadata.json` },
    ]

    test.each<[string, Change]>([
      ['newer', (metadata) => ({ lastUpdatedMillis: epochMillis(metadata.lastUpdatedMillis + 1) })],
      ['of a later snapshot', (metadata) => ({ lastSequenceNumber: metadata.lastSequenceNumber + 1 })],
      ['on versions that are not ours', (metadata) => ({ metadataLog: stray(metadata, metadata.lastUpdatedMillis) })],
    ])('is refused when it is %s: a second name of the table', async (_, change) => {
      await expect(planBeside(change)).rejects.toMatchObject({ code: 'FIRN_LOCATION_SHARED', kind: 'invalid' })
    })

    test.each<[string, Change]>([
      ['a try that lost', () => ({})],
      ['a version from before the log', (metadata) => ({ metadataLog: stray(metadata, 1) })],
    ])('is an orphan when it is %s', async (_, change) => {
      expect(keysIn(await planBeside(change))).toEqual([name])
    })
  })

  test('a reference under another scheme or authority whose path is that of an orphan', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await put(table, 'data/x.parquet')
    const path = `hdfs://namenode${`${table.location}/data/x.parquet`.replace(/^memory:\/\/[^/]*/, '')}`
    const foreign = await commitForeign(table, [entryOf(path, 1, [0])])
    await at.clock.sleep(4 * DAY)
    await expect(planOrphans(foreign, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_PREFIX_MISMATCH' })
  })

  test('a manifest that cannot be read: what it leads to is not known', async () => {
    const at = await settled()
    const key = (await keysOf(at.table.store, 'metadata/')).find((each) => each.endsWith('-m0.avro'))!
    await put(at.table, key, 'damaged')
    await expect(planOrphans(at.table, {}, at.clock)).rejects.toMatchObject({ kind: 'corrupt' })
    await at.table.store.delete(key)
    await expect(planOrphans(at.table, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  })

  test('more than half of the bytes, unless forced; the plan of another table, even if forced', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await put(table, 'data/huge.parquet', 'x'.repeat(100_000))
    await at.clock.sleep(4 * DAY)
    const plan = await planOrphans(table, {}, at.clock)
    await expect(runOrphans(table, plan)).rejects.toMatchObject({ code: 'FIRN_TOO_MANY_ORPHANS', kind: 'failed' })
    const other = await settled()
    const stale = { code: 'FIRN_PLAN_STALE' }
    await expect(runOrphans(other.table, plan, { force: true })).rejects.toMatchObject(stale)
    expect((await runOrphans(table, plan, { force: true })).result).toMatchObject({ deleted: 1, bytesFreed: 100_000 })
  })
})

describe("a clock that is not the store's", () => {
  const ahead = ({ clock }: Lab, millis: number): Clock => ({
    ...clock,
    nowMillis: () => epochMillis(clock.nowMillis() + millis),
  })

  test('days ahead: refused, and what is about to be committed is there', async () => {
    const at = await settled()
    await smallFile(at.table, 'in-flight')
    const plan = await planOrphans(at.table, {}, ahead(at, 4 * DAY))
    expect(keysIn(plan)).toEqual(['data/in-flight.parquet'])
    const refused = { code: 'FIRN_CLOCK_SKEW', kind: 'invalid' }
    await expect(runOrphans(at.table, plan, { force: true })).rejects.toMatchObject(refused)
    expect(await dataNames(at.table)).toEqual(['a', 'b', 'in-flight'])
    // What was asked for the time is gone again.
    expect(await keysOf(at.table.store, 'metadata/clock')).toEqual([])
  })

  test('a minute ahead: files in that minute are spared; behind: nothing more goes', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await smallFile(table, 'old')
    await at.clock.sleep(60_000)
    await smallFile(table, 'younger')
    await at.clock.sleep(ORPHAN_MIN_AGE_MILLIS - 30_000)
    const plan = await planOrphans(table, {}, ahead(at, 60_000))
    expect(keysIn(plan)).toEqual(['data/old.parquet', 'data/younger.parquet'])
    const { result } = await runOrphans(table, plan)
    expect(result).toMatchObject({ deleted: 1, referenced: ['data/younger.parquet'] })
    expect(result.olderThanMillis).toBeLessThan(plan.olderThanMillis)
    expect(await dataNames(table)).toEqual(['a', 'younger'])
    await at.clock.sleep(DAY)
    const behind = await planOrphans(table, {}, ahead(at, -2 * DAY))
    expect((await runOrphans(table, { ...behind, orphans: plan.orphans })).result).toMatchObject({
      deleted: 0,
      olderThanMillis: behind.olderThanMillis,
    })
  })
})

describe('between plan and run', () => {
  async function planned(names: readonly string[]): Promise<Lab & { readonly plan: OrphanPlan }> {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    for (const name of names) await smallFile(table, name)
    await at.clock.sleep(4 * DAY)
    return { ...at, table, plan: printed(await planOrphans(table, {}, at.clock)) }
  }

  test('what is referenced by then is spared', async () => {
    const at = await planned(['late', 'lost'])
    await at.table.append([
      await smallFile(at.table, 'other'),
      entryOf(`${at.table.location}/data/late.parquet`, 12, [0]),
    ])
    const { result, table } = await runOrphans(at.table, at.plan)
    expect(result).toMatchObject({ deleted: 1, referenced: ['data/late.parquet'] })
    expect(await dataNames(table)).toEqual(['a', 'late', 'other'])
    expect(await lostKeys(table)).toEqual([])
  })

  test('another object under the same key is spared, and so are the same bytes written again', async () => {
    const at = await planned(['changed', 'repeated', 'lost'])
    await put(at.table, 'data/changed.parquet', 'other bytes')
    await smallFile(at.table, 'repeated')
    const { result, table } = await runOrphans(at.table, at.plan)
    expect(result).toMatchObject({ deleted: 1, changed: ['data/changed.parquet', 'data/repeated.parquet'] })
    expect(await dataNames(table)).toEqual(['a', 'changed', 'repeated'])
  })

  test('an object that is replaced at the last moment is spared by its ETag', async () => {
    const at = await planned(['replaced'])
    const { store } = at
    const racing = {
      ...store,
      url: store.url,
      put: store.put.bind(store),
      get: store.get.bind(store),
      head: store.head.bind(store),
      list: store.list.bind(store),
      delete: async (key: string, options = {}) => {
        await store.put(key, Buffer.from('just now'))
        await store.delete(key, options)
      },
    }
    const table = await openCatalog(racing, { clock: at.clock }).loadTable('t.events')
    const { result } = await runOrphans(table, at.plan)
    expect(result).toMatchObject({ deleted: 0, changed: ['data/replaced.parquet'] })
    expect(await dataNames(table)).toEqual(['a', 'replaced'])
  })

  test('a second run of one plan finds its work done', async () => {
    const at = await planned(['x', 'y'])
    await runOrphans(at.table, at.plan)
    expect((await runOrphans(at.table, at.plan)).result).toEqual({
      deleted: 0,
      bytesFreed: 0,
      olderThanMillis: at.plan.olderThanMillis,
      referenced: [],
      changed: [],
      gone: 2,
    })
    const owed = await referencedKeys(await at.table.refresh())
    expect(new Set(await keysOf(at.table.store))).toEqual(owed)
  })

  test('a plan that was written by hand deletes nothing that the table leads to', async () => {
    const at = await planned(['lost'])
    const [lost] = at.plan.orphans as readonly [OrphanPlan['orphans'][number]]
    const info = (await at.table.store.head('data/a.parquet'))!
    const orphans = [{ ...lost, ...info, kind: 'content' as const }, lost]
    const { result } = await runOrphans(at.table, { ...at.plan, orphans })
    expect(result).toMatchObject({ deleted: 1, referenced: ['data/a.parquet'] })
  })
})
