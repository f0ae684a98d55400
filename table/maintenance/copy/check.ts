/** Whether a copy says and holds what its source does: manifests entry by entry, rows by digest. */
import { FirnError } from '../../errors.ts'
import { printJson } from '../../format/json.ts'
import type { SnapshotId } from '../../ids.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
import { type ResolvedEntry, readEntries } from '../../manifest/entries.ts'
import type { ManifestFile } from '../../manifest/manifest-list.ts'
import { snapshotManifests } from '../../manifest/snapshot-manifests.ts'
import { openScan } from '../../scan/table-scan.ts'
import { snapshotById, type TableMetadata } from '../../spec/metadata.ts'
import type { Snapshot } from '../../spec/snapshot.ts'
import { type ContentDigest, collectDigest, sameContent } from '../rewrite/digest.ts'
import type { PathMap } from './paths.ts'

/** A table as its files say. */
export interface TableFiles {
  readonly store: ObjectStore
  readonly metadata: TableMetadata
}

/**
 * Every chosen snapshot leads to the same entries, read anew on both sides.
 * @throws {FirnError} `FIRN_COPY_DIFFERS` (corrupt).
 */
export async function checkManifests(
  source: TableFiles,
  copy: TableFiles,
  paths: PathMap,
  options: AbortableOptions,
): Promise<void> {
  const checked = new Set<string>()
  for (const snapshot of copy.metadata.snapshots) {
    const [before, after] = await Promise.all([
      manifestsOf(source, snapshot.snapshotId, options),
      manifestsOf(copy, snapshot.snapshotId, options),
    ])
    expectSame(before.map(listEntry(paths)), after.map(listEntry()), `the manifest list of ${snapshot.snapshotId}`)
    const fresh = before.map((_, index) => index).filter((index) => !checked.has(after[index]!.manifestPath))
    const old = readEntries(source.store, source.metadata, pick(before, fresh), options)
    const made = readEntries(copy.store, copy.metadata, pick(after, fresh), options)
    for (const index of fresh) {
      const [a, b] = [(await old.next()).value ?? [], (await made.next()).value ?? []]
      expectSame(a.map(entryOf(paths)), b.map(entryOf()), after[index]!.manifestPath)
      checked.add(after[index]!.manifestPath)
    }
  }
}

const pick = <T>(items: readonly T[], indexes: readonly number[]): readonly T[] => indexes.map((index) => items[index]!)

const manifestsOf = (
  { store, metadata }: TableFiles,
  id: SnapshotId,
  options: AbortableOptions,
): Promise<readonly ManifestFile[]> =>
  snapshotManifests(store, metadata, snapshotById(metadata, id) as Snapshot, options)

/** All but the length, which follows from the paths inside. */
const listEntry =
  (paths?: PathMap) =>
  ({ manifestLength: _length, ...manifest }: ManifestFile): object => ({
    ...manifest,
    manifestPath: paths?.targetPath(manifest.manifestPath) ?? manifest.manifestPath,
  })

const entryOf =
  (paths?: PathMap) =>
  ({ dataFile: file, ...entry }: ResolvedEntry): object => {
    const moved = (path: string): string => paths?.targetPath(path) ?? path
    const { content, referencedDataFile, lowerBounds, upperBounds } = file
    return {
      ...entry,
      manifestPath: moved(entry.manifestPath),
      content,
      filePath: moved(file.filePath),
      ...(referencedDataFile === undefined ? {} : { referencedDataFile: moved(referencedDataFile) }),
      fileFormat: file.fileFormat,
      specId: file.specId,
      partition: file.partition,
      recordCount: file.recordCount,
      equalityIds: file.equalityIds,
      sortOrderId: file.sortOrderId,
      valueCounts: [...file.valueCounts],
      nullValueCounts: [...file.nullValueCounts],
      nanValueCounts: [...file.nanValueCounts],
      // Position deletes are written anew.
      ...(content === 'position-deletes'
        ? {}
        : {
            fileSizeBytes: file.fileSizeBytes,
            columnSizes: [...file.columnSizes],
            splitOffsets: file.splitOffsets,
            lowerBounds: [...lowerBounds].map(([id, bytes]) => [id, Buffer.from(bytes).toString('hex')]),
            upperBounds: [...upperBounds].map(([id, bytes]) => [id, Buffer.from(bytes).toString('hex')]),
          }),
    }
  }

function expectSame(before: readonly object[], after: readonly object[], what: string): void {
  const wrong = before.findIndex((one, index) => printJson(one) !== printJson(after[index] ?? null))
  if (wrong < 0 && before.length === after.length) return
  throw new FirnError('corrupt', 'FIRN_COPY_DIFFERS', `${what}: entry ${wrong < 0 ? before.length : wrong} differs`, {
    help: 'Run the copy again; if it fails again, run firn verify on the source.',
  })
}

export interface SnapshotDigest extends ContentDigest {
  readonly snapshotId: SnapshotId
}

export interface RowCheck {
  readonly digests: readonly SnapshotDigest[]
  /** Snapshots whose rows cannot be read here, and why; their files are compared byte by byte all the same. */
  readonly unread: readonly { readonly snapshotId: SnapshotId; readonly reason: string }[]
}

/** What this package cannot read, though it is no damage. */
const UNREADABLE = ['FIRN_FILE_FORMAT_UNSUPPORTED', 'FIRN_TYPE_UNSUPPORTED', 'FIRN_DELETES_UNSUPPORTED'] as const

/** @throws {FirnError} `FIRN_COPY_DIFFERS` (corrupt), and as a scan. */
export async function checkRows(
  source: TableFiles,
  copy: TableFiles,
  ids: readonly SnapshotId[],
  options: AbortableOptions,
): Promise<RowCheck> {
  const digests: SnapshotDigest[] = []
  const unread: { snapshotId: SnapshotId; reason: string }[] = []
  for (const snapshotId of ids) {
    let before: ContentDigest
    try {
      before = await digestOf(source, snapshotId, options)
    } catch (error) {
      if (!UNREADABLE.some((code) => FirnError.is(error, code))) throw error
      unread.push({ snapshotId, reason: (error as FirnError).message })
      continue
    }
    const after = await digestOf(copy, snapshotId, options)
    if (!sameContent(before, after)) {
      const message = `snapshot ${snapshotId}: ${before.rows} rows (${before.hash}) became ${after.rows} (${after.hash})`
      throw new FirnError('corrupt', 'FIRN_COPY_DIFFERS', message, {
        help: 'Run firn verify on the source, then copy to another folder.',
      })
    }
    digests.push({ snapshotId, ...after })
  }
  return { digests, unread }
}

async function digestOf(
  { store, metadata }: TableFiles,
  snapshotId: SnapshotId,
  options: AbortableOptions,
): Promise<ContentDigest> {
  const digest = collectDigest()
  const scan = openScan(store, metadata, snapshotById(metadata, snapshotId), { snapshotId })
  for await (const batch of scan.batches({ signal: options.signal })) digest.add(batch)
  return digest.digest()
}
