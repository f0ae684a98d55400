/** One run of one job: its lease, its turn in this process, its record. */
import { type Clock, newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { EpochMillis, RunId } from '../../table/ids.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { exitCodeOf } from '../exit.ts'
import {
  type RecordedRun,
  type RecordRunOptions,
  type RunRecord,
  recordRun,
  type SkipReason,
  skippedRun,
  type WorkResult,
} from '../runs.ts'
import { lastSignal } from '../signals.ts'
import type { Logger } from '../telemetry.ts'
import { countChanges } from '../written.ts'
import { previousSlot } from './cron.ts'
import { type JobSpec, leaseNameOf, nameOf, subjectOf } from './job-spec.ts'
import type { Lanes } from './lanes.ts'
import { type Acquisition, acquireLease, type Lease, type LeaseOptions } from './lease.ts'
import type { SchedulerState } from './status.ts'

/** What a job's work is given. */
export interface JobRun {
  /** The warehouse; counts what this run changes. */
  readonly store: ObjectStore
  /** To be called when the work has begun: from then on it leaves a record, whatever comes. */
  readonly begun: () => void
  /** Aborts when the work is to end at its next safe point: a signal came, or the lease was lost. */
  readonly signal: AbortSignal
  /** Aborts when what must not be left half done (a commit that has begun) has no time any more. */
  readonly last: AbortSignal
  readonly runId: RunId
}

/** Does one job; throws what went wrong. */
export type JobRunner = (job: JobSpec, run: JobRun) => Promise<WorkResult<unknown>>

export interface RunJobOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: Logger
  readonly runner: JobRunner
  readonly lanes: Lanes
  readonly state: SchedulerState
  readonly leaseTtlMillis: number
  /** Ends runs at their next safe point, and begins no more. */
  readonly stop: AbortSignal
  /** Follows `stop`: there is no time left. */
  readonly last: AbortSignal
  /** Called with each finished or skipped run, and with what a person reads about it. */
  readonly onRecord: (record: RunRecord, text: string) => void
}

/** For what a job is run. */
export interface Due {
  /** The slot of its schedule; default: the newest. Noted as done afterwards. */
  readonly slot?: EpochMillis
  /** True: not when the slot is done already. */
  readonly unlessDone: boolean
  /** True: while another process that lives is at it, stand by, in case it dies. */
  readonly wait: boolean
}

/** @returns what went wrong; `undefined` when nothing did, or nothing was begun. */
export async function runJob(options: RunJobOptions, job: JobSpec, due: Due): Promise<unknown> {
  const { clock, log, state, stop } = options
  const slotMillis = due.slot ?? previousSlot(job.cron, clock.nowMillis())
  const slot = slotMillis === undefined ? undefined : new Date(slotMillis).toISOString()
  for (let unlessDone = due.unlessDone; ; unlessDone = true) {
    const runId = newRunId(clock)
    const lease = await leaseFor(options, job, runId, unlessDone ? slot : undefined, due.wait)
    if (lease.kind !== 'held') return lease.error
    state.change(job, { state: 'queued' })
    const { error } = await runUnder(options, job, runId, lease.lease, slot)
    state.change(job, { state: 'idle' })
    // who took it over may have died since
    if (!due.wait || stop.aborted || !FirnError.is(error, 'FIRN_LEASE_LOST')) return error
    log.warn({ err: error, job: nameOf(job) }, 'the run lost its lease')
  }
}

type Leased = { readonly kind: 'held'; readonly lease: Lease } | { readonly kind: 'none'; readonly error: unknown }

