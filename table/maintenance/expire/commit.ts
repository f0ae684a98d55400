/** The two commits of an expiry: the warning, and the removal. */
import type { Clock } from '../../clock.ts'
import { EXPIRING_PROPERTY } from '../../commit/refs.ts'
import type { TableUpdate } from '../../commit/updates.ts'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../../ids.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import { snapshotById, type TableMetadata } from '../../spec/metadata.ts'
import type { Snapshot } from '../../spec/snapshot.ts'
import type { Table } from '../../table.ts'
import { assertMayDelete } from '../gc-guard.ts'
import { applyRetention, type Retention, type RetentionRules } from './retention.ts'
import { unusedDefinitions } from './unused-definitions.ts'

/** When the ids of `firn.expiring` were published, in ms: tells a run that is under way from one that died. */
export const EXPIRING_SINCE_PROPERTY = 'firn.expiring-since'
/** A run takes no longer from its warning to its removal. */
const TAKEOVER_MILLIS = 3_600_000

export interface ExpireWork {
  readonly tableUuid: string
  readonly snapshotIds: readonly SnapshotId[]
  readonly refs: readonly string[]
  readonly rules: RetentionRules
  readonly plannedAtMillis: EpochMillis
  readonly cleanExpiredMetadata: boolean
}

const publishedIds = ({ properties }: TableMetadata): readonly SnapshotId[] =>
  (properties[EXPIRING_PROPERTY] ?? '').split(/\D+/).flatMap((id) => (id === '' ? [] : [snapshotId(BigInt(id))]))

const isAbandoned = ({ properties }: TableMetadata, now: EpochMillis): boolean =>
  !(now - Number(properties[EXPIRING_SINCE_PROPERTY] ?? 0) < TAKEOVER_MILLIS)

/** What a run published that died before its removal. */
export const abandonedIds = (metadata: TableMetadata, now: EpochMillis): readonly SnapshotId[] =>
  isAbandoned(metadata, now) ? publishedIds(metadata) : []

/** Beside what a run that is under way has published: neither takes back the other's warning. */
export function publishExpiring(
  table: Table,
  work: ExpireWork,
  clock: Clock,
  options: AbortableOptions,
): Promise<Table> {
  const now = clock.nowMillis()
  const since = String(now)
  let published = false
  return table.commitUpdates(
    {
      isOwn: ({ properties }) => published && properties[EXPIRING_SINCE_PROPERTY] === since,
      requirements: [{ type: 'assert-table-uuid', uuid: work.tableUuid }],
      prepare: (base) => {
        assertMayDelete(base)
        const others = isAbandoned(base, now) ? [] : publishedIds(base)
        const ids = [...new Set([...others, ...work.snapshotIds])].filter((id) => snapshotById(base, id) !== undefined)
        if (work.snapshotIds.every((id) => !ids.includes(id))) return []
        published = true
        const updates = { [EXPIRING_PROPERTY]: ids.join(','), [EXPIRING_SINCE_PROPERTY]: since }
        return [{ action: 'set-properties', updates }]
      },
    },
    { signal: options.signal },
  )
}

export interface Removed {
  readonly table: Table
  /** The metadata that still had the snapshots. */
  readonly before: TableMetadata
  readonly snapshots: readonly Snapshot[]
  readonly refs: readonly string[]
  readonly schemaIds: readonly number[]
  readonly specIds: readonly number[]
}

