/** The commit protocol on an object store: who wins, who finds out, and what is left behind. */
import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { getIfExists, type ObjectStore } from '../../../table/io/object-store.ts'
import { printMetadata } from '../../../table/spec/metadata.ts'
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

  /** Try 1 gets no answer; it arrives late, just before try 2, unless `then` has other plans. */
  async function afterAnOpenTry(then: (store: ObjectStore) => Partial<ObjectStore>, retries = '4') {
    const store = freshStore()
    const { catalog } = await eventsTable(store)
    await (await catalog.loadTable('t.events')).append([], { setProperties: { 'commit.retry.num-retries': retries } })
    let late: (() => Promise<unknown>) | undefined
    const opened: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key === version(3) && late === undefined) {
          late = () => store.put(key, body, options)
          throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'time-out')
        }
        if (key === version(3)) await late?.()
        return store.put(key, body, options)
      },
    }
    const base = await openCatalog(opened, { clock: testClock() }).loadTable('t.events')
    const files = await writeRows(base, [{ id: 'a', at: 0n }], [0])
    Object.assign(opened, then(store))
    return { base, files }
  }

  test('a late first try that beats the last retry is found, not reported as lost', async () => {
    const { base, files } = await afterAnOpenTry(() => ({}), '1')
    expect(await base.append(files)).toMatchObject({ recovered: true })
    expect(await ids(base)).toEqual(['a'])
  })

  test('whatever goes wrong after an open try, the outcome is unknown', async () => {
    // The list of the second try cannot be written.
    const { base, files } = await afterAnOpenTry((store) => {
      let lists = 0
      return {
        put: async (key, body, options) => {
          if (key.includes('/snap-') && lists++ > 0) throw new FirnError('invalid', 'FIRN_ACCESS_DENIED', 'no')
          if (key === version(3)) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'time-out')
          return store.put(key, body, options)
        },
      }
    })
    await expect(base.append(files)).rejects.toMatchObject({ code: 'FIRN_COMMIT_STATE_UNKNOWN' })
  })

  test('an abort while the metadata is being put does not leave the outcome open', async () => {
    const store = freshStore()
    await eventsTable(store)
    const stop = new AbortController()
    const aborting: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key === version(2)) stop.abort(new Error('ctrl-c'))
        options?.signal?.throwIfAborted()
        return store.put(key, body, options)
      },
    }
    const table = await openCatalog(aborting, { clock: testClock() }).loadTable('t.events')
    const result = await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]), { signal: stop.signal })
    expect(await ids(result.table)).toEqual(['a'])
  })

  test('one caller’s abort does not fail another that waits for the same probe', async () => {
    const store = freshStore()
    await eventsTable(store)
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const slow: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key.startsWith('_leases/')) {
          asked.resolve()
          await gate.promise
          options?.signal?.throwIfAborted()
        }
        return store.put(key, body, options)
      },
    }
    const catalog = openCatalog(slow, { clock: testClock() })
    const [a, b] = await Promise.all([catalog.loadTable('t.events'), catalog.loadTable('t.events')])
    const stop = new AbortController()
    const aborted = a.append([], { signal: stop.signal })
    await asked.promise
    const other = b.append([])
    // The memory store answers within a turn: by then the other waits for the probe too.
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    stop.abort(new Error('only me'))
    await expect(aborted).rejects.toThrow('only me')
    gate.resolve()
    await expect(other).resolves.toMatchObject({ recovered: false })
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
    await expect(table.append([{ ...file!, specId: 5 }])).rejects.toMatchObject({ code: 'FIRN_DATA_FILE_INVALID' })
    await expect(table.append([{ ...file!, partition: ['one'] }])).rejects.toMatchObject({
      code: 'FIRN_DATA_FILE_INVALID',
    })
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

  test('a hint that must not be written does not fail the commit either', async () => {
    const store = freshStore()
    await eventsTable(store)
    const denied: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key === HINT) throw new FirnError('invalid', 'FIRN_ACCESS_DENIED', 'no')
        return store.put(key, body, options)
      },
    }
    const table = await append(await openCatalog(denied, { clock: testClock() }).loadTable('t.events'), 'a')
    expect(await ids(table)).toEqual(['a'])
  })

  test('compressed metadata of another engine is the base like any other', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    const next = await append(table, 'a')
    for (const name of ['v3.gz.metadata.json', 'v3.metadata.json.gz']) {
      await store.put(`t/events/metadata/${name}`, gzipSync(printMetadata(next.metadata)))
      expect((await catalog.loadTable('t.events')).metadataLocation).toContain(name)
      await store.delete(`t/events/metadata/${name}`)
    }
    await store.put('t/events/metadata/v3.gz.metadata.json', gzipSync(printMetadata(next.metadata)))
    expect(await ids(await append(await catalog.loadTable('t.events'), 'b'))).toEqual(['a', 'b'])
    await store.put('t/events/metadata/v4.gz.metadata.json', gzipSync('{}'))
    await expect(catalog.loadTable('t.events')).rejects.toMatchObject({ code: 'FIRN_METADATA_CORRUPT' })
  })

  test('a table that another catalog took over is neither read at an old version nor forked nor created over', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    await store.put('t/events/metadata/00003-abc.metadata.json', Buffer.from('{}'))
    await expect(catalog.loadTable('t.events')).rejects.toMatchObject({ code: 'FIRN_FOREIGN_CATALOG' })
    await expect(table.append([])).rejects.toMatchObject({ code: 'FIRN_FOREIGN_CATALOG' })
    await store.put('t/other/metadata/00003-abc.metadata.json', Buffer.from('{}'))
    await expect(catalog.createTable('t.other', DEFINITION)).rejects.toMatchObject({ code: 'FIRN_FOREIGN_CATALOG' })
    expect(await text(store, 't/other/metadata/version-hint.text')).toBeUndefined()
  })

  test('a table whose first versions were trimmed away is not created again', async () => {
    const store = freshStore()
    const { catalog, table } = await eventsTable(store)
    await append(table, 'a')
    await store.delete(version(1))
    await expect(catalog.createTable('t.events', DEFINITION)).rejects.toMatchObject({ code: 'FIRN_TABLE_EXISTS' })
    expect(await text(store, version(1))).toBeUndefined()
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

describe('what must not be written to', () => {
  test('a table of format version 1', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    const old = printMetadata({ ...table.metadata, formatVersion: 1 })
    await store.put(version(2), Buffer.from(old))
    const loaded = await table.refresh()
    await expect(loaded.append([])).rejects.toMatchObject({ code: 'FIRN_FORMAT_VERSION_UNSUPPORTED' })
    expect(await text(store, version(3))).toBeUndefined()
  })

  test('a table that was copied elsewhere and still names the old place', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    await table.append([])
    const copy = freshStore()
    for await (const { key } of store.list('t/')) await copy.put(key, (await store.get(key)).bytes)
    const copied = await openCatalog(copy, { clock: testClock() }).loadTable('t.events')
    await expect(copied.append([])).rejects.toMatchObject({ code: 'FIRN_TABLE_MOVED' })
    await expect(copied.createTag('v1')).rejects.toMatchObject({ code: 'FIRN_TABLE_MOVED' })
  })

  test('nobody’s summary members stand in for the counters', async () => {
    const { table } = await eventsTable(freshStore())
    const summary = { operation: 'delete', 'total-records': '99', 'added-records': '7', mine: 'x' }
    const { snapshot } = await table.append([], { summary })
    expect(snapshot!.summary).toMatchObject({ operation: 'append', 'total-records': '0', mine: 'x' })
    expect(snapshot!.summary).not.toHaveProperty('added-records')
  })

  test('refs with the names of every object’s members are refs like others', async () => {
    const { table } = await eventsTable(freshStore())
    const done = (await table.append([])).table
    expect(() => done.scan({ ref: 'constructor' })).toThrow(expect.objectContaining({ code: 'FIRN_REF_NOT_FOUND' }))
    const tagged = await done.createTag('toString')
    expect(tagged.snapshotFor({ ref: 'toString' })?.snapshotId).toBe(done.currentSnapshot()!.snapshotId)
  })

  const column = DEFINITION.schema.fields
  const part = (over: object) => ({ sourceId: 2, fieldId: 1000, name: 'p', transform: 'day', ...over })
  test.each([
    ['no column', { schema: { ...DEFINITION.schema, fields: [] } }],
    [
      'two columns of one name',
      { schema: { ...DEFINITION.schema, fields: [column[0], { ...column[1], name: 'id' }] } },
    ],
    ['a nullable key', { schema: { ...DEFINITION.schema, identifierFieldIds: [3] } }],
    ['a floating point key', { schema: { ...DEFINITION.schema, fields: [{ ...column[0], type: 'double' }] } }],
    ['two partitions of one name', { partitionSpec: { specId: 0, fields: [part({}), part({ fieldId: 1001 })] } }],
    ['two partitions of one id', { partitionSpec: { specId: 0, fields: [part({}), part({ name: 'q' })] } }],
    ['a partition with the name of a column', { partitionSpec: { specId: 0, fields: [part({ name: 'n' })] } }],
    ['a partition without a name', { partitionSpec: { specId: 0, fields: [part({ name: '' })] } }],
    ['a partition id below 1000', { partitionSpec: { specId: 0, fields: [part({ fieldId: 9 })] } }],
    ['a partition of an unknown column', { partitionSpec: { specId: 0, fields: [part({ sourceId: 77 })] } }],
    ['a transform that is not computed', { partitionSpec: { specId: 0, fields: [part({ transform: 'zorder' })] } }],
    ['a property that is no string', { properties: { a: 1 } }],
    ['a sort order called unsorted', { sortOrder: { ...DEFINITION.sortOrder, orderId: 0 } }],
  ])('%s: no such table is made, and the name stays free', async (_what, over) => {
    const store = freshStore()
    const catalog = openCatalog(store, { clock: testClock() })
    const bad = { ...DEFINITION, ...over } as typeof DEFINITION
    await expect(catalog.createTable('t.events', bad)).rejects.toMatchObject({
      code: 'FIRN_TABLE_DEFINITION_INVALID',
      kind: 'invalid',
    })
    await catalog.createTable('t.events', DEFINITION)
  })
})