async function leaseFor(
  options: RunJobOptions,
  job: JobSpec,
  runId: RunId,
  unlessDone: string | undefined,
  wait: boolean,
): Promise<Leased> {
  const { store, clock, state, stop, leaseTtlMillis: ttlMillis } = options
  const none = (error?: unknown): Leased => {
    state.change(job, { state: 'idle' })
    return { kind: 'none', error }
  }
  state.change(job, { state: 'waiting' })
  const name = leaseNameOf(job)
  // a host that stands by waits at every slot, which is no news
  const onWait: LeaseOptions['onWait'] = wait
    ? undefined
    : ({ owner, leftMillis }) =>
        options.log.info(
          { lease: name, owner, seconds: Math.ceil(leftMillis / 1000) },
          'another process has the lease: waiting to see whether it lives',
        )
  const lease = { store, clock, name, owner: state.owner, runId, ttlMillis, unlessDone, wait, onWait }
  let acquired: Acquisition
  try {
    acquired = await acquireLease({ ...lease, signal: stop })
  } catch (error) {
    if (stop.aborted) return none()
    const failed = await recordRun({ ...recordOf(options, job), runId }, async () => Promise.reject(error))
    state.finished(job, failed.record)
    options.onRecord(failed.record, failed.text)
    return none(failed.error)
  }
  if (acquired.kind === 'held') {
    const { epoch, lastSlot = null } = acquired.lease
    state.change(job, { lease: { state: 'ours', epoch, last_slot: lastSlot } })
    return acquired
  }
  if (acquired.kind === 'busy') state.change(job, { lease: { state: 'theirs', epoch: acquired.epoch } })
  else state.change(job, { lease: { state: 'free', last_slot: acquired.lastSlot } })
  skip(options, job, acquired.kind === 'busy' ? 'lease' : 'done')
  return none()
}

/** Count and tell a run that is not begun. */
export function skip(options: RunJobOptions, job: JobSpec, reason: SkipReason): void {
  const record = skippedRun(recordOf(options, job), reason)
  options.state.finished(job, record)
  options.onRecord(record, SKIP_TEXT[reason])
}

const SKIP_TEXT: Readonly<Record<SkipReason, string>> = {
  overlap: 'the previous run is still going\n',
  lease: 'another process has the lease\n',
  done: 'it is done already\n',
}

const recordOf = ({ store, clock, log, last, stop }: RunJobOptions, job: JobSpec): RecordRunOptions => ({
  store,
  job: job.kind,
  subject: subjectOf(job),
  clock,
  log,
  signal: last,
  stop,
})

async function runUnder(
  options: RunJobOptions,
  job: JobSpec,
  runId: RunId,
  lease: Lease,
  slot: string | undefined,
): Promise<{ readonly error: unknown }> {
  const { clock, lanes, last, runner, state, stop } = options
  // of its own: jobs that run at the same time must not be taken for each other
  const store = countChanges(options.store)
  const signal = AbortSignal.any([stop, lease.signal])
  const { name, epoch } = lease
  const info = () => ({ name, owner: state.owner, epoch, slot: slot ?? null, lost: lease.signal.aborted })
  let recorded: RecordedRun<unknown> | undefined
  let broken: unknown
  try {
    recorded = await lanes.inTurn(job, signal, async () => {
      state.change(job, { state: 'running' })
      return await recordRun({ ...recordOf(options, job), store, stop: signal, runId, lease: info }, (begun) =>
        runner(job, { store, begun, signal, last, runId }),
      )
    })
  } catch (error) {
    // What the work throws is in its record. This is a fault of ours, and must not be held on to: the lease would be
    // renewed for as long as this process lives, and nobody could do the job.
    broken = error ?? new Error('the run ended without a reason')
  }
  const done = slot !== undefined && recorded !== undefined && isDone(recorded)
  const tidy = lastSignal(last, RELEASE_MILLIS, clock)
  await lease.release({ signal: tidy.signal, lastSlot: done ? slot : undefined })
  tidy.release()
  const lost = lease.signal.aborted
  state.change(job, { lease: { state: lost ? 'lost' : 'free', ...(done && !lost ? { last_slot: slot } : {}) } })
  if (broken !== undefined) return { error: broken }
  if (recorded === undefined) return { error: stop.aborted ? undefined : lease.signal.reason }
  state.finished(job, recorded.record)
  options.onRecord(recorded.record, recorded.text)
  return { error: recorded.error }
}

const RELEASE_MILLIS = 5000
/** Exit code of what may succeed later, unchanged. */
const TRY_AGAIN = 3

/** Whether the same run, begun again at once by another process, would only end in the same way. */
function isDone({ record, error, isCut }: RecordedRun<unknown>): boolean {
  if (record.outcome === 'interrupted' || isCut) return false
  return error === undefined || exitCodeOf(error) !== TRY_AGAIN
}
