/**
 * Metadata tables: what a table says about itself, one row per thing. Column names are PyIceberg's. Ids are bigint,
 * times `Date`, bounds bytes; `readable_metrics` has the bounds decoded.
 */
import type { AbortableOptions } from './io/object-store.ts'
import { decodeBound } from './manifest/bounds.ts'
import { type DataFile, FILE_CONTENTS, type FileContent } from './manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from './manifest/entries.ts'
import type { EntryStatus } from './manifest/manifest.ts'
import { mayHaveLiveFiles } from './manifest/manifest-list.ts'
import { snapshotManifests } from './manifest/snapshot-manifests.ts'
import { schemaOfSnapshot } from './scan/plan.ts'
import { schemaForSpec, snapshotById, specById } from './spec/metadata.ts'
import { partitionTypes } from './spec/partition.ts'
import type { Schema } from './spec/schema.ts'
import { partitionValueToText } from './spec/partition-text.ts'
import { isPrimitive, type PrimitiveType, type PrimitiveValue } from './spec/types.ts'
import type { SnapshotSelector, Table } from './table.ts'

export type InspectRow = Readonly<Record<string, unknown>>

export function inspectSnapshots(table: Table): readonly InspectRow[] {
  return table.metadata.snapshots.map((snapshot) => {
    const { operation, ...summary } = snapshot.summary
    return {
      committed_at: new Date(snapshot.timestampMillis),
      snapshot_id: snapshot.snapshotId,
      parent_id: snapshot.parentSnapshotId ?? null,
      operation: operation ?? null,
      manifest_list: snapshot.manifestList ?? null,
      summary,
    }
  })
}

/** Which snapshot was current from when on. */
export function inspectHistory(table: Table): readonly InspectRow[] {
  const ancestors = new Set<bigint>()
  // Damaged metadata may have a circle.
  for (let at = table.currentSnapshot(); at !== undefined && !ancestors.has(at.snapshotId); ) {
    ancestors.add(at.snapshotId)
    at = at.parentSnapshotId === undefined ? undefined : snapshotById(table.metadata, at.parentSnapshotId)
  }
  return table.metadata.snapshotLog.map((entry) => ({
    made_current_at: new Date(entry.timestampMillis),
    snapshot_id: entry.snapshotId,
    parent_id: snapshotById(table.metadata, entry.snapshotId)?.parentSnapshotId ?? null,
    is_current_ancestor: ancestors.has(entry.snapshotId),
  }))
}

export function inspectRefs(table: Table): readonly InspectRow[] {
  return Object.entries(table.metadata.refs).map(([name, ref]) => ({
    name,
    type: ref.type.toUpperCase(),
    snapshot_id: ref.snapshotId,
    max_reference_age_in_ms: ref.maxRefAgeMillis ?? null,
    min_snapshots_to_keep: ref.minSnapshotsToKeep ?? null,
    max_snapshot_age_in_ms: ref.maxSnapshotAgeMillis ?? null,
  }))
}

/** Live files of the selected snapshot, delete files included: `content` tells them apart. */
export async function inspectFiles(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const schema = schemaOfSnapshot(table.metadata, table.snapshotFor(selector))
  const entries = await allEntries(table, selector, options)
  return entries.filter(({ status }) => status !== 'deleted').map(({ dataFile }) => fileRow(table, dataFile, schema))
}

const STATUS_NUMBERS: Readonly<Record<EntryStatus, number>> = { existing: 0, added: 1, deleted: 2 }

/** Entries of all manifests of the selected snapshot, deleted ones included. */
export async function inspectEntries(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const schema = schemaOfSnapshot(table.metadata, table.snapshotFor(selector))
  return (await allEntries(table, selector, options)).map((entry) => {
    const { readable_metrics, ...dataFile } = fileRow(table, entry.dataFile, schema)
    return {
      status: STATUS_NUMBERS[entry.status],
      snapshot_id: entry.snapshotId,
      sequence_number: entry.sequenceNumber,
      file_sequence_number: entry.fileSequenceNumber,
      data_file: dataFile,
      readable_metrics,
    }
  })
}

export async function inspectManifests(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const snapshot = table.snapshotFor(selector)
  if (snapshot === undefined) return []
  const schema = schemaOfSnapshot(table.metadata, snapshot)
  const manifests = await snapshotManifests(table.store, table.metadata, snapshot, options)
  return manifests.map((manifest) => {
    const isData = manifest.content === 'data'
    const spec = specById(table.metadata, manifest.partitionSpecId)
    const types = partitionTypes(spec, schemaForSpec(table.metadata, spec, schema))
    const bound = (bytes: Uint8Array | undefined, index: number): string | null =>
      bytes === undefined || types[index] === undefined
        ? null
        : partitionValueToText(spec.fields[index]!.transform, types[index], decodeBound(types[index], bytes))
    return {
      content: isData ? 0 : 1,
      path: manifest.manifestPath,
      length: manifest.manifestLength,
      partition_spec_id: manifest.partitionSpecId,
      added_snapshot_id: manifest.addedSnapshotId,
      added_data_files_count: isData ? (manifest.addedFilesCount ?? null) : 0,
      existing_data_files_count: isData ? (manifest.existingFilesCount ?? null) : 0,
      deleted_data_files_count: isData ? (manifest.deletedFilesCount ?? null) : 0,
      added_delete_files_count: isData ? 0 : (manifest.addedFilesCount ?? null),
      existing_delete_files_count: isData ? 0 : (manifest.existingFilesCount ?? null),
      deleted_delete_files_count: isData ? 0 : (manifest.deletedFilesCount ?? null),
      partition_summaries: manifest.partitions.map((summary, index) => ({
        contains_null: summary.containsNull,
        contains_nan: summary.containsNan ?? null,
        lower_bound: bound(summary.lowerBound, index),
        upper_bound: bound(summary.upperBound, index),
      })),
    }
  })
}

