/**
 * One stream landed and compacted by the command line itself: what a scrape, OpenTelemetry, lineage, the status and the
 * run records say is one set of numbers.
 */
import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { metrics as otelApi } from '@opentelemetry/api'
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createContext } from '../../../jobs/context.ts'
import { buildProgram } from '../../../jobs/main.ts'
import type { HealthServer } from '../../../jobs/telemetry/health.ts'
import { type Metric, metrics, prometheusName } from '../../../jobs/telemetry/metrics.ts'
import { systemClock } from '../../../table/clock.ts'
import { type KinesisDoor, openKinesisDoor } from '../../contract/kinesis-door.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { type Home, makeHome, withVariables } from '../cli-support.ts'
import { samplesOf } from './prometheus-text.ts'

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
const provider = new MeterProvider({ readers: [reader] })

type Json = Record<string, unknown>
interface Observed {
  readonly result: Json
  readonly scrape: Map<string, number>
  readonly status: Json
}

let home: Home
let door: KinesisDoor
let landed: Observed
let compacted: Observed
let otel: Map<string, number>
let exportedAtEnd: number

/** One command line with a server, which is asked when the work is done and ends with it. */
async function observed(args: readonly string[]): Promise<Observed> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const handle = createContext({ signal: new AbortController().signal, stdout, stderr })
  const program = buildProgram(handle, { env: process.env, cwd: home.dir, stdout, stderr })
  let server: HealthServer | undefined
  program.hook('preAction', async () => {
    server = await handle.context.telemetry.serve('127.0.0.1:0')
  })
  try {
    const telemetry = ['--metrics-file', home.path('m.prom'), '--lineage', home.path('lineage.ndjson')]
    await program.parseAsync([...args, ...telemetry, '--output', 'json'], { from: 'user' })
    const scrape = samplesOf(await (await fetch(`${server!.url}/metrics`)).text())
    const status = (await (await fetch(`${server!.url}/status`)).json()) as Json
    return { result: JSON.parse(String(stdout.read())) as Json, scrape, status }
  } finally {
    await handle.close()
    expect(String(stderr.read() ?? '')).not.toMatch(/warn/)
    await expect(fetch(`${server!.url}/healthz`)).rejects.toThrow()
  }
}

/** Every reading of the SDK under the name and the labels that Prometheus has; of histograms count and sum. */
function otelSamples(): Map<string, number> {
  const byName = new Map(Object.values<Metric>(metrics).map((metric) => [metric.name as string, metric]))
  const samples = new Map<string, number>()
  for (const { scopeMetrics } of exporter.getMetrics().slice(-1)) {
    for (const metric of scopeMetrics.flatMap((scope) => scope.metrics)) {
      const base = prometheusName(byName.get(metric.descriptor.name)!)
      for (const point of metric.dataPoints) {
        const labels = Object.entries(point.attributes).map(([name, value]) => `${name}="${value}"`)
        const suffix = labels.length === 0 ? '' : `{${labels.sort().join(',')}}`
        if (metric.dataPointType === DataPointType.HISTOGRAM) {
          const { count, sum } = point.value as { count: number; sum?: number }
          samples.set(`${base}_count${suffix}`, count)
          samples.set(`${base}_sum${suffix}`, sum ?? 0)
        } else samples.set(`${base}${suffix}`, point.value as number)
      }
    }
  }
  return samples
}

const article = (n: number): Json => ({
  article_id: `a${n % 90}`,
  title: `Title ${n}`,
  author: null,
  publish_date: new Date(1_795_262_400_000 - n * 60_000).toISOString(),
  content: `Words of article ${n}.`,
})

beforeAll(async () => {
  otelApi.setGlobalMeterProvider(provider)
  const kinesis = new MemoryKinesis({ clock: systemClock, pageRecords: 40 })
  kinesis.createStream('Orders', 2)
  const shards = (await kinesis.listShards('Orders')).shards
  for (let n = 0; n < 100; n++) {
    const data =
      n % 50 === 7 ? 'no json' : n % 50 === 8 ? JSON.stringify({ title: 'no key' }) : JSON.stringify(article(n))
    kinesis.putInto('Orders', shards[n % 2]!.shardId, data)
  }
  door = await openKinesisDoor(kinesis)
  home = makeHome()
  const env = {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_KINESIS: door.endpoint,
  }
  await withVariables(env, async () => {
    landed = await observed(['land', '--stream', 'Orders'])
    exportedAtEnd = exporter.getMetrics().length
    compacted = await observed(['compact', 'news.articles', '--stream', 'Orders'])
  })
  await reader.forceFlush()
  otel = otelSamples()
}, 60_000)
afterAll(async () => {
  otelApi.disable()
  await provider.shutdown()
  await door.close()
  home.remove()
})

