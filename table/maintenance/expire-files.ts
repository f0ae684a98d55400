/** What expired snapshots leave behind: found as reachable from them and from nothing that stays, and deleted. */
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { normaliseLocation } from '../spec/location.ts'
import { statisticsPaths, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Table } from '../table.ts'
import { deletePaths, type SizedPath } from './delete-paths.ts'
import { contentFiles, filesOfSnapshots, type Unreadable } from './reachable.ts'

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
}

export const NOTHING_FREED: Freed = {
  deleted: { dataFiles: 0, deleteFiles: 0, manifests: 0, manifestLists: 0, statistics: 0 },
  bytesFreed: 0,
  unreadable: [],
  outside: 0,
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
  const now = await table.refresh(options)
  const { store, metadata } = now
  const unreadable: Unreadable[] = []
  const note = (found: Unreadable): void => void unreadable.push(found)
  const expired = await filesOfSnapshots(store, before, snapshots, options, note)
  const retained = await filesOfSnapshots(store, metadata, metadata.snapshots, options)
  const gone = [...expired.manifests].filter(([path]) => !retained.manifests.has(path))
  const content = new Map<string, SizedPath & { readonly isData: boolean }>()
  for await (const files of contentFiles(
    store,
    before,
    gone.map(([, manifest]) => manifest),
    options,
    note,
  )) {
    for (const { path, sizeBytes, content: kind } of files)
      content.set(path, { path, sizeBytes, isData: kind === 'data' })
  }
  // Many of them live on in manifests that were merged or rewritten.
  if (content.size > 0) {
    for await (const files of contentFiles(store, metadata, retained.manifests.values(), options)) {
      for (const { path } of files) content.delete(path)
    }
  }
  const named = new Set(statisticsPaths(metadata).map(normaliseLocation))
  const groups: Readonly<Record<keyof DeletedCounts, readonly SizedPath[]>> = {
    dataFiles: [...content.values()].filter(({ isData }) => isData),
    deleteFiles: [...content.values()].filter(({ isData }) => !isData),
    manifests: gone.map(([path, { manifestLength }]) => ({ path, sizeBytes: manifestLength })),
    manifestLists: unsized([...expired.manifestLists].filter((path) => !retained.manifestLists.has(path))),
    statistics: unsized(
      statisticsPaths(before)
        .map(normaliseLocation)
        .filter((path) => !named.has(path)),
    ),
  }
  return { table: now, freed: { ...(await deleteGroups(store, metadata.location, groups, options)), unreadable } }
}

const unsized = (paths: readonly string[]): readonly SizedPath[] =>
  [...new Set(paths)].map((path) => ({ path, sizeBytes: undefined }))

async function deleteGroups(
  store: ObjectStore,
  location: string,
  groups: Readonly<Record<keyof DeletedCounts, readonly SizedPath[]>>,
  options: AbortableOptions,
): Promise<Omit<Freed, 'unreadable'>> {
  const deleted = { ...NOTHING_FREED.deleted }
  let bytesFreed = 0
  let outside = 0
  for (const kind of Object.keys(deleted) as (keyof DeletedCounts)[]) {
    const done = await deletePaths(store, location, groups[kind], options)
    deleted[kind] = done.deleted
    bytesFreed += done.bytes
    outside += done.outside
  }
  return { deleted, bytesFreed, outside }
}
