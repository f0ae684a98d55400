/** Which JSON manifests and quarantine objects go: never one that may still be wanted. */
import { expect, test } from 'vitest'
import {
  type JsonManifest,
  manifestKey,
  plainManifest,
  readManifest,
  writeManifest,
} from '../../../jobs/compaction/manifest.ts'
import { positionsOf } from '../../../jobs/compaction/positions.ts'
import {
  neverCommitted,
  planWarehouseOrphans,
  removeManifestsOf,
  removeWarehouseOrphans,
} from '../../../jobs/maintenance/json-manifests.ts'
import { isReadOrUnread } from '../../../jobs/maintenance/read-again.ts'
import { epochMillis, openCatalog, planExpire, runExpire, snapshotId } from '../../../table/index.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import {
  articleRecords,
  fixedClock,
  loadTable,
  NOON,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'

const DAY = 86_400_000
let stores = 0

/** A warehouse whose clock can be moved: objects are as old as it says. */
function agingWarehouse(): Warehouse & { at(days: number): void } {
  let now = NOON
  const clock = { ...fixedClock(NOON), nowMillis: () => epochMillis(now) }
  const store = openMemoryStore(`json-manifests-${process.pid}-${stores++}`, { clock })
  return { store, clock, catalog: openCatalog(store, { clock }), at: (days) => (now = NOON + days * DAY) }
}

let sequence = 1
async function compactOne(warehouse: Warehouse, bad = 0): Promise<bigint> {
  const records = [...articleRecords(0, 3), ...Array.from({ length: bad }, () => articleRecords(0, 1)[0]!)]
  const numbered = records.map((record, index) => ({
    ...record,
    sequence: String(sequence++),
    ...(index >= 3 ? { data: 'not json' } : {}),
  }))
  await stage(warehouse, { [`s${sequence}`]: { records: numbered, ended: true } })
  return BigInt((await runCompaction(warehouse, { maxBadRatio: 1 })).snapshot_id!)
}

interface Lost {
  /** Key of its refused records. */
  readonly refused?: string
  /** Default: this table's. */
  readonly uuid?: string | undefined
  readonly positions?: JsonManifest['positions']
}

/** Of a run that wrote its manifest and did not commit. */
async function uncommitted(warehouse: Warehouse, id: string, lost: Lost = {}): Promise<string> {
  const { store } = warehouse
  const { refused, positions = { before: {}, after: {} } } = lost
  const { tableUuid } = (await loadTable(warehouse)).metadata
  const of = { table: TABLE, table_uuid: tableUuid, snapshot_id: id, operation: 'append', run_id: 'r' }
  const quarantined = refused === undefined ? [] : [{ path: refused, rows: 1, bytes: 1, reasons: {} }]
  if (refused !== undefined) await store.put(refused, Buffer.from('x'))
  const { table_uuid, ...plain } = plainManifest({ ...of, added: [], removed: [] })
  const uuid = 'uuid' in lost ? lost.uuid : table_uuid
  return writeManifest(store, {
    ...plain,
    ...(uuid === undefined ? {} : { table_uuid: uuid }),
    positions,
    quarantined,
  })
}

const plan = async (warehouse: Warehouse, olderThanDays: number) =>
  planWarehouseOrphans(warehouse.store, await loadTable(warehouse), TABLE, epochMillis(NOON + olderThanDays * DAY))
const keysOf = (found: { readonly orphans: readonly { readonly key: string }[] }): string[] =>
  found.orphans.map(({ key }) => key).sort()

test('refused records of a run go once the history proves that it never committed', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  const refused = `_quarantine/${TABLE}/lost-0.jsonl.zst`
  // within an hour of the oldest snapshot clocks may be wrong
  warehouse.at(0.02)
  const early = await uncommitted(warehouse, '70', { refused: `_quarantine/${TABLE}/early-0.jsonl.zst` })
  warehouse.at(1)
  const lost = await uncommitted(warehouse, '71', { refused })
  await compactOne(warehouse, 1)
  warehouse.at(2)
  const young = await uncommitted(warehouse, '72', { refused: `_quarantine/${TABLE}/young-0.jsonl.zst` })
  warehouse.at(5)
  const found = await plan(warehouse, 1.5)
  expect(keysOf(found)).toEqual([lost, refused])
  expect(found.kept).toBe(1)
  const table = await loadTable(warehouse)
  const before = epochMillis(NOON + 1.5 * DAY)
  expect(await removeWarehouseOrphans(warehouse.store, table, TABLE, found.orphans, before)).toMatchObject({
    deleted: 2,
  })
  for (const key of [early, young]) expect(await warehouse.store.head(key)).toBeDefined()
  expect(keysOf(await plan(warehouse, 1.5))).toEqual([])
})

