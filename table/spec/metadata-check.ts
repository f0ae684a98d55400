/** What a metadata document must hold for the rest to rely on it. Spec: "Table Metadata Fields". */
import { FirnError } from '../errors.ts'
import type { TableMetadata } from './metadata.ts'

/** Clocks of writers may differ by this much; Java allows it too. */
const CLOCK_SKEW_MILLIS = 60_000

/**
 * References that dangle and ids that are taken twice would surface far away from their cause, or not at all.
 * @param where the file's name, for messages. @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt).
 */
export function checkMetadata(metadata: TableMetadata, where: string): TableMetadata {
  const fail = (message: string, ref?: string): never => {
    const detail = ref === undefined ? { where } : { where, ref }
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: ${message}`, { detail })
  }
  const { currentSnapshotId: current, refs, snapshots } = metadata
  const differ = (what: string, ids: readonly unknown[]): void => {
    if (new Set(ids).size !== ids.length) fail(`two ${what} have the same id`)
  }
  differ(
    'schemas',
    metadata.schemas.map((schema) => schema.schemaId),
  )
  differ(
    'partition specs',
    metadata.partitionSpecs.map((spec) => spec.specId),
  )
  differ(
    'sort orders',
    metadata.sortOrders.map((order) => order.orderId),
  )
  differ(
    'snapshots',
    snapshots.map((snapshot) => snapshot.snapshotId),
  )
  if (!metadata.schemas.some((s) => s.schemaId === metadata.currentSchemaId)) fail('current-schema-id names no schema')
  if (!metadata.partitionSpecs.some((s) => s.specId === metadata.defaultSpecId)) fail('default-spec-id names no spec')
  if (!metadata.sortOrders.some((o) => o.orderId === metadata.defaultSortOrderId)) {
    fail('default-sort-order-id names no sort order')
  }
  const ids = new Set(snapshots.map((snapshot) => snapshot.snapshotId))
  if (current !== undefined && !ids.has(current)) fail(`current-snapshot-id ${current} names no snapshot`)
  // Without it, a table whose member got lost would read as empty.
  if (current === undefined && Object.hasOwn(refs, 'main')) fail('refs.main is there, current-snapshot-id is not')
  if (current !== undefined && refs['main']?.snapshotId !== current) {
    fail(`current-snapshot-id is ${current}, refs.main is ${refs['main']?.snapshotId ?? 'absent'}`, 'main')
  }
  for (const [name, ref] of Object.entries(refs)) {
    if (!ids.has(ref.snapshotId)) fail(`ref ${name} names the snapshot ${ref.snapshotId}, which is not there`, name)
  }
  // The next commit counts on from it: two snapshots of one number would apply deletes to the wrong rows.
  const ahead = snapshots.find((snapshot) => snapshot.sequenceNumber > metadata.lastSequenceNumber)
  if (metadata.formatVersion > 1 && ahead !== undefined) {
    fail(`snapshot ${ahead.snapshotId} has a sequence number above last-sequence-number`)
  }
  checkLog(metadata, fail)
  return metadata
}

/** Time travel takes the last entry before a time. */
function checkLog({ snapshotLog }: TableMetadata, fail: (message: string) => never): void {
  for (const [index, entry] of snapshotLog.entries()) {
    const before = snapshotLog[index - 1]
    if (before !== undefined && entry.timestampMillis < before.timestampMillis - CLOCK_SKEW_MILLIS) {
      fail(`snapshot-log entry ${index} is more than a minute older than the one before it`)
    }
  }
}
