/** What dead and idle replays leave goes days later; what counts stays, however old. */
import { expect, test } from 'vitest'
import { expireTable } from '../../../jobs/maintenance/expire-table.ts'
import { planWarehouseOrphans, removeWarehouseOrphans } from '../../../jobs/maintenance/json-manifests.ts'
import { epochMillis, openCatalog, planExpire } from '../../../table/index.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import { unsteady } from '../../ingest/unsteady-store.ts'
import { fixedClock, loadTable, NOON, runCompaction, stage, TABLE, type Warehouse } from '../compaction/fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../compaction/replay-support.ts'

const DAY = 86_400_000
let stores = 0

/** Three refused records of a run on day 1, with a run before it; the clock can be moved. */
async function agedWarehouse(): Promise<Warehouse & { at(days: number): void }> {
  let now = NOON
  const clock = { ...fixedClock(NOON), nowMillis: () => epochMillis(now) }
  const store = openMemoryStore(`replay-orphans-${process.pid}-${stores++}`, { clock })
  const warehouse = {
    store,
    clock,
    catalog: openCatalog(store, { clock }),
    at: (days: number) => (now = NOON + days * DAY),
  }
  await stage(warehouse, { a: { records: sized('small', 1, 1, 10) } })
  await runCompaction(warehouse, { dataset: setLargestRecord(500) })
  warehouse.at(1)
  await stage(warehouse, {
    a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 2, 900), ...sized('huge', 4, 1, 3000)] },
  })
  await runCompaction(warehouse, { maxBadRatio: 1 })
  return warehouse
}

const keysOf = async ({ store }: Warehouse, prefix: string): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

/** Removes what is older than three days; gives what went. */
async function sweep(warehouse: Warehouse): Promise<string[]> {
  const { store, clock } = warehouse
  const before = [...(await keysOf(warehouse, '_manifests/')), ...(await keysOf(warehouse, '_quarantine/'))]
  const table = await loadTable(warehouse)
  const cutoff = epochMillis(clock.nowMillis() - 3 * DAY)
  const { orphans } = await planWarehouseOrphans(store, table, TABLE, cutoff)
  await removeWarehouseOrphans(store, table, TABLE, orphans, cutoff)
  const after = [...(await keysOf(warehouse, '_manifests/')), ...(await keysOf(warehouse, '_quarantine/'))]
  return before.filter((key) => !after.includes(key))
}

test('of a replay that died before its commit: its manifest and what it refused', async () => {
  const warehouse = await agedWarehouse()
  await setLargestRecord(2000, warehouse)
  warehouse.at(2)
  const { clock } = warehouse
  const store = unsteady(warehouse.store, (_name, call) => call())
  const dying = {
    ...store,
    put: async (...args: Parameters<typeof store.put>) => {
      if (args[0].endsWith('.metadata.json')) throw new Error('killed')
      return store.put(...args)
    },
  }
  await expect(runReplay({ store: dying, clock, catalog: openCatalog(dying, { clock }) })).rejects.toThrow()
  expect(await keysOf(warehouse, '_quarantine/')).toHaveLength(2)
  warehouse.at(9)
  const gone = await sweep(warehouse)
  expect(gone.map((key) => key.split('/')[0]).sort()).toEqual(['_manifests', '_quarantine'])
  expect(await refusedIds(warehouse)).toEqual(['huge-4', 'large-2', 'large-3'])
  expect(await runReplay(warehouse)).toMatchObject({ rows_added: 2 })
})

test('of a replay that changed nothing: the objects that it wrote and nothing lists', async () => {
  const warehouse = await agedWarehouse()
  warehouse.at(2)
  expect(await runReplay(warehouse)).toMatchObject({ unchanged: true })
  warehouse.at(9)
  expect((await sweep(warehouse)).map((key) => key.split('/')[0])).toEqual(['_quarantine'])
  expect(await refusedIds(warehouse)).toEqual(['huge-4', 'large-2', 'large-3'])
})

test('nothing of runs that have expired since, nor of a replay, while their refused records count', async () => {
  const warehouse = await agedWarehouse()
  const expireOld = async (): Promise<void> => {
    const table = await loadTable(warehouse)
    const snapshotIds = table.metadata.snapshots.slice(0, -1).map(({ snapshotId }) => snapshotId)
    const plan = planExpire(table, { snapshotIds }, warehouse.clock)
    await expireTable({ ...warehouse, table, tableName: TABLE, plan, graceMillis: 0 })
  }
  const append = async (): Promise<unknown> => (await loadTable(warehouse)).append([])
  warehouse.at(2)
  await append()
  await expireOld()
  warehouse.at(20)
  await append()
  warehouse.at(40)
  expect(await sweep(warehouse)).toEqual([])
  expect(await refusedIds(warehouse)).toEqual(['huge-4', 'large-2', 'large-3'])
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  await append()
  await expireOld()
  warehouse.at(80)
  await append()
  warehouse.at(120)
  expect(await sweep(warehouse)).toEqual([])
  expect(await refusedIds(warehouse)).toEqual(['huge-4'])
  expect(await keysOf(warehouse, '_quarantine/')).toHaveLength(1)
  expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
})
