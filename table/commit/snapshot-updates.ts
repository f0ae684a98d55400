/** Changes of a table's snapshots, refs and snapshot log. Pure. Spec: "Table Metadata", `snapshot-log`, `refs`. */
import { assertNever, FirnError } from '../errors.ts'
import { type EpochMillis, epochMillis, type SnapshotId } from '../ids.ts'
import { snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { TableUpdate } from './updates.ts'

export type SnapshotUpdate = Extract<
  TableUpdate,
  { action: 'add-snapshot' | 'set-snapshot-ref' | 'remove-snapshot-ref' | 'remove-snapshots' }
>

/** @throws {FirnError} `FIRN_UPDATE_INVALID` (invalid). */
export function applySnapshotUpdate(
  metadata: TableMetadata,
  update: SnapshotUpdate,
  timestampMillis: EpochMillis,
): TableMetadata {
  switch (update.action) {
    case 'add-snapshot': {
      const { snapshot } = update
      if (snapshotById(metadata, snapshot.snapshotId) !== undefined) {
        throw invalid(metadata, `snapshot ${snapshot.snapshotId} exists already`)
      }
      return {
        ...metadata,
        snapshots: [...metadata.snapshots, snapshot],
        lastSequenceNumber: Math.max(metadata.lastSequenceNumber, snapshot.sequenceNumber),
        lastUpdatedMillis: epochMillis(Math.max(metadata.lastUpdatedMillis, snapshot.timestampMillis)),
      }
    }
    case 'set-snapshot-ref': {
      const { name, ref } = update
      if (snapshotById(metadata, ref.snapshotId) === undefined) {
        throw invalid(metadata, `ref ${name} would stand for ${ref.snapshotId}, which is no snapshot`)
      }
      const refs = { ...metadata.refs, [name]: ref }
      if (name !== 'main') return { ...metadata, refs }
      if (ref.type !== 'branch') throw invalid(metadata, 'main is a branch')
      // Retention of main changes without a new entry of its history.
      if (metadata.currentSnapshotId === ref.snapshotId) return { ...metadata, refs }
      const at = epochMillis(Math.max(metadata.lastUpdatedMillis, timestampMillis))
      const snapshotLog = [...metadata.snapshotLog, { timestampMillis: at, snapshotId: ref.snapshotId }]
      return { ...metadata, refs, currentSnapshotId: ref.snapshotId, snapshotLog }
    }
    case 'remove-snapshot-ref': {
      const { [update.name]: _removed, ...refs } = metadata.refs
      if (update.name !== 'main') return { ...metadata, refs }
      const { currentSnapshotId: _current, ...rest } = metadata
      return { ...rest, refs }
    }
    case 'remove-snapshots':
      return removeSnapshots(metadata, new Set(update.snapshotIds))
    default:
      return assertNever(update)
  }
}

/** A log with holes would answer "as of" wrongly, so it begins behind the newest snapshot that was removed. */
function removeSnapshots(metadata: TableMetadata, gone: ReadonlySet<SnapshotId>): TableMetadata {
  const held = Object.entries(metadata.refs).find(([, ref]) => gone.has(ref.snapshotId))
  if (held !== undefined) throw invalid(metadata, `ref ${held[0]} stands for snapshot ${held[1].snapshotId}`)
  const lastHole = metadata.snapshotLog.findLastIndex((entry) => gone.has(entry.snapshotId))
  const unknown = { ...metadata.unknown }
  for (const key of ['statistics', 'partition-statistics']) {
    const files = unknown[key]
    if (Array.isArray(files)) unknown[key] = files.filter((file) => !gone.has(snapshotIdOf(file) as SnapshotId))
  }
  return {
    ...metadata,
    snapshots: metadata.snapshots.filter(({ snapshotId }) => !gone.has(snapshotId)),
    snapshotLog: metadata.snapshotLog.slice(lastHole + 1),
    unknown,
  }
}

function snapshotIdOf(file: unknown): bigint | undefined {
  const id = (file as { readonly 'snapshot-id'?: unknown } | null)?.['snapshot-id']
  return typeof id === 'bigint' || typeof id === 'number' ? BigInt(id) : undefined
}

/** Snapshots that were current only inside one commit never were current to anybody: the log leaves them out. */
export function withoutIntermediate(base: TableMetadata, next: TableMetadata): TableMetadata {
  if (next.snapshotLog.length <= base.snapshotLog.length + 1) return next
  const { currentSnapshotId } = next
  const snapshotLog = next.snapshotLog.filter(
    ({ snapshotId }) => snapshotId === currentSnapshotId || snapshotById(base, snapshotId) !== undefined,
  )
  return { ...next, snapshotLog }
}

const invalid = ({ location }: TableMetadata, problem: string): FirnError =>
  new FirnError('invalid', 'FIRN_UPDATE_INVALID', `table ${location} cannot be changed so: ${problem}`)
