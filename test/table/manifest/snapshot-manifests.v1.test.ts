/** Snapshots of format version 1: without a manifest list, and with one that does not count files. */
import { expect, test } from 'vitest'
import { epochMillis, snapshotId } from '../../../table/ids.ts'
import { readEntries } from '../../../table/manifest/entries.ts'
import { carriedManifests, snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { printMetadata, type TableMetadata } from '../../../table/spec/metadata.ts'
import type { Table } from '../../../table/table.ts'
import { eventsTable, freshStore, readRows, testClock, writeRows } from '../support.ts'

test('a snapshot that names its manifests reads, and is carried on by the first commit after the upgrade', async () => {
  const store = freshStore()
  const { table } = await eventsTable(store, testClock())
  const one = (await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))).table
  const snapshot = one.currentSnapshot()!
  const paths = (await snapshotManifests(one.store, one.metadata, snapshot)).map((manifest) => manifest.manifestPath)
  const { manifestList: _list, ...rest } = snapshot
  const old: TableMetadata = {
    ...one.metadata,
    formatVersion: 1,
    lastSequenceNumber: 0,
    snapshots: [{ ...rest, sequenceNumber: 0, manifests: paths }],
  }
  await store.put('t/events/metadata/v3.metadata.json', Buffer.from(printMetadata(old)))
  const loaded = await one.refresh()
  expect(await readRows(loaded.scan({ columns: ['id'] }))).toEqual([{ id: 'a' }])
  const upgraded = await loaded.upgradeFormatVersion()
  const next = (await upgraded.append(await writeRows(upgraded, [{ id: 'b', at: 0n }], [0]))).table
  expect((await readRows(next.scan({ columns: ['id'] }))).map((row) => row['id']).sort()).toEqual(['a', 'b'])
  const carried = await snapshotManifests(next.store, next.metadata, next.currentSnapshot()!)
  expect(carried[1]).toMatchObject({ addedFilesCount: 1, addedRowsCount: 1, deletedFilesCount: 0, sequenceNumber: 0 })
  expect(carried[1]!.partitions).toEqual(carried[0]!.partitions)
  const replaced = await next.deleteWhere({
    kind: 'compare',
    operator: '=',
    column: { fieldId: 1, name: 'id', type: 'string' },
    value: 'nothing',
  })
  expect(replaced.attempts).toBe(0)
  const [file] = await writeRows(next, [{ id: 'a', at: 0n }], [0])
  const done = (await next.replaceFiles([await oldestFile(next)], [file!], {})).table
  for await (const entries of readEntries(
    done.store,
    done.metadata,
    await snapshotManifests(done.store, done.metadata, done.currentSnapshot()!),
  )) {
    for (const entry of entries) if (entry.status === 'deleted') expect(entry.sequenceNumber).toBe(0)
  }
  expect((await readRows(done.scan({ columns: ['id'] }))).map((row) => row['id']).sort()).toEqual(['a', 'b'])
})

test('counts that a list does not have are read from the manifest; one without live files is not carried', async () => {
  const { table } = await eventsTable(freshStore(), testClock())
  const one = (
    await table.append(
      await writeRows(
        table,
        [
          { id: 'a', at: 0n },
          { id: 'b', at: 0n },
        ],
        [0],
      ),
    )
  ).table
  const named = {
    ...one.currentSnapshot()!,
    snapshotId: snapshotId(9n),
    timestampMillis: epochMillis(1),
    manifests: (await snapshotManifests(one.store, one.metadata, one.currentSnapshot()!)).map((m) => m.manifestPath),
  }
  const { manifestList: _list, ...old } = named
  expect(await carriedManifests(one.store, one.metadata, old)).toMatchObject([
    { addedFilesCount: 1, addedRowsCount: 2 },
  ])
  expect(await carriedManifests(one.store, one.metadata, { ...old, manifests: [] })).toEqual([])
})

async function oldestFile(table: Table): Promise<string> {
  const tasks = await table.scan().planFiles()
  return tasks.at(-1)!.file.filePath
}

test('an encrypted snapshot is refused by name, not read as if it were damaged', async () => {
  const { table } = await eventsTable(freshStore(), testClock())
  const one = (await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))).table
  const encrypted = { ...one.currentSnapshot()!, unknown: { 'key-id': 'k1' } }
  await expect(snapshotManifests(one.store, one.metadata, encrypted)).rejects.toMatchObject({ code: 'FIRN_ENCRYPTED' })
})
