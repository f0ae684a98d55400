/** The entries of manifests with what they inherit filled in. Spec: "Manifest Entry Fields", "Sequence Number Inheritance". */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { keyOfPath } from '../spec/location.ts'
import { currentSchema, specById, type TableMetadata } from '../spec/metadata.ts'
import { visitManifest } from './manifest.ts'
import type { ManifestEntry } from './manifest-entry.ts'
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
export const readEntries = (
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  options: AbortableOptions = {},
): AsyncGenerator<readonly ResolvedEntry[], void, undefined> =>
  pickEntries(store, metadata, manifests, (entry) => entry, options)

/**
 * What `pick` makes of the entries of each manifest, in order, read ahead. Entries that it makes nothing of take no
 * memory.
 * @param pick sees several manifests by turns; a FirnError of its own goes through.
 */
export async function* pickEntries<T>(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  pick: (entry: ResolvedEntry) => T | undefined,
  options: AbortableOptions = {},
): AsyncGenerator<readonly T[], void, undefined> {
  const schema = currentSchema(metadata)
  const read = async (manifest: ManifestFile, signal: AbortSignal): Promise<readonly T[]> => {
    if (manifest.keyMetadata !== undefined) {
      throw new FirnError('invalid', 'FIRN_ENCRYPTED', `${manifest.manifestPath} is encrypted, which is not supported`)
    }
    const { bytes } = await store.get(keyOfPath(metadata.location, manifest.manifestPath), { signal })
    if (bytes.length !== manifest.manifestLength) {
      const message = `${manifest.manifestPath}: expected ${manifest.manifestLength} bytes, got ${bytes.length}`
      throw new FirnError('corrupt', 'FIRN_MANIFEST_LENGTH_MISMATCH', message)
    }
    const specId = manifest.partitionSpecId
    const picked: T[] = []
    let live = 0
    await visitManifest(bytes, manifest.manifestPath, specId, specById(metadata, specId), schema, (entry) => {
      if (entry.status !== 'deleted') live++
      if ((entry.dataFile.content === 'data') !== (manifest.content === 'data')) throw otherContent(entry, manifest)
      const one = pick(resolveEntry(entry, manifest))
      if (one !== undefined) picked.push(one)
    })
    checkCount(live, manifest)
    return picked
  }
  yield* prefetch(manifests, read, { depth: MANIFEST_DEPTH, signal: options.signal })
}

/** Files that are missing or come twice would be rows that are; nothing else would show it. */
function checkCount(live: number, { manifestPath, addedFilesCount, existingFilesCount }: ManifestFile): void {
  // Lists of format version 1 need not say.
  if (addedFilesCount === undefined || existingFilesCount === undefined) return
  const listed = addedFilesCount + existingFilesCount
  if (live === listed) return
  const message = `${manifestPath}: it has ${live} files that are not deleted, its manifest list says ${listed}`
  throw new FirnError('corrupt', 'FIRN_MANIFEST_COUNT_MISMATCH', message, { detail: { manifestPath, live, listed } })
}

/** Data files read as delete files would give rows back, and the other way round add some. */
const otherContent = ({ dataFile }: ManifestEntry, { manifestPath, content }: ManifestFile): FirnError =>
  new FirnError(
    'corrupt',
    'FIRN_AVRO_CORRUPT',
    `${manifestPath}: its manifest list says that it holds ${content}, but ${dataFile.filePath} is ${dataFile.content}`,
  )

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
