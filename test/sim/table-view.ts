/** What a table holds, read from its manifests. */
import './synchronous-zlib.ts'
import type { Snapshot, Table, TableMetadata } from '../../table/index.ts'
import { type ObjectStore, subStore } from '../../table/io/object-store.ts'
import { readEntries } from '../../table/manifest/entries.ts'
import { snapshotManifests } from '../../table/manifest/snapshot-manifests.ts'
import { FOLDER } from './world.ts'

/** Paths of the live files of the current snapshot, in manifest order. @param store of the warehouse. */
export async function liveFiles(store: ObjectStore, table: Table): Promise<readonly string[]> {
  const snapshot = table.currentSnapshot()
  return snapshot === undefined ? [] : filesOf(subStore(store, FOLDER), table.metadata, snapshot, new Map())
}

/** @param store rooted at the table. @param known live files by manifest, kept by the caller: manifests do not change. */
export async function filesOf(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  known: Map<string, readonly string[]>,
): Promise<readonly string[]> {
  const paths: string[] = []
  for (const manifest of await snapshotManifests(store, metadata, snapshot)) {
    let live = known.get(manifest.manifestPath)
    if (live === undefined) {
      live = []
      for await (const entries of readEntries(store, metadata, [manifest])) {
        live = entries.filter(({ status }) => status !== 'deleted').map(({ dataFile }) => dataFile.filePath)
      }
      known.set(manifest.manifestPath, live)
    }
    paths.push(...live)
  }
  return paths
}
