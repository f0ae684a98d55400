/** What each operation promises where definitions moved, options do not fit, or answers were lost. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { FirnError } from '../../../table/errors.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import { currentSchema } from '../../../table/spec/metadata.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { StructType } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { partitionedWriter } from '../../../table/write/partitioned-writer.ts'
import { column, commitFiles, equalityDeletes, putMetadata } from '../scan/delete-tables.ts'
import { batchOf, EVENTS, eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'
import { openEvents, raced, row, rows, VERSION_KEY } from './rivals.ts'

const where = (text: string) => parseWhere(text, EVENTS)
const clock = testClock()

async function prepared(...content: readonly ReturnType<typeof row>[]) {
  const store = freshStore()
  const { table } = await eventsTable(store, testClock())
  if (content.length === 0) return { store, table }
  return { store, table: (await table.append(await writeRows(table, content, [0]))).table }
}

const unavailable = () => new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'lost')

/** The next version is written, after it `then` happens, and both the answer and one look at the version are lost. */
function losing(store: ObjectStore, then: () => Promise<unknown> = async () => undefined): ObjectStore {
  let [armed, looks] = [true, 0]
  return {
    ...faultyPuts(store, () => undefined),
    put: async (key, body, options) => {
      const result = await store.put(key, body, options)
      if (!armed || !VERSION_KEY.test(key)) return result
      armed = false
      looks = 1
      await then()
      throw unavailable()
    },
    get: async (key, options) => {
      if (looks-- > 0 && VERSION_KEY.test(key)) throw unavailable()
      return store.get(key, options)
    },
  }
}

describe('a partition column that was dropped', () => {
  const voided = (table: Table) =>
    putMetadata(table, {
      ...table.metadata,
      lastUpdatedMillis: (table.metadata.lastUpdatedMillis + 1) as typeof table.metadata.lastUpdatedMillis,
      partitionSpecs: [
        ...table.metadata.partitionSpecs,
        { specId: 1, fields: [{ sourceId: 2, fieldId: 1000, name: 'at_day', transform: 'void' }] },
      ],
      defaultSpecId: 1,
    })
  test.each([
    ['with its spec', (table: Table) => table.updateSpec([{ drop: 'at_day' }])],
    ['to a void field', voided],
  ])('%s hinders neither delete nor upsert', async (_how, change) => {
    const { table } = await prepared(row('a', 0, 1), row('b', 0, 2))
    const dropped = await (await change(table)).updateSchema([{ drop: 'at' }])
    const schema = currentSchema(dropped.metadata)
    await dropped.deleteWhere(parseWhere('n = 1', schema))
    const batch = batchOf(schema, [
      { id: 'b', n: 9 },
      { id: 'c', n: 3 },
    ])
    await dropped.upsert([batch], { key: ['id'] })
    expect(await rows(table)).toEqual(['b=9', 'c=3'])
  })
})

