/**
 * Run records: `_runs/<job>/<startedAt>-<runId>.json` in the warehouse says what a run read, wrote and skipped, and
 * why it ended. Derived, never read by a job; failing to write one never fails the run it describes.
 */
import { type Clock, newRunId } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { EpochMillis, RunId } from '../table/ids.ts'
import type { ObjectStore } from '../table/io/object-store.ts'
import { plain, toJson } from './render.ts'
import { lastSignal } from './signals.ts'
import { beginRun, type Logger } from './telemetry.ts'
import { changesOf } from './written.ts'

export type RunOutcome = 'ok' | 'nothing-to-do' | 'failed' | 'interrupted' | 'skipped'

/** Why a run was not begun: this process is still at the one before; another process has it; it is done already. */
export type SkipReason = 'overlap' | 'lease' | 'done'

/** The lease that a scheduled run was made under. */
export interface RunLease {
  readonly name: string
  readonly owner: string
  readonly epoch: number
  /** The slot of the schedule that the run was for. */
  readonly slot: string | null
  /** True when another process took the lease, or could have: the run was ended, what it had stored is safe. */
  readonly lost: boolean
}

export interface RunRecord {
  readonly schema: 'firn.run/1'
  readonly job: string
  readonly run_id: RunId
  /** What was run: the stream, the table. */
  readonly subject: string
  readonly started_at: string
  readonly finished_at: string
  readonly duration_ms: number
  readonly outcome: RunOutcome
  /** Of outcome `skipped` only. Such a record is printed and counted, and not stored. */
  readonly skipped?: SkipReason
  /** Of scheduled runs. */
  readonly lease?: RunLease
  readonly error?: {
    readonly kind: string
    readonly code: string
    readonly message: string
    readonly help?: string | undefined
  }
  /** The command's JSON result. */
  readonly result?: unknown
}

/** Key of a record: times sort as text, and hold no character that a file system or a URL would mind. */
export function runRecordKey(job: string, startedAtMillis: EpochMillis, id: RunId): string {
  return `_runs/${job}/${new Date(startedAtMillis).toISOString().replaceAll(/[-:]/g, '')}-${id}.json`
}

/** Create the record of a finished run. @throws {FirnError} what `store.put` throws. */
export async function writeRunRecord(
  store: ObjectStore,
  job: string,
  record: RunRecord,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const startedAtMillis = Date.parse(record.started_at) as EpochMillis
  const body = new TextEncoder().encode(`${toJson(record, 2)}\n`)
  await store.put(runRecordKey(job, startedAtMillis, record.run_id), body, { ifNoneMatch: '*', signal })
}

export interface RecordedRun<T> {
  readonly record: RunRecord
  readonly result: T | undefined
  readonly text: string
  /** What the work threw. */
  readonly error: unknown
  readonly isCut: boolean
}

export interface RecordRunOptions {
  readonly store: ObjectStore
  readonly job: string
  readonly subject: string
  readonly clock: Clock
  readonly log: Logger
  /** Aborts when there is no time any more; the record is then written in haste. */
  readonly signal?: AbortSignal | undefined
  /** Aborts when the run is asked to come to an end; a run that fails then was interrupted. Default: `signal`. */
  readonly stop?: AbortSignal | undefined
  /** Id of the run when the work does not bring its own. Default: a new one. */
  readonly runId?: RunId
  /** Asked when the run is over. */
  readonly lease?: () => RunLease
}

/** What a piece of recorded work reports: its JSON result, and whether there was anything to do. */
export interface WorkResult<T> {
  readonly value: T
  readonly json: unknown
  readonly outcome: 'ok' | 'nothing-to-do'
  /** What a person reads about it. */
  readonly text: string
  /** The run id that the work put in its file names, when it made one itself. */
  readonly runId?: RunId
  /** What failed of work that went on with the rest of it: the run has failed, and still has a result. */
  readonly failure?: Error | undefined
  /** True when a signal ended it at a safe point, with more to do. */
  readonly isCut?: boolean
}

