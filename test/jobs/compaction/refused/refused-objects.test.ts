/** Which refused records count, where other engines went back or expired, and where the way back is gone. */
import { expect, test } from 'vitest'
import { expireTable } from '../../../../jobs/maintenance/expire-table.ts'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { newRunId } from '../../../../table/clock.ts'
import { FirnError } from '../../../../table/errors.ts'
import {
  copyTable,
  type ObjectStore,
  openCatalog,
  openStore,
  openTableAt,
  planExpire,
  runExpire,
  type SnapshotId,
  snapshotId,
  subStore,
  tableFolder,
} from '../../../../table/index.ts'
import { dropMemoryStore } from '../../../../table/io/memory.ts'
import {
  fixedClock,
  loadTable,
  memoryWarehouse,
  NOON,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../replay-support.ts'

/** Two runs that refused a record each. */
async function twice(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 1, 900)] } })
  await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
  await stage(warehouse, { a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 2, 900)] } })
  await runCompaction(warehouse, { maxBadRatio: 1 })
  return warehouse
}

async function goBack(warehouse: Warehouse, to: SnapshotId, reprocess: boolean): Promise<void> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const options = { store, table, tableName: TABLE }
  const plan = await planRollback(options, table.snapshotFor({ snapshotId: to })!, { reprocess })
  await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
}

const idAt = async (warehouse: Warehouse, index: number): Promise<SnapshotId> =>
  (await loadTable(warehouse)).metadata.snapshots[index]!.snapshotId

/** As other engines go back: the reference moves, and no snapshot says so. */
async function pointMainAt(warehouse: Warehouse, snapshotId: SnapshotId): Promise<void> {
  const ref = { action: 'set-snapshot-ref', name: 'main', ref: { type: 'branch', snapshotId } } as const
  const table = await loadTable(warehouse)
  await table.commitUpdates({ isOwn: () => false, requirements: [], prepare: () => [ref] })
}

test('those of a run count that another engine undid by moving main, as positions stay too', async () => {
  const warehouse = await twice()
  await pointMainAt(warehouse, await idAt(warehouse, 0))
  expect((await loadTable(warehouse)).currentSnapshot()!.snapshotId).toBe(await idAt(warehouse, 0))
  expect(await refusedIds(warehouse)).toEqual(['large-2', 'large-3'])
})

test('those that were replayed count again with reprocess, also where another engine undid the replay', async () => {
  const warehouse = await twice()
  const target = await idAt(warehouse, 1)
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  await pointMainAt(warehouse, target)
  expect(await refusedIds(warehouse)).toEqual([])
  await goBack(warehouse, target, true)
  expect(await refusedIds(warehouse)).toEqual(['large-2', 'large-3'])
  await runReplay(warehouse)
  expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
})

