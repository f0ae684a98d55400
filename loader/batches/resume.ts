/** Resume tokens of a dataset: what they hold of a run, and which dataset may go on with them. */
import { FirnError } from '../../table/errors.ts'
import type { ResolvedOptions } from '../options.ts'
import { encodeState, type LoaderState } from '../resume/token.ts'
import type { LoaderPlan } from '../source/plan.ts'
import type { Progress } from './epoch-iterator.ts'

export const BEGINNING: Progress = { batches: 0, next: { block: 0, offset: 0 }, ended: false }

const seedOf = ({ shuffle }: ResolvedOptions): number => shuffle?.seed ?? 0

/** An epoch that is over is the beginning of the next one. */
export function tokenOf(plan: LoaderPlan, options: ResolvedOptions, epoch: number, progress: Progress): string {
  const { batches, next } = progress.ended ? BEGINNING : progress
  const { snapshotId, hash: planHash } = plan
  const at = { epoch: progress.ended ? epoch + 1 : epoch, batches, block: next.block, offset: next.offset }
  return encodeState({ snapshotId, planHash, seed: seedOf(options), ...at })
}

/** @throws {FirnError} `FIRN_TOKEN_MISMATCH` (invalid), naming what is not as it was when the token was made. */
export function checkState(state: LoaderState, plan: LoaderPlan, options: ResolvedOptions): void {
  const seed = seedOf(options)
  const differences: string[] = []
  if (state.snapshotId !== plan.snapshotId) {
    differences.push(`its snapshot is ${state.snapshotId}, that of the dataset ${plan.snapshotId}`)
  } else if (state.planHash !== plan.hash) {
    // Of another snapshot the files are others, so the plan says nothing more.
    differences.push('its plan is another one: filter, split, batch, dropLast or shuffle.blockBytes')
  }
  if (state.seed !== seed) differences.push(`its seed is ${state.seed}, that of the dataset ${seed}`)
  if (differences.length === 0) return
  throw new FirnError(
    'invalid',
    'FIRN_TOKEN_MISMATCH',
    `the resume token is of another run: ${differences.join('; ')}`,
    {
      detail: { snapshotId: String(state.snapshotId), seed: state.seed },
      help: `Open the dataset as it was: snapshot: { id: ${state.snapshotId}n }, seed ${state.seed}, and the same filter, split, batch and blockBytes.`,
    },
  )
}
