/** What a caller is told of a snapshot before its commit. */
import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import type { UpcomingSnapshot } from '../../../table/write/snapshot-options.ts'
import { EVENTS, eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const row = (id: string, n: number) => ({ id, at: 0n, n })
const where = parseWhere('n = 1', EVENTS)

async function twoRows(store: ObjectStore): Promise<Table> {
  const { table } = await eventsTable(store, testClock())
  return (await table.append(await writeRows(table, [row('a', 1), row('b', 2)], [0]))).table
}

test('a delete tells its files and their digests before it commits', async () => {
  const table = await twoRows(freshStore())
  const [before] = await table.scan().planFiles()
  const told: UpcomingSnapshot[] = []
  const { table: after, snapshot } = await table.deleteWhere(where, {
    beforeCommit: async (upcoming) => {
      expect((await table.refresh()).currentSnapshot()?.snapshotId).toBe(table.currentSnapshot()!.snapshotId)
      told.push(upcoming)
    },
  })
  const [task] = await after.scan().planFiles()
  expect(told).toMatchObject([
    { snapshotId: snapshot!.snapshotId, operation: 'overwrite', removed: [before!.file.filePath] },
  ])
  const [file] = told[0]!.added
  const { bytes } = await after.store.get(task!.file.filePath.slice(after.location.length + 1))
  expect(file).toMatchObject({ dataFile: { filePath: task!.file.filePath }, sha256: hash('sha256', bytes, 'hex') })
  expect(file!.rowGroups?.map(({ rows }) => rows)).toEqual([1])
})

test('a change that is planned anew is told anew, as another snapshot', async () => {
  const store = freshStore()
  await twoRows(store)
  let raced = false
  const slow: ObjectStore = {
    ...faultyPuts(store, () => undefined),
    put: async (key, body, options) => {
      if (/v\d+\.metadata\.json$/.test(key) && !raced) {
        raced = true
        const other = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
        await other.append(await writeRows(other, [row('c', 1), row('d', 4)], [0]))
      }
      return store.put(key, body, options)
    },
  }
  const table = await openCatalog(slow, { clock: testClock() }).loadTable('t.events')
  const told: UpcomingSnapshot[] = []
  const { table: after, snapshot } = await table.deleteWhere(where, {
    beforeCommit: async (upcoming) => void told.push(upcoming),
  })
  expect(told.map(({ removed }) => removed.length)).toEqual([1, 2])
  expect(told[0]!.snapshotId).not.toBe(told[1]!.snapshotId)
  expect(told[1]!.snapshotId).toBe(snapshot!.snapshotId)
  expect((await readRows(after.scan())).map(({ id }) => id).sort()).toEqual(['b', 'd'])
})

test('nothing is committed when telling fails', async () => {
  const table = await twoRows(freshStore())
  const failing = { beforeCommit: async () => Promise.reject(new Error('no room')) }
  await expect(table.deleteWhere(where, failing)).rejects.toThrow('no room')
  expect((await table.refresh()).metadataLocation).toBe(table.metadataLocation)
})
