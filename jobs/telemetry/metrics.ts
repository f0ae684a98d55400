/**
 * Every metric: the one list that instruments, `docs/observability.md` and `deploy/alerts.yml` are checked against.
 * Names are OpenTelemetry's (dots, no unit, no `total`); the Prometheus name follows by the exporters' own rule.
 *
 * Labels are small closed sets: names of streams, tables and jobs as configured, and words of ours. What is different
 * in every run (ids, keys, shards, partitions) is in log lines and run records.
 */

export type MetricKind = 'counter' | 'histogram' | 'gauge'
export type Unit = 's' | 'By' | `{${string}}`

export interface Metric {
  readonly name: `firn.${string}`
  readonly kind: MetricKind
  readonly unit: Unit
  readonly labels: readonly string[]
  readonly help: string
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[]
}

export type Labels = Readonly<Record<string, string>>

const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const WAIT_SECONDS = [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]
const JOB_SECONDS = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400]

const counter = (name: Metric['name'], unit: Unit, labels: readonly string[], help: string): Metric => ({
  name,
  kind: 'counter',
  unit,
  labels,
  help,
})
const gauge = (name: Metric['name'], unit: Unit, labels: readonly string[], help: string): Metric => ({
  name,
  kind: 'gauge',
  unit,
  labels,
  help,
})
const seconds = (
  name: Metric['name'],
  buckets: readonly number[],
  labels: readonly string[],
  help: string,
): Metric => ({ name, kind: 'histogram', unit: 's', labels, help, buckets })

const COMMIT = ['table', 'operation', 'outcome']

export type MetricName =
  | 'ingestRecords'
  | 'ingestBytes'
  | 'ingestLag'
  | 'ingestThrottled'
  | 'ingestIteratorExpired'
  | 'ingestDataLoss'
  | 'stagingOldest'
  | 'commitDuration'
  | 'commitAttempts'
  | 'scanPlanningDuration'
  | 'scanFiles'
  | 'tableFiles'
  | 'tableSize'
  | 'tableSnapshots'
  | 'tableLastCommit'
  | 'storeRequests'
  | 'storeBytes'
  | 'storeDuration'
  | 'loaderRows'
  | 'loaderWait'
  | 'jobDuration'
  | 'jobRuns'
  | 'jobLastSuccess'
  | 'jobSkipped'
  | 'recordsQuarantined'
  | 'recordsDeduplicated'

export const metrics: Readonly<Record<MetricName, Metric>> = {
  ingestRecords: counter('firn.ingest.records', '{record}', ['stream', 'outcome'], 'Records stored in staging.'),
  ingestBytes: counter(
    'firn.ingest.bytes',
    'By',
    ['stream', 'outcome'],
    'Record data stored in staging, uncompressed.',
  ),
  ingestLag: gauge('firn.ingest.lag', 's', ['stream'], 'How far the slowest shard was behind its tip when last read.'),
  ingestThrottled: counter('firn.ingest.throttled', '{request}', ['stream'], 'Requests that the stream throttled.'),
  ingestIteratorExpired: counter('firn.ingest.iterator_expired', '{iterator}', ['stream'], 'Iterators that expired.'),
  ingestDataLoss: counter(
    'firn.ingest.data_loss',
    '{gap}',
    ['stream'],
    'Places where records were lost before landing.',
  ),
  stagingOldest: gauge(
    'firn.staging.oldest_unconsumed',
    's',
    ['table'],
    'Age of the oldest chunk in staging that the table has not consumed, as far as this process knows; 0: none.',
  ),
  commitDuration: seconds('firn.commit.duration', REQUEST_SECONDS, COMMIT, 'Time of a commit with all of its tries.'),
  commitAttempts: counter('firn.commit.attempts', '{attempt}', COMMIT, 'Tries of commits.'),
  scanPlanningDuration: seconds('firn.scan.planning.duration', REQUEST_SECONDS, ['table'], 'Time of planning a scan.'),
  scanFiles: counter('firn.scan.files', '{file}', ['table', 'result'], 'Data files that scans planned, or skipped.'),
  tableFiles: gauge('firn.table.files', '{file}', ['table', 'content'], 'Files of the current snapshot.'),
  tableSize: gauge('firn.table.size', 'By', ['table'], 'Bytes of the files of the current snapshot, of every content.'),
  tableSnapshots: gauge('firn.table.snapshots', '{snapshot}', ['table'], 'Snapshots that the table keeps.'),
  tableLastCommit: gauge(
    'firn.table.last_commit_timestamp',
    's',
    ['table'],
    'Time of the last commit of this process.',
  ),
  storeRequests: counter('firn.store.requests', '{request}', ['op', 'outcome'], 'Requests to object stores.'),
  storeBytes: counter('firn.store.bytes', 'By', ['op', 'outcome'], 'Bytes of objects that were read or written.'),
  storeDuration: seconds(
    'firn.store.duration',
    REQUEST_SECONDS,
    ['op', 'outcome'],
    'Time of requests to object stores.',
  ),
  loaderRows: counter('firn.loader.rows', '{row}', ['table', 'split'], 'Rows that a training program took.'),
  loaderWait: seconds(
    'firn.loader.wait.duration',
    WAIT_SECONDS,
    ['table', 'split'],
    'How long a training program waited for a batch.',
  ),
  jobDuration: seconds('firn.job.duration', JOB_SECONDS, ['job', 'outcome'], 'Time of a run.'),
  jobRuns: counter('firn.job.runs', '{run}', ['job', 'outcome'], 'Runs.'),
  jobLastSuccess: gauge('firn.job.last_success_timestamp', 's', ['job'], 'When the last run that succeeded ended.'),
  jobSkipped: counter('firn.job.skipped', '{run}', ['reason'], 'Runs that did not begin: another one did the work.'),
  recordsQuarantined: counter(
    'firn.records.quarantined',
    '{record}',
    ['table', 'reason'],
    'Records that committed runs refused.',
  ),
  recordsDeduplicated: counter(
    'firn.records.deduplicated',
    '{record}',
    ['table'],
    'Records of committed runs that others with their key replaced.',
  ),
}

/** Where readings go: a Prometheus registry, a meter of OpenTelemetry. */
export interface MetricSink {
  /** Counters. */
  add(metric: Metric, value: number, labels: Labels): void
  /** Histograms. */
  record(metric: Metric, value: number, labels: Labels): void
  /** Gauges. */
  set(metric: Metric, value: number, labels: Labels): void
  /** A gauge that is computed when somebody looks. */
  observe(metric: Metric, read: () => Iterable<readonly [value: number, labels: Labels]>): void
}

const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' }

/** The name in Prometheus: base units and `_total` as suffixes. */
export function prometheusName({ name, kind, unit }: Metric): string {
  const base = name.replaceAll('.', '_')
  const suffix = UNIT_SUFFIX[unit]
  const withUnit = suffix === undefined || base.endsWith(`_${suffix}`) ? base : `${base}_${suffix}`
  return kind === 'counter' ? `${withUnit}_total` : withUnit
}
