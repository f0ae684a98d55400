/** Messages and run records to readings. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunRecord } from '../../../jobs/runs.ts'
import { type Metric, type MetricSink, metrics, prometheusName } from '../../../jobs/telemetry/metrics.ts'
import { type PrometheusSink, prometheusSink } from '../../../jobs/telemetry/prometheus.ts'
import { createRecorder, type Recorder } from '../../../jobs/telemetry/recorder.ts'
import { beginRun } from '../../../jobs/telemetry/run-channel.ts'
import { stagingAge } from '../../../jobs/telemetry/staging-age.ts'
import { tellTaskTelemetry } from '../../../jobs/telemetry/store-tally.ts'
import {
  type CommitMessage,
  commitChannel,
  compactionChannel,
  ingestChannel,
  loaderChannel,
  storeChannel,
  type TableTotals,
} from '../../../table/diagnostics.ts'
import { runId } from '../../../table/ids.ts'
import { virtualClock } from '../../ingest/virtual-clock.ts'
import { samplesOf } from './prometheus-text.ts'

const clock = virtualClock()
let sink: PrometheusSink
let recorder: Recorder
const errors: unknown[] = []
beforeEach(() => {
  errors.length = 0
  sink = prometheusSink()
  recorder = createRecorder({ clock, onError: (error) => errors.push(error) })
  recorder.addSink(sink)
})
afterEach(() => {
  recorder.close()
  expect(errors).toEqual([])
})
const read = async (prefix: string): Promise<Record<string, number>> =>
  Object.fromEntries(
    [...samplesOf(await sink.text())].filter(([name]) => name.startsWith(prefix) && !name.includes('_bucket')),
  )

const totals: TableTotals = {
  dataFiles: 4,
  deleteFiles: 0,
  positionDeletes: 0,
  equalityDeletes: 0,
  records: 10,
  filesSizeBytes: 1000,
  snapshots: 3,
  timestampMillis: 1_795_262_400_500,
}
const commit = (change: Partial<CommitMessage>): void =>
  commitChannel.publish({
    table: 'news.articles',
    operation: 'append',
    outcome: 'ok',
    durationMillis: 1500,
    attempts: 2,
    recovered: false,
    snapshotId: '1',
    sequenceNumber: 1,
    counts: undefined,
    totals,
    errorCode: undefined,
    ...change,
  })

describe('a table after a commit', () => {
  test('is shown with files, size, snapshots and time', async () => {
    commit({})
    expect(await read('firn_table_')).toEqual({
      'firn_table_files{content="data",table="news.articles"}': 4,
      'firn_table_files{content="equality_delete",table="news.articles"}': 0,
      'firn_table_files{content="position_delete",table="news.articles"}': 0,
      'firn_table_size_bytes{table="news.articles"}': 1000,
      'firn_table_snapshots{table="news.articles"}': 3,
      'firn_table_last_commit_timestamp_seconds{table="news.articles"}': 1_795_262_400.5,
    })
  })

  test.each([
    [{ positionDeletes: 7, equalityDeletes: 0 }, [0, 2]],
    [{ positionDeletes: 0, equalityDeletes: 7 }, [2, 0]],
    // which of them are which is not known: nothing is better than a guess
    [{ positionDeletes: 3, equalityDeletes: 7 }, [undefined, undefined]],
  ])('delete files are told apart by what they delete: %o', async (deletes, [equality, position]) => {
    commit({ totals: { ...totals, deleteFiles: 2, ...deletes } })
    const shown = await read('firn_table_files')
    expect(shown['firn_table_files{content="equality_delete",table="news.articles"}']).toBe(equality)
    expect(shown['firn_table_files{content="position_delete",table="news.articles"}']).toBe(position)
  })

  test('a commit that did not take effect shows nothing of the table, and counts under its outcome', async () => {
    commit({ outcome: 'unknown', totals: undefined })
    expect(await read('firn_table_')).toEqual({})
    expect(await read('firn_commit_')).toEqual({
      'firn_commit_attempts_total{operation="append",outcome="unknown",table="news.articles"}': 2,
      'firn_commit_duration_seconds_count{operation="append",outcome="unknown",table="news.articles"}': 1,
      'firn_commit_duration_seconds_sum{operation="append",outcome="unknown",table="news.articles"}': 1.5,
    })
  })
})

test('the lag of a stream is that of its slowest shard; one that ended has none', async () => {
  const lag = (shardId: string, behindMillis: number | undefined): void =>
    ingestChannel.publish({ kind: 'lag', stream: 'Orders', shardId, behindMillis })
  lag('a', 5000)
  lag('b', 90_000)
  lag('a', 0)
  expect(await read('firn_ingest_lag')).toEqual({ 'firn_ingest_lag_seconds{stream="Orders"}': 90 })
  lag('b', undefined)
  expect(await read('firn_ingest_lag')).toEqual({ 'firn_ingest_lag_seconds{stream="Orders"}': 0 })
})

test('gaps, throttling, expired iterators and batches of a loader are counted', async () => {
  ingestChannel.publish({ kind: 'gap', stream: 'Orders', shardId: 'a' })
  ingestChannel.publish({ kind: 'throttled', stream: 'Orders' })
  ingestChannel.publish({ kind: 'throttled', stream: 'Orders' })
  ingestChannel.publish({ kind: 'iterator-expired', stream: 'Orders' })
  loaderChannel.publish({ table: 'news.articles', split: 'all', rows: 64, waitMillis: 20 })
  recorder.skipped('lease')
  expect(await read('firn_')).toEqual({
    'firn_ingest_data_loss_total{stream="Orders"}': 1,
    'firn_ingest_throttled_total{stream="Orders"}': 2,
    'firn_ingest_iterator_expired_total{stream="Orders"}': 1,
    'firn_loader_rows_total{split="all",table="news.articles"}': 64,
    'firn_loader_wait_duration_seconds_count{split="all",table="news.articles"}': 1,
    'firn_loader_wait_duration_seconds_sum{split="all",table="news.articles"}': 0.02,
    'firn_job_skipped_total{reason="lease"}': 1,
  })
})

test('a look at an object counts as a get; requests of tasks elsewhere are added', async () => {
  storeChannel.publish({ op: 'head', outcome: 'ok', bytes: 0, durationMillis: 5 })
  storeChannel.publish({ op: 'get', outcome: 'ok', bytes: 100, durationMillis: 5 })
  tellTaskTelemetry({
    store: [
      { op: 'get', outcome: 'ok', requests: 10, bytes: 900 },
      { op: 'put', outcome: 'failed', requests: 1, bytes: 0 },
    ],
  })
  expect(await read('firn_store_')).toEqual({
    'firn_store_requests_total{op="get",outcome="ok"}': 12,
    'firn_store_requests_total{op="put",outcome="failed"}': 1,
    'firn_store_bytes_total{op="get",outcome="ok"}': 1000,
    'firn_store_duration_seconds_count{op="get",outcome="ok"}': 2,
    'firn_store_duration_seconds_sum{op="get",outcome="ok"}': 0.01,
  })
})

describe('a run', () => {
  const record = (change: Partial<RunRecord>): RunRecord => ({
    schema: 'firn.run/1',
    job: 'compact',
    run_id: runId('0123456789abcdef'),
    subject: 'news.articles',
    started_at: '2026-11-21T12:00:00.000Z',
    finished_at: '2026-11-21T12:01:00.500Z',
    duration_ms: 60_500,
    outcome: 'ok',
    ...change,
  })
  const run = (change: Partial<RunRecord>, recorded = true): void =>
    beginRun({ job: 'compact', subject: 'news.articles', startedAtMillis: 0 }).end(record(change), recorded)

  test('counts its records by the reason without the field that it names', async () => {
    const quarantined = { 'schema.required:/a': 2, 'schema.required:/b': 3, 'decode.json': 1 }
    run({ result: { table: 'news.articles', snapshot_id: '1', duplicates: 4, quarantined } })
    expect(await read('firn_records_')).toEqual({
      'firn_records_deduplicated_total{table="news.articles"}': 4,
      'firn_records_quarantined_total{reason="decode.json",table="news.articles"}': 1,
      'firn_records_quarantined_total{reason="schema.required",table="news.articles"}': 5,
    })
  })

  test('that committed nothing counts no records', async () => {
    run({ result: { table: 'news.articles', snapshot_id: null, duplicates: 4, quarantined: { missing_key: 1 } } })
    expect(await read('firn_records_')).toEqual({})
  })

  test('that failed leaves the time of the last success as it is', async () => {
    run({ outcome: 'nothing-to-do' })
    run({ outcome: 'failed', finished_at: '2026-11-21T13:00:00.000Z' })
    expect(await read('firn_job_last')).toEqual({
      'firn_job_last_success_timestamp_seconds{job="compact"}': Date.parse('2026-11-21T12:01:00.500Z') / 1000,
    })
    expect(await read('firn_job_runs')).toEqual({
      'firn_job_runs_total{job="compact",outcome="failed"}': 1,
      'firn_job_runs_total{job="compact",outcome="nothing-to-do"}': 1,
    })
  })

  test('that was refused before it began is none', async () => {
    run({ outcome: 'failed' }, false)
    expect(await read('firn_job_')).toEqual({})
  })
})

describe('the oldest chunk that is not consumed', () => {
  test('grows older while nobody compacts, as seen by a scrape', async () => {
    const oldestMillis = clock.nowMillis() - 60_000
    compactionChannel.publish({ kind: 'staging', when: 'planned', table: 't.a', streams: ['Orders'], oldestMillis })
    expect(await read('firn_staging')).toEqual({ 'firn_staging_oldest_unconsumed_seconds{table="t.a"}': 60 })
    clock.advance(30_000)
    expect(await read('firn_staging')).toEqual({ 'firn_staging_oldest_unconsumed_seconds{table="t.a"}': 90 })
  })

  test('after a run is what landed while it ran, else what lands next; other streams do not count', () => {
    const ages = stagingAge()
    const told = (when: 'planned' | 'done', oldestMillis: number | undefined): void =>
      ages.told({ kind: 'staging', when, table: 't', streams: ['Orders'], oldestMillis })
    const age = (now: number): number => [...ages.ages(now)][0]![1]
    expect([...ages.ages(0)]).toEqual([])
    told('planned', 1000)
    expect(age(5000)).toBe(4000)
    ages.landed('Clicks', 2000)
    ages.landed('Orders', 3000)
    told('done', undefined)
    expect(age(5000), 'landed while the run was going').toBe(2000)
    told('planned', 3000)
    told('done', undefined)
    expect(age(9000)).toBe(0)
    ages.landed('Orders', 8000)
    ages.landed('Orders', 8500)
    expect(age(9000)).toBe(1000)
  })
})

test('a sink that breaks, or labels that a metric does not have, harm nobody who publishes', () => {
  const own: unknown[] = []
  const broken: MetricSink = {
    add: () => {
      throw new Error('broken')
    },
    record: () => {},
    set: () => {},
    observe: () => {},
  }
  const other = createRecorder({ clock, onError: (error) => own.push(error) })
  other.addSink(broken)
  ingestChannel.publish({ kind: 'throttled', stream: 'Orders' })
  other.close()
  expect(own).toHaveLength(1)
})

test('names follow the rule of the exporters: base unit, and total for counters', () => {
  const names = Object.values<Metric>(metrics).map(prometheusName)
  expect(names).toContain('firn_ingest_bytes_total')
  expect(names).toContain('firn_table_size_bytes')
  expect(names).toContain('firn_job_last_success_timestamp_seconds')
  expect(new Set(names).size).toBe(names.length)
  for (const metric of Object.values<Metric>(metrics)) {
    expect(metric.name, 'units and totals are for exporters').not.toMatch(/_(total|seconds)$/)
    expect(prometheusName(metric)).toMatch(/^firn_[a-z_]+$/)
  }
})
