/**
 * What `firn run` does: every job when it is due, once in all processes on one warehouse. Two drivers share one way of
 * running a job (scheduling/run-job.ts): once, what is due now; or by node-cron until a signal.
 *
 * A tick that was missed costs latency only: a landing run reads every shard to its tip and a compaction takes all
 * that was staged, so the next run catches up by itself.
 */
import type { Clock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { EpochMillis } from '../table/ids.ts'
import type { ObjectStore } from '../table/io/object-store.ts'
import type { RunRecord } from './runs.ts'
import { cronTicker, type Ticker, type Ticking } from './scheduling/cron.ts'
import { dueAtStart, runInOrder } from './scheduling/due.ts'
import { type JobSpec, nameOf } from './scheduling/job-spec.ts'
import { createLanes } from './scheduling/lanes.ts'
import { type Due, type JobRunner, type RunJobOptions, runJob, skip } from './scheduling/run-job.ts'
import type { SchedulerState } from './scheduling/status.ts'
import { afterGrace } from './signals.ts'
import type { Logger } from './telemetry.ts'

export { type JobSpec, leaseTtlOf, planJobs, type RunFlags } from './scheduling/job-spec.ts'
export type { JobRun, JobRunner } from './scheduling/run-job.ts'
export { createSchedulerState, type JobStatus, type SchedulerState, type SchedulerStatus } from './scheduling/status.ts'

export interface ScheduleOptions {
  readonly jobs: readonly JobSpec[]
  readonly runner: JobRunner
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: Logger
  /** The first SIGINT or SIGTERM: nothing more is begun, and what runs ends at its next safe point. */
  readonly signal: AbortSignal
  /** Called with each finished or skipped run, and with what a person reads about it. */
  readonly onRecord: (record: RunRecord, text: string) => void
  /** Where it is noted what the jobs do. */
  readonly state: SchedulerState
  readonly leaseTtlMillis: number
  /** Default: node-cron. */
  readonly ticker?: Ticker
}

/** From the signal until what still runs is cut short; some seconds are left for records and leases. */
const SAFE_POINT_MILLIS = 17_000

/**
 * Run what is due now; `force`: every job. Resolves when all had their turn.
 * @returns what failed, in the order of the jobs. A run that was skipped is no failure.
 * @throws `signal.reason` on abort, after what was running has ended.
 */
export async function runOnce(options: ScheduleOptions & { readonly force?: boolean }): Promise<readonly unknown[]> {
  const { jobs, signal, force = false, state } = options
  const last = afterGrace(signal, SAFE_POINT_MILLIS, options.clock)
  try {
    const run = jobOptions(options, signal, last.signal)
    state.enter('running')
    const errors = await runInOrder(jobs, (job) => runJob(run, job, dueAtStart(job, force)))
    signal.throwIfAborted()
    return errors.filter((error) => error !== undefined)
  } finally {
    last.release()
  }
}

/**
 * Run every job by its schedule, and at the start what is due already, until `signal` aborts; resolves when the runs
 * that were under way have ended. A failing run is logged and recorded, and the next tick tries again.
 * @returns whether the signal cut a run short. One that came to its end in order, or had none to end, did not.
 * @throws what failed at the start because of a wrong setting: it would fail at every tick.
 */
export async function runForever(options: ScheduleOptions): Promise<{ readonly interrupted: boolean }> {
  const { jobs, clock, log, signal, state, ticker = cronTicker } = options
  const broken = new AbortController()
  const stop = AbortSignal.any([signal, broken.signal])
  const last = afterGrace(stop, SAFE_POINT_MILLIS, clock)
  let interrupted = false
  const onRecord = (record: RunRecord, text: string): void => {
    if (record.outcome === 'interrupted' && signal.aborted) interrupted = true
    options.onRecord(record, text)
  }
  const run = jobOptions({ ...options, onRecord }, stop, last.signal)
  const active = new Map<string, Promise<unknown>>()
  const begin = (job: JobSpec, due: Due): Promise<unknown> => {
    const name = nameOf(job)
    const going = active.get(name)
    if (going !== undefined) {
      // it stands by for another process
      skip(run, job, stateOf(state, job) === 'waiting' ? 'lease' : 'overlap')
      return Promise.resolve()
    }
    const work = runJob(run, job, due).finally(() => active.delete(name))
    active.set(name, work)
    return work
  }
  const told = async (job: JobSpec, due: Due): Promise<unknown> => {
    const error = await begin(job, due)
    // a signal is reason enough for what failed, but not for a commit that nobody can tell about
    const isTold = !signal.aborted || (FirnError.is(error) && error.kind === 'unknown-commit')
    if (error !== undefined && isTold) log.error({ err: error, job: nameOf(job) }, 'the run failed')
    return error
  }
  const tickings: Ticking[] = []
  try {
    for (const job of jobs) tickings.push(await startTicking(ticker, job, { run, state, told }))
    const catchUp = runInOrder(jobs, async (job) => {
      if (stop.aborted || active.has(nameOf(job))) return
      const error = await told(job, dueAtStart(job, false))
      if (isWrongSetting(error, jobs)) broken.abort(error)
    })
    state.enter('running')
    await aborted(stop)
    state.enter('stopping')
    for (const ticking of tickings) await ticking.stop()
    await Promise.allSettled([catchUp, ...active.values()])
    if (broken.signal.aborted && !signal.aborted) throw broken.signal.reason
    return { interrupted }
  } finally {
    last.release()
  }
}

const jobOptions = (options: ScheduleOptions, stop: AbortSignal, last: AbortSignal): RunJobOptions => {
  const { store, clock, log, runner, state, leaseTtlMillis, onRecord } = options
  return { store, clock, log, runner, state, leaseTtlMillis, onRecord, stop, last, lanes: createLanes() }
}

const stateOf = (state: SchedulerState, job: JobSpec): string | undefined =>
  state.snapshot().jobs.find((each) => `${each.job} ${each.subject}` === nameOf(job))?.state

interface TickContext {
  readonly run: RunJobOptions
  readonly state: SchedulerState
  readonly told: (job: JobSpec, due: Due) => Promise<unknown>
}

async function startTicking(ticker: Ticker, job: JobSpec, { run, state, told }: TickContext): Promise<Ticking> {
  const { log, clock } = run
  const name = nameOf(job)
  const isoOf = (slot: EpochMillis | undefined): string | undefined =>
    slot === undefined ? undefined : new Date(slot).toISOString()
  const ticking = await ticker({
    name,
    cron: job.cron,
    clock,
    onTick: async (slot) => void (await told(job, { slot, unlessDone: true, wait: true })),
    onOverlap: () => skip(run, job, stateOf(state, job) === 'waiting' ? 'lease' : 'overlap'),
    onMissed: (slot) => {
      state.missed(job)
      log.warn({ job: name, slot: isoOf(slot) }, 'missed a slot')
    },
    onWarning: (text) => log.debug({ job: name }, text),
  })
  state.nextRun(job, () => ticking.nextMillis())
  log.info({ ...job, next: isoOf(ticking.nextMillis()) }, 'scheduled')
  return ticking
}

/** What does not exist because a setting is wrong; other things may be missing for a while. */
const WRONG_NAMES: ReadonlySet<string> = new Set([
  'FIRN_BUCKET_NOT_FOUND',
  'FIRN_DATASET_NOT_FOUND',
  'FIRN_STREAM_NOT_FOUND',
  'FIRN_STREAM_NOT_STAGED',
])

/** True when `error` will come at every tick until somebody changes a setting. */
function isWrongSetting(error: unknown, jobs: readonly JobSpec[]): boolean {
  if (!FirnError.is(error)) return false
  // the landing run that would have staged it could not reach the stream, or the stream is being created
  if (error.code === 'FIRN_STREAM_NOT_STAGED' && isLandedBy(jobs, error.detail['stream'])) return false
  return error.kind === 'invalid' || WRONG_NAMES.has(error.code)
}

/** @param stream when `undefined`, any of them. */
const isLandedBy = (jobs: readonly JobSpec[], stream: unknown): boolean =>
  jobs.some((job) => job.kind === 'land' && (stream === undefined || job.stream === stream))

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
