/** From a snapshot to its manifests. Spec: "Snapshots", "Manifest Lists". */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { keyOfPath } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { type ManifestFile, readManifestList } from './manifest-list.ts'

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
