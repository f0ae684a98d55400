/** Which files one snapshot has and another has not. */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import type { SnapshotSelector, Table } from '../table.ts'
import { liveEntriesOf, selectedManifests } from './entries.ts'
import { type InspectRow, partitionRow, type RowContext, rowContext } from './rows.ts'

export interface SnapshotDiff {
  readonly from: SnapshotId
  readonly to: SnapshotId
  /** Files, as rows of path, content, partition, rows and bytes. */
  readonly added: readonly InspectRow[]
  readonly removed: readonly InspectRow[]
  /** Rows of the data files; delete files say how many rows they delete in their own row. */
  readonly rows_added: number
  readonly rows_removed: number
  readonly bytes_added: number
  readonly bytes_removed: number
}

/**
 * The way from one snapshot to another, in files: what must be added and removed. They need not be related. Manifests
 * that both have are not read.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND` (not-found), also for a table without snapshots.
 */
export async function diffSnapshots(
  table: Table,
  from: SnapshotSelector,
  to: SnapshotSelector,
  options: AbortableOptions = {},
): Promise<SnapshotDiff> {
  const [before, after] = [idOf(table, from), idOf(table, to)]
  const old = await selectedManifests(table, { snapshotId: before }, options)
  const young = await selectedManifests(table, { snapshotId: after }, options)
  const oldFiles = await filesOnlyIn(table, old, young, options)
  const youngFiles = await filesOnlyIn(table, young, old, options)
  const context = rowContext(table.metadata)
  const rows = (some: Files, others: Files): readonly DataFile[] =>
    [...some].filter(([key]) => !others.has(key)).map(([, file]) => file)
  const [added, removed] = [rows(youngFiles, oldFiles), rows(oldFiles, youngFiles)]
  return {
    from: before,
    to: after,
    added: added.map((file) => diffRow(context, file)),
    removed: removed.map((file) => diffRow(context, file)),
    rows_added: dataRows(added),
    rows_removed: dataRows(removed),
    bytes_added: bytes(added),
    bytes_removed: bytes(removed),
  }
}

type Files = ReadonlyMap<string, DataFile>

/** Live files of the manifests that the others do not have: a file may still be in both, by another manifest. */
async function filesOnlyIn(
  table: Table,
  manifests: readonly ManifestFile[],
  others: readonly ManifestFile[],
  options: AbortableOptions,
): Promise<Files> {
  const shared = new Set(others.map(({ manifestPath }) => manifestPath))
  const own = manifests.filter(({ manifestPath }) => !shared.has(manifestPath))
  const files = new Map<string, DataFile>()
  for await (const { dataFile } of liveEntriesOf(table, own, options)) {
    // Deletion vectors share a file: their place in it tells them apart.
    files.set(`${dataFile.contentOffset ?? ''} ${dataFile.filePath}`, dataFile)
  }
  return files
}

function idOf(table: Table, selector: SnapshotSelector): SnapshotId {
  const snapshot = table.snapshotFor(selector)
  if (snapshot !== undefined) return snapshot.snapshotId
  throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `table ${table.location} has no snapshot yet`)
}

const dataRows = (files: readonly DataFile[]): number =>
  files.reduce((sum, file) => sum + (file.content === 'data' ? file.recordCount : 0), 0)
const bytes = (files: readonly DataFile[]): number => files.reduce((sum, file) => sum + file.fileSizeBytes, 0)

const diffRow = (context: RowContext, file: DataFile): InspectRow => ({
  file_path: file.filePath,
  content: file.content,
  partition: partitionRow(context, file),
  spec_id: file.specId,
  record_count: file.recordCount,
  file_size_in_bytes: file.fileSizeBytes,
})