test('a replay that another engine undid and let expire cannot be undone with reprocess', async () => {
  const warehouse = await twice()
  const target = await idAt(warehouse, 1)
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  const replay = await idAt(warehouse, 2)
  const later = { ...warehouse, clock: fixedClock(NOON + 1000) }
  const moved = { ...later, catalog: openCatalog(later.store, { clock: later.clock }) }
  await pointMainAt(moved, target)
  const table = await loadTable(moved)
  await runExpire(table, planExpire(table, { snapshotIds: [replay] }, later.clock), { graceMillis: 0 }, later.clock)
  await expect(goBack(moved, target, true)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE' })
})

test('those of a run count when another engine lets it expire: the run has left a mark', async () => {
  const warehouse = await twice()
  const undone = await idAt(warehouse, 1)
  await goBack(warehouse, await idAt(warehouse, 0), false)
  const table = await loadTable(warehouse)
  const plan = planExpire(table, { snapshotIds: [undone] }, warehouse.clock)
  await runExpire(table, plan, { graceMillis: 0 }, warehouse.clock)
  expect(await refusedIds(warehouse)).toEqual(['large-2', 'large-3'])
  // without it nothing says any more that the run was committed; those of what is there count all the same
  await warehouse.store.delete(`_manifests/${TABLE}/${undone}.committed`)
  expect(await refusedIds(warehouse)).toEqual(['large-2'])
})

test('a run whose mark cannot be written has committed all the same, and expiry marks it', async () => {
  const { store, ...rest } = memoryWarehouse()
  const refusing: ObjectStore = {
    url: store.url,
    put: (key, body, options) => {
      if (key.endsWith('.committed')) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
      return store.put(key, body, options)
    },
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  }
  const warehouse = { store, ...rest }
  await stage(warehouse, { a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 1, 900)] } })
  const options = { dataset: setLargestRecord(500), maxBadRatio: 1 }
  expect(await runCompaction({ ...warehouse, store: refusing }, options)).toMatchObject({ rows_added: 1 })
  const expired = await idAt(warehouse, 0)
  const table = await (await loadTable(warehouse)).append([])
  const plan = planExpire(table.table, { snapshotIds: [expired] }, warehouse.clock)
  await expireTable({ ...warehouse, table: table.table, tableName: TABLE, plan, graceMillis: 0 })
  expect(await refusedIds(warehouse)).toEqual(['large-2'])
})

test('a rollback that would have to undo a replay which has expired is refused with reprocess alone', async () => {
  const warehouse = await twice()
  const { store, clock } = warehouse
  await setLargestRecord(2000, warehouse)
  const target = await idAt(warehouse, 1)
  const { snapshot_id } = await runReplay(warehouse)
  await goBack(warehouse, target, false)
  const table = await loadTable(warehouse)
  const plan = planExpire(table, { snapshotIds: [snapshotId(BigInt(snapshot_id!))] }, clock)
  await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
  await expect(goBack(warehouse, target, true)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE' })
  await goBack(warehouse, await idAt(warehouse, 0), false)
  expect(await refusedIds(warehouse)).toEqual([])
})

test('a run whose JSON manifest is lost stops a replay, with the command that makes it again', async () => {
  const warehouse = await twice()
  await warehouse.store.delete(`_manifests/${TABLE}/${await idAt(warehouse, 0)}.json`)
  await expect(runReplay(warehouse)).rejects.toMatchObject({
    code: 'FIRN_MANIFEST_CORRUPT',
    help: expect.stringContaining('verify --repair'),
  })
})

test('those of runs after a backup do not count once the table is restored from it: their records are read again', async () => {
  const warehouse = memoryWarehouse()
  const { store, clock } = warehouse
  const records = [...sized('large', 1, 1, 900), ...sized('small', 2, 1, 10)]
  const read = async (count: number): Promise<void> => {
    await stage(warehouse, { a: { records: [...records, ...sized('large', 3, 9, 900)].slice(0, count) } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
  }
  const expireFirst = async (): Promise<void> => {
    const table = await loadTable(warehouse)
    const plan = planExpire(table, { snapshotIds: [table.metadata.snapshots[0]!.snapshotId] }, clock)
    await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
  }
  await read(1)
  await read(2)
  await expireFirst()
  const backup = openStore('memory://backup')
  await copyTable(await loadTable(warehouse), backup, { clock, keepIdentity: true })
  await read(3)
  await read(4)
  await expireFirst()
  expect(await refusedIds(warehouse)).toEqual(['large-1', 'large-3', 'large-4'])
  const folder = subStore(store, tableFolder(TABLE))
  for await (const { key } of folder.list('')) await folder.delete(key)
  await copyTable(await openTableAt(backup, { clock }), folder, { clock, keepIdentity: true })
  expect(await refusedIds(warehouse)).toEqual(['large-1'])
  await read(5)
  expect(await refusedIds(warehouse)).toEqual(['large-1', 'large-3', 'large-4', 'large-5'])
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  expect(await idsOf(warehouse)).toEqual(['large-1', 'large-3', 'large-4', 'large-5', 'small-2'])
  dropMemoryStore('backup')
})
