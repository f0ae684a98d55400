/** From a snapshot to its manifests. Spec: "Snapshots", "Manifest Lists". */
import { FirnError } from '../errors.ts'
import { openAvro } from '../format/avro-container.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { keyOfPath } from '../spec/location.ts'
import { currentSchema, schemaForSpec, specById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { readEntries } from './entries.ts'
import type { ManifestEntry } from './manifest-entry.ts'
import { describeManifest, type ManifestFile, mayHaveLiveFiles, readManifestList } from './manifest-list.ts'

/**
 * The manifests of a snapshot: those of its list or, in old tables of format version 1, those that it names itself.
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt); `FIRN_ENCRYPTED` (invalid).
 */
export async function snapshotManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  options: AbortableOptions = {},
): Promise<readonly ManifestFile[]> {
  // A snapshot with encrypted files names the key of its list (format version 3).
  if (snapshot.unknown?.['key-id'] !== undefined) {
    const message = `snapshot ${snapshot.snapshotId} is encrypted, which is not supported`
    throw new FirnError('invalid', 'FIRN_ENCRYPTED', message)
  }
  const path = snapshot.manifestList
  if (path === undefined && snapshot.manifests === undefined) {
    const message = `table ${metadata.location}: snapshot ${snapshot.snapshotId} names neither a manifest list nor manifests`
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', message, { detail: { location: metadata.location } })
  }
  if (path === undefined) return namedManifests(store, metadata, snapshot, options)
  const { bytes } = await store.get(keyOfPath(metadata.location, path), { signal: options.signal })
  const manifests = await readManifestList(bytes, path)
  // A list that was cut right behind its header is a complete file without records; and files of manifests that count
  // none are not looked for.
  const hasData = manifests.some((manifest) => manifest.content === 'data' && mayHaveLiveFiles(manifest))
  if (!hasData && Number(snapshot.summary['total-data-files'] ?? 0) > 0) {
    const message = `${path}: lists no manifest with data files, but the snapshot has some`
    throw new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', message, { detail: { path } })
  }
  return manifests
}

/** What a list would say is read from the manifests; counts are left to whoever needs them. */
async function namedManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  options: AbortableOptions,
): Promise<readonly ManifestFile[]> {
  const manifests: ManifestFile[] = []
  for (const manifestPath of snapshot.manifests ?? []) {
    const key = keyOfPath(metadata.location, manifestPath)
    const { bytes } = await store.get(key, { signal: options.signal })
    const specId = Number(openAvro(bytes, manifestPath).metadata.get('partition-spec-id') ?? 0)
    manifests.push({
      manifestPath,
      manifestLength: bytes.length,
      partitionSpecId: specId,
      content: 'data',
      sequenceNumber: 0,
      minSequenceNumber: 0,
      addedSnapshotId: snapshot.snapshotId,
      addedFilesCount: undefined,
      existingFilesCount: undefined,
      deletedFilesCount: undefined,
      addedRowsCount: undefined,
      existingRowsCount: undefined,
      deletedRowsCount: undefined,
      partitions: [],
    })
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
    counted.set(manifest.manifestPath, completed(metadata, manifest, entries))
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

/** The list entry as a list of format version 2 has it: Java takes absent partition summaries for wrong ones. */
function completed(metadata: TableMetadata, manifest: ManifestFile, entries: readonly ManifestEntry[]): ManifestFile {
  const { manifestPath, manifestLength, partitionSpecId, addedSnapshotId, sequenceNumber, minSequenceNumber } = manifest
  const spec = specById(metadata, partitionSpecId)
  const schema = schemaForSpec(metadata, spec, currentSchema(metadata))
  const added = { snapshotId: addedSnapshotId, sequenceNumber }
  const described = describeManifest(manifestPath, manifestLength, entries, spec, schema, added)
  const partitions = manifest.partitions.length > 0 ? manifest.partitions : described.partitions
  return { ...described, content: manifest.content, minSequenceNumber, partitions }
}