describe('cherryPick', () => {
  test('a dynamic overwrite of the whole table is not made again over rows that came', async () => {
    const { table } = await prepared(row('a', 0, 1))
    const whole = await (await table.updateSpec([{ drop: 'at_day' }])).createBranch('b')
    const writer = partitionedWriter({ store: whole.store, clock }, whole.metadata)
    await writer.write(batchOf(EVENTS, [row('n', 0, 9)]))
    const { snapshot } = await whole.overwrite(await writer.close(), { filter: 'dynamic-partitions', branch: 'b' })
    const later = (await whole.append(await writeRows(table, [row('late', 3)], [3]))).table
    await expect(later.cherryPick(snapshot!.snapshotId)).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT' })
    expect(await rows(table)).toEqual(['a=1', 'late'])
  })

  test('a snapshot that is taken over as it is takes properties along, and refuses what it cannot have', async () => {
    const { table } = await prepared(row('a', 0, 1))
    const { snapshot } = await (await table.createBranch('b')).deleteWhere(where('n = 1'), { branch: 'b' })
    const now = await table.refresh()
    const id = snapshot!.snapshotId
    for (const options of [{ summary: { s: '1' } }, { snapshotId: 99n as SnapshotId }]) {
      await expect(now.cherryPick(id, options)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    }
    const required = { setProperties: { q: '1' }, requireProperties: { nope: 'x' } }
    await expect(now.cherryPick(id, required)).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED' })
    const picked = await now.cherryPick(id, { setProperties: { q: '1' } })
    expect(picked.table.metadata.properties['q']).toBe('1')
    expect(picked.snapshot!.snapshotId).toBe(id)
  })
})

describe('a commit whose answer and whose version could not be read', () => {
  test('is found by what the whole transaction made', async () => {
    const { store, table } = await prepared(row('a'))
    const lost = await openEvents(losing(store))
    const result = await lost
      .transaction()
      .updateSchema([{ add: { name: 'x', type: 'int' } }])
      .setProperties({ a: '1' })
      .updateSchema([{ add: { name: 'y', type: 'int' } }])
      .setProperties({ a: '2' })
      .commit()
    expect(result.recovered).toBe(true)
    const { metadata } = await table.refresh()
    expect(currentSchema(metadata).fields.map(({ name }) => name)).toEqual([
      ...EVENTS.fields.map((f) => f.name),
      'x',
      'y',
    ])
    expect(metadata.properties['a']).toBe('2')
  })

  test('is found as a fast-forward on which others have built', async () => {
    const { store, table } = await prepared(row('a'))
    const branched = await table.createBranch('b')
    await branched.append(await writeRows(branched, [row('x')], [0]), { branch: 'b' })
    const build = async () => {
      const other = await openEvents(store)
      await other.append(await writeRows(other, [row('later')], [0]))
    }
    await (await openEvents(losing(store, build))).fastForward('main', 'b')
    expect(await rows(table)).toEqual(['a', 'later', 'x'])
  })

  test('raises the hint when it is found by the run after it', async () => {
    const { store, table } = await prepared()
    const files = await writeRows(table, [row('a')], [0])
    const snapshotId = 77n as SnapshotId
    const dying = await openEvents({
      ...faultyPuts(store, (key) => (key.endsWith('version-hint.text') ? 'before' : undefined)),
    })
    await dying.append(files, { snapshotId })
    const hint = async () => Buffer.from((await store.get('t/events/metadata/version-hint.text')).bytes).toString()
    expect(await hint()).toBe('1')
    expect((await table.append(files, { snapshotId })).recovered).toBe(true)
    expect(await hint()).toBe('2')
  })

  test('does not drop a tag that was made anew since', async () => {
    const { store, table } = await prepared(row('a'))
    const second = (await (await table.createTag('x')).append(await writeRows(table, [row('b')], [0]))).table
    const anew = async () => {
      const other = await openEvents(store)
      await other.createTag('x', second.currentSnapshot()!.snapshotId)
    }
    const lost = await openEvents(losing(store, anew))
    await expect(lost.removeRef('x')).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED' })
    expect((await table.refresh()).metadata.refs['x']!.snapshotId).toBe(second.currentSnapshot()!.snapshotId)
  })
})

describe('two deletes of one transaction', () => {
  test('may take rows of one file', async () => {
    const { table } = await prepared(row('a', 0, 1), row('b', 0, 2), row('c', 0, 3))
    await table.transaction().deleteWhere(where('n = 1')).deleteWhere(where('n = 2')).commit()
    expect(await rows(table)).toEqual(['c=3'])
  })

  test('are one snapshot, so that only the first has options', async () => {
    const { table } = await prepared(row('a', 0, 1))
    const transaction = table.transaction().deleteWhere(where('n = 1'), { summary: { a: '1' } })
    expect(() => transaction.deleteWhere(where('n = 2'), { summary: { b: '1' } })).toThrow(FirnError)
  })
})

describe('commitFiles', () => {
  const invalid = { code: 'FIRN_DATA_FILE_INVALID', kind: 'invalid' }
  test('refuses what contradicts its operation, and files from the future', async () => {
    const { table } = await prepared(row('a', 0, 1), row('b', 0, 2))
    const deletes = await equalityDeletes(table, column(EVENTS, 'id'), [{ id: 'a' }], { partition: [0] })
    const now = await commitFiles(table, [deletes])
    const removed = (await now.scan().planFiles()).map(({ file }) => file)
    const added = await writeRows(now, [row('q')], [0])
    const none: never[] = []
    for (const change of [
      { operation: 'append', added: none, removed },
      { operation: 'delete', added, removed: none },
      { operation: 'replace', added: none, removed: [deletes] },
      { operation: 'append', added, removed: none, dataSequenceNumber: 999 },
      { operation: 'append', added, removed: none, dataSequenceNumber: -1 },
      { operation: 'delete', added: none, removed: [...removed, ...removed] },
    ] as const) {
      await expect(now.commitFiles(change)).rejects.toMatchObject(invalid)
    }
    expect(await rows(table)).toEqual(['b=2'])
  })

  test('a path that is live twice does not hinder deletes', async () => {
    const { table } = await prepared()
    const files = await writeRows(table, [row('a', 0, 1), row('b', 0, 2)], [0])
    const twice = (await (await table.append(files)).table.append(files)).table
    expect(await rows(twice)).toEqual(['a=1', 'a=1', 'b=2', 'b=2'])
    await twice.deleteWhere(where('n = 1'))
    expect(await rows(twice)).toEqual(['b=2', 'b=2'])
    await (await twice.refresh()).deleteWhere(where('n = 2'))
    expect(await rows(twice)).toEqual([])
  })
})

test('a filter may look into a struct, as that of a scan', async () => {
  const point: StructType = { type: 'struct', fields: [{ id: 3, name: 'x', required: false, type: 'int' }] }
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 's', required: false, type: point },
    ],
  }
  const table = await openCatalog(freshStore(), { clock }).createTable('t.nested', {
    schema,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  })
  const writer = partitionedWriter({ store: table.store, clock }, table.metadata)
  const values = [{ x: 1 }, { x: 2 }, { x: null }, null]
  const columns = [columnFromValues('long', [1n, 2n, 3n, 4n], 'id'), columnFromValues(point, values, 's')]
  await writer.write(batchOfColumns(schema, columns, values.length))
  await table.append(await writer.close())
  const { table: now } = await table.deleteWhere(parseWhere('s.x = 1', schema))
  expect(await readRows(now.scan({ columns: ['id'] }))).toEqual([{ id: 2n }, { id: 3n }, { id: 4n }])
})

