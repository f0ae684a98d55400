/**
 * Expire snapshots, and free what only they led to. Spec: "Snapshot Retention Policy".
 *
 * 1. Publish the ids in the property `firn.expiring`, so that a ref made meanwhile is either seen here or refuses itself.
 * 2. Remove, in one commit, what still may go, judged on the metadata that the commit stands on.
 * 3. Wait, so that readers who planned on those snapshots a moment ago get their files.
 * 4. Delete what the removed snapshots led to and nothing in the table, as it is by then, does.
 * A death before 2 leaves the table as it was but for the property, which a later run takes over; after it, what was not
 * deleted is left to the removal of orphans.
 */
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Table } from '../table.ts'
import { abandonedIds, publishExpiring, removeExpired } from './expire/commit.ts'
import { type DeletedCounts, type Freed, filesToFree, freeFiles, NOTHING_FREED } from './expire/files.ts'
import { applyRetention, type RetentionRules } from './expire/retention.ts'
import { assertMayDelete } from './gc-guard.ts'
import type { Unreadable } from './reachable.ts'

export interface ExpireOptions {
  /** Snapshots before this time may go. Default: now - `history.expire.max-snapshot-age-ms` (5 days). */
  readonly olderThan?: EpochMillis | undefined
  /** Snapshots that each branch keeps whatever their age. Default: `history.expire.min-snapshots-to-keep` (1). */
  readonly retainLast?: number | undefined
  /** Exactly these instead of what the rules say; none that a ref names. */
  readonly snapshotIds?: readonly SnapshotId[] | undefined
  /** Also drop schemas and partition specs that no snapshot uses any more. Default: false. */
  readonly cleanExpiredMetadata?: boolean | undefined
}

/** Plain JSON; ids are decimal. */
export interface ExpirePlan {
  readonly location: string
  readonly tableUuid: string
  /** When the plan was made; the rules are applied again as of this time. */
  readonly plannedAtMillis: EpochMillis
  readonly rules: {
    readonly olderThan: EpochMillis | null
    readonly retainLast: number | null
    readonly snapshotIds: readonly string[] | null
  }
  readonly cleanExpiredMetadata: boolean
  readonly snapshots: readonly PlannedSnapshot[]
  /** Branches and tags that go with them. */
  readonly refs: readonly string[]
  /** Number of snapshots that stay. */
  readonly retained: number
  /** Ids that a run which died has left published; refs to them are refused until this plan is run. */
  readonly abandoned: readonly string[]
}

export interface PlannedSnapshot {
  readonly snapshotId: string
  readonly timestampMillis: EpochMillis
  readonly operation: string | null
}

export interface ExpireRunOptions extends AbortableOptions {
  /** Instead of `signal` for a commit that has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
  /**
   * How long files stay after the commit that removed their snapshots: the longest that a reader takes from planning
   * to its last file. The run waits for so long. Default: one minute.
   */
  readonly graceMillis?: number | undefined
  /**
   * Called once the snapshots are removed and the grace is over, before any file is deleted: for what others keep by
   * snapshot. What it throws ends the run; the files are then left to the removal of orphans.
   */
  readonly onSnapshotsRemoved?: ((snapshots: readonly Snapshot[], table: Table) => Promise<void> | void) | undefined
}

/** Plain JSON; ids are decimal. */
export interface ExpireResult {
  readonly snapshotIds: readonly string[]
  readonly refs: readonly string[]
  /** Snapshots of the plan that got a ref, or that the rules keep, by now. */
  readonly spared: readonly string[]
  readonly deleted: DeletedCounts
  /** As manifests and metadata give the sizes. */
  readonly bytesFreed: number
  /** Expired objects that could not be read: what they led to is left to the removal of orphans. */
  readonly unreadable: readonly Unreadable[]
  /** Files outside of the table's folder, which are never deleted. */
  readonly outside: number
  /** Not deleted, because the store did not answer: left to the removal of orphans too. */
  readonly failed: readonly Unreadable[]
  readonly removedSchemas: readonly number[]
  readonly removedSpecs: readonly number[]
}

const GRACE_MILLIS = 60_000

/** @throws {FirnError} `FIRN_GC_DISABLED`, `FIRN_INVALID_OPTION`, `FIRN_SNAPSHOT_IN_USE` (invalid); `FIRN_SNAPSHOT_NOT_FOUND`. */
export function planExpire(table: Table, options: ExpireOptions, clock: Clock): ExpirePlan {
  const { metadata } = table
  const { olderThan, retainLast, snapshotIds, cleanExpiredMetadata = false } = options
  assertMayDelete(metadata)
  const now = clock.nowMillis()
  const { expired, expiredRefs } = applyRetention(metadata, { olderThan, retainLast, snapshotIds }, now)
  return {
    location: metadata.location,
    tableUuid: metadata.tableUuid,
    plannedAtMillis: now,
    rules: {
      olderThan: olderThan ?? null,
      retainLast: retainLast ?? null,
      snapshotIds: snapshotIds === undefined ? null : snapshotIds.map(String),
    },
    cleanExpiredMetadata,
    snapshots: expired.map((id) => describe(metadata, id)),
    refs: expiredRefs,
    retained: metadata.snapshots.length - expired.length,
    abandoned: abandonedIds(metadata, now).map(String),
  }
}

