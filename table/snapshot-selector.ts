/** Which snapshot a reader means. Spec: "Point in Time Reads (Time Travel)". */
import { FirnError } from './errors.ts'
import type { EpochMillis, SnapshotId } from './ids.ts'
import type { SnapshotSelector } from './scan/table-scan.ts'
import { currentSnapshotOf, snapshotById, type TableMetadata } from './spec/metadata.ts'
import type { Snapshot } from './spec/snapshot.ts'

/**
 * The snapshot that the selector names, or the current one, or none in an empty table. A time is looked up in the
 * snapshot log, so that it gives what readers saw then.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND`, `FIRN_REF_NOT_FOUND` (not-found); `FIRN_INVALID_OPTION` (invalid).
 */
export function selectSnapshot(metadata: TableMetadata, selector: SnapshotSelector): Snapshot | undefined {
  const { snapshotId, asOf, ref } = selector
  if ([snapshotId, asOf, ref].filter((value) => value !== undefined).length > 1) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', 'name a snapshot by its id, a time or a ref, not by several')
  }
  if (snapshotId !== undefined) return existing(metadata, snapshotId)
  if (ref !== undefined) return byRef(metadata, ref)
  if (asOf !== undefined) return byTime(metadata, asOf)
  return currentSnapshotOf(metadata)
}

function existing(metadata: TableMetadata, id: SnapshotId): Snapshot {
  const snapshot = snapshotById(metadata, id)
  if (snapshot === undefined) throw notFound(`snapshot ${id} is not in table ${metadata.location}`)
  return snapshot
}

function byRef(metadata: TableMetadata, name: string): Snapshot | undefined {
  const { refs, location } = metadata
  if (Object.hasOwn(refs, name)) return existing(metadata, refs[name]!.snapshotId)
  if (name === 'main') return undefined
  throw new FirnError('not-found', 'FIRN_REF_NOT_FOUND', `ref ${name} is not in table ${location}`, {
    help: `The refs are: ${Object.keys(refs).join(', ') || 'none'}`,
  })
}

function byTime(metadata: TableMetadata, asOf: EpochMillis): Snapshot {
  const entry = metadata.snapshotLog.findLast((candidate) => candidate.timestampMillis <= asOf)
  if (entry === undefined) {
    throw notFound(`table ${metadata.location} had no snapshot at ${new Date(asOf).toISOString()}`)
  }
  return existing(metadata, entry.snapshotId)
}

const notFound = (message: string): FirnError =>
  new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', message, {
    help: 'List them with: firn inspect snapshots <table>',
  })
