/** SHA-256 of a table's files as their JSON manifests have them. */
import { FirnError } from '../../table/errors.ts'
import { prefetch, type Snapshot, type Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, readManifest } from '../compaction/manifest.ts'

/** Manifests read at once. */
const DEPTH = 8

/**
 * @param store the warehouse. @returns by path; `undefined` for files of other engines, and of expired or damaged
 *   manifests: a damaged one is for `verify` to find.
 */
export async function recordedDigests(
  store: ObjectStore,
  { name, metadata }: Table,
  options: AbortableOptions = {},
): Promise<(path: string) => string | undefined> {
  const digests = new Map<string, string>()
  const read = async ({ snapshotId }: Snapshot, signal: AbortSignal): Promise<JsonManifest | undefined> => {
    if (name === undefined) return undefined
    try {
      return await readManifest(store, name, snapshotId, { signal })
    } catch (error) {
      if (FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) return undefined
      throw error
    }
  }
  for await (const manifest of prefetch(metadata.snapshots, read, { depth: DEPTH, signal: options.signal })) {
    for (const { path, sha256 } of manifest?.added ?? []) if (sha256 !== null) digests.set(path, sha256)
  }
  return (path) => digests.get(path)
}