describe('upsert', () => {
  test('rows of many partitions that come interleaved make few files', async () => {
    const { table } = await prepared()
    const batches = Array.from({ length: 20 }, (_, i) =>
      batchOf(
        EVENTS,
        Array.from({ length: 16 }, (_each, day) => row(`k${i}-${day}`, day, 1)),
      ),
    )
    const { snapshot } = await table.upsert(batches, { key: ['id'] })
    expect(snapshot!.summary).toMatchObject({ 'added-data-files': '16', 'added-records': '320' })
  })

  test('beyond the budget those that have most are written first, in their order', async () => {
    const { table } = await prepared()
    const writer = partitionedWriter({ store: table.store, clock }, table.metadata, { maxWaitingBytes: 30_000 })
    const days = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? i % 50 : 99))
    for (const [i, day] of days.entries())
      await writer.write(batchOf(EVENTS, [row(String(i).padStart(3, '0'), day, i)]))
    const files = await writer.close()
    expect(files.filter(({ partition }) => partition[0] === 99)).toHaveLength(1)
    const read = await rows((await table.append(files)).table)
    expect(read).toEqual(days.map((_, i) => `${String(i).padStart(3, '0')}=${i}`))
  })

  test('its key column may be renamed, and widened, while it runs', async () => {
    const { store, table } = await prepared(row('a', 0, 1), row('b', 0, 2))
    const slow = await raced(store, async (other) => {
      const changed = await other.updateSchema([
        { rename: 'id', to: 'key' },
        { promote: 'n', type: 'long' },
      ])
      await changed.append(await writeRows(table, [row('a', 0, 1), row('a', 0, 5)], [0]))
    })
    await slow.upsert([batchOf(EVENTS, [{ ...row('a', 0, 1), score: 7 }])], { key: ['id', 'n'] })
    const now = await table.refresh()
    const found = []
    for await (const batch of now.scan({ columns: ['key', 'n', 'score'] }).batches()) found.push(...batch.toArray())
    const text = found.map((each) => `${each.key} ${each.n} ${each.score}`).sort()
    expect(text).toEqual(['a 1 7', 'a 5 null', 'b 2 null'])
  })
})

describe('refs and properties', () => {
  test('a tag again with another retention is refused, without one it is no change', async () => {
    const { table } = await prepared(row('a'))
    const tagged = await table.createTag('x', undefined, { maxRefAgeMillis: 5 })
    await expect(tagged.createTag('x', undefined, { maxRefAgeMillis: 6 })).rejects.toMatchObject({
      code: 'FIRN_REF_EXISTS',
      message: expect.stringContaining('retention'),
    })
    const again = await tagged.createTag('x')
    expect(again.metadata.refs['x']).toMatchObject({ maxRefAgeMillis: 5 })
  })

  test('reserved names are no properties', async () => {
    const { table } = await prepared()
    await expect(table.setProperties({ 'format-version': '1' })).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })

  test('a tag of a transaction is looked after when expiry listed its snapshot', async () => {
    const { store, table } = await prepared(row('a'))
    const { snapshotId } = table.currentSnapshot()!
    const list = async () => (await openEvents(store)).setProperties({ 'firn.expiring': String(snapshotId) })
    let [armed, racing] = [true, freshStore()]
    racing = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        const result = await store.put(key, body, options)
        if (VERSION_KEY.test(key) && armed) {
          armed = false
          await list()
        }
        return result
      },
    }
    const slow = await openEvents(racing)
    await expect(slow.transaction().createTag('x', snapshotId).commit()).rejects.toMatchObject({
      code: 'FIRN_SNAPSHOT_EXPIRING',
    })
  })
})