/** What the work names and the table, as it is at the commit, lets go. Takes the warning back. */
export async function removeExpired(
  table: Table,
  work: ExpireWork,
  clock: Clock,
  options: AbortableOptions,
): Promise<Removed> {
  const { signal } = options
  const nothing = { snapshots: [], refs: [], schemaIds: [], specIds: [] }
  let last: Omit<Removed, 'table'> = { before: table.metadata, ...nothing }
  const after = await table.commitUpdates(
    {
      isOwn: (metadata) =>
        last.snapshots.length > 0 &&
        last.snapshots.every(({ snapshotId: id }) => snapshotById(metadata, id) === undefined),
      // Of every ref: where the catalog is a service, one that moved since makes it refuse.
      requirements: (base) => [
        { type: 'assert-table-uuid', uuid: work.tableUuid },
        ...Object.entries(base.refs).map(
          ([ref, { snapshotId: id }]) => ({ type: 'assert-ref-snapshot-id', ref, snapshotId: id }) as const,
        ),
      ],
      prepare: async (base) => {
        assertMayDelete(base)
        const { expired, expiredRefs } = stillExpired(base, work)
        const gone = new Set(expired)
        const unused = work.cleanExpiredMetadata
          ? await unusedDefinitions(table.store, base, gone, { signal })
          : { schemaIds: [], specIds: [] }
        const snapshots = base.snapshots.filter(({ snapshotId: id }) => gone.has(id))
        last = { before: base, snapshots, refs: expiredRefs, ...unused }
        return [...removals(last), ...withdrawal(base, new Set([...work.snapshotIds, ...gone]), clock.nowMillis())]
      },
    },
    { signal },
  )
  return { table: after, ...last }
}

function removals({ snapshots, refs, schemaIds, specIds }: Omit<Removed, 'table'>): readonly TableUpdate[] {
  const snapshotIds = snapshots.map((snapshot) => snapshot.snapshotId)
  return [
    ...refs.map((name): TableUpdate => ({ action: 'remove-snapshot-ref', name })),
    ...(snapshotIds.length === 0 ? [] : [{ action: 'remove-snapshots' as const, snapshotIds }]),
    ...(specIds.length === 0 ? [] : [{ action: 'remove-partition-specs' as const, specIds }]),
    ...(schemaIds.length === 0 ? [] : [{ action: 'remove-schemas' as const, schemaIds }]),
  ]
}

/** What the plan lists and its rules, on the table as it is now, still let go. */
function stillExpired(
  base: TableMetadata,
  { rules: planned, refs, snapshotIds, plannedAtMillis }: ExpireWork,
): Retention {
  const named = new Set(Object.values(base.refs).map((ref) => ref.snapshotId))
  const ids = planned.snapshotIds?.filter((id) => !named.has(id) && snapshotById(base, id) !== undefined)
  const rules = ids === undefined ? planned : { ...planned, snapshotIds: ids }
  // Rules that count from "now" count from the plan's: nothing more goes than was shown.
  const now = applyRetention(base, rules, plannedAtMillis)
  const expiredRefs = now.expiredRefs.filter((name) => refs.includes(name))
  const staying = Object.entries(base.refs).filter(([name]) => !expiredRefs.includes(name))
  const held = new Set(staying.map(([, ref]) => ref.snapshotId))
  // Somebody who took this run for dead may have withdrawn its warning: then a ref may be on its way.
  const warned = new Set(publishedIds(base))
  const mayGo = (id: SnapshotId): boolean => snapshotIds.includes(id) && warned.has(id) && !held.has(id)
  return { expired: now.expired.filter(mayGo), expiredRefs }
}

/** The warning without `own`, and without ids that warn nobody: of snapshots that are gone, of runs that died. */
function withdrawal(base: TableMetadata, own: ReadonlySet<SnapshotId>, now: EpochMillis): readonly TableUpdate[] {
  const listed = publishedIds(base)
  const isDead = isAbandoned(base, epochMillis(now))
  const left = isDead ? [] : listed.filter((id) => !own.has(id) && snapshotById(base, id) !== undefined)
  if (left.length > 0) return [{ action: 'set-properties', updates: { [EXPIRING_PROPERTY]: left.join(',') } }]
  const removals = [EXPIRING_PROPERTY, EXPIRING_SINCE_PROPERTY].filter((key) => Object.hasOwn(base.properties, key))
  return removals.length === 0 ? [] : [{ action: 'remove-properties', removals }]
}
