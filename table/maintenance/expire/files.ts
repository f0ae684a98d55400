/** What expired snapshots leave behind: found as reachable from them and from nothing that stays, and deleted. */
import { applyUpdate } from '../../commit/updates.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
import { statisticsPaths, type TableMetadata } from '../../spec/metadata.ts'
import type { Snapshot } from '../../spec/snapshot.ts'
import type { Table } from '../../table.ts'
import { canonicalPath, pathOnly } from '../canonical-path.ts'
import { deletePaths, keyWithin, type SizedPath } from '../delete-paths.ts'
import { readWhileMoving } from '../gc-guard.ts'
import {
  type ContentFile,
  contentFiles,
  filesOfSnapshots,
  type OnUnreadable,
  type SnapshotFiles,
  type Unreadable,
} from '../reachable.ts'

export interface DeletedCounts {
  readonly dataFiles: number
  readonly deleteFiles: number
  readonly manifests: number
  readonly manifestLists: number
  readonly statistics: number
}

export interface Freed {
  readonly deleted: DeletedCounts
  readonly bytesFreed: number
  readonly unreadable: readonly Unreadable[]
  readonly outside: number
  /** Not deleted, because the store did not answer; left to the removal of orphans. */
  readonly failed: readonly Unreadable[]
}

export const NOTHING_FREED: Freed = {
  deleted: { dataFiles: 0, deleteFiles: 0, manifests: 0, manifestLists: 0, statistics: 0 },
  bytesFreed: 0,
  unreadable: [],
  outside: 0,
  failed: [],
}

/**
 * Delete what only `snapshots` led to. Whatever the table, as it is now, leads to stays: a rollback may have taken the
 * manifests of an expired snapshot over.
 * @param before metadata that still had the snapshots.
 * @throws {FirnError} when a list or a manifest of a snapshot that stays cannot be read: then nothing is deleted.
 */
export async function freeFiles(
  table: Table,
  before: TableMetadata,
  snapshots: readonly Snapshot[],
  options: AbortableOptions,
): Promise<{ readonly table: Table; readonly freed: Freed }> {
  const { store } = table
  const unreadable: Unreadable[] = []
  const note = (found: Unreadable): void => {
    if (!unreadable.some(({ path }) => path === found.path)) unreadable.push(found)
  }
  const expired = await filesOfSnapshots(store, before, snapshots, options, note)
  const look = (now: Table): Promise<Groups> => onlyExpired(now, before, expired, options, note)
  const found = await readWhileMoving(await table.refresh(options), look, options)
  const done = await deleteGroups(store, table.location, found.value, options)
  return { table: found.table, freed: { ...done, unreadable } }
}

/**
 * What `freeFiles` would delete if `snapshots` went and nothing else happened. Reads as much as it; changes nothing.
 * @throws {FirnError} as `freeFiles`.
 */
export async function filesToFree(
  table: Table,
  snapshots: readonly Snapshot[],
  options: AbortableOptions,
): Promise<Freed> {
  const { store, metadata } = table
  const unreadable: Unreadable[] = []
  const note = (found: Unreadable): void => void unreadable.push(found)
  const gone = snapshots.map(({ snapshotId }) => snapshotId)
  const refs = Object.entries(metadata.refs).filter(([, { snapshotId }]) => !gone.includes(snapshotId))
  const removal = { action: 'remove-snapshots', snapshotIds: gone } as const
  const after = applyUpdate({ ...metadata, refs: Object.fromEntries(refs) }, removal)
  const expired = await filesOfSnapshots(store, metadata, snapshots, options, note)
  const groups = await onlyExpired({ store, metadata: after }, metadata, expired, options, note)
  const deleted = { ...NOTHING_FREED.deleted }
  let bytesFreed = 0
  let outside = 0
  for (const kind of Object.keys(deleted) as (keyof DeletedCounts)[]) {
    for (const { path, sizeBytes } of groups[kind]) {
      const key = keyWithin(metadata.location, path)
      const size = sizeBytes ?? (key === undefined ? 0 : (await store.head(key, options))?.sizeBytes)
      if (key === undefined) outside++
      else if (size !== undefined) {
        deleted[kind]++
        bytesFreed += size
      }
    }
  }
  return { deleted, bytesFreed, unreadable, outside, failed: [] }
}

type Groups = Readonly<Record<keyof DeletedCounts, readonly SizedPath[]>>

async function onlyExpired(
  { store, metadata }: Pick<Table, 'store' | 'metadata'>,
  before: TableMetadata,
  expired: SnapshotFiles,
  options: AbortableOptions,
  note: OnUnreadable,
): Promise<Groups> {
  const retained = await filesOfSnapshots(store, metadata, metadata.snapshots, options)
  const gone = [...expired.manifests].filter(([path]) => !retained.manifests.has(path))
  const goneManifests = gone.map(([, manifest]) => manifest)
  const content = new Map<string, ContentFile>()
  for await (const files of contentFiles(store, before, goneManifests, options, note)) {
    for (const file of files) content.set(file.canonical, file)
  }
  const byPath = new Map([...content.keys()].map((canonical) => [pathOnly(canonical), canonical]))
  // Many of them live on in manifests that were merged or rewritten.
  if (content.size > 0) {
    for await (const files of contentFiles(store, metadata, retained.manifests.values(), options)) {
      for (const { canonical } of files) {
        content.delete(canonical)
        // Under another scheme or authority it may be the same object: `hdfs://a/t/f` and `hdfs://b/t/f`.
        content.delete(byPath.get(pathOnly(canonical)) ?? canonical)
      }
    }
  }
  const named = new Set(statisticsPaths(metadata).map(canonicalPath))
  const statistics = new Map(statisticsPaths(before).map((path) => [canonicalPath(path), path]))
  return {
    dataFiles: [...content.values()].filter((file) => file.content === 'data'),
    deleteFiles: [...content.values()].filter((file) => file.content !== 'data'),
    manifests: goneManifests.map(({ manifestPath: path, manifestLength }) => ({ path, sizeBytes: manifestLength })),
    manifestLists: unsized(expired.manifestLists, (canonical) => !retained.manifestLists.has(canonical)),
    statistics: unsized(statistics, (canonical) => !named.has(canonical)),
  }
}

const unsized = (paths: ReadonlyMap<string, string>, isGone: (canonical: string) => boolean): readonly SizedPath[] =>
  [...paths].flatMap(([canonical, path]) => (isGone(canonical) ? [{ path, sizeBytes: undefined }] : []))

async function deleteGroups(
  store: ObjectStore,
  location: string,
  groups: Groups,
  options: AbortableOptions,
): Promise<Omit<Freed, 'unreadable'>> {
  const deleted = { ...NOTHING_FREED.deleted }
  let bytesFreed = 0
  let outside = 0
  const failed: Unreadable[] = []
  for (const kind of Object.keys(deleted) as (keyof DeletedCounts)[]) {
    const done = await deletePaths(store, location, groups[kind], options)
    deleted[kind] = done.deleted
    bytesFreed += done.bytes
    outside += done.outside
    failed.push(...done.failed)
  }
  return { deleted, bytesFreed, outside, failed }
}
