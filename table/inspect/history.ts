/** Metadata tables that need no manifest: what the table's metadata says of its snapshots, refs and earlier files. */
import { snapshotById } from '../spec/metadata.ts'
import type { Table } from '../table.ts'
import type { InspectRow } from './rows.ts'

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

/** Earlier metadata files that are still known, and the current one, each with the snapshot it was current with. */
export function inspectMetadataLogEntries(table: Table): readonly InspectRow[] {
  const { metadata, metadataLocation } = table
  const entries = [
    ...metadata.metadataLog,
    { metadataFile: metadataLocation, timestampMillis: metadata.lastUpdatedMillis },
  ]
  return entries.map(({ metadataFile, timestampMillis }) => {
    const logged = metadata.snapshotLog.findLast((candidate) => candidate.timestampMillis <= timestampMillis)
    const snapshot = logged === undefined ? undefined : snapshotById(metadata, logged.snapshotId)
    return {
      timestamp: new Date(timestampMillis),
      file: metadataFile,
      latest_snapshot_id: snapshot?.snapshotId ?? null,
      latest_schema_id: snapshot?.schemaId ?? null,
      latest_sequence_number: snapshot?.sequenceNumber ?? null,
    }
  })
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
