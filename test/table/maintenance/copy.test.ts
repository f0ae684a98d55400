/** Copies of tables: the same rows at every snapshot, and nothing that leads back to the source. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { readAvro } from '../../../table/format/avro.ts'
import { snapshotId } from '../../../table/ids.ts'
import { type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import { routedStore } from '../../../table/io/routed.ts'
import { planCopy } from '../../../table/maintenance/copy.ts'
import { createDeleteReader } from '../../../table/scan/deletes.ts'
import { parseMetadata, type TableMetadata } from '../../../table/spec/metadata.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { Table } from '../../../table/table.ts'
import { commitFiles, equalityDeletes, positionDeletes, putMetadata } from '../scan/delete-tables.ts'
import { eventsTable, freshStore, readRows, writeRows } from '../support.ts'
import {
  copyTo,
  DAY,
  digests,
  event,
  everything,
  expectSelfContained,
  keysOf,
  reopen,
  tableWithDeletes,
} from './copy-support.ts'
import { type AnyRow, appendFiles, contents, makeTable } from './rewrite-support.ts'

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (FirnError.is(error) ? error.code : String(error)),
  )

async function metadataOf(store: ObjectStore): Promise<string> {
  return Buffer.from((await store.get('metadata/v1.metadata.json')).bytes).toString('utf8')
}

describe('a copy of a table', () => {
  test('has the same rows at every snapshot, and leaves the source alone', async () => {
    const source = await tableWithDeletes()
    const before = await everything(source.store)
    const target = freshStore()
    const result = await copyTo(source, target, { compareRows: 'all' })
    const copy = await reopen(target)
    expect(await digests(copy)).toEqual(await digests(source))
    expect(result.digests.map(({ rows }) => rows)).toEqual([3, 5, 3])
    expect(await everything(source.store)).toEqual(before)
    expect(result).toMatchObject({ dataFiles: 2, deleteFiles: 2, manifestLists: 3, kept: 0, unread: [] })
    const numbers = (table: Table): unknown =>
      table.metadata.snapshots.map(({ snapshotId: id, sequenceNumber }) => [id, sequenceNumber])
    expect(numbers(copy)).toEqual(numbers(source))
  })

  test('names nothing of the source, and holds nothing beside what it names', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await copyTo(source, target)
    const copy = await reopen(target)
    expect(copy.location).toBe(target.url)
    expect(copy.metadata.metadataLog).toEqual([])
    const keys = await keysOf(target)
    for (const key of keys.filter((each) => each.endsWith('.avro'))) {
      const { records } = await readAvro((await target.get(key)).bytes, key)
      const text = JSON.stringify(records, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
      expect(text, key).not.toContain(source.location)
      // Bounds of the paths in a delete file are bytes there.
      expect(text, key).not.toContain(JSON.stringify([...Buffer.from(source.location)]).slice(1, -1))
    }
    expect(keys.filter((key) => key.startsWith('metadata/v'))).toEqual([
      'metadata/v1.metadata.json',
      'metadata/version-hint.text',
    ])
    // Content files, manifests (one for each snapshot), lists, metadata and hint.
    expect(keys.length).toBe(4 + 3 + 3 + 2)
    await expectSelfContained(target, source.location)
  })

  test('bounds the paths of a delete file by whole paths', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await copyTo(source, target)
    const copy = await reopen(target)
    for (const task of await copy.scan().planFiles()) {
      expect(task.deletes.length).toBe(1)
      const [{ file }] = task.deletes as [(typeof task.deletes)[number]]
      const bounds = [file.lowerBounds, file.upperBounds].map((each) => each.get(2_147_483_546))
      expect(bounds.map((bytes) => Buffer.from(bytes!).toString('utf8'))).toEqual([
        task.file.filePath,
        task.file.filePath,
      ])
      expect((await target.head(file.filePath.slice(target.url.length + 1)))?.sizeBytes).toBe(file.fileSizeBytes)
      const loaded = await createDeleteReader(target, copy.location).load(task.file, task.deletes)
      expect(loaded.positions?.size).toBe(1)
    }
  })

  test('keeps equality deletes byte by byte, and tags and branches', async () => {
    const { table } = await eventsTable(freshStore())
    const files = await writeRows(table, [event(DAY, 1), event(DAY, 2)], [DAY])
    const one = (await table.append(files)).table
    await one.createTag('before')
    const fields = one.metadata.schemas[0]!.fields.filter(({ name }) => name === 'id')
    const source = await commitFiles(await one.refresh(), [
      await equalityDeletes(one, fields, [{ id: 'e0001' }], { partition: [DAY] }),
    ])
    const target = freshStore()
    await copyTo(source, target)
    const copy = await reopen(target)
    expect(copy.metadata.refs).toEqual(source.metadata.refs)
    expect((await readRows(copy.scan())).map(({ id }) => id)).toEqual(['e0002'])
    expect((await readRows(copy.scan({ ref: 'before' }))).map(({ id }) => id)).toEqual(['e0001', 'e0002'])
  })

  test('of a copy is like the table', async () => {
    const source = await tableWithDeletes()
    const [first, second] = [freshStore(), freshStore()]
    const { table: copy } = await copyTo(source, first)
    await copyTo(copy, second)
    const again = await reopen(second)
    expect(await digests(again)).toEqual(await digests(source))
    await expectSelfContained(second, first.url)
  })

  test('has an identity of its own unless it takes the place of its source', async () => {
    const source = await tableWithDeletes()
    const own = (await copyTo(source, freshStore())).table.metadata.tableUuid
    const same = (await copyTo(source, freshStore(), { keepIdentity: true })).table.metadata.tableUuid
    expect(own).not.toBe(source.metadata.tableUuid)
    expect(same).toBe(source.metadata.tableUuid)
  })

  test('is a table of the catalog whose folder it is in, and can be committed to', async () => {
    const source = await tableWithDeletes()
    const warehouse = freshStore()
    await copyTo(source, subStore(warehouse, 't/copied'))
    const copy = await openCatalog(warehouse, { clock: systemClock }).loadTable('t.copied')
    const { table } = await copy.append(await writeRows(copy, [event(DAY, 9)], [DAY]))
    expect((await readRows(table.scan())).map(({ id }) => id).sort()).toEqual(['e0001', 'e0003', 'e0005', 'e0009'])
    expect(Buffer.from((await copy.store.get('metadata/version-hint.text')).bytes).toString('utf8')).toBe('2')
  })

  test('of nested columns, evolved schemas and evolved partitions reads the same', async () => {
    const schema: Schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'id', required: true, type: 'int' },
        {
          id: 2,
          name: 'author',
          required: false,
          type: { type: 'struct', fields: [{ id: 3, name: 'name', required: false, type: 'string' }] },
        },
        {
          id: 4,
          name: 'tags',
          required: false,
          type: { type: 'list', elementId: 5, elementRequired: false, element: 'string' },
        },
      ],
    }
    const rows: readonly AnyRow[] = [
      { id: 1, author: { name: 'a' }, tags: ['x', null] },
      { id: 2, author: null, tags: null },
    ]
    let table = await appendFiles(await makeTable({ schema }), [rows])
    table = await table.updateSchema([
      { rename: 'author', to: 'writer' },
      { promote: 'id', type: 'long' },
    ])
    table = await table.updateSpec([{ add: { source: 'id', transform: 'identity' } }])
    const target = freshStore()
    await copyTo(table, target, { compareRows: 'all' })
    const copy = await reopen(target)
    expect(await contents(copy)).toEqual(await contents(table))
    expect(copy.metadata.schemas).toEqual(table.metadata.schemas)
    expect(copy.metadata.partitionSpecs).toEqual(table.metadata.partitionSpecs)
  })
})

describe('the chosen snapshots', () => {
  test('bring only their own files, refs and history', async () => {
    const source = await tableWithDeletes()
    const [first, , third] = source.metadata.snapshots.map(({ snapshotId: id }) => id)
    await source.createTag('early', first!)
    const tagged = await source.refresh()
    const target = freshStore()
    const result = await copyTo(tagged, target, { snapshots: 'current' })
    const copy = await reopen(target)
    expect(copy.metadata.snapshots.map(({ snapshotId: id }) => id)).toEqual([third])
    expect(Object.keys(copy.metadata.refs)).toEqual(['main'])
    expect(copy.metadata.snapshotLog.map(({ snapshotId: id }) => id)).toEqual([third])
    expect(result.dataFiles).toBe(2)

    const early = freshStore()
    const { dataFiles } = await copyTo(tagged, early, { snapshots: ['early'] })
    const old = await reopen(early)
    expect(dataFiles).toBe(1)
    expect(old.currentSnapshot()?.snapshotId).toBe(first)
    expect(Object.keys(old.metadata.refs).sort()).toEqual(['early', 'main'])
    expect(old.metadata.snapshotLog.at(-1)?.snapshotId).toBe(first)
    expect((await readRows(old.scan())).length).toBe(3)
  })

  test('must exist, and at least one', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    expect(await codeOf(copyTo(source, target, { snapshots: [snapshotId(1n)] }))).toBe('FIRN_SNAPSHOT_NOT_FOUND')
    expect(await codeOf(copyTo(source, target, { snapshots: ['nobody'] }))).toBe('FIRN_REF_NOT_FOUND')
    expect(await codeOf(copyTo(source, target, { snapshots: [] }))).toBe('FIRN_INVALID_OPTION')
    expect(await keysOf(target)).toEqual([])
  })

  test('can be none: an empty table is copied too', async () => {
    const { table } = await eventsTable(freshStore())
    const target = freshStore()
    await copyTo(table, target)
    expect((await reopen(target)).metadata.schemas).toEqual(table.metadata.schemas)
  })
})

describe('metadata of a copy', () => {
  const withProperties = async (properties: Readonly<Record<string, string>>): Promise<Table> => {
    const { table } = await eventsTable(freshStore())
    const moved = Object.fromEntries(
      Object.entries(properties).map(([key, value]) => [key, value.replace('<table>', table.location)]),
    )
    return putMetadata(table, { ...table.metadata, properties: { ...table.metadata.properties, ...moved } })
  }

  test('sends new files to the copy, never to the folders of the source', async () => {
    const source = await withProperties({
      'write.data.path': '<table>/elsewhere/',
      'write.metadata.path': 's3://shared/metadata',
      'firn.expiring': '17',
      'firn.positions.s@1': '{"shard-0":"12"}',
    })
    const target = freshStore()
    await copyTo(source, target)
    const { properties } = (await reopen(target)).metadata
    expect(properties['write.data.path']).toBe(`${target.url}/elsewhere`)
    expect(properties['write.metadata.path']).toBeUndefined()
    expect(properties['firn.expiring']).toBeUndefined()
    expect(properties['firn.positions.s@1']).toBe('{"shard-0":"12"}')
  })

  test('carries statistics files of the chosen snapshots', async () => {
    const source = await tableWithDeletes()
    const [first, second] = source.metadata.snapshots.map(({ snapshotId: id }) => id)
    const entry = (id: bigint, name: string): object => ({
      'snapshot-id': id,
      'statistics-path': `${source.location}/metadata/${name}`,
      'file-size-in-bytes': 5,
      'file-footer-size-in-bytes': 1,
      'blob-metadata': [],
    })
    for (const name of ['a.stats', 'b.stats']) await source.store.put(`metadata/${name}`, Buffer.from('stats'))
    const statistics = [entry(first!, 'a.stats'), entry(second!, 'b.stats')]
    const changed = await putMetadata(source, {
      ...source.metadata,
      unknown: { ...source.metadata.unknown, statistics },
    })
    const target = freshStore()
    const result = await copyTo(changed, target, { snapshots: [second!] })
    expect(result.statistics).toBe(1)
    expect(await target.head('metadata/b.stats')).toBeDefined()
    expect(await target.head('metadata/a.stats')).toBeUndefined()
    expect((await reopen(target)).metadata.unknown['statistics']).toMatchObject([
      { 'statistics-path': `${target.url}/metadata/b.stats`, 'snapshot-id': second },
    ])
  })

  test('of format version 1 keeps its version, with the members that its readers need', async () => {
    const source = await tableWithDeletes()
    const plain = await source.refresh()
    const { snapshots } = plain.metadata
    const versionOne: TableMetadata = { ...plain.metadata, formatVersion: 1, snapshots: snapshots.slice(0, 2) }
    const { refs: _refs, ...rest } = versionOne
    const head = snapshots[1]!.snapshotId
    const old = await putMetadata(source, {
      ...rest,
      currentSnapshotId: head,
      snapshotLog: plain.metadata.snapshotLog.slice(0, 2),
      refs: { main: { snapshotId: head, type: 'branch' } },
    })
    const target = freshStore()
    await copyTo(old, target)
    const json = JSON.parse(await metadataOf(target)) as Record<string, unknown>
    expect(json).toMatchObject({
      'format-version': 1,
      schema: { type: 'struct' },
      'partition-spec': [{ name: 'at_day' }],
    })
    expect(await digests(await reopen(target))).toEqual(await digests(old))
  })

  test('of format version 3 is refused by name before anything is written', async () => {
    const source = await tableWithDeletes()
    const text = Buffer.from((await source.store.get(source.metadataLocation.slice(source.location.length + 1))).bytes)
    const json = text.toString('utf8').replace('"format-version": 2', '"format-version": 3, "next-row-id": 0')
    const metadata = parseMetadata(json, 'v3')
    const state = { metadata, metadataLocation: source.metadataLocation, version: 9 }
    const three = new Table(undefined, source.store, state, undefined as never, undefined as never)
    const target = freshStore()
    expect(await codeOf(copyTo(three, target))).toBe('FIRN_FORMAT_VERSION_UNSUPPORTED')
    expect(await keysOf(target)).toEqual([])
  })
})

describe('files of other places', () => {
  test('move into the copy, with the deletes that name them', async () => {
    const elsewhere = freshStore()
    const { table: other } = await eventsTable(elsewhere)
    const foreign = await writeRows(other, [event(DAY, 1), event(DAY, 2)], [DAY])
    const { table } = await eventsTable(freshStore())
    const own = await writeRows(table, [event(DAY, 3), event(DAY, 4)], [DAY])
    const paths = [...foreign, ...own].map(({ filePath }) => filePath)
    const deletes = await positionDeletes(
      table,
      paths.sort().map((path) => [path, 0] as const),
      { partition: [DAY] },
    )
    const filled = await commitFiles(await commitFiles(table, [...foreign, ...own]), [deletes])
    const state = { metadata: filled.metadata, metadataLocation: filled.metadataLocation, version: 3 }
    const store = routedStore(filled.store, { [other.location]: other.store })
    const source = new Table(undefined, store, state, undefined as never, undefined as never)
    const target = freshStore()
    await copyTo(source, target)
    const copy = await reopen(target)
    expect((await readRows(copy.scan())).map(({ id }) => id).sort()).toEqual(['e0002', 'e0004'])
    await expectSelfContained(target, other.location)
  })

  test('are refused where they are not allowed', async () => {
    const { table } = await eventsTable(freshStore())
    const { table: other } = await eventsTable(freshStore())
    const source = await commitFiles(table, await writeRows(other, [event(DAY, 1)], [DAY]))
    expect(await codeOf(copyTo(source, freshStore()))).toBe('FIRN_PATH_OUTSIDE_TABLE')
  })

  test('that would be metadata of the copy are refused', async () => {
    const { table } = await eventsTable(freshStore())
    const [file] = await writeRows(table, [event(DAY, 1)], [DAY])
    const key = 'metadata/v1.metadata.json'
    const source = await commitFiles(table, [{ ...file!, filePath: `${table.location}/${key}` }])
    const target = freshStore()
    expect(await codeOf(copyTo(source, target))).toBe('FIRN_COPY_SOURCE_INVALID')
    expect(await target.head(key)).toBeUndefined()
  })
})

test('a plan says what a copy would take', async () => {
  const plan = await planCopy(await tableWithDeletes(), 'all')
  expect([plan.snapshots.length, plan.manifests.length, plan.objects.length, plan.positionDeletes.length]).toEqual([
    3, 3, 2, 2,
  ])
  expect(plan.bytes).toBeGreaterThan(1000)
})
