/** Changes of table metadata as data, and their pure application. Names as in the REST specification's TableUpdate. */
import { assertNever } from '../errors.ts'
import { type EpochMillis, epochMillis } from '../ids.ts'
import type { SnapshotRef, TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'

export type TableUpdate =
  | { readonly action: 'add-snapshot'; readonly snapshot: Snapshot }
  | { readonly action: 'set-snapshot-ref'; readonly name: string; readonly ref: SnapshotRef }
  | { readonly action: 'remove-snapshot-ref'; readonly name: string }
  | { readonly action: 'set-properties'; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: 'remove-properties'; readonly removals: readonly string[] }

/** Previous metadata files that the log names, unless `write.metadata.previous-versions-max` says otherwise. */
const PREVIOUS_VERSIONS_MAX = 100

/** Next metadata after `update`. Pure. */
export function applyUpdate(metadata: TableMetadata, update: TableUpdate): TableMetadata {
  switch (update.action) {
    case 'add-snapshot':
      return {
        ...metadata,
        snapshots: [...metadata.snapshots, update.snapshot],
        lastSequenceNumber: Math.max(metadata.lastSequenceNumber, update.snapshot.sequenceNumber),
        lastUpdatedMillis: update.snapshot.timestampMillis,
      }
    case 'set-snapshot-ref': {
      const refs = { ...metadata.refs, [update.name]: update.ref }
      if (update.name !== 'main') return { ...metadata, refs }
      const { snapshotId } = update.ref
      const snapshot = metadata.snapshots.find((candidate) => candidate.snapshotId === snapshotId)
      const timestampMillis = epochMillis(Math.max(metadata.lastUpdatedMillis, snapshot?.timestampMillis ?? 0))
      const snapshotLog = [...metadata.snapshotLog, { timestampMillis, snapshotId }]
      return { ...metadata, refs, currentSnapshotId: snapshotId, snapshotLog }
    }
    case 'remove-snapshot-ref': {
      const { [update.name]: _removed, ...refs } = metadata.refs
      return { ...metadata, refs }
    }
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } }
    case 'remove-properties': {
      const kept = Object.entries(metadata.properties).filter(([key]) => !update.removals.includes(key))
      return { ...metadata, properties: Object.fromEntries(kept) }
    }
    default:
      return assertNever(update)
  }
}

/** A commit's timestamp: never before the base's, so that clocks that disagree leave the logs sorted. */
export const nextTimestamp = (base: TableMetadata, now: EpochMillis): EpochMillis =>
  epochMillis(Math.max(now, base.lastUpdatedMillis + 1))

/** `base` with all updates applied and the file that it came from in the log. Pure. */
export function applyUpdates(
  base: TableMetadata,
  baseLocation: string,
  updates: readonly TableUpdate[],
  timestampMillis: EpochMillis,
): TableMetadata {
  const configured = Number(base.properties['write.metadata.previous-versions-max'] ?? PREVIOUS_VERSIONS_MAX)
  const keep = Number.isInteger(configured) && configured > 0 ? configured : PREVIOUS_VERSIONS_MAX
  const metadataLog = [...base.metadataLog, { timestampMillis: base.lastUpdatedMillis, metadataFile: baseLocation }]
  const next = updates.reduce(applyUpdate, base)
  return {
    ...next,
    lastUpdatedMillis: epochMillis(Math.max(next.lastUpdatedMillis, timestampMillis)),
    metadataLog: metadataLog.slice(-keep),
  }
}
