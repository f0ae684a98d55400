/** Schedulers as they run on several hosts, on the virtual time of one world, ticking when the test says so. */

import type { RunRecord, WorkResult } from '../../../jobs/runs.ts'
import {
  createSchedulerState,
  type JobRun,
  type JobSpec,
  runForever,
  runOnce,
  type ScheduleOptions,
  type SchedulerStatus,
} from '../../../jobs/schedule.ts'
import type { TickOptions } from '../../../jobs/scheduling/cron.ts'
import { createLogger } from '../../../jobs/telemetry.ts'
import type { Clock } from '../../../table/clock.ts'
import { type EpochMillis, epochMillis } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { Process, World } from './world.ts'

export const TTL = 60_000

export interface Host extends Process {
  readonly records: RunRecord[]
  readonly lines: string[]
  readonly stop: AbortController
  readonly options: ScheduleOptions
  status(): SchedulerStatus
  once(more?: { force?: boolean }): Promise<readonly unknown[]>
  forever(): Promise<{ readonly interrupted: boolean }>
  /** As node-cron: no tick while the one before is at work. */
  tick(name: string, slot: EpochMillis): void
  /** `subject: outcome` of every record that is not skipped. */
  outcomes(): string[]
}

/** `clock` is the host's own. */
export type Work = (job: JobSpec, run: JobRun, clock: Clock) => Promise<WorkResult<unknown>>

export const done: WorkResult<unknown> = { value: 1, json: {}, outcome: 'ok', text: '' }

let hosts = 0

export function createHost(world: World, store: ObjectStore, jobs: readonly JobSpec[], work: Work): Host {
  const number = ++hosts
  const owner = `host-${number}`
  const process = world.process(number)
  const { clock } = process
  const stop = new AbortController()
  const [records, lines]: [RunRecord[], string[]] = [[], []]
  const ticks = new Map<string, TickOptions & { busy: boolean }>()
  const state = createSchedulerState(jobs, clock, owner)
  const options: ScheduleOptions = {
    jobs,
    runner: (job, run) => work(job, run, clock),
    store: process.reach(store),
    clock,
    log: createLogger({ format: 'json', level: 'debug', clock, write: (line) => lines.push(line) }),
    signal: stop.signal,
    onRecord: (record) => void records.push(record),
    state,
    leaseTtlMillis: TTL,
    ticker: async (ticking) => {
      ticks.set(ticking.name, { ...ticking, busy: false })
      return { nextMillis: () => epochMillis(0), stop: async () => void ticks.delete(ticking.name) }
    },
  }
  return {
    ...process,
    records,
    lines,
    stop,
    options,
    status: () => state.snapshot(),
    once: (more = {}) => runOnce({ ...options, ...more }),
    forever: () => runForever(options),
    tick: (name, slot) => {
      const ticking = ticks.get(name)
      if (ticking === undefined) return
      if (ticking.busy) ticking.onOverlap(slot)
      else {
        ticking.busy = true
        void ticking.onTick(slot).finally(() => {
          ticking.busy = false
        })
      }
    },
    outcomes: () =>
      records.filter(({ outcome }) => outcome !== 'skipped').map(({ subject, outcome }) => `${subject}: ${outcome}`),
  }
}

export const land = (stream: string): JobSpec => ({
  kind: 'land',
  cron: '*/5 * * * *',
  stream,
  start: 'TRIM_HORIZON',
})
export const compact = (table: string, streams?: readonly string[]): JobSpec => ({
  kind: 'compact',
  cron: '7 * * * *',
  table,
  dataset: undefined,
  streams,
})
export const maintain = (table: string): JobSpec => ({ kind: 'maintain', cron: '23 3 * * *', table })
