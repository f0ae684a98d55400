/**
 * Taking files out of a snapshot: manifests that hold one are copied with it marked as deleted, all others stay as they
 * are. A copy depends on its input alone, so it serves every try whose base still has that input.
 */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import type { ManifestEntry } from '../manifest/manifest-entry.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { atSequenceNumber, type DraftWriter, type ManifestDraft } from './manifest-draft.ts'

/** A file to take out, by its path; its partition, where known, spares reading other manifests. */
export type RemovedFile = string | Pick<DataFile, 'filePath' | 'specId' | 'content'>

export const pathOf = (file: RemovedFile): string => (typeof file === 'string' ? file : file.filePath)

export interface FilteredManifests {
  /** The manifests without the removed files, in the order of the input. */
  readonly manifests: readonly ManifestFile[]
  /** What was taken out, one entry a path. */
  readonly removed: readonly ResolvedEntry[]
  /** Input manifests that a copy stands for. */
  readonly replaced: number
}

export interface ManifestFilter {
  /**
   * @param manifests of the try's base. @param sequenceNumber of the try.
   * @throws {FirnError} `FIRN_COMMIT_CONFLICT` (conflict) when a file to take out is not live.
   */
  apply(
    base: TableMetadata,
    manifests: readonly ManifestFile[],
    sequenceNumber: number,
    options?: AbortableOptions,
  ): Promise<FilteredManifests>
}

/** What one input manifest held of the removed files; `draft`: its copy, if it held any. */
interface Filtered {
  readonly removed: readonly ResolvedEntry[]
  readonly draft: ManifestDraft | undefined
}

export function manifestFilter(
  store: ObjectStore,
  writer: DraftWriter,
  snapshotId: SnapshotId,
  files: readonly RemovedFile[],
): ManifestFilter {
  const paths = new Set(files.map(pathOf))
  const mayHold = manifestTest(files)
  // By input manifest: one never changes, so neither does what was found in it.
  const cache = new Map<string, Filtered>()

  const filterOne = async (
    base: TableMetadata,
    manifest: ManifestFile,
    entries: readonly ResolvedEntry[],
    options: AbortableOptions,
  ): Promise<Filtered> => {
    const live = entries.filter((entry) => entry.status !== 'deleted')
    const removed = live.filter((entry) => paths.has(entry.dataFile.filePath))
    if (removed.length === 0) return { removed, draft: undefined }
    const copies = live.map((entry) =>
      paths.has(entry.dataFile.filePath) ? deletedEntry(entry, snapshotId) : existingEntry(entry),
    )
    return { removed, draft: await writer.write(base, manifest.partitionSpecId, copies, options) }
  }

  return {
    async apply(base, manifests, sequenceNumber, options = {}) {
      if (paths.size === 0) return { manifests, removed: [], replaced: 0 }
      const candidates = manifests.filter((manifest) => mayHaveLiveFiles(manifest) && mayHold(manifest))
      const unread = candidates.filter((manifest) => !cache.has(inheritedKey(manifest)))
      let index = 0
      for await (const entries of readEntries(store, base, unread, options)) {
        const manifest = unread[index++]!
        cache.set(inheritedKey(manifest), await filterOne(base, manifest, entries, options))
      }
      const found = candidates.flatMap((manifest) => cache.get(inheritedKey(manifest))!.removed)
      assertAllLive(base, paths, found)
      const copyOf = (manifest: ManifestFile): ManifestDraft | undefined => cache.get(inheritedKey(manifest))?.draft
      return {
        manifests: manifests.map((manifest) => {
          const draft = copyOf(manifest)
          return draft === undefined ? manifest : atSequenceNumber(draft, sequenceNumber)
        }),
        removed: found,
        replaced: manifests.filter((manifest) => copyOf(manifest) !== undefined).length,
      }
    },
  }
}

/**
 * A manifest and what its entries inherit: one of an earlier change of the same transaction has another sequence number
 * at each try.
 */
export const inheritedKey = ({ manifestPath, sequenceNumber }: ManifestFile): string =>
  `${manifestPath} ${sequenceNumber}`

/** Everything that an entry would inherit is spelt out: the copy stands in a manifest of another commit. */
export const existingEntry = (entry: ResolvedEntry): ManifestEntry => ({ ...plain(entry), status: 'existing' })

/** The entry as removed by the snapshot `snapshotId`. */
export const deletedEntry = (entry: ResolvedEntry, snapshotId: SnapshotId): ManifestEntry => ({
  ...plain(entry),
  status: 'deleted',
  snapshotId,
})

const plain = ({ manifestPath: _path, ...entry }: ResolvedEntry): ManifestEntry => entry

function manifestTest(files: readonly RemovedFile[]): (manifest: ManifestFile) => boolean {
  if (files.some((file) => typeof file === 'string')) return () => true
  const keys = new Set(
    (files as readonly Exclude<RemovedFile, string>[]).map(({ specId, content }) => `${specId} ${content === 'data'}`),
  )
  return ({ partitionSpecId, content }) => keys.has(`${partitionSpecId} ${content === 'data'}`)
}

function assertAllLive(base: TableMetadata, paths: ReadonlySet<string>, found: readonly ResolvedEntry[]): void {
  const live = new Set(found.map((entry) => entry.dataFile.filePath))
  const missing = [...paths].filter((path) => !live.has(path))
  if (missing.length === 0) return
  const more = missing.length === 1 ? '' : ` and ${missing.length - 1} more`
  const message = `table ${base.location}: ${missing[0]}${more} to be removed is not in the table any more`
  throw new FirnError('conflict', 'FIRN_COMMIT_CONFLICT', message, {
    detail: { location: base.location, path: missing[0]!, files: missing.length },
    help: 'Another writer removed it. Run the same command again: it plans on the table as it is now.',
  })
}
