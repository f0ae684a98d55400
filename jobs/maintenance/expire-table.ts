/**
 * An expiry with what the warehouse keeps beside the table: refused records of expired snapshots go on counting, JSON
 * manifests go with their snapshots, and what was replayed goes once the replaying snapshot has.
 */
import type { Clock } from '../../table/clock.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { snapshotId } from '../../table/ids.ts'
import { type ExpirePlan, type ExpireResult, runExpire, type Table } from '../../table/index.ts'
import { markCommitted, type RefusedSource } from '../compaction/refused/refused-objects.ts'
import { type RemovedManifests, removeManifestsOf } from './json-manifests.ts'
import { cleanUpReplayed, type ReplayedCleanup } from './replayed-cleanup.ts'

export interface TableExpiry extends RefusedSource {
  readonly plan: ExpirePlan
  /** Readers keep their files for so long, in ms. Default: one minute. */
  readonly graceMillis?: number | undefined
  readonly clock: Clock
  readonly commitSignal?: AbortSignal | undefined
  /** Called when the snapshots are removed and the grace is over. */
  readonly onRemoved?: ((ids: readonly SnapshotId[]) => void) | undefined
}

export interface TableExpired {
  readonly table: Table
  readonly result: ExpireResult
  readonly manifests: RemovedManifests
  readonly replayed: ReplayedCleanup
}

/** @throws {FirnError} as `runExpire` and `cleanUpReplayed`. */
export async function expireTable(expiry: TableExpiry): Promise<TableExpired> {
  const { store, table, tableName, plan, graceMillis, clock, onRemoved, signal, commitSignal } = expiry
  const leaving = plan.snapshots.map((snapshot) => snapshotId(BigInt(snapshot.snapshotId)))
  // Before the removal: afterwards nothing tells them from runs that never committed
  if (leaving.length > 0) await markCommitted(expiry)
  let manifests: RemovedManifests = { deleted: 0, kept: 0 }
  const onSnapshotsRemoved = async (removed: readonly { readonly snapshotId: SnapshotId }[]): Promise<void> => {
    const ids = removed.map((snapshot) => snapshot.snapshotId)
    onRemoved?.(ids)
    manifests = await removeManifestsOf(store, tableName, table.metadata.tableUuid, ids, { signal })
  }
  const { table: after, result } = await runExpire(
    table,
    plan,
    { signal, commitSignal, graceMillis, onSnapshotsRemoved },
    clock,
  )
  const { table: now, cleaned } = await cleanUpReplayed({ store, table: after, tableName, signal })
  const kept = Math.max(0, manifests.kept - cleaned.manifests.filter((id) => leaving.includes(id)).length)
  return { table: now, result, manifests: { ...manifests, kept }, replayed: cleaned }
}
