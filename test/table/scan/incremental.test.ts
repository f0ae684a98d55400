/** Reading what came between two snapshots, the changelog by file, and counts. */
import { describe, expect, test } from 'vitest'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { SnapshotChange } from '../../../table/scan/incremental.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, readRows, writeRows } from '../support.ts'
import { column, commitFiles, equalityDeletes, positionDeletes, putMetadata } from './delete-tables.ts'

async function append(table: Table, ids: string, day = 0): Promise<{ table: Table; file: DataFile }> {
  const rows = [...ids].map((id, n) => ({ id, n, at: BigInt(day) * 86_400_000_000n }))
  const [file] = await writeRows(table, rows, [day], { rowGroupRows: 2 })
  return { table: (await table.append([file!])).table, file: file! }
}
const ids = async (table: Table, options: Parameters<Table['scan']>[0]): Promise<string> =>
  (await readRows(table.scan({ columns: ['id'], ...options }))).map((row) => row['id']).join('')
const changes = async (table: Table, from?: Snapshot): Promise<SnapshotChange[]> => {
  const found: SnapshotChange[] = []
  for await (const change of table.changes(from?.snapshotId)) found.push(change)
  return found
}

/** ab; cd; a delete of a and an added x by an overwrite; ef. */
async function history(): Promise<{ table: Table; snapshots: readonly Snapshot[]; files: readonly DataFile[] }> {
  const first = await append((await eventsTable(freshStore())).table, 'ab')
  const second = await append(first.table, 'cd', 1)
  const deletes = await positionDeletes(second.table, [[first.file.filePath, 0]], { partition: [0] })
  const [x] = await writeRows(second.table, [{ id: 'x', at: 0n }], [0])
  const third = await commitFiles(second.table, [x!, deletes])
  const fourth = await append(third, 'ef')
  const files = [first.file, second.file, deletes, x!, fourth.file]
  return { table: fourth.table, snapshots: fourth.table.metadata.snapshots, files }
}

describe('an incremental scan', () => {
  test('gives what appends added after one snapshot up to another, and nothing else', async () => {
    const { table, snapshots } = await history()
    const [one, two, three, four] = snapshots.map((snapshot) => snapshot.snapshotId)
    expect(await ids(table, {})).toHaveLength(6)
    expect(await ids(table, { fromSnapshotId: one })).toBe('cdef')
    expect(await ids(table, { fromSnapshotId: one, snapshotId: two })).toBe('cd')
    // The overwrite counts for nothing.
    expect(await ids(table, { fromSnapshotId: two, snapshotId: three })).toBe('')
    expect(await ids(table, { fromSnapshotId: three })).toBe('ef')
    expect(await ids(table, { fromSnapshotId: four })).toBe('')
  })

  test('filters and limits', async () => {
    const { table, snapshots } = await history()
    const scan = { fromSnapshotId: snapshots[0]!.snapshotId }
    expect(await ids(table, { ...scan, where: parseWhere("id > 'c' and n >= 0", EVENTS) })).toBe('def')
    expect(await ids(table, { ...scan, limit: 3 })).toBe('cde')
    const dayOne = table.scan({ ...scan, where: parseWhere("at >= '1970-01-02T00:00:00Z'", EVENTS) })
    expect(await dayOne.planFiles()).toHaveLength(1)
    expect(await table.scan(scan).count()).toBe(4)
  })

  test('refuses a start that is no ancestor, or behind a gap', async () => {
    const { table, snapshots } = await history()
    const [one, two, three] = snapshots.map((snapshot) => snapshot.snapshotId)
    const refused = { code: 'FIRN_SNAPSHOT_NOT_ANCESTOR', kind: 'invalid' }
    await expect(ids(table, { fromSnapshotId: snapshotId(77n) })).rejects.toMatchObject(refused)
    await expect(ids(table, { fromSnapshotId: three, snapshotId: two })).rejects.toMatchObject(refused)
    const expired = await putMetadata(table, {
      ...table.metadata,
      snapshots: snapshots.filter(({ snapshotId: id }) => id !== two),
      snapshotLog: table.metadata.snapshotLog.slice(2),
    })
    await expect(ids(expired, { fromSnapshotId: one })).rejects.toMatchObject(refused)
    // All that came after the expired one is there.
    expect(await ids(expired, { fromSnapshotId: two })).toBe('ef')
  })
})

describe('changes', () => {
  test('name the files that each snapshot added and removed', async () => {
    const { table, snapshots, files } = await history()
    const [first, second, deletes, x, fourth] = files.map((file) => file.filePath)
    const paths = (list: readonly DataFile[]): string[] => list.map((file) => file.filePath).sort()
    const all = await changes(table)
    expect(all.map((change) => [change.operation, paths(change.added), paths(change.removed)])).toEqual([
      ['append', [first], []],
      ['append', [second], []],
      ['overwrite', [deletes, x].sort(), []],
      ['append', [fourth], []],
    ])
    expect((await changes(table, snapshots[2])).map((change) => change.snapshot)).toEqual([snapshots[3]])
  })

  test('of a table without snapshots are none', async () => {
    expect(await changes((await eventsTable(freshStore())).table)).toEqual([])
  })
})

describe('a count', () => {
  /** The table and the keys of its store that were read since. */
  async function counted(table: Table, options: Parameters<Table['scan']>[0] = {}): Promise<[number, string[]]> {
    const read: string[] = []
    const { get } = table.store
    const spied = Object.assign(table.store, {
      get: (...args: Parameters<typeof get>) => {
        read.push(args[0])
        return get.apply(table.store, args)
      },
    })
    try {
      return [await table.scan(options).count(), read.filter((key) => key.startsWith('data/'))]
    } finally {
      Object.assign(spied, { get })
    }
  }

  test('without deletes and filter reads no data file', async () => {
    const { table } = await append((await append((await eventsTable(freshStore())).table, 'abc')).table, 'de')
    expect(await counted(table)).toEqual([5, []])
    expect(await counted(table, { limit: 4 })).toEqual([4, []])
    expect((await counted((await eventsTable(freshStore())).table))[0]).toBe(0)
  })

  test('with position deletes reads only those', async () => {
    const { table, files } = await history()
    const [count, read] = await counted(table)
    expect(count).toBe(6)
    expect(read.every((key) => files[2]!.filePath.endsWith(key))).toBe(true)
    expect(read.length).toBeGreaterThan(0)
  })

  test('with equality deletes and with a filter is what a scan gives', async () => {
    const { table } = await history()
    const deletes = await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 1 }], { partition: [0] })
    const deleted = await commitFiles(table, [deletes])
    for (const text of [undefined, 'n = 0', 'n is null', "id < 'd'", 'not n = 0', "id in ('x', 'c', 'f')"]) {
      const where = text === undefined ? undefined : parseWhere(text, EVENTS)
      const [count] = await counted(deleted, { where })
      expect(count, text).toBe((await readRows(deleted.scan({ where }))).length)
    }
  })
})
