/**
 * What `firn run` does and when. Jobs are found from the settings by a pure function; both drivers run them through
 * the same record-keeping: once, in order, or by node-cron until a signal.
 *
 * A tick that was missed costs latency only: a landing run reads every shard to its tip and a compaction takes all
 * that was staged, so the next run catches up by itself.
 */
import { createTask, type ScheduledTask, validate } from 'node-cron'
import type { Clock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { ObjectStore } from '../table/io/object-store.ts'
import type { Config } from './config.ts'
import { type RunRecord, recordRun, type WorkResult } from './runs.ts'
import type { Logger } from './telemetry.ts'
import { countChanges } from './written.ts'

export type JobSpec =
  | { readonly kind: 'land'; readonly cron: string; readonly stream: string; readonly start: string }
  | {
      readonly kind: 'compact'
      readonly cron: string
      readonly table: string
      readonly dataset: string | undefined
      readonly streams: readonly string[] | undefined
    }

/** Flags of `firn run`; each beats the setting of the same meaning. */
export interface RunFlags {
  readonly stream?: readonly string[]
  readonly table?: readonly string[]
  readonly dataset?: string
  readonly start?: string
  readonly landCron?: string
  readonly compactCron?: string
}

/** Every job of the settings, landing first. Pure. @throws {FirnError} `FIRN_NOTHING_CONFIGURED`, `FIRN_CRON_INVALID`. */
export function planJobs(config: Config, flags: RunFlags): JobSpec[] {
  const { land, compact } = config.run
  const ownStream = config.stream === undefined ? [] : [config.stream]
  const streams = flags.stream ?? (land.streams.length > 0 ? land.streams : ownStream)
  const landCron = checkedCron('land', flags.landCron ?? land.cron)
  const compactCron = checkedCron('compact', flags.compactCron ?? compact.cron)
  const start = flags.start ?? land.start ?? 'TRIM_HORIZON'
  const jobs: JobSpec[] = [
    ...streams.map((stream): JobSpec => ({ kind: 'land', cron: landCron, stream, start })),
    ...tablesOf(config, flags, streams).map((table): JobSpec => ({ kind: 'compact', cron: compactCron, ...table })),
  ]
  if (jobs.length > 0) return jobs
  throw new FirnError(
    'invalid',
    'FIRN_NOTHING_CONFIGURED',
    'run has nothing to do: no stream and no table is configured',
    {
      help: 'add --stream NAME and --table namespace.name, or "run" in firn.config.json',
    },
  )
}

type CompactTarget = Omit<Extract<JobSpec, { kind: 'compact' }>, 'kind' | 'cron'>

function tablesOf(config: Config, flags: RunFlags, streams: readonly string[]): CompactTarget[] {
  const { tables } = config.run.compact
  const dataset = flags.dataset ?? config.dataset
  if (flags.table === undefined && tables.length > 0) {
    return tables.map((each) => ({ table: each.table, dataset: each.dataset ?? dataset, streams: each.streams }))
  }
  const names = flags.table ?? (config.table === undefined ? [] : [config.table])
  return names.map((table) => ({ table, dataset, streams: streams.length === 0 ? undefined : streams }))
}

function checkedCron(job: string, expression: string): string {
  if (validate(expression)) return expression
  throw new FirnError(
    'invalid',
    'FIRN_CRON_INVALID',
    `the schedule of ${job} is not a cron expression: ${JSON.stringify(expression)}`,
    {
      help: 'use five fields, like "*/5 * * * *" (minute hour day-of-month month day-of-week, UTC)',
    },
  )
}

/** Does one job in `store`, telling when it has begun; throws what went wrong. */
export type JobRunner = (job: JobSpec, store: ObjectStore, begun: () => void) => Promise<WorkResult<unknown>>

export interface ScheduleOptions {
  readonly jobs: readonly JobSpec[]
  readonly runner: JobRunner
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  /** Called with each finished run, and with what a person reads about it. */
  readonly onRecord: (record: RunRecord, text: string) => void
}

/** Run every job now, in order. @returns what failed, after all jobs had their turn. */
export async function runOnce(options: ScheduleOptions): Promise<readonly unknown[]> {
  const failures: unknown[] = []
  for (const job of options.jobs) {
    options.signal.throwIfAborted()
    const error = await runJob(options, job)
    if (error !== undefined) failures.push(error)
  }
  return failures
}

/**
 * Run every job now (the catch-up), then by its schedule until `signal` aborts; resolves when the runs that were
 * under way have ended. A failing run is logged and recorded, and the next tick tries again.
 */
export async function runForever(options: ScheduleOptions): Promise<void> {
  const { jobs, log, signal } = options
  const active = new Set<Promise<unknown>>()
  const track = <T>(work: Promise<T>): Promise<T> => {
    active.add(work)
    return work.finally(() => active.delete(work))
  }
  for (const job of jobs) {
    if (signal.aborted) break
    const error = await track(runJob(options, job))
    if (isWrongSetting(error, jobs)) throw error
    if (error !== undefined && !signal.aborted) log.error({ err: error, job: nameOf(job) }, 'the run failed')
  }
  const tasks = jobs.map((job) => scheduleJob(job, log, () => track(failing(runJob(options, job)))))
  for (const task of tasks) await task.start()
  for (const [at, job] of jobs.entries()) {
    log.info({ ...job, next: tasks[at]?.getNextRun()?.toISOString() }, 'scheduled')
  }
  await aborted(signal)
  for (const task of tasks) await task.destroy()
  await Promise.allSettled(active)
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

const nameOf = (job: JobSpec): string => `${job.kind} ${job.kind === 'land' ? job.stream : job.table}`

function scheduleJob(job: JobSpec, log: Logger, run: () => Promise<unknown>): ScheduledTask {
  const name = nameOf(job)
  const task = createTask(job.cron, run, {
    name,
    timezone: 'UTC',
    noOverlap: true,
    // A long garbage collection or a suspended laptop must not cost an hour's run.
    missedExecutionTolerance: 60_000,
    logger: {
      info: () => {},
      debug: () => {},
      warn: (text) => log.warn(text),
      error: (text) => log.error(String(text)),
    },
  })
  task.on('execution:failed', ({ execution }) => log.error({ err: execution?.error, job: name }, 'the run failed'))
  task.on('execution:overlap', () => log.warn({ job: name }, 'skipped: the previous run is still going'))
  task.on('execution:missed', ({ date }) => log.warn({ job: name, slot: date.toISOString() }, 'missed a slot'))
  return task
}

/** node-cron learns of a failure only by an exception. */
async function failing(run: Promise<unknown>): Promise<void> {
  const error = await run
  if (error !== undefined) throw error
}

async function runJob(options: ScheduleOptions, job: JobSpec): Promise<unknown> {
  const { runner, clock, log, signal, onRecord } = options
  // of its own: jobs that run at the same time must not be taken for each other
  const store = countChanges(options.store)
  const subject = job.kind === 'land' ? job.stream : job.table
  const { record, text, error } = await recordRun({ store, job: job.kind, subject, clock, log, signal }, (begun) =>
    runner(job, store, begun),
  )
  onRecord(record, text)
  return error
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
