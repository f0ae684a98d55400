/**
 * From messages to readings: the one place that knows which message moves which metric. It reads messages and run
 * records only, so that every sink shows the same numbers.
 */
import type { Clock } from '../../table/clock.ts'
import {
  type CommitMessage,
  commitChannel,
  compactionChannel,
  type IngestMessage,
  ingestChannel,
  loaderChannel,
  type StoreRequest,
  scanChannel,
  storeChannel,
  type TableTotals,
} from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import type { RunRecord, SkipReason } from '../runs.ts'
import { type Labels, type Metric, type MetricSink, metrics } from './metrics.ts'
import { subscribeToRuns } from './run-channel.ts'
import { stagingAge } from './staging-age.ts'

export interface Recorder {
  /** What was counted before is not in it. */
  addSink(sink: MetricSink): void
  /** What a scheduler left to others. */
  skipped(reason: SkipReason): void
  close(): void
}

export interface RecorderOptions {
  readonly clock: Clock
  /** Told of a message that could not be counted; whoever published it must not notice. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** Counts until it is closed. */
export function createRecorder({ clock, onError }: RecorderOptions): Recorder {
  const sinks: MetricSink[] = []
  const sink = fanOut(sinks)
  const lags = new Map<string, Map<string, number>>()
  const staging = stagingAge()
  const stagingAges = function* (): Generator<readonly [number, Labels]> {
    for (const [table, ageMillis] of staging.ages(clock.nowMillis())) yield [ageMillis / 1000, { table }]
  }
  const safely =
    <Message>(count: (message: Message) => void) =>
    (message: Message): void => {
      try {
        count(message)
      } catch (error) {
        onError?.(error)
      }
    }
  const subscriptions = [
    commitChannel.subscribe(safely((message) => countCommit(sink, message))),
    scanChannel.subscribe(
      safely(({ table, planningMillis, resultDataFiles, skippedDataFiles }) => {
        sink.record(metrics.scanPlanningDuration, planningMillis / 1000, { table })
        sink.add(metrics.scanFiles, resultDataFiles, { table, result: 'planned' })
        sink.add(metrics.scanFiles, skippedDataFiles, { table, result: 'skipped' })
      }),
    ),
    storeChannel.subscribe(
      safely((message) => {
        if (message.kind === 'tally') {
          for (const totals of message.totals) countStore(sink, storeLabels(totals), totals.requests, totals.bytes)
          return
        }
        const labels = storeLabels(message)
        countStore(sink, labels, 1, message.bytes)
        sink.record(metrics.storeDuration, message.durationMillis / 1000, labels)
      }),
    ),
    ingestChannel.subscribe(
      safely((message) => {
        if (message.kind === 'chunk') staging.landed(message.stream, clock.nowMillis())
        countIngest(sink, lags, message)
      }),
    ),
    loaderChannel.subscribe(
      safely(({ table, split, rows, waitMillis }) => {
        sink.add(metrics.loaderRows, rows, { table, split })
        sink.record(metrics.loaderWait, waitMillis / 1000, { table, split })
      }),
    ),
    compactionChannel.subscribe(
      safely((message) => {
        if (message.kind === 'staging') staging.told(message)
      }),
    ),
    subscribeToRuns(
      safely((message) => {
        if (message.phase === 'end' && message.recorded) countRun(sink, message.record)
      }),
    ),
  ]
  return {
    addSink: (added) => {
      sinks.push(added)
      added.observe(metrics.stagingOldest, stagingAges)
    },
    skipped: (reason) => sink.add(metrics.jobSkipped, 1, { reason }),
    close: () => {
      for (const end of subscriptions) end()
    },
  }
}

type Readings = Omit<MetricSink, 'observe'>

/** To a metric's own label names: a wrong one would be a series that no rule looks at. */
function checked(metric: Metric, labels: Labels): Labels {
  const given = Object.keys(labels)
  if (given.length === metric.labels.length && given.every((name) => metric.labels.includes(name))) return labels
  const message = `metric ${metric.name} has the labels ${metric.labels.join(', ')}, got ${given.join(', ')}`
  throw new FirnError('invalid', 'FIRN_METRIC_LABELS', message)
}

const fanOut = (sinks: readonly MetricSink[]): Readings => ({
  add: (metric, value, labels) => {
    for (const sink of sinks) sink.add(metric, value, checked(metric, labels))
  },
  record: (metric, value, labels) => {
    for (const sink of sinks) sink.record(metric, value, checked(metric, labels))
  },
  set: (metric, value, labels) => {
    for (const sink of sinks) sink.set(metric, value, checked(metric, labels))
  },
})

/** A look at an object's size is a read of it. */
const storeLabels = ({ op, outcome }: Pick<StoreRequest, 'op' | 'outcome'>): Labels => ({
  op: op === 'head' ? 'get' : op,
  outcome,
})

function countStore(sink: Readings, labels: Labels, requests: number, bytes: number): void {
  sink.add(metrics.storeRequests, requests, labels)
  if (bytes > 0) sink.add(metrics.storeBytes, bytes, labels)
}

function countCommit(sink: Readings, message: CommitMessage): void {
  const { table, operation, outcome, durationMillis, attempts, totals } = message
  const labels = { table, operation, outcome }
  sink.record(metrics.commitDuration, durationMillis / 1000, labels)
  sink.add(metrics.commitAttempts, attempts, labels)
  if (totals !== undefined) showTable(sink, table, totals)
}

function showTable(sink: Readings, table: string, totals: TableTotals): void {
  const { dataFiles, filesSizeBytes, snapshots, timestampMillis } = totals
  if (dataFiles !== undefined) sink.set(metrics.tableFiles, dataFiles, { table, content: 'data' })
  const deletes = deleteFilesOf(totals)
  if (deletes !== undefined) {
    sink.set(metrics.tableFiles, deletes.position, { table, content: 'position_delete' })
    sink.set(metrics.tableFiles, deletes.equality, { table, content: 'equality_delete' })
  }
  if (filesSizeBytes !== undefined) sink.set(metrics.tableSize, filesSizeBytes, { table })
  sink.set(metrics.tableSnapshots, snapshots, { table })
  sink.set(metrics.tableLastCommit, timestampMillis / 1000, { table })
}

/** A summary counts delete files of both kinds together; which they are follows where there are deletes of one kind. */
function deleteFilesOf(totals: TableTotals): { readonly position: number; readonly equality: number } | undefined {
  const { deleteFiles, positionDeletes, equalityDeletes } = totals
  if (deleteFiles === undefined) return undefined
  if (deleteFiles === 0 || equalityDeletes === 0) return { position: deleteFiles, equality: 0 }
  return positionDeletes === 0 ? { position: 0, equality: deleteFiles } : undefined
}

function countIngest(sink: Readings, lags: Map<string, Map<string, number>>, message: IngestMessage): void {
  const { stream } = message
  switch (message.kind) {
    case 'chunk': {
      const labels = { stream, outcome: 'landed' }
      sink.add(metrics.ingestRecords, message.records, labels)
      sink.add(metrics.ingestBytes, message.bytes, labels)
      return
    }
    case 'lag': {
      const shards = lags.get(stream) ?? new Map<string, number>()
      lags.set(stream, shards)
      if (message.behindMillis === undefined) shards.delete(message.shardId)
      else shards.set(message.shardId, message.behindMillis)
      let slowest = 0
      for (const millis of shards.values()) slowest = Math.max(slowest, millis)
      sink.set(metrics.ingestLag, slowest / 1000, { stream })
      return
    }
    case 'stream':
      return
    case 'gap':
      sink.add(metrics.ingestDataLoss, 1, { stream })
      return
    case 'throttled':
      sink.add(metrics.ingestThrottled, 1, { stream })
      return
    case 'iterator-expired':
      sink.add(metrics.ingestIteratorExpired, 1, { stream })
      return
  }
}

function countRun(sink: Readings, record: RunRecord): void {
  const { job, outcome, duration_ms, finished_at, result } = record
  sink.record(metrics.jobDuration, duration_ms / 1000, { job, outcome })
  sink.add(metrics.jobRuns, 1, { job, outcome })
  if (outcome === 'ok' || outcome === 'nothing-to-do') {
    sink.set(metrics.jobLastSuccess, Date.parse(finished_at) / 1000, { job })
  }
  const refused = compacted(result)
  if (refused === undefined) return
  const { table, duplicates, quarantined } = refused
  if (duplicates > 0) sink.add(metrics.recordsDeduplicated, duplicates, { table })
  for (const [reason, rows] of quarantined) sink.add(metrics.recordsQuarantined, rows, { table, reason })
}

/** What a run that made a snapshot says of the records that are not in it. */
function compacted(
  result: unknown,
):
  | { readonly table: string; readonly duplicates: number; readonly quarantined: ReadonlyMap<string, number> }
  | undefined {
  if (typeof result !== 'object' || result === null) return undefined
  const { table, snapshot_id, duplicates, quarantined } = result as Readonly<Record<string, unknown>>
  if (typeof snapshot_id !== 'string') return undefined
  if (typeof table !== 'string' || typeof quarantined !== 'object' || quarantined === null) return undefined
  const byReason = new Map<string, number>()
  for (const [reason, rows] of Object.entries(quarantined)) {
    // behind the colon is a field of the user's: as many series as there are fields would be too many
    const label = reason.split(':', 1)[0]!
    byReason.set(label, (byReason.get(label) ?? 0) + Number(rows))
  }
  return { table, duplicates: Number(duplicates ?? 0), quarantined: byReason }
}
