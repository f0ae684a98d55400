/**
 * Expire snapshots, and free what only they led to. Spec: "Snapshot Retention Policy".
 *
 * 1. Publish the ids in the property `firn.expiring`, so that a ref made meanwhile is either seen here or refuses itself.
 * 2. Remove, in one commit, what still may go, judged on the metadata that the commit stands on.
 * 3. Wait, so that readers who planned on those snapshots a moment ago get their files.
 * 4. Delete what the removed snapshots led to and nothing in the table, as it is by then, does.
 * A death before 2 leaves the table as it was; after it, what was not deleted is left to the removal of orphans.
 */
import type { Clock } from '../clock.ts'
import { EXPIRING_PROPERTY } from '../commit/refs.ts'
import type { TableUpdate } from '../commit/updates.ts'
import { type EpochMillis, type SnapshotId, snapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { normaliseLocation } from '../spec/location.ts'
import { snapshotById, statisticsPaths, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Table } from '../table.ts'
import { deletePaths } from './delete-paths.ts'
import { contentFiles, filesOfSnapshots, reachableFiles, type Unreadable } from './reachable.ts'
import { applyRetention, assertMayDelete, type Retention, type RetentionRules } from './retention.ts'
import { unusedDefinitions } from './unused-definitions.ts'

/** Plain JSON once ids are printed as strings. */
export interface ExpirePlan {
  readonly location: string
  readonly tableUuid: string
  /** When the plan was made; the rules are applied again as of this time. */
  readonly plannedAtMillis: EpochMillis
  readonly rules: RetentionRules
  readonly snapshotIds: readonly SnapshotId[]
  /** Branches and tags that go with them. */
  readonly refs: readonly string[]
  /** Snapshots that stay. */
  readonly retained: number
}

export interface ExpireOptions extends AbortableOptions {
  readonly clock: Clock
  /** Between the commit and the deletion of files. Default: one minute. */
  readonly graceMillis?: number
  /** Also drop schemas and partition specs that no snapshot uses any more. Default: false. */
  readonly cleanExpiredMetadata?: boolean
}

export interface ExpireResult {
  readonly table: Table
  readonly snapshotIds: readonly SnapshotId[]
  readonly refs: readonly string[]
  /** Snapshots of the plan that got a ref, or became young again by its rules, in the meantime. */
  readonly spared: readonly SnapshotId[]
  readonly deleted: {
    readonly dataFiles: number
    readonly manifests: number
    readonly manifestLists: number
    readonly statistics: number
  }
  readonly bytesFreed: number
  /** Expired objects that could not be read: what they led to is left to the removal of orphans. */
  readonly unreadable: readonly Unreadable[]
}

const GRACE_MILLIS = 60_000

/** @throws {FirnError} `FIRN_GC_DISABLED`, `FIRN_INVALID_OPTION`, `FIRN_SNAPSHOT_IN_USE` (invalid); `FIRN_SNAPSHOT_NOT_FOUND`. */
export function planExpire(table: Table, rules: RetentionRules, now: EpochMillis): ExpirePlan {
  const { metadata } = table
  assertMayDelete(metadata)
  const { expired, expiredRefs } = applyRetention(metadata, rules, now)
  return {
    location: metadata.location,
    tableUuid: metadata.tableUuid,
    plannedAtMillis: now,
    rules,
    snapshotIds: expired,
    refs: expiredRefs,
    retained: metadata.snapshots.length - expired.length,
  }
}

/**
 * @throws {FirnError} as `Table.append`; `FIRN_AVRO_CORRUPT`, `FIRN_OBJECT_NOT_FOUND` when a snapshot that stays cannot
 *   be read: then no file is deleted.
 */
export async function runExpire(table: Table, plan: ExpirePlan, options: ExpireOptions): Promise<ExpireResult> {
  const { clock, signal, graceMillis = GRACE_MILLIS } = options
  const nothing = { dataFiles: 0, manifests: 0, manifestLists: 0, statistics: 0 }
  if (plan.snapshotIds.length === 0 && plan.refs.length === 0) {
    return { table, snapshotIds: [], refs: [], spared: [], deleted: nothing, bytesFreed: 0, unreadable: [] }
  }
  const published = await publish(table, plan, { signal })
  const removed = await remove(published, plan, options)
  const goneIds = new Set(removed.snapshots.map((snapshot) => snapshot.snapshotId))
  const spared = plan.snapshotIds.filter(
    (id) => !goneIds.has(id) && snapshotById(removed.table.metadata, id) !== undefined,
  )
  const result = { snapshotIds: [...goneIds], refs: removed.refs, spared }
  if (goneIds.size === 0) return { table: removed.table, ...result, deleted: nothing, bytesFreed: 0, unreadable: [] }
  await clock.sleep(graceMillis, signal)
  const freed = await free(removed.table, removed.before, removed.snapshots, { signal })
  return { ...result, ...freed }
}

const idsOf = (metadata: TableMetadata): readonly SnapshotId[] =>
  (metadata.properties[EXPIRING_PROPERTY] ?? '')
    .split(/\D+/)
    .flatMap((id) => (id === '' ? [] : [snapshotId(BigInt(id))]))

/** With what another run may have published, so that neither takes back the other's warning. */
function publish(table: Table, plan: ExpirePlan, options: AbortableOptions): Promise<Table> {
  const isPublished = (metadata: TableMetadata): boolean => {
    const listed = new Set(idsOf(metadata))
    return plan.snapshotIds.every((id) => listed.has(id) || snapshotById(metadata, id) === undefined)
  }
  return table.commitUpdates(
    {
      isOwn: isPublished,
      requirements: [{ type: 'assert-table-uuid', uuid: plan.tableUuid }],
      prepare: (base) => {
        assertMayDelete(base)
        // A run that died left ids behind; those of snapshots that are gone warn nobody.
        const others = idsOf(base).filter((id) => snapshotById(base, id) !== undefined)
        const ids = [...new Set([...others, ...plan.snapshotIds])].filter((id) => snapshotById(base, id) !== undefined)
        return ids.length === 0 ? [] : [{ action: 'set-properties', updates: { [EXPIRING_PROPERTY]: ids.join(',') } }]
      },
    },
    options,
  )
}

interface Removed {
  readonly table: Table
  /** The metadata that still had the snapshots. */
  readonly before: TableMetadata
  readonly snapshots: readonly Snapshot[]
  readonly refs: readonly string[]
}

async function remove(table: Table, plan: ExpirePlan, options: ExpireOptions): Promise<Removed> {
  let last: Omit<Removed, 'table'> = { before: table.metadata, snapshots: [], refs: [] }
  const after = await table.commitUpdates(
    {
      isOwn: (metadata) =>
        last.snapshots.length > 0 &&
        last.snapshots.every(({ snapshotId: id }) => snapshotById(metadata, id) === undefined),
      requirements: (base) => [
        { type: 'assert-table-uuid', uuid: plan.tableUuid },
        ...Object.entries(base.refs).map(
          ([ref, { snapshotId: id }]) => ({ type: 'assert-ref-snapshot-id', ref, snapshotId: id }) as const,
        ),
      ],
      prepare: async (base) => {
        const { expired, expiredRefs } = stillExpired(base, plan)
        const gone = new Set(expired)
        last = {
          before: base,
          snapshots: base.snapshots.filter(({ snapshotId: id }) => gone.has(id)),
          refs: expiredRefs,
        }
        return [
          ...expiredRefs.map((name): TableUpdate => ({ action: 'remove-snapshot-ref', name })),
          ...(expired.length === 0 ? [] : [{ action: 'remove-snapshots' as const, snapshotIds: expired }]),
          ...(options.cleanExpiredMetadata === true ? await unusedDefinitions(table.store, base, gone, options) : []),
          ...withdraw(base, new Set(plan.snapshotIds)),
        ]
      },
    },
    { signal: options.signal },
  )
  return { table: after, ...last }
}

/** What the plan lists and its rules, on the table as it is now, still let go. */
function stillExpired(base: TableMetadata, plan: ExpirePlan): Retention {
  const planned = new Set(plan.snapshotIds)
  const named = new Set(Object.values(base.refs).map((ref) => ref.snapshotId))
  const ids = plan.rules.snapshotIds?.filter((id) => !named.has(id) && snapshotById(base, id) !== undefined)
  const rules = ids === undefined ? plan.rules : { ...plan.rules, snapshotIds: ids }
  // Rules that count from "now" count from the plan's: nothing more goes than was shown.
  const now = applyRetention(base, rules, plan.plannedAtMillis)
  const expiredRefs = now.expiredRefs.filter((name) => plan.refs.includes(name))
  const staying = Object.entries(base.refs).filter(([name]) => !expiredRefs.includes(name))
  const held = new Set(staying.map(([, ref]) => ref.snapshotId))
  return { expired: now.expired.filter((id) => planned.has(id) && !held.has(id)), expiredRefs }
}

function withdraw(base: TableMetadata, own: ReadonlySet<SnapshotId>): readonly TableUpdate[] {
  const listed = idsOf(base)
  if (listed.length === 0) return []
  const left = listed.filter((id) => !own.has(id) && snapshotById(base, id) !== undefined)
  if (left.length === 0) return [{ action: 'remove-properties', removals: [EXPIRING_PROPERTY] }]
  return [{ action: 'set-properties', updates: { [EXPIRING_PROPERTY]: left.join(',') } }]
}

/** Delete what `snapshots` led to and the table, loaded anew, does not. */
async function free(
  expiredFrom: Table,
  before: TableMetadata,
  snapshots: readonly Snapshot[],
  options: AbortableOptions,
): Promise<Pick<ExpireResult, 'table' | 'deleted' | 'bytesFreed' | 'unreadable'>> {
  const { store } = expiredFrom
  const unreadable: Unreadable[] = []
  const note = (found: Unreadable): void => void unreadable.push(found)
  const table = await expiredFrom.refresh(options)
  const live = await reachableFiles(store, table.metadata, options)
  const only = (paths: Iterable<string>): readonly string[] => [...paths].filter((path) => !live.has(path))
  const { manifestLists, manifests } = await filesOfSnapshots(store, before, snapshots, options, note)
  const gone = [...manifests].flatMap(([path, manifest]) => (live.has(path) ? [] : [manifest]))
  const content = await contentFiles(store, before, gone, options, note)
  const groups = {
    dataFiles: only(content),
    manifests: gone.map((manifest) => normaliseLocation(manifest.manifestPath)),
    manifestLists: only(manifestLists),
    statistics: only(statisticsPaths(before).map(normaliseLocation)),
  }
  const bytes = await deletePaths(store, table.location, Object.values(groups).flat(), options)
  const deleted = {
    dataFiles: groups.dataFiles.length,
    manifests: groups.manifests.length,
    manifestLists: groups.manifestLists.length,
    statistics: groups.statistics.length,
  }
  return { table, deleted, bytesFreed: bytes, unreadable }
}
