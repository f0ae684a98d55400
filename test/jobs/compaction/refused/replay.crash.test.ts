/** Replays that die at any request, and replays beside other runs: every record is a row or refused, once. */
import { describe, expect, test } from 'vitest'
import { compact } from '../../../../jobs/compaction/index.ts'
import { type ReplayResult, replay } from '../../../../jobs/compaction/refused/replay.ts'
import { inlineExecutor } from '../../../../jobs/executors/executor.ts'
import { expireTable } from '../../../../jobs/maintenance/expire-table.ts'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { newRunId } from '../../../../table/clock.ts'
import { planExpire, snapshotId } from '../../../../table/index.ts'
import type { ObjectStore } from '../../../../table/io/object-store.ts'
import { killedEverywhere } from '../crash-support.ts'
import { loadTable, memoryWarehouse, runCompaction, stage, TABLE, type TestShard, type Warehouse } from '../fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../replay-support.ts'

const small = sized('small', 1, 2, 10)
const large = sized('large', 3, 3, 900)
const huge = sized('huge', 6, 1, 3000)
const later = [...sized('late', 7, 2, 10), ...sized('latelarge', 9, 1, 3000)]
const PASSED = ['large-3', 'large-4', 'large-5', 'small-1', 'small-2']
const shards = (...records: (typeof small)[]): Record<string, TestShard> => ({ a: { records: records.flat() } })

/** Five refused records in two objects; by now three of four pass. */
async function refusedWarehouse(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, shards(small, large))
  await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
  await stage(warehouse, shards(small, large, huge))
  await runCompaction(warehouse, { maxBadRatio: 1 })
  await setLargestRecord(2000, warehouse)
  return warehouse
}

async function expectWhole(
  warehouse: Warehouse,
  rows: readonly string[],
  refused: readonly string[],
  message = '',
): Promise<void> {
  expect(await idsOf(warehouse), message).toEqual([...rows].sort())
  expect(await refusedIds(warehouse), message).toEqual([...refused].sort())
  const { problems } = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
  // raising the hint is no part of a commit: whoever commits next does it
  expect(
    problems.filter(({ code }) => code !== 'version-hint-stale'),
    message,
  ).toEqual([])
}

describe('a replay that dies', () => {
  test('at any request is completed by the next one: each record is a row or refused, once', async () => {
    await killedEverywhere(refusedWarehouse, runReplay, async (warehouse, message) => {
      const rows = await idsOf(warehouse)
      const refused = await refusedIds(warehouse)
      const all = ['large-3', 'large-4', 'large-5', 'huge-6', 'small-1', 'small-2']
      expect([...rows, ...refused].sort(), message).toEqual(all.sort())
      await runReplay(warehouse)
      await expectWhole(warehouse, PASSED, ['huge-6'], message)
      expect(await runReplay(warehouse), message).toMatchObject({ unchanged: true })
      const { problems } = await verifyTable({ table: await loadTable(warehouse) })
      expect(problems, message).toEqual([])
    })
  }, 60_000)

  test('leaves a compaction that comes next alone', async () => {
    const make = async (): Promise<Warehouse> => {
      const warehouse = await refusedWarehouse()
      await stage(warehouse, shards(small, large, huge, later))
      return warehouse
    }
    await killedEverywhere(make, runReplay, async (warehouse, message) => {
      await runCompaction(warehouse, { maxBadRatio: 1 })
      await runReplay(warehouse)
      await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'], message)
    })
  }, 60_000)
})

/** A replay that reads, and commits only after `meanwhile`. */
function replayAround(warehouse: Warehouse, meanwhile: () => Promise<unknown>): Promise<ReplayResult> {
  const { run } = inlineExecutor(warehouse.store)
  let raced = false
  const { store, catalog, clock } = warehouse
  return replay({
    store,
    catalog,
    clock,
    table: TABLE,
    executor: {
      run: async (...args) => {
        const results = await run(...args)
        if (!raced) {
          raced = true
          await meanwhile()
        }
        return results
      },
    },
  })
}

async function goBack(warehouse: Warehouse, to: number, reprocess: boolean): Promise<void> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const options = { store, table, tableName: TABLE }
  const plan = await planRollback(options, table.metadata.snapshots[to]!, { reprocess })
  await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
}

