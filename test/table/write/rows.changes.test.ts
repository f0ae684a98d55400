/** Changes of rows: overwrite, delete by filter, upsert. Copy-on-write, alone and against other writers. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { FirnError } from '../../../table/errors.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import {
  batchOf,
  EVENTS,
  eventsTable,
  faultyPuts,
  freshStore,
  readRows,
  type TestRow,
  testClock,
  writeRows,
} from '../support.ts'

const DAY = 86_400_000_000n
const at = (day: number): bigint => BigInt(day) * DAY
const where = (text: string) => parseWhere(text, EVENTS)
const row = (id: string, day = 0, n: number | null = null): TestRow => ({ id, at: at(day), n })

const add = async (table: Table, rows: readonly TestRow[], day = 0): Promise<Table> =>
  (await table.append(await writeRows(table, rows, [day]))).table
const read = async (table: Table): Promise<string[]> =>
  (await readRows((await table.refresh()).scan({ columns: ['id', 'n'] })))
    .map(({ id, n }) => (n === null ? String(id) : `${id}=${n}`))
    .sort()
const filesOf = async (table: Table): Promise<readonly DataFile[]> =>
  (await (await table.refresh()).scan().planFiles()).map((task) => task.file)

/** `meanwhile` happens when the writer of the result is about to make its next version, once. */
async function racing(store: ObjectStore, meanwhile: (other: Table) => Promise<unknown>): Promise<Table> {
  let raced = false
  const slow: ObjectStore = {
    ...faultyPuts(store, () => undefined),
    put: async (key, body, options) => {
      if (/v\d+\.metadata\.json$/.test(key) && !raced) {
        raced = true
        await meanwhile(await openCatalog(store, { clock: testClock() }).loadTable('t.events'))
      }
      return store.put(key, body, options)
    },
  }
  return openCatalog(slow, { clock: testClock() }).loadTable('t.events')
}

describe('deleteWhere', () => {
  test('files that match as a whole are dropped unread, files without a match stay, others are written anew', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    await add(await add(await add(table, [row('a', 0, 1), row('b', 0, 2)]), [row('c', 1, 1)], 1), [row('d', 2, 9)], 2)
    const before = await filesOf(table)
    const current = await table.refresh()
    // Nothing of the file of day 1 can be read: its partition proves that all of it matches.
    await table.store.put(
      before.find((file) => file.partition[0] === 1)!.filePath.slice(table.location.length + 1),
      Buffer.from('x'),
    )
    const { snapshot } = await current.deleteWhere(
      where("(at >= '1970-01-02T00:00:00Z' and at < '1970-01-03T00:00:00Z') or n = 1"),
    )
    expect(await read(table)).toEqual(['b=2', 'd=9'])
    expect(snapshot!.summary).toMatchObject({
      operation: 'overwrite',
      'deleted-data-files': '2',
      'added-data-files': '1',
      'deleted-records': '3',
      'added-records': '1',
      'total-records': '2',
    })
    const kept = before.find((file) => file.partition[0] === 2)!.filePath
    const after = await filesOf(table)
    expect(after.map((file) => file.filePath)).toContain(kept)
    const rewritten = after.find((file) => file.partition[0] === 0)!
    expect(rewritten).toMatchObject({ sortOrderId: 1, specId: 0, recordCount: 1 })
  })

  test('columns that the table is sorted by keep their bounds where others have none', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const counted = await table.setProperties({ 'write.metadata.metrics.default': 'counts' })
    const one = await add(counted, [row('a', 0, 1), row('b', 0, 2)])
    const { table: less } = await one.deleteWhere(where('n = 1'))
    await less.upsert([batchOf(EVENTS, [row('c', 3, 5)])], { key: ['id'] })
    const after = await filesOf(less)
    expect(after.map((file) => [...file.lowerBounds.keys()])).toEqual([[1], [1]])
  })

  test('whole files alone make the operation "delete"; nothing to delete makes no snapshot', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = await add(table, [row('a', 0, 1)])
    const none = await one.deleteWhere(where('n = 7'))
    expect(none).toMatchObject({ attempts: 0, snapshot: undefined })
    const all = await one.deleteWhere(where('n = 1'))
    expect(all.snapshot!.summary['operation']).toBe('delete')
    expect(await read(table)).toEqual([])
  })

  test('a row for which the filter is unknown stays', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = await add(table, [row('a', 0, 1), row('null'), row('b', 0, 2)])
    await one.deleteWhere(where('n != 2'))
    expect(await read(table)).toEqual(['b=2', 'null'])
  })

  test('rows that match and came meanwhile are deleted too: it plans anew', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    await add(table, [row('a', 0, 1), row('b', 0, 2)])
    const slow = await racing(store, (other) => add(other, [row('c', 0, 1), row('d', 0, 3)]))
    await slow.deleteWhere(where('n = 1'))
    expect(await read(table)).toEqual(['b=2', 'd=3'])
  })

  test('rows that cannot match do not disturb it', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    await add(table, [row('a', 0, 1), row('b', 0, 2)])
    const slow = await racing(store, (other) => add(other, [row('c', 0, 8)]))
    expect((await slow.deleteWhere(where('n = 1'))).attempts).toBe(2)
    expect(await read(table)).toEqual(['b=2', 'c=8'])
  })

  test('any tables and filters: what is left is what a full scan says is not true', async () => {
    const value = fc.record({ n: fc.option(fc.integer({ min: 0, max: 5 })), day: fc.integer({ min: 0, max: 2 }) })
    const clause = fc.oneof(
      fc.integer({ min: 0, max: 5 }).map((n) => `n = ${n}`),
      fc.integer({ min: 0, max: 5 }).map((n) => `n <= ${n}`),
      fc.constant('n is null'),
      fc.integer({ min: 0, max: 2 }).map((day) => `at >= '1970-01-0${day + 1}T00:00:00Z'`),
    )
    const filter = fc.oneof(
      clause,
      fc.tuple(clause, clause).map(([a, b]) => `(${a}) or (${b})`),
      fc.tuple(clause, clause).map(([a, b]) => `(${a}) and not (${b})`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(value, { maxLength: 4 }), { maxLength: 4 }), filter, async (batches, text) => {
        const { table } = await eventsTable(freshStore(), testClock())
        let current = table
        for (const [file, values] of batches.entries()) {
          for (const day of [0, 1, 2]) {
            const rows = values.flatMap((v, index) => (v.day === day ? [row(`${file}.${index}`, day, v.n)] : []))
            if (rows.length > 0) current = await add(current, rows, day)
          }
        }
        const all = await read(current)
        const gone = (await readRows(current.scan({ where: where(text) }))).map(({ id }) => id)
        await current.deleteWhere(where(text))
        const idOf = (text: string): string => text.split('=')[0]!
        expect(await read(current)).toEqual(all.filter((each) => !gone.includes(idOf(each))))
      }),
      { numRuns: 40 },
    )
  })
})

