/** What a copy of a table consists of: read from the metadata and the manifests of the chosen snapshots. */
import { FirnError } from '../../errors.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { DataFile } from '../../manifest/data-file.ts'
import { readEntries } from '../../manifest/entries.ts'
import type { ManifestFile } from '../../manifest/manifest-list.ts'
import { snapshotManifests } from '../../manifest/snapshot-manifests.ts'
import { prefetch } from '../../scan/prefetch.ts'
import { keyOfPath } from '../../spec/location.ts'
import type { Snapshot } from '../../spec/snapshot.ts'
import type { Table } from '../../table.ts'
import { type CopySnapshots, chooseSnapshots } from './metadata.ts'

/** Manifest lists read at once. */
const DEPTH = 8

/** An object whose bytes are copied as they are. */
export interface CopiedObject {
  /** As the metadata names it. */
  readonly path: string
  /** As the metadata says. */
  readonly sizeBytes: number
  readonly kind: 'data' | 'deletes' | 'statistics'
}

export interface CopyPlan {
  readonly snapshots: readonly Snapshot[]
  /** Each once, whatever number of snapshots share them. */
  readonly manifests: readonly ManifestFile[]
  readonly objects: readonly CopiedObject[]
  /** Files whose rows name data files: they are written anew. */
  readonly positionDeletes: readonly DataFile[]
  /** Of `objects` and `positionDeletes`. */
  readonly bytes: number
}

/**
 * @throws {FirnError} `FIRN_FORMAT_VERSION_UNSUPPORTED`, `FIRN_ENCRYPTED`, `FIRN_PATH_OUTSIDE_TABLE` (invalid); as
 *   `chooseSnapshots`; `FIRN_AVRO_CORRUPT`, `FIRN_OBJECT_NOT_FOUND` for what cannot be read.
 */
export async function planCopy(table: Table, choice: CopySnapshots, options: AbortableOptions = {}): Promise<CopyPlan> {
  const { metadata, store } = table
  if (metadata.formatVersion === 3) {
    const message = `table ${table.location} has format version 3, which is read but not written: it cannot be copied`
    throw new FirnError('invalid', 'FIRN_FORMAT_VERSION_UNSUPPORTED', message, {
      help: 'Copy it with the engine that upgraded it.',
    })
  }
  const snapshots = chooseSnapshots(metadata, choice)
  const manifests = new Map<string, ManifestFile>()
  const listed = (snapshot: Snapshot, signal: AbortSignal): Promise<readonly ManifestFile[]> =>
    snapshotManifests(store, metadata, snapshot, { signal })
  for await (const some of prefetch(snapshots, listed, { depth: DEPTH, signal: options.signal })) {
    for (const manifest of some) manifests.set(keyOfPath(metadata.location, manifest.manifestPath), manifest)
  }
  const files = await liveFiles(table, [...manifests.values()], options)
  const isRewritten = ({ content }: DataFile): boolean => content === 'position-deletes'
  const content = files
    .filter((file) => !isRewritten(file))
    .map((file): CopiedObject => {
      const { filePath, fileSizeBytes } = file
      return { path: filePath, sizeBytes: fileSizeBytes, kind: file.content === 'data' ? 'data' : 'deletes' }
    })
  const objects = [...content, ...statisticsOf(table, snapshots)]
  const positionDeletes = files.filter(isRewritten)
  return {
    snapshots,
    manifests: [...manifests.values()],
    objects,
    positionDeletes,
    bytes:
      objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) +
      positionDeletes.reduce((sum, { fileSizeBytes }) => sum + fileSizeBytes, 0),
  }
}

async function liveFiles(
  { store, metadata }: Table,
  manifests: readonly ManifestFile[],
  options: AbortableOptions,
): Promise<readonly DataFile[]> {
  const files = new Map<string, DataFile>()
  for await (const entries of readEntries(store, metadata, manifests, options)) {
    for (const { status, dataFile } of entries) {
      if (status === 'deleted') continue
      if (dataFile.keyMetadata !== undefined) {
        throw new FirnError('invalid', 'FIRN_ENCRYPTED', `${dataFile.filePath} is encrypted, which is not supported`)
      }
      files.set(keyOfPath(metadata.location, dataFile.filePath), dataFile)
    }
  }
  return [...files.values()]
}

function statisticsOf({ metadata }: Table, snapshots: readonly Snapshot[]): readonly CopiedObject[] {
  const ids = new Set<bigint>(snapshots.map(({ snapshotId }) => snapshotId))
  return ['statistics', 'partition-statistics'].flatMap((key) => {
    const files = (metadata.unknown[key] ?? []) as readonly Readonly<Record<string, unknown>>[]
    return files
      .filter((file) => ids.has(BigInt(file['snapshot-id'] as number | bigint)))
      .map((file) => ({
        path: String(file['statistics-path']),
        sizeBytes: Number(file['file-size-in-bytes']),
        kind: 'statistics' as const,
      }))
  })
}
