/** The manifests and entries that metadata tables are made of: of one snapshot, or of all that the table still has. */
import type { AbortableOptions } from '../io/object-store.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { prefetch } from '../scan/prefetch.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { SnapshotSelector, Table } from '../table.ts'

/** Manifest lists read at once. */
const LIST_DEPTH = 8

export async function selectedManifests(
  table: Table,
  selector: SnapshotSelector,
  options: AbortableOptions,
): Promise<readonly ManifestFile[]> {
  const snapshot = table.snapshotFor(selector)
  return snapshot === undefined ? [] : await snapshotManifests(table.store, table.metadata, snapshot, options)
}

/** The manifests of every snapshot of the table, in the order of the snapshots. */
export async function* manifestsBySnapshot(
  table: Table,
  { signal }: AbortableOptions,
): AsyncGenerator<{ readonly snapshot: Snapshot; readonly manifests: readonly ManifestFile[] }, void, undefined> {
  const read = async (snapshot: Snapshot, abort: AbortSignal) => ({
    snapshot,
    manifests: await snapshotManifests(table.store, table.metadata, snapshot, { signal: abort }),
  })
  yield* prefetch(table.metadata.snapshots, read, { depth: LIST_DEPTH, signal })
}

/** Each manifest that any snapshot has, once. */
export async function allManifests(table: Table, options: AbortableOptions): Promise<readonly ManifestFile[]> {
  const unique = new Map<string, ManifestFile>()
  for await (const { manifests } of manifestsBySnapshot(table, options)) {
    for (const manifest of manifests) unique.set(manifest.manifestPath, manifest)
  }
  return [...unique.values()]
}

/** Entries of the manifests, deleted ones included, with what they inherit filled in. */
export async function* entriesOf(
  table: Table,
  manifests: readonly ManifestFile[],
  options: AbortableOptions,
): AsyncGenerator<ResolvedEntry, void, undefined> {
  for await (const entries of readEntries(table.store, table.metadata, manifests, options)) yield* entries
}

export async function* liveEntriesOf(
  table: Table,
  manifests: readonly ManifestFile[],
  options: AbortableOptions,
): AsyncGenerator<ResolvedEntry, void, undefined> {
  for await (const entry of entriesOf(table, manifests.filter(mayHaveLiveFiles), options)) {
    if (entry.status !== 'deleted') yield entry
  }
}

/** Every entry of the selected snapshot's manifests. */
export async function allEntries(
  table: Table,
  selector: SnapshotSelector,
  options: AbortableOptions,
): Promise<readonly ResolvedEntry[]> {
  const entries: ResolvedEntry[] = []
  for await (const entry of entriesOf(table, await selectedManifests(table, selector, options), options)) {
    entries.push(entry)
  }
  return entries
}
