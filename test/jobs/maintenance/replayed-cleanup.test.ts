/** Clearing up what was replayed, where JSON manifests are damaged: expiry goes on, and keeps what it cannot tell. */
import { expect, test } from 'vitest'
import { manifestKey } from '../../../jobs/compaction/manifest.ts'
import { replayedOf } from '../../../jobs/compaction/refused/replayed.ts'
import { expireTable } from '../../../jobs/maintenance/expire-table.ts'
import { isClean, planReplayedCleanup } from '../../../jobs/maintenance/replayed-cleanup.ts'
import { planExpire, type SnapshotId } from '../../../table/index.ts'
import { loadTable, memoryWarehouse, runCompaction, stage, TABLE, type Warehouse } from '../compaction/fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../compaction/replay-support.ts'

/** A run that refused a record, the replay of that, and another run. */
async function replayed(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  const records = [...sized('large', 1, 1, 900), ...sized('small', 2, 2, 10)]
  await stage(warehouse, { a: { records: records.slice(0, 2) } })
  await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
  await setLargestRecord(2000, warehouse)
  await runReplay(warehouse)
  await stage(warehouse, { a: { records } })
  await runCompaction(warehouse)
  return warehouse
}

const idAt = async (warehouse: Warehouse, index: number): Promise<SnapshotId> =>
  (await loadTable(warehouse)).metadata.snapshots[index]!.snapshotId

const damage = async ({ store }: Warehouse, id: SnapshotId): Promise<unknown> =>
  store.put(manifestKey(TABLE, id), Buffer.from('{"schema"'))

async function expire(warehouse: Warehouse, id: SnapshotId): Promise<number> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const plan = planExpire(table, { snapshotIds: [id] }, clock)
  const { replayed: cleaned } = await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
  return cleaned.objects.length
}

test('a damaged manifest of a run that has expired keeps the ids, and no expiry from ending', async () => {
  const warehouse = await replayed()
  const [run, replay] = [await idAt(warehouse, 0), await idAt(warehouse, 1)]
  await damage(warehouse, run)
  expect(await expire(warehouse, run)).toBe(0)
  expect(await expire(warehouse, replay)).toBe(1)
  const table = await loadTable(warehouse)
  expect(table.metadata.snapshots).toHaveLength(1)
  // the damaged one may list the object: without its id it would count again
  expect(replayedOf(table.metadata.properties).size).toBe(1)
  expect(isClean(await planReplayedCleanup({ store: warehouse.store, table, tableName: TABLE }))).toBe(true)
  expect(await idsOf(warehouse)).toEqual(['large-1', 'small-2', 'small-3'])
})

test('a damaged manifest of a replay that is there keeps everything', async () => {
  const warehouse = await replayed()
  await damage(warehouse, await idAt(warehouse, 1))
  expect(await expire(warehouse, await idAt(warehouse, 0))).toBe(0)
  const table = await loadTable(warehouse)
  expect(table.metadata.snapshots).toHaveLength(2)
  expect(replayedOf(table.metadata.properties).size).toBe(1)
  expect(await refusedIds(warehouse)).toEqual([])
})
