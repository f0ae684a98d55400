/** `firn expire` beyond its flags: the plan and the result for people, the run with the JSON manifests that go. */
import type { EpochMillis, SnapshotId } from '../../table/ids.ts'
import { type ExpirePlan, type ExpirePreview, type ExpireResult, planExpire, previewExpire } from '../../table/index.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { documentOf } from './document.ts'
import { expireTable } from './expire-table.ts'
import type { RemovedManifests } from './json-manifests.ts'
import type { PreparedWork, TableWork } from './prepared.ts'
import { isClean, planReplayedCleanup, type ReplayedCleanup } from './replayed-cleanup.ts'
import { cutoffByStoreClock } from './store-clock.ts'

export interface ExpireWorkOptions {
  readonly olderThan?: EpochMillis | undefined
  readonly retainLast?: number | undefined
  readonly snapshotIds?: readonly SnapshotId[] | undefined
  readonly cleanMetadata: boolean
  /** How long readers keep their files; default: one minute. */
  readonly graceMillis?: number | undefined
  /** Say how many files and bytes would go: every manifest is read for it. */
  readonly preview: boolean
}

/** @throws {FirnError} as `planExpire`; the run, `FIRN_CLOCK_SKEW` (invalid) on a machine minutes ahead of the store. */
export async function prepareExpire(
  { store, table, tableName, clock, log, signal, commitSignal }: TableWork,
  options: ExpireWorkOptions,
): Promise<PreparedWork> {
  const { olderThan, retainLast, snapshotIds, cleanMetadata, graceMillis, preview } = options
  const plannedAtMillis = clock.nowMillis()
  const plan = planExpire(table, { olderThan, retainLast, snapshotIds, cleanExpiredMetadata: cleanMetadata }, clock)
  const warehouse = { store, table, tableName, signal }
  const left = await planReplayedCleanup(warehouse)
  const isIdle = plan.snapshots.length === 0 && plan.refs.length === 0 && plan.abandoned.length === 0
  const frees = preview && plan.snapshots.length > 0 ? await previewExpire(table, plan, { signal }) : undefined
  return {
    schema: 'firn.expire/1',
    table: tableName,
    plan: documentOf(frees === undefined ? plan : { ...plan, frees }),
    text: `${planText(tableName, plan, frees)}${leftText(left)}`,
    nothingToDo: isIdle && !cleanMetadata && isClean(left),
    question: 'Remove them?',
    run: async () => {
      // what is said by name is meant, whatever the time
      if (snapshotIds === undefined && !isIdle) await assertClock({ store, signal }, plannedAtMillis)
      const onRemoved = (ids: readonly SnapshotId[]): void =>
        log.info({ table: tableName, snapshots: ids.length }, 'the snapshots are removed, freeing their files')
      const expired = await expireTable({ ...warehouse, commitSignal, plan, graceMillis, clock, onRemoved })
      const { result, manifests, replayed } = expired
      return {
        result: {
          ...(documentOf(result) as object),
          json_manifests: manifests,
          refused_objects_deleted: replayed.objects.length,
        },
        text: `${resultText(tableName, result, manifests)}${replayedText(replayed)}${withdrawnText(plan, result)}`,
      }
    },
  }
}

/**
 * By a clock that jumped ahead, every snapshot is old.
 * @throws {FirnError} `FIRN_CLOCK_SKEW` (invalid).
 */
async function assertClock({ store, signal }: Pick<TableWork, 'store' | 'signal'>, now: EpochMillis): Promise<void> {
  await cutoffByStoreClock(store, { plannedAtMillis: now, olderThanMillis: now }, { signal })
}

/** Of snapshots that expired before, where the run died then. */
const leftText = ({ objects, ids }: ReplayedCleanup): string =>
  objects.length + ids.length === 0
    ? ''
    : `would forget ${plural(ids.length, 'replayed object')} of refused records, ${objects.length} of them still there\n`

const replayedText = ({ objects }: ReplayedCleanup): string =>
  objects.length === 0 ? '' : `deleted ${plural(objects.length, 'object')} of refused records that were replayed\n`

const filesOf = ({ deleted }: Pick<ExpirePreview, 'deleted'>): number =>
  Object.values(deleted).reduce((sum, count) => sum + count, 0)

/** Announced by a run that died, and to stay: until then nobody could name them. */
const withdrawnOf = (abandoned: readonly string[], gone: readonly string[]): string =>
  plural(abandoned.filter((id) => !gone.includes(id)).length, 'snapshot')

const withdrawnText = ({ abandoned }: ExpirePlan, { snapshotIds }: ExpireResult): string =>
  withdrawnOf(abandoned, snapshotIds).startsWith('0 ')
    ? ''
    : `kept: ${withdrawnOf(abandoned, snapshotIds)} that a run had left announced as expiring; tags and branches may name them again\n`

function planText(table: string, plan: ExpirePlan, frees: ExpirePreview | undefined): string {
  const { snapshots, refs, retained, abandoned, cleanExpiredMetadata } = plan
  const going = snapshots.map(({ snapshotId }) => snapshotId)
  const left = abandoned.every((id) => going.includes(id))
    ? ''
    : `would take back that ${withdrawnOf(abandoned, going)} of ${table} are expiring, as a run that died has left it\n`
  const clean = cleanExpiredMetadata ? 'schemas and partition specs that no snapshot uses would go\n' : ''
  const named = refs.length === 0 ? '' : `refs that are past their age: ${refs.join(', ')}\n`
  if (snapshots.length === 0 && named === '') {
    const idle = left === '' && clean === '' ? 'nothing to do: ' : ''
    return `${left}${clean}${idle}no snapshot of ${table} is to go, ${retained} stay\n`
  }
  const rows = snapshots.map(({ snapshotId, timestampMillis, operation }) => ({
    committed_at: new Date(timestampMillis).toISOString(),
    snapshot_id: snapshotId,
    operation,
  }))
  const list = rows.length === 0 ? '' : renderTable(rows)
  const files =
    frees === undefined ? '' : `, and delete ${plural(filesOf(frees), 'file')} (${formatBytes(frees.bytesFreed)})`
  return `${list}${left}${named}${clean}would remove ${plural(snapshots.length, 'snapshot')} of ${table}${files}, ${retained} stay\n`
}

function resultText(table: string, result: ExpireResult, manifests: RemovedManifests): string {
  const { snapshotIds, refs, spared, bytesFreed, unreadable, outside, failed } = result
  const notes = [
    refs.length === 0 ? '' : `removed with them: ${refs.join(', ')}\n`,
    spared.length === 0 ? '' : `${plural(spared.length, 'snapshot')} got a ref meanwhile and stay\n`,
    unreadable.length === 0 ? '' : `${plural(unreadable.length, 'object')} could not be read; run firn orphans later\n`,
    failed.length === 0 ? '' : `${plural(failed.length, 'file')} could not be deleted; run firn orphans later\n`,
    outside === 0 ? '' : `${plural(outside, 'file')} outside of the table's folder left alone\n`,
    manifests.kept === 0
      ? ''
      : `${plural(manifests.kept, 'JSON manifest')} kept: they list refused records, or are not known to be of this table\n`,
  ].join('')
  const freed = `deleted ${plural(filesOf(result), 'file')} (${formatBytes(bytesFreed)})`
  return `${table}: removed ${plural(snapshotIds.length, 'snapshot')}, ${freed}\n${notes}`
}