/** Rows, files and bytes of each partition of the selected snapshot, and the commit that touched it last. */
export async function inspectPartitions(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const schema = schemaOfSnapshot(table.metadata, table.snapshotFor(selector))
  const groups = new Map<string, ResolvedEntry[]>()
  for (const entry of await allEntries(table, selector, options)) {
    if (entry.status === 'deleted') continue
    const key = JSON.stringify([entry.dataFile.specId, partitionRow(table, entry.dataFile, schema)])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [entry])
    else group.push(entry)
  }
  return [...groups.values()].map((entries) => {
    const all = entries.map((entry) => entry.dataFile)
    const holding = (content: FileContent): readonly DataFile[] => all.filter((file) => file.content === content)
    const rows = (files: readonly DataFile[]): number => files.reduce((sum, file) => sum + file.recordCount, 0)
    const files = holding('data')
    const last = entries.reduce((a, b) => (b.sequenceNumber > a.sequenceNumber ? b : a))
    const lastSnapshot = snapshotById(table.metadata, last.snapshotId)
    return {
      partition: partitionRow(table, all[0]!, schema),
      spec_id: all[0]!.specId,
      record_count: rows(files),
      file_count: files.length,
      total_data_file_size_in_bytes: files.reduce((sum, file) => sum + file.fileSizeBytes, 0),
      position_delete_record_count: rows(holding('position-deletes')),
      position_delete_file_count: holding('position-deletes').length,
      equality_delete_record_count: rows(holding('equality-deletes')),
      equality_delete_file_count: holding('equality-deletes').length,
      last_updated_at: lastSnapshot === undefined ? null : new Date(lastSnapshot.timestampMillis),
      last_updated_snapshot_id: last.snapshotId,
    }
  })
}

/** Every entry of the selected snapshot's manifests, with what it inherits filled in. */
export async function allEntries(
  table: Table,
  selector: SnapshotSelector,
  options: AbortableOptions,
): Promise<readonly ResolvedEntry[]> {
  const snapshot = table.snapshotFor(selector)
  if (snapshot === undefined) return []
  const manifests = await snapshotManifests(table.store, table.metadata, snapshot, options)
  const entries: ResolvedEntry[] = []
  const live = manifests.filter((manifest) => mayHaveLiveFiles(manifest) || manifest.deletedFilesCount !== 0)
  for await (const some of readEntries(table.store, table.metadata, live, options)) entries.push(...some)
  return entries
}

function fileRow(table: Table, file: DataFile, schema: Schema): Record<string, unknown> {
  return {
    content: FILE_CONTENTS.indexOf(file.content),
    file_path: file.filePath,
    file_format: file.fileFormat,
    spec_id: file.specId,
    partition: partitionRow(table, file, schema),
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeBytes,
    column_sizes: Object.fromEntries(file.columnSizes),
    value_counts: Object.fromEntries(file.valueCounts),
    null_value_counts: Object.fromEntries(file.nullValueCounts),
    nan_value_counts: Object.fromEntries(file.nanValueCounts),
    lower_bounds: Object.fromEntries(file.lowerBounds),
    upper_bounds: Object.fromEntries(file.upperBounds),
    key_metadata: file.keyMetadata ?? null,
    split_offsets: file.splitOffsets,
    equality_ids: file.equalityIds.length === 0 ? null : file.equalityIds,
    sort_order_id: file.sortOrderId ?? null,
    readable_metrics: readableMetrics(file, schema),
  }
}

function partitionRow({ metadata }: Table, file: DataFile, schema: Schema): InspectRow {
  const spec = specById(metadata, file.specId)
  const types = partitionTypes(spec, schemaForSpec(metadata, spec, schema))
  return Object.fromEntries(
    spec.fields.map((field, index) => {
      const value = file.partition[index] ?? null
      return [field.name, value === null ? null : partitionValueToText(field.transform, types[index]!, value)]
    }),
  )
}

function readableMetrics(file: DataFile, schema: Schema): InspectRow {
  const count = (map: ReadonlyMap<number, number>, id: number): number | null => map.get(id) ?? null
  const rows = schema.fields.flatMap((field) => {
    if (!isPrimitive(field.type)) return []
    const type = field.type
    const bound = (bytes: Uint8Array | undefined): unknown =>
      bytes === undefined ? null : readable(type, decodeBound(type, bytes))
    const metrics = {
      column_size: count(file.columnSizes, field.id),
      value_count: count(file.valueCounts, field.id),
      null_value_count: count(file.nullValueCounts, field.id),
      nan_value_count: count(file.nanValueCounts, field.id),
      lower_bound: bound(file.lowerBounds.get(field.id)),
      upper_bound: bound(file.upperBounds.get(field.id)),
    }
    return [[field.name, metrics] as const]
  })
  return Object.fromEntries(rows)
}

function readable(type: PrimitiveType, value: PrimitiveValue): unknown {
  if (type === 'date') return partitionValueToText('day', type, value)
  if ((type === 'timestamp' || type === 'timestamptz') && typeof value === 'bigint') {
    const millis = Number(value / 1000n)
    return Math.abs(millis) <= 8.64e15 ? new Date(millis) : value
  }
  return value
}
