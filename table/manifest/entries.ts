/** The entries of manifests with what they inherit filled in. Spec: "Manifest Entry Fields", "Sequence Number Inheritance". */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { keyOfPath } from '../spec/location.ts'
import { currentSchema, specById, type TableMetadata } from '../spec/metadata.ts'
import { type ManifestEntry, readManifest } from './manifest.ts'
import type { ManifestFile } from './manifest-list.ts'

/** Manifests read at once. */
const MANIFEST_DEPTH = 8

/** An entry with everything it inherits from its manifest filled in. */
export interface ResolvedEntry extends ManifestEntry {
  readonly snapshotId: SnapshotId
  readonly sequenceNumber: number
  readonly fileSequenceNumber: number
  readonly manifestPath: string
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
export function resolveEntry(entry: ManifestEntry, manifest: ManifestFile): ResolvedEntry {
  const inherits = entry.status === 'added' || manifest.sequenceNumber === 0
  if (!inherits && entry.sequenceNumber === undefined) {
    throw new FirnError(
      'corrupt',
      'FIRN_AVRO_CORRUPT',
      `${manifest.manifestPath}: the ${entry.status} entry ${entry.dataFile.filePath} has no sequence number`,
    )
  }
  return {
    status: entry.status,
    dataFile: entry.dataFile,
    snapshotId: entry.snapshotId ?? manifest.addedSnapshotId,
    sequenceNumber: entry.sequenceNumber ?? manifest.sequenceNumber,
    fileSequenceNumber: entry.fileSequenceNumber ?? manifest.sequenceNumber,
    manifestPath: manifest.manifestPath,
  }
}
