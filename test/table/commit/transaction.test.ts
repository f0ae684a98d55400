/** Changes of a table's definition, alone, at once with others, and several as one commit. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import { currentSchema, defaultSpec, printMetadata } from '../../../table/spec/metadata.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, type Fault, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const VERSION = /v(\d+)\.metadata\.json$/
const open = (store: ObjectStore): Promise<Table> => openCatalog(store, { clock: testClock() }).loadTable('t.events')
const names = (table: Table): string[] => currentSchema(table.metadata).fields.map((field) => field.name)
const ids = async (table: Table): Promise<unknown[]> =>
  (await readRows((await table.refresh()).scan({ columns: ['id'] }))).map((row) => row['id']).sort()

/** A table whose next version is overtaken once by `meanwhile`. */
async function racing(store: ObjectStore, meanwhile: (other: Table) => Promise<unknown>): Promise<Table> {
  let raced = false
  return open({
    ...faultyPuts(store, () => undefined),
    put: async (key, body, options) => {
      if (VERSION.test(key) && !raced) {
        raced = true
        await meanwhile(await open(store))
      }
      return store.put(key, body, options)
    },
  })
}

describe('definition', () => {
  test('a schema change is applied again to the schema that another writer made', async () => {
    const store = freshStore()
    await eventsTable(store, testClock())
    const slow = await racing(store, (other) => other.updateSchema([{ add: { name: 'theirs', type: 'long' } }]))
    const done = await slow.updateSchema([{ add: { name: 'mine', type: 'string' } }])
    expect(names(done).slice(-2)).toEqual(['theirs', 'mine'])
    expect(
      currentSchema(done.metadata)
        .fields.slice(-2)
        .map((field) => field.id),
    ).toEqual([7, 8])
    expect(done.metadata.lastColumnId).toBe(8)
  })

  test('spec, sort order and properties too; what nobody changed makes no commit', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    const specced = await table.updateSpec([{ add: { source: 'n', transform: 'bucket[4]' } }])
    expect(defaultSpec(specced.metadata).fields.map((field) => [field.fieldId, field.transform])).toEqual([
      [1000, 'day'],
      [1001, 'bucket[4]'],
    ])
    const sorted = await specced.setSortOrder([{ column: 'n', direction: 'desc' }])
    expect(sorted.metadata.sortOrders.at(-1)).toEqual({
      orderId: 2,
      fields: [{ sourceId: 3, transform: 'identity', direction: 'desc', nullOrder: 'nulls-last' }],
    })
    const back = await sorted.setSortOrder([])
    expect(back.metadata.defaultSortOrderId).toBe(0)
    const slow = await racing(store, (other) => other.setProperties({ theirs: '1', gone: 'x' }))
    const set = await slow.setProperties({ mine: '2' }, ['gone'])
    expect(set.metadata.properties).toMatchObject({ theirs: '1', mine: '2' })
    expect(set.metadata.properties).not.toHaveProperty('gone')
    const again = await set.setProperties({ mine: '2' })
    expect(again.metadataLocation).toBe(set.metadataLocation)
    await expect(table.setProperties({ a: 'b' }, ['a'])).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })

  test.each(['before', 'after'] as const)(
    'a schema change whose answer is lost %s it took effect happens once',
    async (when) => {
      const store = freshStore()
      await eventsTable(store, testClock())
      let faults = 1
      const flaky = await open(
        faultyPuts(store, (key): Fault => (VERSION.exec(key)?.[1] === '2' && faults-- > 0 ? when : undefined)),
      )
      const done = await flaky.updateSchema([{ add: { name: 'mine', type: 'string' } }])
      expect(names(done).filter((name) => name === 'mine')).toHaveLength(1)
      expect(done.metadata.schemas).toHaveLength(2)
    },
  )

  test('a table of format version 1 is upgraded, then written to', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    const old = printMetadata({ ...table.metadata, formatVersion: 1 })
    await store.put('t/events/metadata/v2.metadata.json', Buffer.from(old))
    const loaded = await table.refresh()
    await expect(loaded.append([])).rejects.toMatchObject({ code: 'FIRN_FORMAT_VERSION_UNSUPPORTED' })
    const upgraded = await loaded.upgradeFormatVersion()
    expect(upgraded.metadata.formatVersion).toBe(2)
    await upgraded.append(await writeRows(upgraded, [{ id: 'a', at: 0n }], [0]))
    expect(await ids(upgraded)).toEqual(['a'])
  })
})