test('nothing of a snapshot that was committed and expired counts as never committed', async () => {
  const warehouse = agingWarehouse()
  const first = await compactOne(warehouse, 1)
  warehouse.at(1)
  const second = await compactOne(warehouse, 1)
  warehouse.at(2)
  const third = await compactOne(warehouse, 1)
  warehouse.at(9)
  const table = await loadTable(warehouse)
  const ids = [first, second, third].map(snapshotId)
  const expire = planExpire(table, { olderThan: epochMillis(NOON + 1.5 * DAY) }, warehouse.clock)
  const { table: after } = await runExpire(table, expire, { graceMillis: 0 }, warehouse.clock)
  expect(after.metadata.snapshots.map((snapshot) => snapshot.snapshotId)).toEqual([third])
  // even if the clock of the store ran days ahead, the parent of what is left was committed
  expect(ids.map((id) => neverCommitted(after.metadata, id, NOON + 8 * DAY))).toEqual([true, false, false])
  // with honest clocks none was written after the history began
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
  expect(await removeManifestsOf(warehouse.store, TABLE, table.metadata.tableUuid, ids.slice(0, 2))).toEqual({
    deleted: 0,
    kept: 2,
  })
})

test('a table without history proves nothing, and a damaged manifest may list anything', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  const { metadata } = await loadTable(warehouse)
  expect(neverCommitted({ ...metadata, refs: {}, snapshots: [] }, snapshotId(1n), NOON + 9 * DAY)).toBe(false)
  warehouse.at(1)
  await warehouse.store.put(`_quarantine/${TABLE}/stray-0.jsonl.zst`, Buffer.from('x'))
  warehouse.at(9)
  expect(keysOf(await plan(warehouse, 8))).toEqual([`_quarantine/${TABLE}/stray-0.jsonl.zst`])
  await warehouse.store.put(manifestKey(TABLE, '99'), Buffer.from('{'))
  expect(keysOf(await plan(warehouse, 20))).toEqual([])
  expect(await removeManifestsOf(warehouse.store, TABLE, metadata.tableUuid, [snapshotId(99n)])).toEqual({
    deleted: 0,
    kept: 1,
  })
})

test('what was undone and has expired was committed, though main stands on what was before it', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  const { metadata } = await loadTable(warehouse)
  const first = metadata.snapshots[0]!
  const undone = snapshotId(2n)
  const back = {
    ...first,
    snapshotId: snapshotId(9n),
    parentSnapshotId: first.snapshotId,
    timestampMillis: epochMillis(NOON + 6 * DAY),
    summary: { 'firn.rolled-back-to': String(first.snapshotId), 'firn.rolled-back-from': String(undone) },
  }
  const refs = { main: { snapshotId: back.snapshotId, type: 'branch' as const } }
  const after = { ...metadata, refs, snapshots: [first, back] }
  expect(neverCommitted(after, undone, NOON + 8 * DAY)).toBe(false)
  expect(neverCommitted(after, snapshotId(3n), NOON + 3 * DAY)).toBe(false)
  expect(neverCommitted(after, snapshotId(3n), NOON + 8 * DAY)).toBe(true)
})

test('what changed between plan and run stays', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const key = await uncommitted(warehouse, '71')
  warehouse.at(9)
  const found = await plan(warehouse, 8)
  expect(keysOf(found)).toEqual([key])
  await warehouse.store.put(key, Buffer.from('{"another": "object"}'))
  const table = await loadTable(warehouse)
  const removed = await removeWarehouseOrphans(
    warehouse.store,
    table,
    TABLE,
    found.orphans,
    epochMillis(NOON + 8 * DAY),
  )
  expect(removed).toEqual({ deleted: 0, bytesFreed: 0 })
  expect(await warehouse.store.head(key)).toBeDefined()
})

test('a run that commits after all, between plan and run, keeps its manifest', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const refused = `_quarantine/${TABLE}/late-0.jsonl.zst`
  const key = await uncommitted(warehouse, '71', { refused })
  warehouse.at(9)
  const found = await plan(warehouse, 8)
  expect(keysOf(found)).toEqual([key, refused])
  const table = await loadTable(warehouse)
  await table.append([], { snapshotId: snapshotId(71n), setProperties: { late: 'yes' } })
  const before = epochMillis(NOON + 8 * DAY)
  expect(await removeWarehouseOrphans(warehouse.store, table, TABLE, found.orphans, before)).toMatchObject({
    deleted: 0,
  })
  for (const kept of [key, refused]) expect(await warehouse.store.head(kept)).toBeDefined()
})

const refusedKeys = async ({ store }: Warehouse): Promise<string[]> => {
  const found: string[] = []
  for await (const { key } of store.list(`_quarantine/${TABLE}/`)) found.push(key)
  return found
}