describe('overwrite', () => {
  test('by filter: matching rows go and the files come with one snapshot', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = await add(table, [row('a', 0, 1), row('b', 0, 2)])
    const files = await writeRows(one, [row('new', 0, 1)], [0])
    const { snapshot } = await one.overwrite(files, { filter: where('n = 1') })
    expect(await read(table)).toEqual(['b=2', 'new=1'])
    expect(snapshot!.summary['operation']).toBe('overwrite')
    expect((await table.refresh()).metadata.snapshots).toHaveLength(2)
  })

  test('by partition: only partitions of the added files change', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const one = await add(await add(table, [row('a'), row('b')]), [row('c', 1)], 1)
    const { snapshot } = await one.overwrite(await writeRows(one, [row('new')], [0]), { filter: 'dynamic-partitions' })
    expect(await read(table)).toEqual(['c', 'new'])
    expect(snapshot!.summary).toMatchObject({ operation: 'overwrite', 'replace-partitions': 'true' })
  })

  test('by partition: files that came into the partition meanwhile go too, those of others stay', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    await add(table, [row('a')])
    const slow = await racing(store, async (other) => add(await add(other, [row('b')]), [row('c', 1)], 1))
    await slow.overwrite(await writeRows(slow, [row('new')], [0]), { filter: 'dynamic-partitions' })
    expect(await read(table)).toEqual(['c', 'new'])
  })
})

