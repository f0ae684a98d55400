/** `partitions`: rows, files and bytes of each partition, and the commit that touched it last. */
import type { AbortableOptions } from '../io/object-store.ts'
import type { ResolvedEntry } from '../manifest/entries.ts'
import { snapshotById, specById } from '../spec/metadata.ts'
import type { PartitionTuple } from '../spec/partition.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { SnapshotSelector, Table } from '../table.ts'
import { liveEntriesOf, selectedManifests } from './entries.ts'
import { type InspectRow, partitionRow, type RowContext, rowContext } from './rows.ts'

interface Totals {
  readonly first: ResolvedEntry
  readonly rows: { data: number; 'position-deletes': number; 'equality-deletes': number }
  readonly files: { data: number; 'position-deletes': number; 'equality-deletes': number }
  dataBytes: number
  last: Snapshot | undefined
}

/** A row per partition; one for the whole table, without a `partition`, when no spec has fields. */
export async function inspectPartitions(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const manifests = await selectedManifests(table, selector, options)
  const context = rowContext(table.metadata, new Set(manifests.map(({ partitionSpecId }) => partitionSpecId)))
  const totals = new Map<string, Totals>()
  for await (const entry of liveEntriesOf(table, manifests, options)) {
    const { content, specId, partition, recordCount, fileSizeBytes } = entry.dataFile
    // Specs of version 1 keep the places of dropped fields: partitions of several specs can be one.
    const names = specById(table.metadata, specId).fields.map((field) => field.name)
    const key = `${JSON.stringify(names)} ${keyOf(partition)}`
    const group = totals.get(key) ?? emptyTotals(entry)
    totals.set(key, group)
    group.rows[content] += recordCount
    group.files[content]++
    if (content === 'data') group.dataBytes += fileSizeBytes
    const snapshot = snapshotById(table.metadata, entry.snapshotId)
    // Expired commits are not known any more.
    if (snapshot !== undefined && (group.last === undefined || snapshot.timestampMillis > group.last.timestampMillis)) {
      group.last = snapshot
    }
  }
  return Array.from(totals.values(), (group) => row(context, group))
}

const emptyTotals = (first: ResolvedEntry): Totals => ({
  first,
  rows: { data: 0, 'position-deletes': 0, 'equality-deletes': 0 },
  files: { data: 0, 'position-deletes': 0, 'equality-deletes': 0 },
  dataBytes: 0,
  last: undefined,
})

const keyOf = (partition: PartitionTuple): string =>
  JSON.stringify(
    partition.map((value) =>
      value instanceof Uint8Array ? [...value] : typeof value === 'string' ? { text: value } : String(value),
    ),
  )

function row(context: RowContext, { first, rows, files, dataBytes, last }: Totals): InspectRow {
  const { dataFile } = first
  return {
    ...(context.partitionFields.length === 0
      ? {}
      : { partition: partitionRow(context, dataFile), spec_id: dataFile.specId }),
    record_count: rows.data,
    file_count: files.data,
    total_data_file_size_in_bytes: dataBytes,
    position_delete_record_count: rows['position-deletes'],
    position_delete_file_count: files['position-deletes'],
    equality_delete_record_count: rows['equality-deletes'],
    equality_delete_file_count: files['equality-deletes'],
    last_updated_at: last === undefined ? null : new Date(last.timestampMillis),
    last_updated_snapshot_id: last?.snapshotId ?? null,
  }
}
