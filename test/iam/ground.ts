/** A stream and a warehouse on a clock that is set by hand, and the jobs as the scheduler runs them, under a policy. */
import { type CompactOptions, compactionWork } from '../../jobs/compaction/index.ts'
import { loadConfig } from '../../jobs/config.ts'
import { articles } from '../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../jobs/executors/executor.ts'
import { landingWork } from '../../jobs/landing/landing.ts'
import { maintainWork } from '../../jobs/maintenance/maintain.ts'
import type { JobSpec } from '../../jobs/scheduling/job-spec.ts'
import { createLanes } from '../../jobs/scheduling/lanes.ts'
import { type JobRunner, runJob } from '../../jobs/scheduling/run-job.ts'
import { createSchedulerState } from '../../jobs/scheduling/status.ts'
import { createLogger, type Logger } from '../../jobs/telemetry.ts'
import { type Clock, systemClock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'
import { openCatalog } from '../../table/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { openKinesisDoor } from '../contract/kinesis-door.ts'
import { MemoryKinesis } from '../contract/memory-kinesis.ts'
import { articleRecords, bytesOf, NOON } from '../jobs/compaction/fixture.ts'
import { guardedKinesis, guardedStore } from './guards.ts'
import { PLACES, type Policy } from './policy.ts'

export const STREAM: string = PLACES['STREAM']!
export const TABLE = 'news.articles'

export interface Ground {
  readonly clock: Clock
  /** Without a guard. */
  readonly store: ObjectStore
  readonly kinesis: MemoryKinesis
  pass(millis: number): void
  /** Articles, and one record that is none. */
  publish(from: number, to: number, isBad?: boolean): Promise<void>
  /** One article of 2 kB. */
  publishLong(): Promise<void>
  /** One run of a job; throws what the run, its lease or its record met. */
  run(kind: JobSpec['kind'], policy: Policy, compaction?: Partial<CompactOptions>): Promise<void>
}

let grounds = 0
const SHORT_MILLIS = 5_000
/** Between the two halves of an expiry. */
const EXPIRY_GRACE_MILLIS = 60_000
const LEASE_MILLIS = 3_600_000

export async function onGround<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  let passedMillis = 0
  const clock: Clock = {
    ...systemClock,
    nowMillis: () => epochMillis(NOON + passedMillis),
    // pauses take no time; what limits or renews something waits as it says
    sleep: async (millis, signal) => {
      if (millis < SHORT_MILLIS || millis === EXPIRY_GRACE_MILLIS) signal?.throwIfAborted()
      else await systemClock.sleep(millis, signal)
    },
  }
  const name = `iam-${process.pid}-${grounds++}`
  const store = openMemoryStore(name, { clock })
  const kinesis = new MemoryKinesis({ clock, trims: true })
  kinesis.createStream(STREAM, 4)
  const ground: Ground = {
    clock,
    store,
    kinesis,
    pass: (millis) => {
      passedMillis += millis
    },
    publish: async (from, to, isBad = true) => {
      const records = articleRecords(from, to).map(({ data }) => bytesOf(data))
      if (isBad) records.push(bytesOf(`not JSON ${from}`))
      const entries = records.map((data, index) => ({ partitionKey: `key-${from + index}`, data }))
      await kinesis.putRecords(STREAM, entries)
    },
    publishLong: async () => {
      const [long] = articleRecords(1000, 1001, () => ({ content: 'long '.repeat(400) }))
      await kinesis.putRecords(STREAM, [{ partitionKey: 'long', data: bytesOf(long!.data) }])
    },
    run: (kind, policy, compaction) => runUnder(ground, kind, policy, compaction ?? {}),
  }
  try {
    return await work(ground)
  } finally {
    dropMemoryStore(name)
  }
}

async function runUnder(
  { store, clock, kinesis }: Ground,
  kind: JobSpec['kind'],
  policy: Policy,
  compaction: Partial<CompactOptions>,
): Promise<void> {
  const guarded = guardedStore(store, policy)
  const door = await openKinesisDoor(guardedKinesis(kinesis, policy))
  const env = { FIRN_KINESIS__ENDPOINT: door.endpoint, FIRN_KINESIS__REGION: 'us-east-1' }
  const maintain = { expire: { retainLast: 4 } }
  const config = loadConfig({ env, cwd: '/nowhere', flags: { maintain } })
  const complaints: unknown[] = []
  const log = complaining(clock, complaints)
  const runner: JobRunner = async (job, { store: counted, begun, signal, last }) => {
    const common = { store: counted, clock, log, signal }
    if (job.kind === 'land') {
      const target = { kind: 'stream', stream: job.stream, start: { type: 'TRIM_HORIZON' } } as const
      return await landingWork({ ...common, target, config })
    }
    const catalog = openCatalog(counted, { clock })
    if (job.kind === 'maintain') return await maintainWork({ ...common, catalog, table: job.table, config })
    return await compactionWork({
      ...common,
      catalog,
      table: job.table,
      fallbackDataset: articles,
      executor: inlineExecutor(counted),
      commitSignal: last,
      onBegin: begun,
      ...compaction,
    })
  }
  const job = jobOf(kind)
  const signal = new AbortController().signal
  try {
    const error = await runJob(
      {
        store: guarded,
        clock,
        log,
        runner,
        lanes: createLanes(),
        state: createSchedulerState([job], clock, 'tester'),
        leaseTtlMillis: LEASE_MILLIS,
        stop: signal,
        last: signal,
        onRecord: () => {},
      },
      job,
      { unlessDone: false, wait: false },
    )
    if (error !== undefined) throw error
    if (complaints.length > 0) throw complaints[0]
  } finally {
    await door.close()
  }
}

function jobOf(kind: JobSpec['kind']): JobSpec {
  const cron = '* * * * *'
  if (kind === 'land') return { kind, stream: STREAM, start: 'TRIM_HORIZON', cron }
  if (kind === 'maintain') return { kind, table: TABLE, cron }
  return { kind, table: TABLE, dataset: undefined, streams: undefined, cron }
}

/** What a job goes on without is only logged (a run record, a lease that was not released): here it counts. */
function complaining(clock: Clock, complaints: unknown[]): Logger {
  return createLogger({
    format: 'json',
    level: 'info',
    clock,
    write: (line) => {
      const { level, err } = JSON.parse(line) as { level: string; err?: unknown }
      if (level !== 'info' && err !== undefined) complaints.push(err)
    },
  })
}