describe('upsert', () => {
  const upsert = (table: Table, rows: readonly TestRow[]) => table.upsert([batchOf(EVENTS, rows)], { key: ['id'] })

  test('rows with a known key are replaced, others are added, untouched files stay', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    await add(await add(table, [row('a', 0, 1), row('b', 0, 2)]), [row('x', 1, 5)], 1)
    const untouched = (await filesOf(table)).find((file) => file.partition[0] === 1)!
    await upsert(await table.refresh(), [row('b', 0, 20), row('c', 2, 3)])
    expect(await read(table)).toEqual(['a=1', 'b=20', 'c=3', 'x=5'])
    const files = await filesOf(table)
    expect(files.map((file) => file.filePath)).toContain(untouched.filePath)
    expect(files.find((file) => file.partition[0] === 2)).toMatchObject({ recordCount: 1, sortOrderId: 0 })
  })

  test('two upserts of one key at once leave one row', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    await add(table, [row('a', 0, 1)])
    const slow = await racing(store, (other) => upsert(other, [row('k', 1, 1)]))
    await upsert(slow, [row('k', 0, 2)])
    expect(await read(table)).toEqual(['a=1', 'k=2'])
  })

  test('null keys, doubled keys and keys of floating point are refused, and nothing is committed', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    const refused = { code: 'FIRN_UPSERT_KEY_INVALID', kind: 'invalid' }
    await expect(upsert(table, [row('a'), row('a')])).rejects.toMatchObject(refused)
    await expect(table.upsert([batchOf(EVENTS, [row('a')])], { key: ['n'] })).rejects.toMatchObject(refused)
    await expect(table.upsert([], { key: ['score'] })).rejects.toMatchObject(refused)
    await expect(table.upsert([], { key: [] })).rejects.toMatchObject(refused)
    expect((await table.refresh()).metadata.snapshots).toEqual([])
  })

  test('any series of upserts leaves the last row of each key', async () => {
    const rows = fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'é', '😀'),
        day: fc.integer({ min: 0, max: 2 }),
        n: fc.option(fc.integer({ min: 0, max: 9 })),
      }),
      { selector: (each) => each.id, minLength: 1 },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(rows, { minLength: 1, maxLength: 4 }), async (rounds) => {
        const { table } = await eventsTable(freshStore(), testClock())
        const expected = new Map<string, string>()
        let current = table
        for (const round of rounds) {
          current = (
            await upsert(
              current,
              round.map(({ id, day, n }) => row(id, day, n)),
            )
          ).table
          for (const { id, n } of round) expected.set(id, n === null ? id : `${id}=${n}`)
        }
        expect(await read(current)).toEqual([...expected.values()].sort())
        expect(current.currentSnapshot()!.summary['total-records']).toBe(String(expected.size))
      }),
      { numRuns: 25 },
    )
  })
})

describe('writers at once', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'seed %i: appends, deletes, upserts and replacements lose and double nothing',
    async (seed) => {
      const store = freshStore()
      const { table } = await eventsTable(store, testClock(seed * 31))
      await table.setProperties({ 'commit.retry.num-retries': '50', 'commit.manifest.min-count-to-merge': '3' })
      const retried = async <T>(work: () => Promise<T>): Promise<T> => {
        for (let round = 0; ; round++) {
          try {
            return await work()
          } catch (error) {
            if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || round > 40) throw error
          }
        }
      }
      const open = (n: number) => openCatalog(store, { clock: testClock(seed * 101 + n) }).loadTable('t.events')
      const appender = async (n: number): Promise<void> => {
        for (let i = 0; i < 4; i++) await retried(async () => add(await open(n * 10 + i), [row(`w${n}.${i}`, 0, i)]))
      }
      const upserter = async (): Promise<void> => {
        for (let i = 0; i < 3; i++) await retried(async () => upsertRow(await open(900 + i), i))
      }
      const upsertRow = (current: Table, i: number) =>
        current.upsert([batchOf(EVENTS, [row('key', 1, 100 + i)])], { key: ['id'] })
      const compactor = async (): Promise<void> => {
        for (let i = 0; i < 3; i++) {
          await retried(async () => {
            const current = await open(500 + i)
            const tasks = (await current.scan().planFiles()).filter((task) => task.file.partition[0] === 0)
            if (tasks.length < 2) return
            const paths = tasks.map((task) => task.file.filePath)
            const rows = (await readRows(current.scan())).filter((each) => each['at'] === 0n)
            const [file] = await writeRows(current, rows, [0])
            const startSnapshotId = current.currentSnapshot()!.snapshotId
            await current.replaceFiles(paths, [file!], { startSnapshotId })
          })
        }
      }
      const deleter = async (): Promise<void> => {
        await retried(async () => (await open(700)).deleteWhere(where('n = 2')))
      }
      await Promise.all([appender(1), appender(2), compactor(), deleter(), upserter()])
      await (await open(999)).deleteWhere(where('n = 2'))
      const expected = ['w1', 'w2'].flatMap((name) => [0, 1, 3].map((i) => `${name}.${i}=${i}`))
      expect(await read(table)).toEqual(['key=102', ...expected].sort())
      const done = await table.refresh()
      expect(done.currentSnapshot()!.summary['total-records']).toBe('7')
    },
  )
})
