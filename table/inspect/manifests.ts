/** `manifests`: one row per manifest, with what its files' partitions have in common. */
import type { AbortableOptions } from '../io/object-store.ts'
import { decodeBound } from '../manifest/bounds.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import { partitionValueToText } from '../spec/partition-text.ts'
import type { SnapshotSelector, Table } from '../table.ts'
import { manifestsBySnapshot, selectedManifests } from './entries.ts'
import { type InspectRow, type RowContext, rowContext } from './rows.ts'

export async function inspectManifests(
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const context = rowContext(table.metadata)
  return (await selectedManifests(table, selector, options)).map((manifest) => manifestRow(context, manifest))
}

/** The manifests of each snapshot of the table: one that several snapshots have comes once for each. */
export async function inspectAllManifests(
  table: Table,
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> {
  const context = rowContext(table.metadata)
  const rows: InspectRow[] = []
  for await (const { snapshot, manifests } of manifestsBySnapshot(table, options)) {
    for (const manifest of manifests) {
      rows.push({
        ...manifestRow(context, manifest),
        reference_snapshot_id: snapshot.snapshotId,
        key_metadata: manifest.keyMetadata ?? null,
      })
    }
  }
  return rows
}

function manifestRow(context: RowContext, manifest: ManifestFile): InspectRow {
  const isData = manifest.content === 'data'
  const { spec, types } = context.specFields(manifest.partitionSpecId)
  const bound = (bytes: Uint8Array | undefined, index: number): string | null => {
    const type = types[index]
    if (bytes === undefined || type === undefined) return null
    return partitionValueToText(spec.fields[index]!.transform, type, decodeBound(type, bytes))
  }
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
}