function recordOf(job: string): Json & { result: Json } {
  const [file] = home.files().filter((name) => name.includes(`/_runs/${job}/`))
  return JSON.parse(readFileSync(home.path(file!), 'utf8')) as Json & { result: Json }
}

interface Event {
  readonly eventType: string
  readonly eventTime: string
  readonly run: { readonly runId: string; readonly facets: Record<string, Json> }
  readonly job: { readonly namespace: string; readonly name: string }
  readonly inputs: readonly Dataset[]
  readonly outputs: readonly Dataset[]
}
interface Dataset {
  readonly namespace: string
  readonly name: string
  readonly facets?: Record<string, Json>
  readonly inputFacets?: Record<string, Json>
  readonly outputFacets?: Record<string, Json>
}
const eventsOf = (job: string): Event[] =>
  readFileSync(home.path('lineage.ndjson'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
    .filter(({ job: { name } }) => name.startsWith(`${job}.`))

test('the run has something of everything: bad records, duplicates, two shards', () => {
  expect(landed.result).toMatchObject({ records: 100, stream: 'Orders' })
  expect(compacted.result).toMatchObject({
    records_read: 100,
    quarantined: { 'decode.json': 2, missing_key: 2 },
    nothing_to_do: false,
  })
  expect(Number(compacted.result['duplicates'])).toBeGreaterThan(0)
})

describe('a scrape', () => {
  test('says of landing what its run record says', () => {
    const { result, duration_ms, finished_at, outcome } = recordOf('land')
    const at = (name: string): number | undefined => landed.scrape.get(name)
    expect(at('firn_ingest_records_total{outcome="landed",stream="Orders"}')).toBe(result['records'])
    expect(at('firn_ingest_bytes_total{outcome="landed",stream="Orders"}')).toBe(result['bytes'])
    const behind = (result['shards'] as { millis_behind_latest: number }[]).map((shard) => shard.millis_behind_latest)
    expect(at('firn_ingest_lag_seconds{stream="Orders"}')).toBe(Math.max(...behind) / 1000)
    expect(at('firn_job_runs_total{job="land",outcome="ok"}')).toBe(1)
    expect(outcome).toBe('ok')
    expect(at('firn_job_duration_seconds_sum{job="land",outcome="ok"}')).toBe(Number(duration_ms) / 1000)
    expect(at('firn_job_last_success_timestamp_seconds{job="land"}')).toBe(Date.parse(String(finished_at)) / 1000)
    expect([...landed.scrape.keys()].filter((name) => name.startsWith('firn_ingest_data_loss'))).toEqual([])
  })

  test('says of compaction what its run record says', () => {
    const { result } = recordOf('compact')
    expect(result).toEqual(compacted.result)
    const at = (name: string): number | undefined => compacted.scrape.get(name)
    const commit = '{operation="append",outcome="ok",table="news.articles"}'
    expect(at(`firn_commit_attempts_total${commit}`)).toBe(result['commit_attempts'])
    expect(at(`firn_commit_duration_seconds_count${commit}`)).toBe(1)
    expect(at('firn_table_files{content="data",table="news.articles"}')).toBe(result['files_added'])
    expect(at('firn_table_size_bytes{table="news.articles"}')).toBe(result['bytes_added'])
    expect(at('firn_table_snapshots{table="news.articles"}')).toBe(1)
    expect(at('firn_records_deduplicated_total{table="news.articles"}')).toBe(result['duplicates'])
    for (const [reason, rows] of Object.entries(result['quarantined'] as Record<string, number>)) {
      expect(at(`firn_records_quarantined_total{reason="${reason}",table="news.articles"}`)).toBe(rows)
    }
    expect(at('firn_staging_oldest_unconsumed_seconds{table="news.articles"}')).toBe(0)
  })

  test('and the metrics file are the same text of numbers', () => {
    const file = samplesOf(readFileSync(home.path('m.prom'), 'utf8'))
    const settled = (all: Map<string, number>): object =>
      Object.fromEntries([...all].filter(([name]) => !name.startsWith('firn_store_')))
    expect(settled(file)).toEqual(settled(compacted.scrape))
  })
})

test('OpenTelemetry exports at the end of a command, before its process ends', () => {
  expect(exportedAtEnd).toBeGreaterThan(0)
})

test('OpenTelemetry has every number of both scrapes, and no other', () => {
  const file = samplesOf(readFileSync(home.path('m.prom'), 'utf8'))
  const expected = new Map<string, number>()
  for (const scrape of [landed.scrape, file]) {
    for (const [name, value] of scrape) {
      if (name.includes('_bucket{')) continue
      const adds = /_(total|sum|count)(\{|$)/.test(name)
      expected.set(name, adds ? (expected.get(name) ?? 0) + value : value)
    }
  }
  expect([...otel.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, value] of expected) expect(otel.get(name), name).toBeCloseTo(value, 9)
})

describe('lineage', () => {
  test('of landing: from the stream by its ARN to staging', () => {
    const { result, run_id } = recordOf('land')
    const [start, complete, ...more] = eventsOf('land')
    expect(more).toEqual([])
    expect([start!.eventType, complete!.eventType]).toEqual(['START', 'COMPLETE'])
    expect(complete!.run.runId).toBe(start!.run.runId)
    expect(complete!.run.runId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(complete!.run.facets['firn_run']).toMatchObject({ runId: run_id, outcome: 'ok' })
    const [input] = complete!.inputs
    expect(input).toMatchObject({ namespace: 'arn:aws:kinesis:us-east-1:000000000000', name: 'stream/Orders' })
    expect(input!.inputFacets!['inputStatistics']).toMatchObject({ rowCount: result['records'], size: result['bytes'] })
    expect(complete!.outputs[0]!.outputFacets!['outputStatistics']).toMatchObject({
      rowCount: result['records'],
      size: result['bytes'],
      fileCount: result['chunks'],
    })
  })

  test('of compaction: from where landing wrote to the table at its snapshot', () => {
    const { result, finished_at } = recordOf('compact')
    const [start, complete, ...more] = eventsOf('compact')
    expect(more).toEqual([])
    expect([start!.eventType, complete!.eventType, complete!.eventTime]).toEqual(['START', 'COMPLETE', finished_at])
    const { namespace, name } = eventsOf('land')[1]!.outputs[0]!
    expect(complete!.inputs).toHaveLength(1)
    expect(complete!.inputs[0]).toMatchObject({ namespace, name })
    expect(complete!.inputs[0]!.inputFacets!['inputStatistics']).toMatchObject({ rowCount: result['records_read'] })
    const [table] = complete!.outputs
    expect(table!.name).toBe(home.path('.firn/warehouse/news/articles'))
    expect(start!.outputs[0]).toMatchObject({ namespace: table!.namespace, name: table!.name })
    expect(table!.facets!['version']).toMatchObject({ datasetVersion: result['snapshot_id'] })
    const columns = table!.facets!['schema']!['fields'] as { name: string; type: string }[]
    expect(columns).toContainEqual({ name: 'word_count', type: 'int' })
    expect(table!.outputFacets!['outputStatistics']).toMatchObject({
      rowCount: result['rows_added'],
      size: result['bytes_added'],
      fileCount: result['files_added'],
    })
  })
})

test('the status names the lag, the last runs and the last snapshot', () => {
  expect(landed.status).toMatchObject({ schema: 'firn.status/1', last_runs: { 'land Orders': { outcome: 'ok' } } })
  expect(Object.keys(landed.status['lag_seconds'] as object)).toEqual(['Orders'])
  expect(compacted.status).toMatchObject({
    last_snapshots: { 'news.articles': { snapshot_id: compacted.result['snapshot_id'], operation: 'append' } },
  })
})

test('no label holds an id, a key or a shard', () => {
  const shards = (landed.result['shards'] as { shard_id: string }[]).map(({ shard_id }) => shard_id)
  const ids = [String(compacted.result['snapshot_id']), String(compacted.result['run_id']), ...shards]
  for (const name of [...landed.scrape.keys(), ...compacted.scrape.keys()]) {
    for (const id of ids) expect(name).not.toContain(id)
  }
})
