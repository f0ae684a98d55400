/** From a snapshot to its manifests. Spec: "Snapshots", "Manifest Lists". */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { keyOfPath } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { readEntries } from './entries.ts'
import type { ManifestEntry } from './manifest.ts'
import { type ManifestFile, mayHaveLiveFiles, readManifestList } from './manifest-list.ts'

/**
 * The manifests of a snapshot.
 * @throws {FirnError} `FIRN_FORMAT_VERSION_UNSUPPORTED` for version 1 snapshots that have no manifest list;
 *   `FIRN_AVRO_CORRUPT` (corrupt).
 */
export async function snapshotManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  options: AbortableOptions = {},
): Promise<readonly ManifestFile[]> {
  const path = snapshot.manifestList
  if (path === undefined) {
    throw new FirnError(
      'invalid',
      'FIRN_FORMAT_VERSION_UNSUPPORTED',
      `snapshot ${snapshot.snapshotId} of ${metadata.location} has no manifest list (old format version 1)`,
    )
  }
  const { bytes } = await store.get(keyOfPath(metadata.location, path), { signal: options.signal })
  const manifests = await readManifestList(bytes, path)
  // A list that was cut right behind its header is a complete file without records.
  if (manifests.length === 0 && Number(snapshot.summary['total-data-files'] ?? 0) > 0) {
    throw new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', `${path}: lists no manifest, but the snapshot has data files`)
  }
  return manifests
}

/**
 * The manifests of `snapshot` as a later snapshot lists them: unchanged, without those that hold no live file. What a
 * list of format version 1 does not say about one is read from it.
 */
export async function carriedManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot | undefined,
  options: AbortableOptions = {},
): Promise<readonly ManifestFile[]> {
  if (snapshot === undefined) return []
  const manifests = await snapshotManifests(store, metadata, snapshot, options)
  const incomplete = manifests.filter((manifest) => !hasCounts(manifest))
  const counted = new Map<string, ManifestFile>()
  let index = 0
  for await (const entries of readEntries(store, metadata, incomplete, options)) {
    const manifest = incomplete[index++]!
    counted.set(manifest.manifestPath, { ...manifest, ...countsOf(entries) })
  }
  return manifests
    .map((manifest) => counted.get(manifest.manifestPath) ?? manifest)
    .filter((manifest) => mayHaveLiveFiles(manifest))
}

const hasCounts = (manifest: ManifestFile): boolean =>
  [
    manifest.addedFilesCount,
    manifest.existingFilesCount,
    manifest.deletedFilesCount,
    manifest.addedRowsCount,
    manifest.existingRowsCount,
    manifest.deletedRowsCount,
  ].every((count) => count !== undefined)

function countsOf(entries: readonly ManifestEntry[]): Partial<ManifestFile> {
  const of = (status: ManifestEntry['status']): readonly ManifestEntry[] => entries.filter((e) => e.status === status)
  const rows = (some: readonly ManifestEntry[]): number => some.reduce((sum, e) => sum + e.dataFile.recordCount, 0)
  return {
    addedFilesCount: of('added').length,
    existingFilesCount: of('existing').length,
    deletedFilesCount: of('deleted').length,
    addedRowsCount: rows(of('added')),
    existingRowsCount: rows(of('existing')),
    deletedRowsCount: rows(of('deleted')),
  }
}
