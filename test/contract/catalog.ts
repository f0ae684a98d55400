/**
 * What every catalog must show, as one vitest suite. `open` gives an empty catalog of its own to each test, and a
 * second way into the same one, as another process would have it.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FirnError } from '../../table/errors.ts'
import type { Catalog, Table } from '../../table/index.ts'
import { DEFINITION, readRows, writeRows } from '../table/support.ts'

export interface OpenedCatalog {
  readonly catalog: Catalog
  readonly other: Catalog
  close(): Promise<void>
}

const append = async (table: Table, id: string): Promise<Table> =>
  (await table.append(await writeRows(table, [{ id, at: 0n }], [0]))).table
const ids = async (table: Table): Promise<unknown[]> =>
  (await readRows(table.scan({ columns: ['id'] }))).map((row) => row['id']).sort()

export function catalogContract(name: string, open: () => Promise<OpenedCatalog>): void {
  describe(`catalog contract: ${name}`, () => {
    let opened: OpenedCatalog
    let catalog: Catalog
    let other: Catalog
    beforeEach(async () => {
      opened = await open()
      catalog = opened.catalog
      other = opened.other
    })
    afterEach(() => opened.close())

    describe('tables', () => tables(() => ({ catalog, other })))
    describe('commits', () => commits(() => ({ catalog, other })))
  })
}

type Both = () => { readonly catalog: Catalog; readonly other: Catalog }

function tables(both: Both): void {
  test('a new table is empty, has its definition, and others load the very same', async () => {
    const { catalog, other } = both()
    const made = await catalog.createTable('t.events', DEFINITION)
    const found = await other.loadTable('t.events')
    expect(found.name).toBe('t.events')
    expect(found.metadata).toEqual(made.metadata)
    expect(found.metadataLocation).toBe(made.metadataLocation)
    expect(found.currentSnapshot()).toBeUndefined()
    expect(found.metadata.schemas[0]!.fields.map((field) => field.name)).toEqual(
      DEFINITION.schema.fields.map((field) => field.name),
    )
    expect(found.metadata.partitionSpecs[0]!.fields[0]).toMatchObject({ name: 'at_day', transform: 'day' })
    expect(found.metadata.properties).toMatchObject(DEFINITION.properties)
    expect(await ids(found)).toEqual([])
  })

  test('a table that is there is not made again', async () => {
    const { catalog, other } = both()
    const { metadata } = await catalog.createTable('t.events', DEFINITION)
    await expect(other.createTable('t.events', DEFINITION)).rejects.toMatchObject({
      code: 'FIRN_TABLE_EXISTS',
      kind: 'conflict',
    })
    expect((await other.loadTable('t.events')).metadata.tableUuid).toBe(metadata.tableUuid)
  })

  test('of several creators one wins, the others are told', async () => {
    const { catalog, other } = both()
    const creators = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? catalog : other))
    const results = await Promise.allSettled(creators.map((each) => each.createTable('t.events', DEFINITION)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FIRN_TABLE_EXISTS' })
    }
  })

  test('a table that is not there is said to be missing, with a next step', async () => {
    await expect(both().catalog.loadTable('t.nothing')).rejects.toMatchObject({
      code: 'FIRN_TABLE_NOT_FOUND',
      kind: 'not-found',
      help: expect.stringContaining('firn init'),
    })
  })

  test.each(['events', '', '.', 'a.', '.b', 'a/b.c'])('"%s" is no table name', async (name) => {
    await expect(both().catalog.loadTable(name)).rejects.toMatchObject({ code: 'FIRN_TABLE_NAME_INVALID' })
    await expect(both().catalog.createTable(name, DEFINITION)).rejects.toMatchObject({
      code: 'FIRN_TABLE_NAME_INVALID',
    })
  })

  test('a definition that cannot be is refused, and takes no name', async () => {
    const { catalog } = both()
    const empty = { ...DEFINITION, schema: { ...DEFINITION.schema, fields: [], identifierFieldIds: [] } }
    await expect(catalog.createTable('t.events', empty)).rejects.toMatchObject({
      code: 'FIRN_TABLE_DEFINITION_INVALID',
    })
    expect(await catalog.listTables()).toEqual([])
  })

  test('tables are listed by name, in order', async () => {
    const { catalog, other } = both()
    expect(await catalog.listTables()).toEqual([])
    for (const name of ['z.last', 'a.second', 'a.first']) await catalog.createTable(name, DEFINITION)
    expect(await other.listTables()).toEqual(['a.first', 'a.second', 'z.last'])
  })
}

function commits(both: Both): void {
  test('what one appends the other reads, to and fro', async () => {
    const { catalog, other } = both()
    await append(await catalog.createTable('t.events', DEFINITION), 'a')
    await append(await other.loadTable('t.events'), 'b')
    const last = await append(await catalog.loadTable('t.events'), 'c')
    expect(await ids(last)).toEqual(['a', 'b', 'c'])
    expect(last.metadata.snapshots.map(({ sequenceNumber }) => sequenceNumber)).toEqual([1, 2, 3])
    expect(last.currentSnapshot()?.summary['total-records']).toBe('3')
    expect((await other.loadTable('t.events')).metadata).toEqual(last.metadata)
  })

  test('an append that was planned on an older state goes on top of the newer one', async () => {
    const { catalog, other } = both()
    const old = await catalog.createTable('t.events', DEFINITION)
    await append(await other.loadTable('t.events'), 'b')
    expect(await ids(await append(old, 'a'))).toEqual(['a', 'b'])
  })

  test('concurrent appenders all get in, and nobody loses rows', async () => {
    const { catalog, other } = both()
    await catalog.createTable('t.events', DEFINITION)
    const names = Array.from({ length: 10 }, (_, index) => `row-${index}`)
    const opened = await Promise.all(names.map((_, i) => (i % 2 === 0 ? catalog : other).loadTable('t.events')))
    await Promise.all(
      opened.map(async (table, index) => {
        const files = await writeRows(table, [{ id: names[index]!, at: 0n }], [0])
        for (let round = 0; ; round++) {
          try {
            return await table.append(files)
          } catch (error) {
            if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || round > 20) throw error
          }
        }
      }),
    )
    const table = await other.loadTable('t.events')
    expect(await ids(table)).toEqual(names)
    expect(table.metadata.snapshots.map(({ sequenceNumber }) => sequenceNumber)).toEqual(names.map((_, i) => i + 1))
  })

  test('properties move with their snapshot, and not when they are not as required', async () => {
    const { catalog, other } = both()
    const table = await catalog.createTable('t.events', DEFINITION)
    const files = await writeRows(table, [{ id: 'a', at: 0n }], [0])
    await table.append(files, { setProperties: { position: '1' }, requireProperties: { position: undefined } })
    const late = await writeRows(table, [{ id: 'b', at: 0n }], [0])
    const again = table.append(late, { setProperties: { position: '2' }, requireProperties: { position: undefined } })
    await expect(again).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED', kind: 'conflict' })
    const found = await other.loadTable('t.events')
    expect(found.metadata.properties['position']).toBe('1')
    expect(await ids(found)).toEqual(['a'])
  })

  test('of two commits that require the same property one takes effect', async () => {
    const { catalog, other } = both()
    await catalog.createTable('t.events', DEFINITION)
    const results = await Promise.allSettled(
      [catalog, other].map(async (each, index) => {
        const table = await each.loadTable('t.events')
        const files = await writeRows(table, [{ id: String(index), at: 0n }], [0])
        await table.append(files, { setProperties: { p: String(index) }, requireProperties: { p: undefined } })
      }),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const winner = results.findIndex(({ status }) => status === 'fulfilled')
    const found = await catalog.loadTable('t.events')
    expect(await ids(found)).toEqual([String(winner)])
    expect(found.metadata.properties['p']).toBe(String(winner))
  })

  test('a tag keeps its snapshot, and does not move to another one', async () => {
    const { catalog, other } = both()
    const first = await append(await catalog.createTable('t.events', DEFINITION), 'a')
    const id = first.currentSnapshot()!.snapshotId
    await first.createTag('v1')
    await append(await other.loadTable('t.events'), 'b')
    const found = await other.loadTable('t.events')
    expect(found.snapshotFor({ ref: 'v1' })?.snapshotId).toBe(id)
    await expect(found.createTag('v1')).rejects.toMatchObject({ code: 'FIRN_REF_EXISTS' })
    await found.createTag('v1', id)
  })

  test('an id beyond 2^53 is the same on both sides', async () => {
    const { catalog, other } = both()
    const table = await append(await catalog.createTable('t.events', DEFINITION), 'a')
    const big = 9_007_199_254_740_993n as NonNullable<ReturnType<Table['currentSnapshot']>>['snapshotId']
    await table.append([], { snapshotId: big, setProperties: { p: '1' } })
    expect((await other.loadTable('t.events')).currentSnapshot()?.snapshotId).toBe(big)
  })

  test('a commit that was aborted before it began changes nothing', async () => {
    const { catalog, other } = both()
    const table = await catalog.createTable('t.events', DEFINITION)
    const files = await writeRows(table, [{ id: 'a', at: 0n }], [0])
    await expect(table.append(files, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop')
    expect((await other.loadTable('t.events')).metadataLocation).toBe(table.metadataLocation)
  })
}