function describe(metadata: TableMetadata, id: SnapshotId): PlannedSnapshot {
  const { timestampMillis, summary } = snapshotById(metadata, id)!
  return { snapshotId: String(id), timestampMillis, operation: summary['operation'] ?? null }
}

/** What a run of a plan would free. */
export type ExpirePreview = Freed

/**
 * The objects that `plan` would delete, were it run now and alone. Reads every manifest of the table, which a plan
 * does not; changes nothing.
 * @throws {FirnError} `FIRN_PLAN_STALE` (invalid); as reading manifests of snapshots that stay.
 */
export async function previewExpire(
  table: Table,
  plan: ExpirePlan,
  options: AbortableOptions = {},
): Promise<ExpirePreview> {
  checkPlan(table, plan)
  const wanted = new Set(plan.snapshots.map((snapshot) => snapshot.snapshotId))
  const snapshots = table.metadata.snapshots.filter(({ snapshotId: id }) => wanted.has(String(id)))
  return filesToFree(table, snapshots, { signal: options.signal })
}

/**
 * @throws {FirnError} `FIRN_PLAN_STALE` (invalid): of another table; as `Table.append`. Once the snapshots are removed:
 *   `FIRN_AVRO_CORRUPT`, `FIRN_OBJECT_NOT_FOUND` when a snapshot that stays cannot be read: then no file is deleted.
 */
export async function runExpire(
  table: Table,
  plan: ExpirePlan,
  options: ExpireRunOptions,
  clock: Clock,
): Promise<{ readonly table: Table; readonly result: ExpireResult }> {
  const { signal, commitSignal = signal, graceMillis = GRACE_MILLIS, onSnapshotsRemoved } = options
  checkPlan(table, plan)
  if (!Number.isFinite(graceMillis) || graceMillis < 0) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `grace: expected 0 or more ms, got ${graceMillis}`)
  }
  const work = {
    tableUuid: plan.tableUuid,
    snapshotIds: plan.snapshots.map((snapshot) => idOf(snapshot.snapshotId)),
    refs: plan.refs,
    rules: rulesOf(plan),
    plannedAtMillis: epochMillis(plan.plannedAtMillis),
    cleanExpiredMetadata: plan.cleanExpiredMetadata,
  }
  const isIdle = work.snapshotIds.length === 0 && work.refs.length === 0 && plan.abandoned.length === 0
  if (isIdle && !work.cleanExpiredMetadata) return { table, result: resultOf(plan, NOTHING_REMOVED, NOTHING_FREED) }
  signal?.throwIfAborted()
  const published = await publishExpiring(table, work, clock, { signal: commitSignal })
  signal?.throwIfAborted()
  const removed = await removeExpired(published, work, clock, { signal: commitSignal })
  if (removed.snapshots.length === 0) return { table: removed.table, result: resultOf(plan, removed, NOTHING_FREED) }
  await clock.sleep(graceMillis, signal)
  await onSnapshotsRemoved?.(removed.snapshots, removed.table)
  const { freed, table: after } = await freeFiles(removed.table, removed.before, removed.snapshots, { signal })
  return { table: after, result: resultOf(plan, removed, freed) }
}

const idOf = (text: string): SnapshotId => snapshotId(BigInt(text))

function rulesOf({ rules }: ExpirePlan): RetentionRules {
  return {
    olderThan: rules.olderThan === null ? undefined : epochMillis(rules.olderThan),
    retainLast: rules.retainLast ?? undefined,
    snapshotIds: rules.snapshotIds?.map(idOf),
  }
}

const NOTHING_REMOVED = { snapshots: [], refs: [], schemaIds: [], specIds: [] }

function resultOf(
  plan: ExpirePlan,
  removed: {
    readonly snapshots: readonly Snapshot[]
    readonly refs: readonly string[]
    readonly schemaIds: readonly number[]
    readonly specIds: readonly number[]
    readonly table?: Table
  },
  freed: Freed,
): ExpireResult {
  const ids = removed.snapshots.map((snapshot) => String(snapshot.snapshotId))
  const left = new Set(removed.table?.metadata.snapshots.map((snapshot) => String(snapshot.snapshotId)))
  return {
    snapshotIds: ids,
    refs: removed.refs,
    spared: plan.snapshots.map((snapshot) => snapshot.snapshotId).filter((id) => left.has(id)),
    ...freed,
    removedSchemas: removed.schemaIds,
    removedSpecs: removed.specIds,
  }
}

function checkPlan({ metadata }: Table, plan: ExpirePlan): void {
  if (plan.tableUuid === metadata.tableUuid && plan.location === metadata.location) return
  const message = `the plan is for ${plan.location} (${plan.tableUuid}), the table is ${metadata.location}`
  throw new FirnError('invalid', 'FIRN_PLAN_STALE', message, { help: 'Plan again.' })
}
