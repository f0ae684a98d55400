/** All parts of maintenance by policy: in order, each on the table of its moment, each failing alone. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import { type MaintainOptions, maintain, maintainWork, previewMaintain } from '../../../jobs/maintenance/maintain.ts'
import { recordRun } from '../../../jobs/runs.ts'
import { FirnError } from '../../../table/errors.ts'
import { epochMillis } from '../../../table/ids.ts'
import { TABLE } from '../compaction/fixture.ts'
import { type AgedWarehouse, agedWarehouse, DAY } from './prune/aged-warehouse.ts'

const log = pino({ level: 'silent' })

function optionsOf(warehouse: AgedWarehouse, policy: MaintainOptions['config']['maintain'] = {}): MaintainOptions {
  const config = { ...loadConfig({ env: {}, cwd: '/nowhere' }), maintain: policy }
  return { ...warehouse, table: TABLE, config, log }
}

/** Twelve runs, months ago; what a dead run left beside them. */
async function busyWarehouse(): Promise<AgedWarehouse> {
  const warehouse = agedWarehouse()
  const { store } = warehouse
  for (let end = 3; end <= 36; end += 3) {
    await warehouse.land(end)
    await warehouse.compact()
  }
  await store.put('news/articles/data/lost.parquet', Buffer.from('a try that lost'))
  await store.put('_spill/dead/0/part', Buffer.from('spilled'))
  await store.put('_runs/compact/20260101T000000.000Z-a.json', Buffer.from('{}'))
  await store.put('_runs/compact/20260102T000000.000Z-b.json', Buffer.from('{}'))
  warehouse.later(100)
  await store.put('_spill/alive/0/part', Buffer.from('spilled'))
  return warehouse
}

const has = async ({ store }: AgedWarehouse, key: string): Promise<boolean> => (await store.head(key)) !== undefined

test('one run does all parts, in an order in which each profits from the one before; the next finds nothing to do', async () => {
  const warehouse = await busyWarehouse()
  const { result, exitCode, failures } = await maintain(optionsOf(warehouse))
  expect(failures).toEqual([])
  expect(exitCode).toBe(0)
  expect(result.parts.map(({ part, outcome }) => `${part} ${outcome}`)).toEqual([
    'rewrite ok',
    'manifests nothing-to-do', // the rewrite has merged them
    'expire ok',
    'orphans ok',
    'prune ok',
    'leftovers ok',
  ])
  const table = await warehouse.load()
  expect(table.metadata.snapshots).toHaveLength(10)
  expect(await has(warehouse, 'news/articles/data/lost.parquet')).toBe(false)
  // the oldest snapshot that is left had consumed 12 of the 36 records
  expect(await warehouse.chunks()).toHaveLength(8)
  expect(await has(warehouse, '_spill/dead/0/part')).toBe(false)
  expect(await has(warehouse, '_spill/alive/0/part')).toBe(true)
  expect(await has(warehouse, '_runs/compact/20260101T000000.000Z-a.json')).toBe(false)
  expect(await has(warehouse, '_runs/compact/20260102T000000.000Z-b.json')).toBe(true)
  const again = await maintain(optionsOf(warehouse))
  expect(again.result.parts.filter(({ outcome }) => outcome !== 'nothing-to-do')).toEqual([])
  expect(again.result.nothing_to_do).toBe(true)
})

test('a preview changes nothing', async () => {
  const warehouse = await busyWarehouse()
  const keys = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { key, etag } of warehouse.store.list('')) found.push(`${key} ${etag}`)
    return found
  }
  const before = await keys()
  const parts = await previewMaintain(optionsOf(warehouse))
  expect(parts.map(({ prepared }) => prepared instanceof Error)).not.toContain(true)
  expect(await keys()).toEqual(before)
})

