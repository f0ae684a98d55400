/** One epoch of a mix: asks the dataset whose turn it is, begins its next pass where it is through, knows the end. */
import type { RecordBatch, Schema } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import { createSchedule, MAX_POSITION, type Schedule, type SchedulePoint } from './schedule.ts'
import type { MemberState } from './state.ts'

/** What a mix needs of a dataset. */
export interface MixSource extends AsyncDisposable {
  readonly schema: Schema
  /** Undefined when only reading can tell. */
  readonly numBatches: number | undefined
  epoch(epoch?: number, options?: { readonly signal?: AbortSignal | undefined }): SourceIterator
  loadStateDict(token: string): Promise<{ readonly epoch: number; readonly batches: number }>
  stats?(): unknown
  provenance?(): unknown
}

export interface SourceIterator extends AsyncIterableIterator<RecordBatch, void, undefined> {
  /** Goes on behind the last batch that this iteration delivered; before the first one where it begins. */
  stateDict(): string
}

export type StoppingStrategy = 'first_exhausted' | 'all_exhausted'

/** What was delivered. */
export interface MixProgress {
  readonly point: SchedulePoint
  readonly members: readonly MemberState[]
  /** The epoch is over: what comes next is the following one. */
  readonly isOver: boolean
}

/** A member of a loaded state: `isEnded` where nothing is left of its pass. */
export interface LoadedMember extends MemberState {
  readonly isEnded: boolean
}

export interface MixRunOptions {
  readonly sources: readonly MixSource[]
  readonly weights: readonly number[]
  readonly seed: number
  readonly stoppingStrategy: StoppingStrategy
  readonly epoch: number
  readonly from: { readonly point: SchedulePoint; readonly members: readonly LoadedMember[] } | undefined
  readonly signal: AbortSignal
  onDelivered(dataset: number, batch: RecordBatch): void
  /** It begins another pass. */
  onRepeat(dataset: number): void
}

export interface MixRun {
  batches(): AsyncGenerator<RecordBatch, void, undefined>
  progress(): MixProgress
}

/** Passes of one epoch of the mix are epochs of a dataset that lie this far apart: no two epochs share one. */
const PASS_STRIDE = 2 ** 16
export const MAX_MIX_EPOCH: number = PASS_STRIDE - 1
const MAX_PASSES = PASS_STRIDE - 1

/** Pass 0 of epoch n is the dataset's own epoch n. */
export const datasetEpoch = (epoch: number, passes: number): number => epoch + passes * PASS_STRIDE

interface Member {
  readonly source: MixSource
  passes: number
  batches: number
  token: string
  /** Undefined: nothing is left of the pass. */
  iterator: SourceIterator | undefined
}

export function mixRun(options: MixRunOptions): MixRun {
  const { sources, weights, seed, stoppingStrategy, epoch, from, signal } = options
  // Not begun, only made: a dataset reads nothing before its first batch is asked for.
  const members = sources.map((source, index): Member => {
    const { passes, batches, token, isEnded } = from?.members[index] ?? {
      passes: 0,
      batches: 0,
      token: '',
      isEnded: false,
    }
    if (isEnded) return { source, passes, batches, token, iterator: undefined }
    const iterator = source.epoch(datasetEpoch(epoch, passes), { signal })
    return { source, passes, batches, token: iterator.stateDict(), iterator }
  })
  const schedule: Schedule = createSchedule(weights, seed, from?.point)
  const statesOf = (): MemberState[] => members.map(({ passes, batches, token }) => ({ passes, batches, token }))
  let progress: MixProgress = { point: schedule.point(), members: statesOf(), isOver: false }

  const batchOf = async (index: number): Promise<RecordBatch | undefined> => {
    const member = members[index]!
    for (;;) {
      const result = await member.iterator?.next()
      if (result !== undefined && result.done !== true) return result.value
      member.iterator = undefined
      if (member.batches === 0) throw emptyMember(index)
      const isLast = members.every(({ passes }, other) => passes > 0 || other === index)
      if (stoppingStrategy === 'first_exhausted' || isLast) return undefined
      if (member.passes === MAX_PASSES) throw tooLong(`${MAX_PASSES} passes through dataset ${index}`)
      member.passes++
      member.batches = 0
      options.onRepeat(index)
      member.iterator = member.source.epoch(datasetEpoch(epoch, member.passes), { signal })
    }
  }

  async function* batches(): AsyncGenerator<RecordBatch, void, undefined> {
    try {
      for (;;) {
        signal.throwIfAborted()
        if (schedule.point().position >= MAX_POSITION) throw tooLong(`${MAX_POSITION} batches`)
        const index = schedule.next()
        const batch = await batchOf(index)
        if (batch === undefined) break
        const member = members[index]!
        member.batches++
        member.token = member.iterator!.stateDict()
        progress = { point: schedule.point(), members: statesOf(), isOver: false }
        options.onDelivered(index, batch)
        yield batch
      }
      progress = { ...progress, isOver: true }
    } finally {
      await Promise.all(members.map(({ iterator }) => iterator?.return?.()))
    }
  }
  return { batches, progress: () => progress }
}

/**
 * Batches of an epoch, from those of the datasets; undefined when one of them is, or when it takes more than `limit`
 * steps to find out.
 */
export function countBatches(
  counts: readonly (number | undefined)[],
  how: Pick<MixRunOptions, 'weights' | 'seed' | 'stoppingStrategy'>,
  limit: number,
): number | undefined {
  if (!counts.every((count) => count !== undefined && count > 0)) return undefined
  const schedule = createSchedule(how.weights, how.seed)
  const given = counts.map(() => 0)
  const ended = new Set<number>()
  for (let position = 0; position < limit; position++) {
    const index = schedule.next()
    if (given[index] === counts[index]) {
      ended.add(index)
      if (how.stoppingStrategy === 'first_exhausted' || ended.size === counts.length) return position
      given[index] = 0
    }
    given[index] = given[index]! + 1
  }
  return undefined
}

const emptyMember = (index: number): FirnError =>
  new FirnError('invalid', 'FIRN_DATASET_EMPTY', `dataset ${index} of the mix has no batches`, {
    detail: { dataset: index },
    help: 'Leave it out, or widen its `filter`, `split` or `snapshot`.',
  })

const tooLong = (what: string): FirnError =>
  new FirnError('invalid', 'FIRN_MIX_TOO_LONG', `an epoch of the mix takes more than ${what}`, {
    help: "Give small datasets a smaller proportion, or stop with 'first_exhausted'.",
  })
