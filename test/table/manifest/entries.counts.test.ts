/** Manifests whose entries are other ones than their list says: files would be lost, or come twice, unnoticed. */
import { expect, test } from 'vitest'
import { readEntries } from '../../../table/manifest/entries.ts'
import { type ManifestFile, writeManifestList } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { eventsTable, freshStore, writeRows } from '../support.ts'

/** Live files that are read with the list entry changed. */
async function filesRead(change: Partial<ManifestFile>): Promise<number> {
  const { table } = await eventsTable(freshStore())
  const files = await writeRows(table, [{ id: 'a', at: 0n }], [0])
  const { table: written } = await table.append(files)
  const manifests = await snapshotManifests(written.store, written.metadata, written.currentSnapshot()!)
  let count = 0
  const changed = manifests.map((manifest) => ({ ...manifest, ...change }))
  for await (const entries of readEntries(written.store, written.metadata, changed)) count += entries.length
  return count
}

test('a manifest with as many live files as its list says is read, and one whose list does not say', async () => {
  expect(await filesRead({})).toBe(1)
  expect(await filesRead({ addedFilesCount: 0, existingFilesCount: 1 })).toBe(1)
  expect(await filesRead({ addedFilesCount: undefined, existingFilesCount: undefined })).toBe(1)
})

test.each([
  ['fewer', { addedFilesCount: 0 }],
  ['more', { existingFilesCount: 1 }],
])('a list that says %s is corrupt', async (_name, change) => {
  await expect(filesRead(change)).rejects.toMatchObject({
    kind: 'corrupt',
    code: 'FIRN_MANIFEST_COUNT_MISMATCH',
    message: expect.stringContaining('-m0.avro'),
  })
})

test('data files in a manifest that is listed as one of deletes are corrupt', async () => {
  await expect(filesRead({ content: 'deletes' })).rejects.toMatchObject({
    code: 'FIRN_AVRO_CORRUPT',
    message: expect.stringContaining('-m0.avro'),
  })
})

test('a list whose manifests count no data file does not empty a snapshot that has some', async () => {
  const { table } = await eventsTable(freshStore())
  const { table: written } = await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))
  const snapshot = written.currentSnapshot()!
  const [manifest] = await snapshotManifests(written.store, written.metadata, snapshot)
  const bytes = await writeManifestList(snapshot, [{ ...manifest!, addedFilesCount: 0 }])
  await written.store.put(snapshot.manifestList!.slice(written.location.length + 1), bytes)
  await expect(snapshotManifests(written.store, written.metadata, snapshot)).rejects.toMatchObject({
    code: 'FIRN_AVRO_CORRUPT',
    message: expect.stringContaining(snapshot.manifestList!),
  })
})

test('a snapshot whose manifest list got lost is not an empty one', async () => {
  const { table } = await eventsTable(freshStore())
  const { table: written } = await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))
  const { manifestList: _lost, ...snapshot } = written.currentSnapshot()!
  await expect(snapshotManifests(written.store, written.metadata, snapshot)).rejects.toMatchObject({
    code: 'FIRN_METADATA_CORRUPT',
    message: expect.stringContaining(written.location),
  })
})