/**
 * Do `work` and write its record, whatever its end. Never throws what the work threw: see `error`. A request that
 * was refused before it began (unknown table, bucket missing) is not a run and leaves no record. Work has begun once
 * it changed the store (when that counts: written.ts) or called `begun`.
 */
export async function recordRun<T>(
  options: RecordRunOptions,
  work: (begun: () => void) => Promise<WorkResult<T>>,
): Promise<RecordedRun<T>> {
  const { clock, job, subject, signal, stop, store } = options
  const startedAtMillis = clock.nowMillis()
  const startedMonotonic = clock.monotonicMillis()
  const observed = beginRun({ job, subject, startedAtMillis })
  let done: WorkResult<T> | undefined
  let error: unknown
  let hasBegun = false
  const changesBefore = changesOf(store)
  try {
    done = await work(() => {
      hasBegun = true
    })
    error = done.failure
  } catch (thrown) {
    error = thrown ?? new Error('the run failed without a reason')
  }
  const isStopped = signal?.aborted === true || stop?.aborted === true
  const record: RunRecord = {
    schema: 'firn.run/1',
    job,
    run_id: done?.runId ?? options.runId ?? newRunId(clock),
    subject,
    started_at: new Date(startedAtMillis).toISOString(),
    finished_at: new Date(clock.nowMillis()).toISOString(),
    duration_ms: Math.round(clock.monotonicMillis() - startedMonotonic),
    outcome: error === undefined ? (done?.outcome ?? 'failed') : isStopped ? 'interrupted' : 'failed',
    ...(options.lease === undefined ? {} : { lease: options.lease() }),
    ...(error === undefined ? {} : { error: describe(error, isStopped) }),
    ...(done === undefined ? {} : { result: plain(done.json) }),
  }
  hasBegun ||= changesOf(store) > changesBefore
  const isRefused = FirnError.is(error) && (error.kind === 'invalid' || error.kind === 'not-found')
  if (hasBegun || !isRefused) await writeQuietly(options, record)
  observed.end(record, hasBegun || !isRefused)
  return { record, result: done?.value, text: done?.text ?? '', error, isCut: done?.isCut === true }
}

/** The record of a run that was not begun; for printing and counting. */
export function skippedRun(options: RecordRunOptions, skipped: SkipReason): RunRecord {
  const { clock, job, subject } = options
  const now = new Date(clock.nowMillis()).toISOString()
  const id = options.runId ?? newRunId(clock)
  const times = { started_at: now, finished_at: now, duration_ms: 0 }
  return { schema: 'firn.run/1', job, run_id: id, subject, ...times, outcome: 'skipped', skipped }
}

const RECORD_MILLIS = 10_000

async function writeQuietly(options: RecordRunOptions, record: RunRecord): Promise<void> {
  const { store, job, log, signal, clock } = options
  // Not under the run's signal: an interrupted run is recorded too.
  const last = lastSignal(signal, RECORD_MILLIS, clock)
  try {
    await writeRunRecord(store, job, record, { signal: last.signal })
  } catch (error) {
    log.warn({ err: error, job, run_id: record.run_id }, 'the run record was not written')
  } finally {
    last.release()
  }
}

function describe(error: unknown, isStopped: boolean): NonNullable<RunRecord['error']> {
  if (FirnError.is(error)) return { kind: error.kind, code: error.code, message: error.message, help: error.help }
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : []
  if (first !== undefined) return { ...describe(first, isStopped), message: (error as AggregateError).message }
  const message = error instanceof Error ? error.message : String(error)
  // the reason of a signal is no error of ours, and nothing unexpected
  if (isStopped) return { kind: 'interrupted', code: 'FIRN_INTERRUPTED', message }
  return { kind: 'unexpected', code: 'FIRN_UNEXPECTED', message }
}
