/** What must hold of every snapshot's manifests, whatever made it. */
import assert from 'node:assert/strict'
import { type ResolvedEntry, readEntries } from '../../../table/manifest/entries.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import type { Table } from '../../../table/table.ts'

type Listed = readonly (readonly [ManifestFile, readonly ResolvedEntry[]])[]

async function entriesOf(table: Table, snapshot: Snapshot): Promise<Listed> {
  const manifests = await snapshotManifests(table.store, table.metadata, snapshot)
  const all: (readonly [ManifestFile, readonly ResolvedEntry[]])[] = []
  for await (const entries of readEntries(table.store, table.metadata, manifests)) {
    all.push([manifests[all.length]!, entries])
  }
  return all
}

const sum = (entries: readonly ResolvedEntry[], of: 'recordCount' | 'fileSizeBytes'): number =>
  entries.reduce((total, { dataFile }) => total + dataFile[of], 0)

function totals(listed: Listed): Readonly<Record<string, string>> {
  const live = listed.flatMap(([, entries]) => entries.filter(({ status }) => status !== 'deleted'))
  const of = (content: string) => live.filter(({ dataFile }) => dataFile.content === content)
  const [data, positions, equality] = [of('data'), of('position-deletes'), of('equality-deletes')]
  const counts = {
    'total-data-files': data.length,
    'total-records': sum(data, 'recordCount'),
    'total-files-size': sum(live, 'fileSizeBytes'),
    'total-delete-files': positions.length + equality.length,
    'total-position-deletes': sum(positions, 'recordCount'),
    'total-equality-deletes': sum(equality, 'recordCount'),
  }
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, String(count)]))
}

export const totalsOfFiles = async (table: Table, snapshot: Snapshot): Promise<Readonly<Record<string, string>>> =>
  totals(await entriesOf(table, snapshot))

/** @param numbers both sequence numbers of each file by its path, as it came and was picked; they never change. */
export async function verifySnapshot(
  table: Table,
  snapshot: Snapshot,
  numbers: Map<string, readonly string[]>,
): Promise<void> {
  const listed = await entriesOf(table, snapshot)
  for (const [name, count] of Object.entries(totals(listed))) assert.equal(snapshot.summary[name], count, name)
  const live = new Set<string>()
  for (const [manifest, entries] of listed) {
    verifyManifest(manifest, entries, snapshot)
    for (const { status, sequenceNumber, fileSequenceNumber, snapshotId, dataFile } of entries) {
      const path = dataFile.filePath
      const both = `${sequenceNumber}/${fileSequenceNumber}`
      const known = numbers.get(path) ?? []
      const isPicked = snapshot.summary['source-snapshot-id'] !== undefined && snapshotId === snapshot.snapshotId
      if (status === 'added' && (known.length === 0 || isPicked)) numbers.set(path, [...known, both])
      else assert(known.includes(both), `sequence numbers of ${path}: ${both}, it came with ${known}`)
      if (status === 'deleted') {
        if (manifest.addedSnapshotId === snapshot.snapshotId) assert.equal(snapshotId, snapshot.snapshotId, path)
        continue
      }
      assert(!live.has(path), `${path} is live twice`)
      live.add(path)
    }
  }
}

function verifyManifest(manifest: ManifestFile, entries: readonly ResolvedEntry[], snapshot: Snapshot): void {
  const of = (status: string) => entries.filter((entry) => entry.status === status)
  const [added, existing, deleted] = [of('added'), of('existing'), of('deleted')]
  assert.deepEqual(
    [manifest.addedFilesCount, manifest.existingFilesCount, manifest.deletedFilesCount],
    [added.length, existing.length, deleted.length],
    manifest.manifestPath,
  )
  assert.deepEqual(
    [manifest.addedRowsCount, manifest.existingRowsCount, manifest.deletedRowsCount].map(Number),
    [added, existing, deleted].map((some) => sum(some, 'recordCount')),
    manifest.manifestPath,
  )
  const live = [...added, ...existing].map(({ sequenceNumber }) => sequenceNumber)
  if (live.length > 0) assert.equal(manifest.minSequenceNumber, Math.min(...live), manifest.manifestPath)
  assert(manifest.sequenceNumber <= snapshot.sequenceNumber, manifest.manifestPath)
}
