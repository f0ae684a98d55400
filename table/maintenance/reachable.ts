/** The objects that snapshots lead to. Spec: "Snapshots", "Manifest Lists", "Manifests". */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { readEntries } from '../manifest/entries.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { normaliseLocation } from '../spec/location.ts'
import { statisticsPaths, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'

/** Paths are normalised, so that two spellings of one object are one. */
export interface SnapshotFiles {
  readonly manifestLists: ReadonlySet<string>
  readonly manifests: ReadonlyMap<string, ManifestFile>
}

export interface Unreadable {
  readonly path: string
  readonly reason: string
}

/**
 * Manifest lists and manifests of `snapshots`.
 * @param onUnreadable is told of a list that is missing or damaged; without it, such a list is thrown.
 */
export async function filesOfSnapshots(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshots: readonly Snapshot[],
  options: AbortableOptions = {},
  onUnreadable?: (unreadable: Unreadable) => void,
): Promise<SnapshotFiles> {
  const manifestLists = new Set<string>()
  const manifests = new Map<string, ManifestFile>()
  for (const snapshot of snapshots) {
    const { manifestList } = snapshot
    if (manifestList !== undefined) manifestLists.add(normaliseLocation(manifestList))
    try {
      for (const manifest of await snapshotManifests(store, metadata, snapshot, options)) {
        manifests.set(normaliseLocation(manifest.manifestPath), manifest)
      }
    } catch (error) {
      tell(error, manifestList ?? metadata.location, onUnreadable)
    }
  }
  return { manifestLists, manifests }
}

/** Content files that `manifests` name, those of deleted entries included. */
export async function contentFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: Iterable<ManifestFile>,
  options: AbortableOptions & { readonly liveOnly?: boolean } = {},
  onUnreadable?: (unreadable: Unreadable) => void,
): Promise<ReadonlySet<string>> {
  const { liveOnly = false, ...abort } = options
  const paths = new Set<string>()
  const all = [...manifests]
  const add = async (some: readonly ManifestFile[]): Promise<void> => {
    for await (const entries of readEntries(store, metadata, some, abort)) {
      for (const { status, dataFile } of entries) {
        if (!liveOnly || status !== 'deleted') paths.add(normaliseLocation(dataFile.filePath))
      }
    }
  }
  if (onUnreadable === undefined) {
    await add(all)
    return paths
  }
  for (const manifest of all) {
    try {
      await add([manifest])
    } catch (error) {
      tell(error, manifest.manifestPath, onUnreadable)
    }
  }
  return paths
}

function tell(error: unknown, path: string, onUnreadable: ((unreadable: Unreadable) => void) | undefined): void {
  const isDamage = error instanceof FirnError && (error.kind === 'corrupt' || error.kind === 'not-found')
  if (onUnreadable === undefined || !isDamage) throw error
  onUnreadable({ path, reason: error.message })
}

/** Everything that `metadata` leads to, but for metadata files themselves. A snapshot that cannot be read is thrown. */
export async function reachableFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  options: AbortableOptions = {},
): Promise<ReadonlySet<string>> {
  const { manifestLists, manifests } = await filesOfSnapshots(store, metadata, metadata.snapshots, options)
  const content = await contentFiles(store, metadata, manifests.values(), { ...options, liveOnly: true })
  const statistics = statisticsPaths(metadata).map(normaliseLocation)
  return new Set([...manifestLists, ...manifests.keys(), ...content, ...statistics])
}
