/** What every write needs, and the loop that plans anew when the plan no longer fits the table. */
import type { TableOperations, TableState } from '../catalog/catalog.ts'
import { type Clock, fullJitterMillis } from '../clock.ts'
import { type Change, type CommitOutcome, commitChange } from '../commit/commit.ts'
import { checkRequirement } from '../commit/requirements.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { isOwnSnapshot, type SnapshotOptions } from './snapshot-options.ts'

export interface WriteContext {
  /** Rooted at the table's folder. */
  readonly store: ObjectStore
  readonly operations: TableOperations
  /** The table as the caller read it. */
  readonly state: TableState
  readonly clock: Clock
}

/** `snapshotId`: of the new snapshot; `undefined` when nothing had to be committed. */
export type SnapshotOutcome = CommitOutcome & { readonly snapshotId: SnapshotId | undefined }

/** A change that makes a snapshot, or none when it changes no file. */
export type PlannedChange = Change & {
  /** It changes nothing: it only says what must not have come meanwhile. */
  readonly isEmpty?: boolean
}

/** Plans of one call, when other writers keep changing the rows that it is about. */
const MAX_PLANS = 5
const MIN_WAIT_MILLIS = 50
const MAX_WAIT_MILLIS = 2_000

/** @throws {FirnError} as `commitChange`. */
export async function commitSnapshot(
  context: WriteContext,
  change: PlannedChange,
  options: AbortableOptions,
): Promise<SnapshotOutcome> {
  const outcome = await commitChange(context.operations, change, context.clock, { signal: options.signal })
  return { ...outcome, snapshotId: change.snapshotId }
}

/**
 * Plan on the table as it is now and commit; when what came meanwhile does not fit the plan, plan anew. The context's
 * state may be old: what is not in it is no proof that there is nothing to do.
 * @param plan `undefined`: there is nothing to do. Called with the state to plan on.
 * @throws {FirnError} as `commitChange`; `FIRN_COMMIT_CONFLICT` (conflict) when `MAX_PLANS` plans were overtaken.
 */
export async function planAndCommit(
  context: WriteContext,
  plan: (state: TableState) => Promise<PlannedChange | undefined>,
  options: Pick<SnapshotOptions, 'snapshotId' | 'runMarker' | 'signal'>,
): Promise<SnapshotOutcome> {
  const { tableUuid } = context.state.metadata
  const abort = { signal: options.signal }
  for (let plans = 1; ; plans++) {
    const state = await context.operations.load(abort)
    // A table of format version 1 may have none.
    if (tableUuid !== '') checkRequirement(state.metadata, { type: 'assert-table-uuid', uuid: tableUuid })
    const { snapshotId } = options
    if (isOwnSnapshot(state.metadata, snapshotId, options)) {
      await context.operations.recovered?.(state)
      return { state, attempts: 0, recovered: true, snapshotId }
    }
    const change = await plan(state)
    if (change === undefined || change.isEmpty === true)
      return { state, attempts: 0, recovered: false, snapshotId: undefined }
    try {
      return await commitSnapshot(context, change, abort)
    } catch (error) {
      // Only a conflict is known to have left the table as it was.
      if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || plans >= MAX_PLANS) throw error
    }
    // Rivals that plan on each other's commits must not go on in step.
    await context.clock.sleep(
      fullJitterMillis(context.clock, plans - 1, MIN_WAIT_MILLIS, MAX_WAIT_MILLIS),
      options.signal,
    )
  }
}
