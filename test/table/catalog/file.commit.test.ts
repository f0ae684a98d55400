/** The commit protocol on an object store: who wins, who finds out, and what is left behind. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { getIfExists, type ObjectStore } from '../../../table/io/object-store.ts'
import type { Table } from '../../../table/table.ts'
import {
  DEFINITION,
  eventsTable,
  type Fault,
  faultyPuts,
  freshStore,
  readRows,
  testClock,
  writeRows,
} from '../support.ts'

const HINT = 't/events/metadata/version-hint.text'
const version = (n: number): string => `t/events/metadata/v${n}.metadata.json`
const text = async (store: ObjectStore, key: string): Promise<string | undefined> => {
  const found = await getIfExists(store, key)
  return found && Buffer.from(found.bytes).toString('utf8')
}
const append = async (table: Table, id: string): Promise<Table> =>
  (await table.append(await writeRows(table, [{ id, at: 0n }], [0]))).table
const ids = async (table: Table): Promise<unknown[]> =>
  (await readRows((await table.refresh()).scan({ columns: ['id'] }))).map((row) => row['id']).sort()

describe('create', () => {
  test('two creators of one table: one wins, the other is told', async () => {
    const store = freshStore()
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => openCatalog(store, { clock: systemClock }).createTable('t.events', DEFINITION)),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') expect(FirnError.is(result.reason, 'FIRN_TABLE_EXISTS')).toBe(true)
    }
  })

  test('a create whose answer is lost is found to have succeeded', async () => {
    const store = freshStore()
    const flaky = faultyPuts(store, (key) => (key === version(1) ? 'after' : undefined))
    const table = await openCatalog(flaky, { clock: systemClock }).createTable('t.events', DEFINITION)
    expect(table.metadataLocation).toContain('v1.metadata.json')
  })

  test('an endpoint that ignores conditions is refused before anything is written', async () => {
    const store = freshStore()
    const naive: ObjectStore = { ...faultyPuts(store, () => undefined), put: (key, body) => store.put(key, body) }
    await expect(openCatalog(naive, { clock: systemClock }).createTable('t.events', DEFINITION)).rejects.toMatchObject({
      code: 'FIRN_CONDITIONAL_WRITES_IGNORED',
    })
    expect(await text(store, version(1))).toBeUndefined()
  })

  test('the first commit refuses such an endpoint too, when the table is there already', async () => {
    const store = freshStore()
    await eventsTable(store)
    const naive: ObjectStore = { ...faultyPuts(store, () => undefined), put: (key, body) => store.put(key, body) }
    const table = await openCatalog(naive, { clock: systemClock }).loadTable('t.events')
    await expect(append(table, 'a')).rejects.toMatchObject({ code: 'FIRN_CONDITIONAL_WRITES_IGNORED' })
    expect(await text(store, version(2))).toBeUndefined()
  })

  test.each(['events', 'a.b.c', '_x.y', 'a./b', '../a.b', ''])('"%s" is no table name', async (name) => {
    const { catalog } = await eventsTable(freshStore())
    await expect(catalog.loadTable(name)).rejects.toMatchObject({ code: 'FIRN_TABLE_NAME_INVALID' })
  })
})

describe('append', () => {
  test('concurrent appenders all get in, and nobody loses rows', async () => {
    const store = freshStore()
    const { catalog } = await eventsTable(store)
    const names = Array.from({ length: 12 }, (_, index) => `row-${String(index).padStart(2, '0')}`)
    const tables = await Promise.all(names.map(() => catalog.loadTable('t.events')))
    // Every one planned on the same base: all but one must rebase, some of them often.
    await Promise.all(
      tables.map(async (table, index) => {
        const files = await writeRows(table, [{ id: names[index]!, at: 0n }], [0])
        for (let round = 0; ; round++) {
          try {
            await table.append(files)
            return
          } catch (error) {
            if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || round > 20) throw error
          }
        }
      }),
    )
    const table = await catalog.loadTable('t.events')
    expect(await ids(table)).toEqual(names)
    expect(table.metadata.snapshots.map((snapshot) => snapshot.sequenceNumber)).toEqual(names.map((_, i) => i + 1))
    expect(table.currentSnapshot()?.summary['total-records']).toBe('12')
  })

  test.each(['before', 'after'] as const)(
    'an append whose answer is lost %s it took effect happens exactly once',
    async (when) => {
      const store = freshStore()
      await eventsTable(store)
      let faults = 1
      const flaky = faultyPuts(store, (key) => (key === version(2) && faults-- > 0 ? when : undefined))
      const table = await openCatalog(flaky, { clock: testClock() }).loadTable('t.events')
      const result = await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))
      expect(await ids(result.table)).toEqual(['a'])
      expect(result.table.metadata.snapshots).toHaveLength(1)
    },
  )

  test('a first try that arrives late wins, and the retry finds it instead of adding the rows again', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    let late: (() => Promise<unknown>) | undefined
    const delaying: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key === version(2) && late === undefined) {
          late = () => store.put(key, body, options)
          throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'time-out')
        }
        // The lost request reaches the store just before the second try does.
        if (key === version(2)) await late?.()
        return store.put(key, body, options)
      },
    }
    const slow = await openCatalog(delaying, { clock: testClock() }).loadTable('t.events')
    const result = await slow.append(await writeRows(slow, [{ id: 'a', at: 0n }], [0]))
    expect(result.recovered).toBe(true)
    expect(await ids(table)).toEqual(['a'])
  })

  test('a store that never says is reported as unknown, not as failed', async () => {
    const store = freshStore()
    await eventsTable(store)
    const deaf: ObjectStore = {
      ...faultyPuts(store, (key): Fault => (key === version(2) ? 'before' : undefined)),
      get: async (key, options) => {
        if (key === version(2)) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'time-out')
        return store.get(key, options)
      },
    }
    const table = await openCatalog(deaf, { clock: testClock() }).loadTable('t.events')
    const files = await writeRows(table, [{ id: 'a', at: 0n }], [0])
    await expect(table.append(files)).rejects.toMatchObject({
      code: 'FIRN_COMMIT_STATE_UNKNOWN',
      kind: 'unknown-commit',
      retryable: false,
    })
    // Nothing was deleted: the same files can still be committed, or found by an orphan removal.
    for (const file of files) expect(await store.head(file.filePath.slice(store.url.length + 1))).toBeDefined()
  })

  test('a requirement that no longer holds stops the run, also when it broke between two tries', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    const first = await table.append([], { setProperties: { 'firn.positions.s@1': 'a' } })
    const other = await catalog.loadTable('t.events')
    await other.append([], { setProperties: { 'firn.positions.s@1': 'b' } })
    const stale = first.table.append(await writeRows(table, [{ id: 'x', at: 0n }], [0]), {
      requireProperties: { 'firn.positions.s@1': 'a' },
      setProperties: { 'firn.positions.s@1': 'c' },
    })
    await expect(stale).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED', kind: 'conflict' })
    expect(await ids(table)).toEqual([])
  })

  test('a run whose snapshot has expired meanwhile is known by its marker', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    const marker = { property: 'firn.last-run', value: 'run-1' }
    const done = await table.append([], { setProperties: { 'firn.last-run': 'run-1' }, runMarker: marker })
    const again = await done.table.append(await writeRows(table, [{ id: 'x', at: 0n }], [0]), {
      setProperties: { 'firn.last-run': 'run-1' },
      runMarker: marker,
    })
    expect(again.recovered).toBe(true)
    expect(await ids(table)).toEqual([])
  })

  test('files from outside the table, of another spec or listed twice are refused', async () => {
    const { table } = await eventsTable(freshStore())
    const [file] = await writeRows(table, [{ id: 'x', at: 0n }], [0])
    await expect(table.append([{ ...file!, filePath: 's3://elsewhere/x.parquet' }])).rejects.toMatchObject({
      code: 'FIRN_PATH_OUTSIDE_TABLE',
    })
    await expect(
      table.append([{ ...file!, filePath: `${table.location}/data/../../x.parquet` }]),
    ).rejects.toMatchObject({
      code: 'FIRN_PATH_OUTSIDE_TABLE',
    })
    await expect(table.append([file!, file!])).rejects.toMatchObject({ code: 'FIRN_DATA_FILE_INVALID' })
    await expect(table.append([{ ...file!, specId: 5 }])).rejects.toMatchObject({ code: 'FIRN_METADATA_CORRUPT' })
  })

  test('timestamps rise even when the writer’s clock stands behind', async () => {
    const store = freshStore()
    await eventsTable(store, testClock(1, 2_000_000_000_000))
    const behind = openCatalog(store, { clock: testClock(2, 1_000_000_000_000) })
    const { table } = await (await behind.loadTable('t.events')).append([])
    const { metadata } = await append(table, 'a')
    const times = metadata.snapshotLog.map((entry) => entry.timestampMillis)
    expect(times[0]).toBeGreaterThan(2_000_000_000_000 - 1)
    expect(times[1]).toBeGreaterThan(times[0]!)
  })
})

describe('base and hint', () => {
  test('the base is found by listing, whatever the hint says', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    let current = table
    for (let n = 0; n < 10; n++) current = await append(current, `row-${n}`)
    for (const lie of ['3', '999', 'nonsense', '']) {
      await store.put(HINT, Buffer.from(lie))
      expect((await catalog.loadTable('t.events')).metadataLocation).toContain('v11.metadata.json')
    }
  })

  test('the hint is digits without a newline, equal to the newest version', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    await append(table, 'a')
    expect(await text(store, HINT)).toBe('2')
  })

  test('a slow writer does not lower the hint', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    let overtaken = false
    const slow: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        // Just before our hint is raised to 2, another writer commits 3 and raises it there.
        if (key === HINT && !overtaken) {
          overtaken = true
          await append(await catalog.loadTable('t.events'), 'other')
        }
        return store.put(key, body, options)
      },
    }
    const mine = await openCatalog(slow, { clock: testClock() }).loadTable('t.events')
    await append(mine, 'mine')
    expect(overtaken).toBe(true)
    expect(await text(store, HINT)).toBe('3')
    expect(await ids(table)).toEqual(['mine', 'other'])
  })

  test('a hint that cannot be written does not fail the commit, and the next commit mends it', async () => {
    const store = freshStore()
    await eventsTable(store)
    const flaky = faultyPuts(store, (key) => (key === HINT ? 'before' : undefined))
    await append(await openCatalog(flaky, { clock: testClock() }).loadTable('t.events'), 'a')
    expect(await text(store, HINT)).toBe('1')
    await append(await openCatalog(store, { clock: testClock() }).loadTable('t.events'), 'b')
    expect(await text(store, HINT)).toBe('3')
  })

  test('a create into a gap of deleted versions does not count as a commit', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    const stalled = await catalog.loadTable('t.events')
    let current = table
    for (let n = 0; n < 5; n++) current = await append(current, `row-${n}`)
    // The stalled writer planned on v1; by the time its put arrives, v2 to v5 have been trimmed away.
    let trimmed = false
    const trimming: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      list: async function* (prefix, options) {
        if (trimmed || !prefix.endsWith('metadata/v')) yield* store.list(prefix, options)
        else yield* [await store.head(version(1))].filter((info) => info !== undefined)
      },
      put: async (key, body, options) => {
        if (key === version(2) && !trimmed) {
          trimmed = true
          for (let n = 2; n <= 5; n++) await store.delete(version(n))
        }
        return store.put(key, body, options)
      },
    }
    const zombie = await openCatalog(trimming, { clock: testClock() }).loadTable('t.events')
    const result = await zombie.append(await writeRows(stalled, [{ id: 'late', at: 0n }], [0]))
    expect(result.attempts).toBeGreaterThan(1)
    expect(await ids(table)).toEqual(['late', 'row-0', 'row-1', 'row-2', 'row-3', 'row-4'])
  })

  test('a table of another catalog is named as such, not taken for missing', async () => {
    const store = freshStore()
    await store.put('t/other/metadata/00003-abc.metadata.json', Buffer.from('{}'))
    const catalog = openCatalog(store, { clock: systemClock })
    await expect(catalog.loadTable('t.other')).rejects.toMatchObject({ code: 'FIRN_FOREIGN_CATALOG' })
    await expect(catalog.loadTable('t.missing')).rejects.toMatchObject({
      code: 'FIRN_TABLE_NOT_FOUND',
      kind: 'not-found',
    })
  })

  test('tables are listed by name, other objects of the warehouse are not', async () => {
    const store = freshStore()
    const { catalog } = await eventsTable(store)
    await catalog.createTable('a.z', DEFINITION)
    for (const key of ['_staging/s@1/start.json', '_runs/land/x.json', 'loose.txt', 't/not-a-table/data/x.parquet']) {
      await store.put(key, Buffer.from('x'))
    }
    expect(await catalog.listTables()).toEqual(['a.z', 't.events'])
  })
})
