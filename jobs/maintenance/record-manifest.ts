/** The JSON manifest of every snapshot that a maintenance command or a delete is about to commit. */
import type { RunId } from '../../table/ids.ts'
import type { TableMetadata, UpcomingSnapshot } from '../../table/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { plainManifest, writeManifest } from '../compaction/manifest.ts'
import { manifestFile } from '../compaction/manifest-file.ts'

export interface ManifestRecorderOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** `namespace.name`. */
  readonly tableName: string
  readonly runId: RunId
  /** As the operation was planned on. */
  readonly metadata: TableMetadata
  readonly signal?: AbortSignal | undefined
}

/** Member of the summary of every snapshot that a command makes: `verify` expects a JSON manifest of it. */
export const runSummary = (runId: RunId): Readonly<Record<string, string>> => ({ 'firn.run-id': runId })

/** For `beforeCommit` of the table's operations. */
export function manifestRecorder(options: ManifestRecorderOptions): (upcoming: UpcomingSnapshot) => Promise<void> {
  const { store, tableName, runId, metadata, signal } = options
  return async ({ snapshotId, operation, added, removed }) => {
    const manifest = plainManifest({
      table: tableName,
      table_uuid: metadata.tableUuid,
      snapshot_id: String(snapshotId),
      operation,
      run_id: runId,
      added: added.map(({ dataFile, sha256 = null, rowGroups = [] }) =>
        manifestFile(dataFile, { sha256, rowGroups }, metadata),
      ),
      removed,
    })
    await writeManifest(store, manifest, { signal })
  }
}
