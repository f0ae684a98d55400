/** From a snapshot and a filter to the data files that may hold matching rows. Spec: "Scan Planning". */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ManifestEntry, readManifest } from '../manifest/manifest.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { keyOfPath } from '../spec/location.ts'
import { currentSchema, schemaById, specById, type TableMetadata } from '../spec/metadata.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Expression } from './expression.ts'
import { prefetch } from './prefetch.ts'
import { fileMayMatch, manifestMayMatch } from './prune.ts'

/** Manifests read at once. */
const MANIFEST_DEPTH = 8

export interface FileScanTask {
  readonly file: DataFile
  /** Always empty: tables with delete files are refused. */
  readonly deletes: readonly DataFile[]
}

/** An entry with everything it inherits from its manifest filled in. */
export interface ResolvedEntry extends ManifestEntry {
  readonly snapshotId: SnapshotId
  readonly sequenceNumber: number
  readonly fileSequenceNumber: number
  readonly manifestPath: string
}

/** The schema that a snapshot is read with: its own, as it was when it was written. */
export const schemaOfSnapshot = (metadata: TableMetadata, snapshot: Snapshot | undefined): Schema =>
  snapshot?.schemaId === undefined ? currentSchema(metadata) : schemaById(metadata, snapshot.schemaId)

/**
 * Live data files of `snapshot`, in manifest order, without those that cannot match `filter`.
 * @throws {FirnError} `FIRN_DELETES_UNSUPPORTED` (invalid): rows that were deleted must not come back.
 */
export async function planFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot | undefined,
  filter: Expression | undefined,
  options: AbortableOptions = {},
): Promise<readonly FileScanTask[]> {
  if (snapshot === undefined) return []
  const manifests = await snapshotManifests(store, metadata, snapshot, options)
  const deletes = manifests.find((manifest) => manifest.content === 'deletes' && mayHaveLiveFiles(manifest))
  if (deletes !== undefined) {
    throw new FirnError(
      'invalid',
      'FIRN_DELETES_UNSUPPORTED',
      `snapshot ${snapshot.snapshotId} of ${metadata.location} has delete files, which are not applied yet`,
      { detail: { manifest: deletes.manifestPath }, help: 'Rewrite the table without delete files first.' },
    )
  }
  const schema = schemaOfSnapshot(metadata, snapshot)
  const wanted = manifests.filter(
    (manifest) =>
      mayHaveLiveFiles(manifest) &&
      (filter === undefined ||
        manifestMayMatch(filter, manifest, specById(metadata, manifest.partitionSpecId), schema)),
  )
  const tasks: FileScanTask[] = []
  for await (const entries of readEntries(store, metadata, wanted, options)) {
    for (const { status, dataFile } of entries) {
      if (status === 'deleted') continue
      const spec = specById(metadata, dataFile.specId)
      if (filter === undefined || fileMayMatch(filter, dataFile, spec, schema))
        tasks.push({ file: dataFile, deletes: [] })
    }
  }
  return tasks
}

/** The entries of each manifest, in order, read ahead. */
export async function* readEntries(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  options: AbortableOptions = {},
): AsyncGenerator<readonly ResolvedEntry[], void, undefined> {
  const read = async (manifest: ManifestFile, signal: AbortSignal): Promise<readonly ResolvedEntry[]> => {
    if (manifest.keyMetadata !== undefined) {
      throw new FirnError('invalid', 'FIRN_ENCRYPTED', `${manifest.manifestPath} is encrypted, which is not supported`)
    }
    const { bytes } = await store.get(keyOfPath(metadata.location, manifest.manifestPath), { signal })
    if (bytes.length !== manifest.manifestLength) {
      const message = `${manifest.manifestPath}: expected ${manifest.manifestLength} bytes, got ${bytes.length}`
      throw new FirnError('corrupt', 'FIRN_MANIFEST_LENGTH_MISMATCH', message)
    }
    const spec = specById(metadata, manifest.partitionSpecId)
    const schema = currentSchema(metadata)
    const entries = await readManifest(bytes, manifest.manifestPath, manifest.partitionSpecId, spec, schema)
    return entries.map((entry) => resolveEntry(entry, manifest))
  }
  yield* prefetch(manifests, read, { depth: MANIFEST_DEPTH, signal: options.signal })
}

/**
 * Snapshot ids are inherited by any entry, sequence numbers only by added ones.
 * Spec: "Sequence Number Inheritance".
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` when an existing or deleted entry of version 2 has none.
 */
function resolveEntry(entry: ManifestEntry, manifest: ManifestFile): ResolvedEntry {
  const inherits = entry.status === 'added' || manifest.sequenceNumber === 0
  if (!inherits && entry.sequenceNumber === undefined) {
    throw new FirnError(
      'corrupt',
      'FIRN_AVRO_CORRUPT',
      `${manifest.manifestPath}: the ${entry.status} entry ${entry.dataFile.filePath} has no sequence number`,
    )
  }
  return {
    ...entry,
    snapshotId: entry.snapshotId ?? manifest.addedSnapshotId,
    sequenceNumber: entry.sequenceNumber ?? manifest.sequenceNumber,
    fileSequenceNumber: entry.fileSequenceNumber ?? manifest.sequenceNumber,
    manifestPath: manifest.manifestPath,
  }
}
