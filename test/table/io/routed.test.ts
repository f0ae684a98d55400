import { expect, test } from 'vitest'
import { openTableAt } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import { routedStore } from '../../../table/io/routed.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { writeManifest } from '../../../table/manifest/manifest.ts'
import { writeManifestList } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { keyInTable } from '../../../table/spec/location.ts'
import type { Table } from '../../../table/table.ts'
import { failureOf, keysOf, objectStoreContract, text, utf8 } from '../../contract/object-store.ts'
import { eventsTable, freshStore, readRows, writeRows } from '../support.ts'

const outside = { kind: 'invalid', code: 'FIRN_PATH_OUTSIDE_TABLE' }

objectStoreContract('a routed store', async () => ({
  store: routedStore(freshStore(), { 's3://other': freshStore() }),
  close: async () => {},
}))

test('a table whose file lies elsewhere is read once the place is allowed, by name and by folder', async () => {
  const warehouse = freshStore()
  const { catalog, table } = await eventsTable(warehouse)
  const [file] = await writeRows(table, [{ id: 'x', at: 0n }], [0])
  const { table: done } = await table.append([file!])
  const elsewhere = freshStore()
  const key = keyInTable(table.location, file!.filePath)
  await elsewhere.put('x.parquet', (await table.store.get(key)).bytes)
  const moved = { ...file!, filePath: 's3://elsewhere/data/x.parquet' }
  await replaceOnlyFile(done, moved)
  const folder = subStore(warehouse, 't/events')
  const allowedLocations = { 's3://elsewhere/data': elsewhere }
  const refused = await catalog.loadTable('t.events')
  await expect(readRows(refused.scan())).rejects.toMatchObject(outside)
  await expect(readRows((await openTableAt(folder, { clock: systemClock })).scan())).rejects.toMatchObject(outside)
  const byName = await catalog.loadTable('t.events', { allowedLocations })
  const byFolder = await openTableAt(folder, { clock: systemClock, allowedLocations })
  for (const allowed of [byName, await byName.refresh(), byFolder]) {
    expect((await readRows(allowed.scan())).map((row) => row['id'])).toEqual(['x'])
  }
})

/** As an engine would that has no scruples: the same manifest, naming another file. */
async function replaceOnlyFile(table: Table, file: DataFile): Promise<void> {
  const snapshot = table.currentSnapshot()!
  const [manifest] = await snapshotManifests(table.store, table.metadata, snapshot)
  const spec = table.metadata.partitionSpecs[0]!
  const bytes = await writeManifest(
    [
      {
        status: 'added',
        snapshotId: snapshot.snapshotId,
        sequenceNumber: undefined,
        fileSequenceNumber: undefined,
        dataFile: file,
      },
    ],
    spec,
    table.metadata.schemas[0]!,
  )
  await table.store.put(keyInTable(table.location, manifest!.manifestPath), bytes)
  const list = await writeManifestList(snapshot, [{ ...manifest!, manifestLength: bytes.length }])
  await table.store.put(keyInTable(table.location, snapshot.manifestList!), list)
}

async function opened(): Promise<{ table: ObjectStore; other: ObjectStore; nested: ObjectStore; routed: ObjectStore }> {
  const [table, other, nested] = [freshStore(), freshStore(), freshStore()]
  await table.put('x', utf8('of the table'))
  await other.put('a/x', utf8('of the other'))
  await nested.put('x', utf8('of the nested'))
  const routed = routedStore(table, { 's3a://other/': other, 's3://other/nested': nested })
  return { table, other, nested, routed }
}

test('reads the allowed places, the most precise one first, and its own keys as before', async () => {
  const { routed } = await opened()
  expect(text((await routed.get('x')).bytes)).toBe('of the table')
  expect(text((await routed.get('s3://other/a/x')).bytes)).toBe('of the other')
  expect(text((await routed.get('s3://other/nested/x', { range: { start: 0, end: 2 } })).bytes)).toBe('of')
  expect(await routed.head('s3://other/a/x')).toMatchObject({ key: 's3://other/a/x', sizeBytes: 12 })
  expect(await routed.head('s3://other/none')).toBeUndefined()
})

test('a name that only begins like an allowed place is refused, and so is every way up', async () => {
  const { routed } = await opened()
  for (const url of ['s3://other2/a/x', 's3://elsewhere/x', 'file:///etc/passwd']) {
    expect(await failureOf(routed.get(url))).toMatchObject(outside)
    expect(await failureOf(routed.head(url))).toMatchObject(outside)
  }
  expect((await failureOf(routed.get('s3://other/nested/../a/x'))).code).toBe('FIRN_INVALID_KEY')
})

test('nothing is written or deleted in other places', async () => {
  const { routed, other } = await opened()
  expect(await failureOf(routed.put('s3://other/a/y', utf8('y')))).toMatchObject(outside)
  expect(await failureOf(routed.delete('s3://other/a/x'))).toMatchObject(outside)
  expect(await keysOf(other, '')).toEqual(['a/x'])
  expect(await keysOf(routed, '')).toEqual(['x'])
})

test('stores that were not told of other places refuse every one of them, below a prefix too', async () => {
  const base = freshStore()
  for (const store of [base, subStore(base, 'ns/table'), subStore(subStore(base, 'ns'), 'table')]) {
    const url = 's3://other/a/x'
    for (const call of [store.get(url), store.head(url), store.put(url, utf8('x')), store.delete(url)]) {
      expect(await failureOf(call)).toMatchObject({ ...outside, detail: { path: url, location: store.url } })
    }
  }
})
