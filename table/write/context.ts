/** What every write needs, and the loop that plans anew when the plan no longer fits the table. */
import type { TableOperations, TableState } from '../catalog/catalog.ts'
import type { Clock } from '../clock.ts'
import { type Change, type CommitOutcome, commitChange } from '../commit/commit.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'

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
export type PlannedChange = Change & { readonly snapshotId?: SnapshotId | undefined }

/** Plans of one call, when other writers keep changing the rows that it is about. */
const MAX_PLANS = 5

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
 * Plan on the table and commit; when what came meanwhile does not fit the plan, plan on what is there now.
 * @param plan `undefined`: there is nothing to do. Called with the state to plan on, first the context's.
 * @throws {FirnError} as `commitChange`; `FIRN_COMMIT_CONFLICT` (conflict) when `MAX_PLANS` plans were overtaken.
 */
export async function planAndCommit(
  context: WriteContext,
  plan: (state: TableState) => Promise<PlannedChange | undefined>,
  options: AbortableOptions,
): Promise<SnapshotOutcome> {
  let { state } = context
  for (let plans = 1; ; plans++) {
    const change = await plan(state)
    if (change === undefined) return { state, attempts: 0, recovered: false, snapshotId: undefined }
    try {
      return await commitSnapshot(context, change, options)
    } catch (error) {
      // Only a conflict is known to have left the table as it was.
      if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || plans >= MAX_PLANS) throw error
      state = await context.operations.load(options)
    }
  }
}