test('refused records stay when main was taken back by a reference and compaction went on behind them', async () => {
  const warehouse = agingWarehouse()
  const good = await compactOne(warehouse)
  warehouse.at(1)
  const undone = snapshotId(await compactOne(warehouse, 1))
  const [refused] = await refusedKeys(warehouse)
  const table = await loadTable(warehouse)
  await table.commitUpdates({
    requirements: [],
    prepare: () => [
      { action: 'set-snapshot-ref', name: 'main', ref: { snapshotId: snapshotId(good), type: 'branch' } },
      { action: 'remove-snapshots', snapshotIds: [undone] },
    ],
    isOwn: () => false,
  })
  await compactOne(warehouse)
  warehouse.at(9)
  const after = await loadTable(warehouse)
  expect(after.metadata.snapshots.some((each) => each.snapshotId === undone)).toBe(false)
  // as a copy of the good snapshot has it: the log tells nothing of the one that was undone
  const manifest = (await readManifest(warehouse.store, TABLE, undone))!
  const runs = await Promise.all(
    after.metadata.snapshots.map(async (each) => (await readManifest(warehouse.store, TABLE, each.snapshotId))!),
  )
  expect(isReadOrUnread(manifest, positionsOf(after.metadata.properties), runs)).toBe(false)
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
  expect(await warehouse.store.head(refused!)).toBeDefined()
})

test('refused records of a lost run go when another run read its records, and stay when nobody is known to have', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const winner = snapshotId(await compactOne(warehouse, 1))
  const { positions } = (await readManifest(warehouse.store, TABLE, winner))!
  const refused = `_quarantine/${TABLE}/lost-0.jsonl.zst`
  const key = await uncommitted(warehouse, '71', { refused, positions })
  const unread = { before: {}, after: { 'MyStream@7': { another: '9' } } }
  const later = await uncommitted(warehouse, '73', {
    refused: `_quarantine/${TABLE}/later-0.jsonl.zst`,
    positions: unread,
  })
  const unclear = await uncommitted(warehouse, '74', {
    refused: `_quarantine/${TABLE}/null-0.jsonl.zst`,
    positions: null,
  })
  warehouse.at(9)
  const found = keysOf(await plan(warehouse, 8))
  expect(found).toEqual(expect.arrayContaining([key, refused, later]))
  expect(found).not.toContain(unclear)
  // without the winner's manifest nothing tells who read them
  await warehouse.store.delete(manifestKey(TABLE, winner))
  expect(keysOf(await plan(warehouse, 8))).not.toContain(key)
})

test('a snapshot that has lost its JSON manifest keeps its refused records', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const id = snapshotId(await compactOne(warehouse, 1))
  await warehouse.store.delete(manifestKey(TABLE, id))
  await warehouse.store.put(`_quarantine/${TABLE}/stray-0.jsonl.zst`, Buffer.from('x'))
  warehouse.at(9)
  expect(await refusedKeys(warehouse)).toHaveLength(2)
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
})

test('a manifest of another table of this name, or that does not say, stays with its refused records', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const stray = `_quarantine/${TABLE}/stray-0.jsonl.zst`
  await warehouse.store.put(stray, Buffer.from('x'))
  await uncommitted(warehouse, '71', { uuid: undefined, refused: `_quarantine/${TABLE}/old-0.jsonl.zst` })
  await uncommitted(warehouse, '72', { uuid: undefined })
  warehouse.at(9)
  const found = await plan(warehouse, 8)
  expect([keysOf(found), found.kept]).toEqual([[stray], 2])
  warehouse.at(1)
  const foreign = '00000000-0000-4000-8000-000000000000'
  await uncommitted(warehouse, '73', { uuid: foreign, refused: `_quarantine/${TABLE}/foreign-0.jsonl.zst` })
  await uncommitted(warehouse, '74', { uuid: foreign })
  warehouse.at(9)
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
  const { tableUuid } = (await loadTable(warehouse)).metadata
  const expired = await removeManifestsOf(warehouse.store, TABLE, tableUuid, [snapshotId(72n), snapshotId(74n)])
  expect(expired).toEqual({ deleted: 0, kept: 2 })
})

test('refused records stay beside a manifest that lists fewer of them than its run wrote', async () => {
  const warehouse = agingWarehouse()
  await compactOne(warehouse)
  warehouse.at(1)
  const id = snapshotId(await compactOne(warehouse, 1))
  const manifest = (await readManifest(warehouse.store, TABLE, id))!
  await warehouse.store.put(manifestKey(TABLE, id), Buffer.from(JSON.stringify({ ...manifest, quarantined: [] })))
  warehouse.at(9)
  expect(await refusedKeys(warehouse)).toHaveLength(1)
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
})

test('refused records that no manifest lists stay when they are older than what is left of the history', async () => {
  const warehouse = agingWarehouse()
  await warehouse.store.put(`_quarantine/${TABLE}/old-0.jsonl.zst`, Buffer.from('x'))
  warehouse.at(1)
  await compactOne(warehouse)
  warehouse.at(9)
  expect(keysOf(await plan(warehouse, 8))).toEqual([])
  // main's line may reach further back than its log, which loses everything before a snapshot that was removed
  const { metadata } = await loadTable(warehouse)
  const cut = metadata.snapshotLog.map((entry) => ({ ...entry, timestampMillis: epochMillis(NOON + 3 * DAY) }))
  expect(neverCommitted(metadata, snapshotId(1n), NOON + 2 * DAY)).toBe(true)
  expect(neverCommitted({ ...metadata, snapshotLog: cut }, snapshotId(1n), NOON + 2 * DAY)).toBe(false)
})