describe('transaction', () => {
  test('schema, spec, properties, rows in and rows out are one version, with one log entry', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = (
      await table.append(
        await writeRows(
          table,
          [
            { id: 'old', at: 0n },
            { id: 'kept', at: 0n },
          ],
          [0],
        ),
      )
    ).table
    const result = await one
      .transaction()
      .updateSchema([{ add: { name: 'kind', type: 'string' } }])
      .updateSpec([{ add: { source: 'kind', transform: 'identity' } }])
      .setProperties({ note: 'x' })
      .deleteWhere(parseWhere("id = 'old'", EVENTS))
      .append(await writeRows(one, [{ id: 'new', at: 0n }], [0]))
      .commit()
    expect(result.table.metadataLocation).toContain('v3.metadata.json')
    expect(await ids(result.table)).toEqual(['kept', 'new'])
    expect(names(result.table)).toContain('kind')
    const { metadata } = result.table
    expect(defaultSpec(metadata).fields.at(-1)).toMatchObject({ name: 'kind', fieldId: 1001 })
    expect(metadata.properties['note']).toBe('x')
    expect(metadata.snapshots.map((snapshot) => snapshot.sequenceNumber)).toEqual([1, 2, 3])
    expect(metadata.snapshotLog).toHaveLength(2)
    expect(metadata.snapshots.at(-1)!.parentSnapshotId).toBe(metadata.snapshots.at(-2)!.snapshotId)
    expect(result.snapshot!.summary['total-records']).toBe('2')
  })

  test('a change that fails takes all others with it', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const failing = table
      .transaction()
      .append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))
      .updateSchema([{ drop: 'nothing-like-it' }])
    await expect(failing.commit()).rejects.toMatchObject({ kind: 'invalid' })
    expect((await table.refresh()).metadataLocation).toBe(table.metadataLocation)
    await expect(failing.commit()).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(table.transaction().commit()).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })

  test('a delete sees the rows that were there before the transaction, and its own rows are no conflict', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = (await table.append(await writeRows(table, [{ id: 'old', at: 0n, n: 1 }], [0]))).table
    const files = await writeRows(one, [{ id: 'new', at: 0n, n: 1 }], [0])
    const { table: done } = await one.transaction().append(files).deleteWhere(parseWhere('n = 1', EVENTS)).commit()
    expect(await ids(done)).toEqual(['new'])
  })

  test('it plans anew when rows that it deletes by came meanwhile', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    await table.append(await writeRows(table, [{ id: 'a', at: 0n, n: 1 }], [0]))
    const slow = await racing(store, async (other) =>
      other.append(
        await writeRows(
          other,
          [
            { id: 'b', at: 0n, n: 1 },
            { id: 'c', at: 0n, n: 2 },
          ],
          [0],
        ),
      ),
    )
    const files = await writeRows(slow, [{ id: 'new', at: 0n, n: 1 }], [0])
    await slow.transaction().deleteWhere(parseWhere('n = 1', EVENTS)).append(files).commit()
    expect(await ids(table)).toEqual(['c', 'new'])
  })

  test.each(['before', 'after'] as const)('one whose answer is lost %s it took effect happens once', async (when) => {
    const store = freshStore()
    await eventsTable(store, testClock())
    let faults = 1
    const flaky = await open(
      faultyPuts(store, (key): Fault => (VERSION.exec(key)?.[1] === '2' && faults-- > 0 ? when : undefined)),
    )
    const files = await writeRows(flaky, [{ id: 'a', at: 0n }], [0])
    const transaction = flaky.transaction().updateSchema([{ add: { name: 'mine', type: 'string' } }])
    const { table } = await transaction.append(files).commit()
    expect(await ids(table)).toEqual(['a'])
    expect(table.metadata.snapshots).toHaveLength(1)
  })
})
