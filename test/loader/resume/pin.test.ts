import { describe, expect, it } from 'vitest'
import { PIN_MILLIS, pinSnapshot } from '../../../loader/resume/pin.ts'
import {
  type Clock,
  openCatalog,
  openStore,
  openTableAt,
  planExpire,
  runExpire,
  systemClock,
  type Table,
} from '../../../table/index.ts'
import { setClock } from '../../table/scan/delete-tables.ts'
import { DEFINITION, faultyPuts, testClock } from '../../table/support.ts'
import { appendRows, memoryUrl, numbersOf, rowsTable, withDataset } from '../support.ts'

const DAY = 86_400_000

async function lab(): Promise<{ table: Table; clock: Clock; url: string }> {
  const url = memoryUrl()
  const clock = testClock()
  setClock(clock)
  const catalog = openCatalog(openStore(url, { clock }), { clock })
  const created = await catalog.createTable('t.rows', { ...DEFINITION, partitionSpec: { specId: 0, fields: [] } })
  const { table } = await created.append([])
  return { table, clock, url }
}

const expire = async (table: Table, clock: Clock): Promise<Table> => {
  const now = await table.refresh()
  await runExpire(now, planExpire(now, {}, clock), {}, clock)
  return now.refresh()
}
const idsOf = ({ metadata }: Table): bigint[] => metadata.snapshots.map(({ snapshotId }) => snapshotId)

describe('a pinned snapshot', () => {
  it('outlives expiry, also when it was old already, and goes with its pin', async () => {
    const { table, clock } = await lab()
    const snapshot = table.currentSnapshot()!
    await clock.sleep(30 * DAY)
    await (await table.refresh()).append([])
    const pin = await pinSnapshot(table, snapshot, { mode: 'required', clock })
    expect(pin!.tag).toMatch(/^firn-loader-[0-9a-f-]{36}$/)
    await clock.sleep(6 * DAY)
    expect(idsOf(await expire(table, clock))).toContain(snapshot.snapshotId)
    await pin!.release()
    await pin!.release()
    const after = await table.refresh()
    expect(Object.keys(after.metadata.refs)).toEqual(['main'])
    expect(idsOf(await expire(after, clock))).not.toContain(snapshot.snapshotId)
  })

  it('goes by its age when nobody releases it', async () => {
    const { table, clock } = await lab()
    const snapshot = table.currentSnapshot()!
    await pinSnapshot(table, snapshot, { mode: 'auto', clock })
    await (await table.refresh()).append([])
    await clock.sleep(PIN_MILLIS + DAY)
    expect(idsOf(await expire(table, clock))).not.toContain(snapshot.snapshotId)
    expect(Object.keys((await table.refresh()).metadata.refs)).toEqual(['main'])
  })

  it('is released without an error when its tag has gone already', async () => {
    const { table, clock } = await lab()
    const pin = await pinSnapshot(table, table.currentSnapshot()!, { mode: 'auto', clock })
    await (await table.refresh()).removeRef(pin!.tag)
    await pin!.release()
  })
})

describe('what stands in the way of a pin', () => {
  it('is no error unless the pin is required: a table opened by its location', async () => {
    const { table, clock } = await lab()
    const located = await openTableAt(table.store, { clock })
    const snapshot = located.currentSnapshot()!
    expect(await pinSnapshot(located, snapshot, { mode: 'auto', clock })).toBeUndefined()
    await expect(pinSnapshot(located, snapshot, { mode: 'required', clock })).rejects.toMatchObject({
      code: 'FIRN_TABLE_READ_ONLY',
    })
  })

  it('is no error unless the pin is required: a store that takes no writes', async () => {
    const { table, url, clock } = await lab()
    const store = faultyPuts(openStore(url, { clock }), () => 'before')
    const readOnly = await openCatalog(store, { clock }).loadTable('t.rows')
    const snapshot = table.currentSnapshot()!
    expect(await pinSnapshot(readOnly, snapshot, { mode: 'auto', clock })).toBeUndefined()
    await expect(pinSnapshot(readOnly, snapshot, { mode: 'required', clock })).rejects.toMatchObject({
      code: expect.stringMatching(/^FIRN_/) as string,
    })
    expect(Object.keys((await table.refresh()).metadata.refs)).toEqual(['main'])
  })

  it('is its signal, before anything is written', async () => {
    const { table, clock } = await lab()
    const signal = AbortSignal.abort(new Error('no more'))
    const pinned = pinSnapshot(table, table.currentSnapshot()!, { mode: 'auto', clock, signal })
    await expect(pinned).rejects.toThrow('no more')
  })
})

describe('a dataset', () => {
  it('tags its snapshot while it is read, and leaves no tag behind', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 60 })
    await withDataset({ warehouse: url, table: 't.rows', batch: { size: 8 }, pin: 'required' }, async (dataset) => {
      const batches = dataset.epoch(0)
      await batches.next()
      const refs = Object.entries((await table.refresh()).metadata.refs)
      const [name, ref] = refs.find(([each]) => each !== 'main')!
      expect(name).toMatch(/^firn-loader-/)
      expect(ref).toMatchObject({ type: 'tag', snapshotId: dataset.snapshotId })
      expect(dataset.stats().pinned).toBe(name)
      expect((await numbersOf(batches)).flat()).toHaveLength(52)
    })
    expect(Object.keys((await table.refresh()).metadata.refs)).toEqual(['main'])
  })

  it('has given its tag back when closing it ends, also for whoever closes it again meanwhile', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 60 })
    const options = { warehouse: url, table: 't.rows', batch: { size: 8 }, pin: 'required' } as const
    await withDataset(options, async (dataset) => {
      await dataset.epoch(0).next()
      expect(Object.keys((await table.refresh()).metadata.refs)).toHaveLength(2)
      const first = dataset[Symbol.asyncDispose]()
      await dataset[Symbol.asyncDispose]()
      expect(Object.keys((await table.refresh()).metadata.refs)).toEqual(['main'])
      await first
    })
  })

  it('reads on when all snapshots but the newest are expired and its files are in no other one', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 60, fileRows: 20 })
    const options = { warehouse: url, table: 't.rows', batch: { size: 8 }, pin: 'required' } as const
    await withDataset(options, async (dataset) => {
      const batches = dataset.epoch(0)
      const first = await batches.next()
      const removed = (await table.scan().planFiles()).map(({ file }) => file)
      const emptied = (await table.commitFiles({ operation: 'delete', added: [], removed })).table
      const now = await appendRows(emptied, 60, 80, { fileRows: 20, rowGroupRows: 16 })
      const clock = testClock(1, systemClock.nowMillis() + 1000)
      const { result } = await runExpire(now, planExpire(now, { olderThan: clock.nowMillis() }, clock), {}, clock)
      expect(result.snapshotIds).toEqual([String(emptied.currentSnapshot()!.snapshotId)])
      expect(first.done).toBe(false)
      expect((await numbersOf(batches)).flat()).toHaveLength(52)
    })
  })
})
