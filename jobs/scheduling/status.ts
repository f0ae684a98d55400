/** What a scheduler knows about its jobs, for whoever asks: health, status and metrics. In memory only. */
import type { Clock } from '../../table/clock.ts'
import type { EpochMillis } from '../../table/ids.ts'
import type { RunOutcome, RunRecord, SkipReason } from '../runs.ts'
import { type JobSpec, leaseNameOf, nameOf, subjectOf } from './job-spec.ts'

/** `idle`; in line behind other runs of this process; waiting for another process's lease; at work. */
export type JobState = 'idle' | 'queued' | 'waiting' | 'running'

export interface JobStatus {
  readonly job: JobSpec['kind']
  /** Stream or table. */
  readonly subject: string
  readonly cron: string
  readonly state: JobState
  /** ISO 8601, UTC. `null` while nothing is scheduled. */
  readonly next_run_at: string | null
  /** The newest run that was not skipped. */
  readonly last_run: {
    readonly run_id: string
    readonly started_at: string
    readonly finished_at: string
    readonly outcome: RunOutcome
    readonly error_code: string | null
  } | null
  readonly last_success_at: string | null
  readonly runs: number
  readonly failures: number
  /** Consecutive failures up to now. */
  readonly failing: number
  readonly skipped: Readonly<Record<SkipReason, number>>
  /** Slots at which nobody was there to run. */
  readonly missed: number
  readonly lease: {
    readonly name: string
    readonly state: 'free' | 'ours' | 'theirs' | 'lost'
    readonly epoch: number | null
    /** Newest slot that is noted as done. */
    readonly last_slot: string | null
  }
}

export interface SchedulerStatus {
  readonly schema: 'firn.scheduler-status/1'
  /** This process, as it signs leases. */
  readonly owner: string
  readonly state: 'starting' | 'running' | 'stopping'
  readonly started_at: string
  readonly jobs: readonly JobStatus[]
}

/** The status while it changes. */
export interface SchedulerState {
  readonly owner: string
  /** A copy of what holds now. */
  snapshot(): SchedulerStatus
  enter(state: SchedulerStatus['state']): void
  change(job: JobSpec, change: Partial<Omit<JobStatus, 'lease'>> & { lease?: Partial<JobStatus['lease']> }): void
  /** When the job runs next, asked at every snapshot. */
  nextRun(job: JobSpec, next: () => EpochMillis | undefined): void
  missed(job: JobSpec): void
  finished(job: JobSpec, record: RunRecord): void
}

export function createSchedulerState(jobs: readonly JobSpec[], clock: Clock, owner: string): SchedulerState {
  const started_at = new Date(clock.nowMillis()).toISOString()
  let state: SchedulerStatus['state'] = 'starting'
  const statuses = new Map(jobs.map((job) => [nameOf(job), initial(job)]))
  const next = new Map<string, () => EpochMillis | undefined>()
  const update = (job: JobSpec, change: (status: JobStatus) => Partial<JobStatus>): void => {
    const status = statuses.get(nameOf(job)) ?? initial(job)
    statuses.set(nameOf(job), { ...status, ...change(status) })
  }
  return {
    owner,
    snapshot: () => ({
      schema: 'firn.scheduler-status/1',
      owner,
      state,
      started_at,
      jobs: [...statuses].map(([name, status]) => {
        const millis = next.get(name)?.()
        return { ...status, next_run_at: millis === undefined ? null : new Date(millis).toISOString() }
      }),
    }),
    enter: (entered) => {
      state = entered
      if (entered === 'stopping') next.clear()
    },
    change: (job, { lease, ...change }) =>
      update(job, (status) => ({ ...change, lease: { ...status.lease, ...lease } })),
    nextRun: (job, ask) => void next.set(nameOf(job), ask),
    missed: (job) => update(job, ({ missed }) => ({ missed: missed + 1 })),
    finished: (job, record) => update(job, (status) => after(status, record)),
  }
}

const initial = (job: JobSpec): JobStatus => ({
  job: job.kind,
  subject: subjectOf(job),
  cron: job.cron,
  state: 'idle',
  next_run_at: null,
  last_run: null,
  last_success_at: null,
  runs: 0,
  failures: 0,
  failing: 0,
  skipped: { overlap: 0, lease: 0, done: 0 },
  missed: 0,
  lease: { name: leaseNameOf(job), state: 'free', epoch: null, last_slot: null },
})

function after(status: JobStatus, record: RunRecord): Partial<JobStatus> {
  const { outcome, skipped } = record
  if (skipped !== undefined) return { skipped: { ...status.skipped, [skipped]: status.skipped[skipped] + 1 } }
  const { run_id, started_at, finished_at } = record
  const last_run = { run_id, started_at, finished_at, outcome, error_code: record.error?.code ?? null }
  const runs = status.runs + 1
  if (outcome === 'ok' || outcome === 'nothing-to-do') {
    return { runs, last_run, last_success_at: finished_at, failing: 0 }
  }
  if (outcome === 'interrupted') return { runs, last_run }
  return { runs, last_run, failures: status.failures + 1, failing: status.failing + 1 }
}