test('a part that fails keeps no other from running; the run has failed, by the gravest of all, and has its result', async () => {
  const warehouse = await busyWarehouse()
  await (await warehouse.load()).setProperties({ 'gc.enabled': 'false' }) // expire and orphans refuse
  const { store } = warehouse
  await store.put('_staging/MyStream@7/consumers/news.gone.json', Buffer.from('{}'))
  const options = optionsOf(warehouse)
  const record = { store, clock: warehouse.clock, log, job: 'maintain', subject: TABLE }
  const run = await recordRun(record, (begun) => maintainWork({ ...options, onBegin: begun }))
  const value = run.result!
  expect(value.result.parts.map(({ part, outcome }) => `${part} ${outcome}`)).toEqual([
    'rewrite ok',
    'manifests nothing-to-do',
    'expire failed',
    'orphans failed',
    'prune failed',
    'leftovers ok',
  ])
  expect(value.result.parts.flatMap(({ errors }) => errors.map(({ code }) => code))).toEqual([
    'FIRN_GC_DISABLED',
    'FIRN_GC_DISABLED',
    'FIRN_CONSUMER_UNREADABLE',
  ])
  expect(value.exitCode).toBe(1)
  expect(run.record).toMatchObject({
    outcome: 'failed',
    error: { code: 'FIRN_GC_DISABLED', message: expect.stringMatching(/news\.gone/) },
    result: { schema: 'firn.maintain/1' },
  })
  expect(run.error).toBeInstanceOf(AggregateError)
})

test('parts are turned off by the policy, for all tables or for one, and chosen by the run', async () => {
  const warehouse = await busyWarehouse()
  const ran = async (policy: MaintainOptions['config']['maintain'], more: Partial<MaintainOptions> = {}) =>
    (await maintain({ ...optionsOf(warehouse, policy), ...more })).result.parts.map(({ part }) => part)
  const off = { enabled: false }
  expect(await ran({ rewrite: off, tables: { [TABLE]: { expire: off }, 'news.other': { prune: off } } })).toEqual([
    'manifests',
    'orphans',
    'prune',
    'leftovers',
  ])
  expect(
    await ran({ rewrite: off, tables: { [TABLE]: { rewrite: { enabled: true } } } }, { only: ['prune', 'rewrite'] }),
  ).toEqual(['rewrite', 'prune'])
})

test("the table's own retention is kept where the policy names none", async () => {
  const warehouse = await busyWarehouse()
  await (await warehouse.load()).setProperties({ 'history.expire.min-snapshots-to-keep': '4' })
  await maintain({ ...optionsOf(warehouse), only: ['expire'] })
  expect((await warehouse.load()).metadata.snapshots).toHaveLength(4)
  await maintain({ ...optionsOf(warehouse, { expire: { retainLast: 2 } }), only: ['expire'] })
  expect((await warehouse.load()).metadata.snapshots).toHaveLength(2)
  await maintain({ ...optionsOf(warehouse, { expire: { retainLast: 1, olderThan: '200d' } }), only: ['expire'] })
  expect((await warehouse.load()).metadata.snapshots).toHaveLength(2)
})

test('a table that is not there is said before anything else, and an abort ends the run', async () => {
  const warehouse = await busyWarehouse()
  await expect(maintain({ ...optionsOf(warehouse), table: 'news.none' })).rejects.toMatchObject({
    code: 'FIRN_TABLE_NOT_FOUND',
  })
  const abort = new AbortController()
  const onBegin = (): void => abort.abort(new FirnError('failed', 'FIRN_STOPPED', 'stopped'))
  await expect(maintain({ ...optionsOf(warehouse), onBegin, signal: abort.signal })).rejects.toThrow('stopped')
})

test('on a machine whose clock is ahead of the store nothing expires, though by its time all is old', async () => {
  const fresh = agedWarehouse()
  for (let end = 3; end <= 36; end += 3) {
    await fresh.land(end)
    await fresh.compact()
  }
  const clock = { ...fresh.clock, nowMillis: () => epochMillis(fresh.clock.nowMillis() + 100 * DAY) }
  const { result, exitCode } = await maintain({ ...optionsOf(fresh), clock, only: ['expire'] })
  expect(exitCode).toBe(2)
  expect(result.parts).toMatchObject([{ part: 'expire', outcome: 'failed', errors: [{ code: 'FIRN_CLOCK_SKEW' }] }])
  expect((await fresh.load()).metadata.snapshots).toHaveLength(12)
})
