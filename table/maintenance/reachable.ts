/** The objects that snapshots lead to. Spec: "Snapshots", "Manifest Lists", "Manifests". */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { FileContent } from '../manifest/data-file.ts'
import { readEntries } from '../manifest/entries.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { prefetch } from '../scan/prefetch.ts'
import { statisticsPaths, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { canonicalPath } from './canonical-path.ts'

/** Lists or manifests read at once. */
const DEPTH = 8

/** By canonical path, so that two spellings of one object are one. */
export interface SnapshotFiles {
  /** The path as it is written down. */
  readonly manifestLists: ReadonlyMap<string, string>
  readonly manifests: ReadonlyMap<string, ManifestFile>
}

export interface ContentFile {
  /** As it is written down. */
  readonly path: string
  /** What to compare by: see `canonicalPath`. */
  readonly canonical: string
  readonly content: FileContent
  readonly sizeBytes: number
}

export interface Unreadable {
  readonly path: string
  readonly reason: string
}

/** Is told of an object that is missing or damaged. Without one, the first such object is thrown. */
export type OnUnreadable = (unreadable: Unreadable) => void

/** Manifest lists and manifests of `snapshots`. */
export async function filesOfSnapshots(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshots: readonly Snapshot[],
  options: AbortableOptions = {},
  onUnreadable?: OnUnreadable,
): Promise<SnapshotFiles> {
  const manifests = new Map<string, ManifestFile>()
  const read = (snapshot: Snapshot, signal: AbortSignal): Promise<readonly ManifestFile[]> =>
    snapshotManifests(store, metadata, snapshot, { signal }).catch((error: unknown) => {
      tell(error, snapshot.manifestList ?? metadata.location, onUnreadable)
      return []
    })
  for await (const some of prefetch(snapshots, read, { depth: DEPTH, signal: options.signal })) {
    for (const manifest of some) manifests.set(canonicalPath(manifest.manifestPath), manifest)
  }
  const manifestLists = snapshots.flatMap(({ manifestList }) =>
    manifestList === undefined ? [] : [[canonicalPath(manifestList), manifestList] as const],
  )
  return { manifestLists: new Map(manifestLists), manifests }
}

/** The live content files of each manifest, in order. One that several name comes several times. */
export async function* contentFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: Iterable<ManifestFile>,
  options: AbortableOptions = {},
  onUnreadable?: OnUnreadable,
): AsyncGenerator<readonly ContentFile[], void, undefined> {
  const read = async (manifest: ManifestFile, signal: AbortSignal): Promise<readonly ContentFile[]> => {
    const files: ContentFile[] = []
    try {
      for await (const entries of readEntries(store, metadata, [manifest], { signal })) {
        for (const { status, dataFile } of entries) {
          if (status === 'deleted') continue
          const { filePath: path, content, fileSizeBytes: sizeBytes } = dataFile
          files.push({ path, canonical: canonicalPath(path), content, sizeBytes })
        }
      }
    } catch (error) {
      tell(error, manifest.manifestPath, onUnreadable)
    }
    return files
  }
  yield* prefetch(manifests, read, { depth: DEPTH, signal: options.signal })
}

function tell(error: unknown, path: string, onUnreadable: OnUnreadable | undefined): void {
  const isDamage = FirnError.is(error) && (error.kind === 'corrupt' || error.kind === 'not-found')
  if (onUnreadable === undefined || !isDamage) throw error
  onUnreadable({ path, reason: error.message })
}

/**
 * Everything that `metadata` leads to, but for metadata files themselves: paths as they are written down.
 * @throws {FirnError} when anything of a snapshot cannot be read: what it leads to is not known then.
 */
export async function reachableFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  options: AbortableOptions = {},
): Promise<Set<string>> {
  const { manifestLists, manifests } = await filesOfSnapshots(store, metadata, metadata.snapshots, options)
  const manifestPaths = [...manifests.values()].map(({ manifestPath }) => manifestPath)
  const paths = new Set([...manifestLists.values(), ...manifestPaths, ...statisticsPaths(metadata)])
  for await (const files of contentFiles(store, metadata, manifests.values(), options)) {
    for (const { path } of files) paths.add(path)
  }
  return paths
}
