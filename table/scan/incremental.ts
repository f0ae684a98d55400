/** What snapshots added and removed: appended files for incremental reads, and the changelog by file. */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import { nameMappingOf } from '../spec/name-mapping.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Expression } from './expression.ts'
import { type FileScanTask, taskOf } from './plan.ts'
import { fileMayMatch } from './prune.ts'

/** What one snapshot did to the files of the table. */
export interface SnapshotChange {
  readonly snapshot: Snapshot
  /** `append`, `replace`, `overwrite` or `delete`; `undefined` where the summary does not say. */
  readonly operation: string | undefined
  /** Data files and delete files; `content` tells which. */
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/**
 * The snapshots after `from` up to `to`, oldest first, by their parents.
 * @param from exclusive; `undefined`: from the oldest that the table still has.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_ANCESTOR` (invalid): `from` is not on the way to `to`, or snapshots between
 *   them have expired.
 */
export function snapshotsBetween(
  metadata: TableMetadata,
  from: SnapshotId | undefined,
  to: Snapshot,
): readonly Snapshot[] {
  const found: Snapshot[] = []
  for (let current: Snapshot | undefined = to; current !== undefined; ) {
    if (current.snapshotId === from) return found.reverse()
    found.push(current)
    const parent: SnapshotId | undefined = current.parentSnapshotId
    // The parent of the first kept snapshot may have expired; that it was `from` itself is enough.
    if (parent !== undefined && parent === from) return found.reverse()
    current = parent === undefined ? undefined : snapshotById(metadata, parent)
    if (found.length > metadata.snapshots.length) break
  }
  if (from === undefined) return found.reverse()
  throw new FirnError(
    'invalid',
    'FIRN_SNAPSHOT_NOT_ANCESTOR',
    `snapshot ${from} is not an ancestor of ${to.snapshotId} in ${metadata.location}, or snapshots between them expired`,
    { help: 'List the snapshots and their parents with: firn inspect snapshots <table>' },
  )
}

/**
 * Files that append snapshots after `from` up to `to` added, oldest snapshot first. As in the reference implementation,
 * snapshots that are no appends count for nothing: what an overwrite adds is not there, what was deleted later still
 * is, and a `replace`, which changes no row, repeats none.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_ANCESTOR` (invalid).
 */
export async function planAppends(
  store: ObjectStore,
  metadata: TableMetadata,
  from: SnapshotId,
  to: Snapshot,
  filter: Expression | undefined,
  schema: Schema,
  options: AbortableOptions = {},
): Promise<readonly FileScanTask[]> {
  const nameMapping = nameMappingOf(metadata.properties)
  const tasks: FileScanTask[] = []
  for (const snapshot of snapshotsBetween(metadata, from, to)) {
    if (snapshot.summary['operation'] !== 'append') continue
    for await (const { status, dataFile, sequenceNumber } of ownEntries(store, metadata, snapshot, options)) {
      if (status !== 'added' || dataFile.content !== 'data') continue
      const spec = specById(metadata, dataFile.specId)
      if (filter !== undefined && !fileMayMatch(filter, dataFile, spec, schema)) continue
      tasks.push(taskOf(dataFile, [], sequenceNumber, spec, nameMapping))
    }
  }
  return tasks
}

/**
 * One change per snapshot after `from` up to `to`, oldest first.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_ANCESTOR` (invalid); `FIRN_AVRO_CORRUPT` (corrupt).
 */
export async function* changesBetween(
  store: ObjectStore,
  metadata: TableMetadata,
  from: SnapshotId | undefined,
  to: Snapshot | undefined,
  options: AbortableOptions = {},
): AsyncGenerator<SnapshotChange, void, undefined> {
  if (to === undefined) return
  for (const snapshot of snapshotsBetween(metadata, from, to)) {
    const added: DataFile[] = []
    const removed: DataFile[] = []
    for await (const { status, dataFile } of ownEntries(store, metadata, snapshot, options)) {
      if (status === 'added') added.push(dataFile)
      else removed.push(dataFile)
    }
    yield { snapshot, operation: snapshot.summary['operation'], added, removed }
  }
}

/** Entries that `snapshot` itself added or deleted; they lie in manifests that it wrote. */
async function* ownEntries(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  options: AbortableOptions,
): AsyncGenerator<ResolvedEntry, void, undefined> {
  const { snapshotId } = snapshot
  const changes = ({ addedFilesCount, deletedFilesCount }: ManifestFile): boolean =>
    addedFilesCount === undefined || deletedFilesCount === undefined || addedFilesCount + deletedFilesCount > 0
  const own = (await snapshotManifests(store, metadata, snapshot, options)).filter(
    (manifest) => manifest.addedSnapshotId === snapshotId && changes(manifest),
  )
  for await (const entries of readEntries(store, metadata, own, options)) {
    for (const entry of entries) {
      // Some writers leave the adding snapshot's id on an entry that they mark as deleted.
      if (entry.status === 'deleted' || (entry.status === 'added' && entry.snapshotId === snapshotId)) yield entry
    }
  }
}
