/**
 * Small manifests into few large ones, as part of a commit. The packing is Java's: by spec, in order, filled from the
 * oldest end, so that only the newest bin is short. That one is merged by size: a manifest waits until there are enough
 * of its like, so that a file is written again once for each power of `min-count-to-merge`, and not at every merge as
 * in Java; and manifests stay narrow in time, which a plan of the newest day lives by.
 * Spec: table properties `commit.manifest.*`.
 */
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import type { ManifestEntry } from '../manifest/manifest-entry.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { existingEntry, inheritedKey } from './filter-manifests.ts'
import { atSequenceNumber, type DraftWriter, type ManifestDraft } from './manifest-draft.ts'

const TARGET_SIZE_BYTES = ['commit.manifest.target-size-bytes', 8 * 1024 * 1024] as const
const MIN_COUNT = ['commit.manifest.min-count-to-merge', 100] as const
const ENABLED = 'commit.manifest-merge.enabled'

export interface MergeSettings {
  readonly enabled: boolean
  readonly targetSizeBytes: number
  readonly minCount: number
}

/** The table's own settings, with Iceberg's defaults. */
export function mergeSettings({ properties }: TableMetadata): MergeSettings {
  const positive = ([name, fallback]: readonly [string, number]): number => {
    const value = Number(properties[name] ?? fallback)
    return Number.isFinite(value) && value > 0 ? value : fallback
  }
  return {
    enabled: properties[ENABLED]?.toLowerCase() !== 'false',
    targetSizeBytes: positive(TARGET_SIZE_BYTES),
    minCount: positive(MIN_COUNT),
  }
}

/**
 * Bins of manifests to be one manifest each; a bin of one stays as it is. Pure.
 * @param manifests of one content, newest first.
 */
export function planMerge(
  manifests: readonly ManifestFile[],
  { enabled, targetSizeBytes, minCount }: MergeSettings,
): readonly (readonly ManifestFile[])[] {
  const [newest] = manifests
  if (!enabled || newest === undefined) return manifests.map((manifest) => [manifest])
  const specIds = [...new Set(manifests.map((manifest) => manifest.partitionSpecId))].sort((a, b) => b - a)
  return specIds.flatMap((specId) => {
    const bins: ManifestFile[][] = []
    let size = 0
    for (const manifest of manifests.filter((candidate) => candidate.partitionSpecId === specId).toReversed()) {
      if (bins.length === 0 || size + manifest.manifestLength > targetSizeBytes) {
        bins.push([])
        size = 0
      }
      bins.at(-1)!.push(manifest)
      size += manifest.manifestLength
    }
    return bins
      .reverse()
      .map((bin) => bin.reverse())
      .flatMap((bin) => (bin.includes(newest) ? mergeNewest(bin, minCount) : [bin]))
  })
}

/** The newest manifests of the bin that still fills up, as one when there are enough of a size; the others alone. */
function mergeNewest(bin: readonly ManifestFile[], minCount: number): readonly (readonly ManifestFile[])[] {
  const sizes = bin.map((manifest) => sizeClass(manifest, minCount))
  const indexOr = (index: number, otherwise: number): number => (index === -1 ? otherwise : index)
  const largest = Math.max(...sizes)
  let merged = 0
  for (let size = 0; size <= largest; size++) {
    const end = indexOr(
      sizes.findIndex((other) => other > size),
      bin.length,
    )
    // The newest ones, when they are smaller, count as the one that they will become; those in between do not wait.
    const start = indexOr(sizes.slice(0, end).indexOf(size), end)
    if (end - start + Math.min(start, 1) >= minCount) merged = end
  }
  const rest = bin.slice(merged).map((manifest) => [manifest])
  return merged === 0 ? rest : [bin.slice(0, merged), ...rest]
}

/** 0 for manifests of single commits, 1 for those that were merged once or have as many files, and so on. */
function sizeClass(manifest: ManifestFile, minCount: number): number {
  const { addedFilesCount = 0, existingFilesCount = 0 } = manifest
  const base = Math.max(2, minCount)
  let size = 0
  for (let files = addedFilesCount + existingFilesCount; files >= base; files /= base) size++
  return size
}

export interface ManifestMerger {
  apply(
    base: TableMetadata,
    manifests: readonly ManifestFile[],
    sequenceNumber: number,
    options?: AbortableOptions,
  ): Promise<{ readonly manifests: readonly ManifestFile[]; readonly replaced: number }>
}

/** @param dataSequenceNumber that entries added by this snapshot have spelt out; `undefined`: they inherit. */
export function manifestMerger(
  store: ObjectStore,
  writer: DraftWriter,
  snapshotId: SnapshotId,
  dataSequenceNumber: number | undefined,
): ManifestMerger {
  // By the inputs, so that a retry on a base that grew reuses the bins that did not.
  const cache = new Map<string, ManifestDraft>()

  const entryOf = (entry: ResolvedEntry): ManifestEntry | undefined => {
    const own = entry.snapshotId === snapshotId
    // What older snapshots removed is their history, not this one's.
    if (entry.status === 'deleted') return own ? { ...existingEntry(entry), status: 'deleted' } : undefined
    if (entry.status !== 'added' || !own) return existingEntry(entry)
    // Inherited again: the sequence number of this try may not be the one that wins.
    const open = { sequenceNumber: dataSequenceNumber, fileSequenceNumber: undefined }
    return { ...existingEntry(entry), ...open, status: 'added' }
  }

  const mergeBin = async (
    base: TableMetadata,
    bin: readonly ManifestFile[],
    options: AbortableOptions,
  ): Promise<ManifestDraft> => {
    const key = bin
      .map((manifest) => (manifest.addedSnapshotId === snapshotId ? manifest.manifestPath : inheritedKey(manifest)))
      .join('\n')
    const known = cache.get(key)
    if (known !== undefined) return known
    const entries: ManifestEntry[] = []
    for await (const some of readEntries(store, base, bin, options)) {
      for (const entry of some) {
        const kept = entryOf(entry)
        if (kept !== undefined) entries.push(kept)
      }
    }
    const draft = await writer.write(base, bin[0]!.partitionSpecId, entries, options)
    cache.set(key, draft)
    return draft
  }

  return {
    async apply(base, manifests, sequenceNumber, options = {}) {
      const merged: ManifestFile[] = []
      let replaced = 0
      for (const bin of planMerge(manifests, mergeSettings(base))) {
        if (bin.length === 1) {
          merged.push(bin[0]!)
          continue
        }
        merged.push(atSequenceNumber(await mergeBin(base, bin, options), sequenceNumber))
        replaced += bin.filter((manifest) => manifest.addedSnapshotId !== snapshotId).length
      }
      return { manifests: merged, replaced }
    },
  }
}