describe('a replay beside other runs', () => {
  test('two at once do it once', async () => {
    const warehouse = await refusedWarehouse()
    const second = await replayAround(warehouse, () => runReplay(warehouse))
    // the first one left what fails again
    expect(second).toMatchObject({ plans: 2, unchanged: true })
    await expectWhole(warehouse, PASSED, ['huge-6'])
  })

  test('many at once do it once', async () => {
    const warehouse = await refusedWarehouse()
    const results = await Promise.all([1, 2, 3, 4].map(() => runReplay(warehouse)))
    expect(results.filter(({ snapshot_id }) => snapshot_id !== null).length).toBe(1)
    await expectWhole(warehouse, PASSED, ['huge-6'])
  })

  test('is planned anew when a compaction was faster, and the other way round', async () => {
    const warehouse = await refusedWarehouse()
    await stage(warehouse, shards(small, large, huge, later))
    const run = await replayAround(warehouse, () => runCompaction(warehouse, { maxBadRatio: 1 }))
    expect(run).toMatchObject({ plans: 2, records_read: 5 })
    await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'])

    const other = await refusedWarehouse()
    await stage(other, shards(small, large, huge, later))
    const { run: execute } = inlineExecutor(other.store)
    let raced = false
    const result = await compact({
      store: other.store,
      catalog: other.catalog,
      clock: other.clock,
      table: TABLE,
      maxBadRatio: 1,
      executor: {
        run: async (...args) => {
          const results = await execute(...args)
          if (!raced) {
            raced = true
            await runReplay(other)
          }
          return results
        },
      },
    })
    expect(result).toMatchObject({ plans: 2, rows_added: 2 })
    await expectWhole(other, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'])
  })

  test('does not replay what a rollback has had read again meanwhile', async () => {
    const warehouse = await refusedWarehouse()
    const run = await replayAround(warehouse, () => goBack(warehouse, 0, true))
    // the object of the second run no longer counts: its record is in staging, ahead of the table
    expect(run).toMatchObject({ plans: 2, records_read: 3, rows_added: 3 })
    await expectWhole(warehouse, PASSED, [])
    await runCompaction(warehouse, { maxBadRatio: 1 })
    await expectWhole(warehouse, PASSED, ['huge-6'])
  })
})

describe('going back', () => {
  test('with reprocess, then compacting and replaying gives each record once', async () => {
    const warehouse = await refusedWarehouse()
    await runReplay(warehouse)
    await goBack(warehouse, 0, true)
    await expectWhole(warehouse, ['small-1', 'small-2'], ['large-3', 'large-4', 'large-5'])
    await runCompaction(warehouse, { maxBadRatio: 1 })
    await expectWhole(warehouse, ['small-1', 'small-2'], ['huge-6', 'large-3', 'large-4', 'large-5'])
    await runReplay(warehouse)
    await expectWhole(warehouse, PASSED, ['huge-6'])
  })

  test('without reprocess leaves what was replayed replayed', async () => {
    const warehouse = await refusedWarehouse()
    await runReplay(warehouse)
    await goBack(warehouse, 1, false)
    await expectWhole(warehouse, ['small-1', 'small-2'], ['huge-6'])
    expect(await runReplay(warehouse)).toMatchObject({ unchanged: true })
  })

  test('with reprocess to what was undone so restores what it had replayed', async () => {
    const warehouse = await refusedWarehouse()
    await runReplay(warehouse)
    await goBack(warehouse, 0, true)
    await goBack(warehouse, 2, true)
    await expectWhole(warehouse, PASSED, ['huge-6'])
    expect(await runCompaction(warehouse)).toMatchObject({ nothing_to_do: true })
    expect(await runReplay(warehouse)).toMatchObject({ unchanged: true })
  })

  test('with reprocess does not take back what an expiry has deleted since it was planned', async () => {
    const warehouse = await refusedWarehouse()
    const { store, clock } = warehouse
    const { snapshot_id } = await runReplay(warehouse)
    await goBack(warehouse, 1, false)
    const table = await loadTable(warehouse)
    const options = { store, table, tableName: TABLE }
    const plan = await planRollback(options, table.metadata.snapshots[1]!, { reprocess: true })
    const expiry = planExpire(table, { snapshotIds: [snapshotId(BigInt(snapshot_id!))] }, clock)
    const { replayed } = await expireTable({ ...options, plan: expiry, graceMillis: 0, clock })
    expect(replayed.objects).toHaveLength(2)
    await expect(runRollback({ ...options, clock, runId: newRunId(clock) }, plan)).rejects.toMatchObject({
      code: 'FIRN_REQUIREMENT_FAILED',
    })
    await expectWhole(warehouse, ['small-1', 'small-2'], ['huge-6'])
  })

  test('with reprocess makes a replay that runs state the restored positions, also when nothing else has moved', async () => {
    const warehouse = await refusedWarehouse()
    await stage(warehouse, shards(small, large, huge, sized('late', 7, 2, 10)))
    await runCompaction(warehouse)
    const run = await replayAround(warehouse, () => goBack(warehouse, 1, true))
    expect(run).toMatchObject({ plans: 2, rows_added: 3 })
    await expectWhole(warehouse, PASSED, ['huge-6'])
    await runCompaction(warehouse)
    await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6'])
  })

  test('with reprocess is refused when an object that would count again is gone', async () => {
    const warehouse = await refusedWarehouse()
    const { replayed } = await runReplay(warehouse)
    await warehouse.store.delete(replayed[0]!)
    await expect(goBack(warehouse, 0, true)).rejects.toMatchObject({ code: 'FIRN_REPROCESS_IMPOSSIBLE' })
  })

  test('killed at any request and run again takes replays back once', async () => {
    const make = async (): Promise<Warehouse> => {
      const warehouse = await refusedWarehouse()
      await runReplay(warehouse)
      return warehouse
    }
    await killedEverywhere(
      make,
      (warehouse) => goBack(warehouse, 0, true),
      async (warehouse, message) => {
        await goBack(warehouse, 0, true).catch(() => undefined)
        await runCompaction(warehouse, { maxBadRatio: 1 })
        await runReplay(warehouse)
        await expectWhole(warehouse, PASSED, ['huge-6'], message)
      },
    )
  }, 60_000)
})

describe('expiry', () => {
  const expireAllButNewest = async (warehouse: Warehouse): Promise<void> => {
    const { store, clock } = warehouse
    const table = await loadTable(warehouse)
    const snapshotIds = table.metadata.snapshots.slice(0, -1).map(({ snapshotId }) => snapshotId)
    const plan = planExpire(table, { snapshotIds }, clock)
    await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
  }
  const keysOf = async (store: ObjectStore, prefix: string): Promise<string[]> => {
    const keys: string[] = []
    for await (const { key } of store.list(prefix)) keys.push(key)
    return keys
  }

  test('keeps refused records of expired runs for a replay', async () => {
    const warehouse = await refusedWarehouse()
    await warehouse.catalog.loadTable(TABLE).then((table) => table.append([]))
    await expireAllButNewest(warehouse)
    await expectWhole(warehouse, ['small-1', 'small-2'], ['huge-6', 'large-3', 'large-4', 'large-5'])
    await runReplay(warehouse)
    await expectWhole(warehouse, PASSED, ['huge-6'])
  })

  test('keeps what a rollback may still take back', async () => {
    const warehouse = await refusedWarehouse()
    const { replayed } = await runReplay(warehouse)
    const { store, clock } = warehouse
    const table = await loadTable(warehouse)
    const plan = planExpire(table, { snapshotIds: [table.metadata.snapshots[0]!.snapshotId] }, clock)
    const { replayed: cleaned } = await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
    expect(cleaned).toEqual({ objects: [], manifests: [], ids: [] })
    expect(await keysOf(store, '_quarantine/')).toEqual(expect.arrayContaining([...replayed]))
    await goBack(warehouse, 0, true)
    await expectWhole(warehouse, ['small-1', 'small-2'], ['huge-6', 'large-3', 'large-4', 'large-5'])
  })

  test('of the replaying snapshot removes the objects, their ids and the manifests that listed nothing else', async () => {
    const warehouse = await refusedWarehouse()
    const { replayed } = await runReplay(warehouse)
    const used = (await loadTable(warehouse)).metadata.properties['firn.replayed']
    expect(JSON.parse(used!)).toHaveLength(2)
    await stage(warehouse, shards(small, large, huge, later))
    await runCompaction(warehouse, { maxBadRatio: 1 })
    expect(await keysOf(warehouse.store, '_quarantine/')).toEqual(expect.arrayContaining([...replayed]))
    await expireAllButNewest(warehouse)
    const objects = await keysOf(warehouse.store, '_quarantine/')
    expect(objects.filter((key) => replayed.includes(key))).toEqual([])
    const { properties, snapshots } = (await loadTable(warehouse)).metadata
    expect(properties['firn.replayed']).toBe('[]')
    expect(properties['firn.replayed-gone']).toBeUndefined()
    // of the replay, which refused a record that counts, and of the newest run
    const manifests = await keysOf(warehouse.store, '_manifests/')
    expect(manifests.filter((key) => key.endsWith('.json'))).toHaveLength(2)
    expect(manifests.filter((key) => key.endsWith('.committed'))).toHaveLength(2)
    expect(snapshots).toHaveLength(1)
    await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'])
  })

  test('killed at any request and run again forgets nothing that counts, and leaves nothing that does not', async () => {
    const make = async (): Promise<Warehouse> => {
      const warehouse = await refusedWarehouse()
      await runReplay(warehouse)
      await stage(warehouse, shards(small, large, huge, later))
      await runCompaction(warehouse, { maxBadRatio: 1 })
      return warehouse
    }
    await killedEverywhere(make, expireAllButNewest, async (warehouse, message) => {
      await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'], message)
      await expireAllButNewest(warehouse)
      await expectWhole(warehouse, [...PASSED, 'late-7', 'late-8'], ['huge-6', 'latelarge-9'], message)
      expect((await loadTable(warehouse)).metadata.properties['firn.replayed'], message).toBe('[]')
      expect(await keysOf(warehouse.store, '_quarantine/'), message).toHaveLength(2)
    })
  }, 60_000)
})
