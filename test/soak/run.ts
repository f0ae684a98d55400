/**
 * `npm run soak`: `firn run` as a process, landing every 5 s and compacting every 20 s with maintenance in between, from
 * a stream that takes 200 records a second and reshards; half way a second scheduler joins. The S3 is the embedded one
 * in a process of its own, the stream one in memory behind a loopback door. At the end everything is told to stop, one
 * `run --once` takes what is left, and: every record is one row, memory stayed flat, nothing was far behind, no run
 * failed, `verify` is ok. `SOAK_SECONDS` (default 600), `SOAK_RATE` (default 200), `SOAK_JOIN` (share of the time after
 * which the second scheduler joins, default 0.5; 1: never). Linux: memory is read from /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunRecord } from '../../jobs/runs.ts'
import { systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { openCatalog, openStore, type Table } from '../../table/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { openKinesisDoor } from '../contract/kinesis-door.ts'
import { type FirnOptions, type FirnProcess, firnJson, startFirn } from '../firn-process.ts'
import { keyOf, type Producer, STREAM, startProducer } from './producer.ts'
import { compareKeys, metricOf, mostBehind, rssByThird, rssOf, type Sample, violations } from './samples.ts'

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 600)
const RATE = Number(process.env['SOAK_RATE'] ?? 200)
const JOIN = Number(process.env['SOAK_JOIN'] ?? 0.5)
const SAMPLE_MILLIS = 5_000
/** Samples between lines of the table. */
const SHOWN = Math.max(1, Math.round(SECONDS / 100))
const TABLE = 'news.articles'
const BUCKET = 'my-bucket'
const REGION = 'us-east-1'
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'firn-test', AWS_SECRET_ACCESS_KEY: 'firn-test-secret' }
/** A maintenance holds the table for a minute: readers keep their files for so long after an expiry. */
const LIMITS = { perSecond: RATE, landSeconds: 30, compactSeconds: 150, rssRatio: 1.15 }
/** Snapshots go while the soak runs, so that maintenance has all of its work. */
const SETTINGS = { maintain: { expire: { olderThan: '1m', retainLast: 3 } } }
const SCHEDULE = [
  ...['--stream', STREAM, '--table', TABLE, '--dataset', 'articles', '--lease-ttl', '10s'],
  ...['--land-cron', '*/5 * * * * *', '--compact-cron', '*/20 * * * * *'],
  ...['--maintain-cron', SECONDS < 400 ? '50 * * * * *' : '50 */3 * * * *'],
]

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const children: ChildProcess[] = []

interface Scheduler extends FirnProcess {
  readonly url: string
}

async function startScheduler(firn: FirnOptions): Promise<Scheduler> {
  const url = `http://127.0.0.1:${await freePort()}`
  const process = startFirn(['run', ...SCHEDULE, '--listen', url.slice('http://'.length)], {
    ...firn,
    env: { ...firn.env, FIRN_OUTPUT: 'jsonl' },
  })
  children.push(process.child)
  return { ...process, url }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function startS3(): Promise<string> {
  const script = fileURLToPath(new URL('./s3.ts', import.meta.url))
  const child = spawn(process.execPath, [script, BUCKET], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return String(line).trim()
}

const scrape = (scheduler: Scheduler): Promise<string> =>
  fetch(`${scheduler.url}/metrics`).then(
    (answer) => answer.text(),
    () => '', // it has only just begun
  )

async function loadTable(store: ObjectStore): Promise<Table | undefined> {
  return await openCatalog(store, { clock: systemClock })
    .loadTable(TABLE)
    .catch((error: unknown) => {
      if (FirnError.is(error, 'FIRN_TABLE_NOT_FOUND')) return undefined
      throw error
    })
}

async function takeSample(
  seconds: number,
  schedulers: readonly Scheduler[],
  producer: Producer,
  store: ObjectStore,
): Promise<Sample> {
  const { produced } = producer
  const scrapes = await Promise.all(schedulers.map(scrape))
  const each = (name: string, how: 'sum' | 'max'): number[] => scrapes.map((text) => metricOf(text, name, how))
  const landed = each('firn_ingest_records_total', 'sum').reduce((sum, value) => sum + value, 0)
  const table = await loadTable(store)
  return {
    seconds,
    rss: schedulers.map(({ child }) => rssOf(child.pid)),
    produced,
    landed,
    compacted: Number(table?.currentSnapshot()?.summary['total-records'] ?? 0),
    lagSeconds: Math.max(0, ...each('firn_ingest_lag_seconds', 'max')),
    oldestUnconsumedSeconds: Math.max(0, ...each('firn_staging_oldest_unconsumed_seconds', 'max')),
  }
}

const HEAD = ['s', 'produced', 'landed', 'rows', 'lag s', 'oldest s', 'RSS MiB']
const row = (cells: readonly (string | number)[]): string => cells.map((cell) => String(cell).padStart(9)).join(' ')
const whole = (value: number | undefined): string => value?.toFixed(0) ?? '-'
const rowOf = (sample: Sample): string =>
  row([
    whole(sample.seconds),
    sample.produced,
    sample.landed,
    sample.compacted,
    sample.lagSeconds.toFixed(1),
    whole(sample.oldestUnconsumedSeconds),
    ...sample.rss.map(whole),
  ])

async function watch(firn: FirnOptions, schedulers: Scheduler[], producer: Producer, store: ObjectStore) {
  const samples: Sample[] = []
  const started = performance.now()
  say(row(HEAD))
  while (performance.now() - started < SECONDS * 1000) {
    await systemClock.sleep(SAMPLE_MILLIS)
    const seconds = (performance.now() - started) / 1000
    if (schedulers.length === 1 && seconds >= SECONDS * JOIN && JOIN < 1) schedulers.push(await startScheduler(firn))
    const sample = await takeSample(seconds, schedulers, producer, store)
    samples.push(sample)
    if (samples.length % SHOWN === 0) say(rowOf(sample))
    for (const { child, ended } of schedulers) {
      if (child.exitCode === null && child.signalCode === null) continue
      throw new Error(`a scheduler ended by itself: ${(await ended).stderr.slice(-2000)}`)
    }
  }
  return samples
}

/** What failed of the runs that left a record, and a line of counts. */
async function runsOf(store: ObjectStore): Promise<{ readonly failed: readonly string[]; readonly counts: string }> {
  const failed: string[] = []
  const counts = new Map<string, number>()
  for await (const { key } of store.list('_runs/')) {
    const { bytes } = await store.get(key)
    const record = JSON.parse(Buffer.from(bytes).toString()) as RunRecord
    const kind = `${record.job} ${record.outcome}`
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    if (record.outcome === 'failed') failed.push(`${record.job} at ${record.started_at}: ${record.error?.message}`)
  }
  return { failed, counts: [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ') }
}

async function* keysOf(table: Table): AsyncGenerator<string> {
  for await (const batch of table.scan({ columns: ['article_id'] }).batches()) {
    for (const key of batch.getChild('article_id') ?? []) yield String(key)
  }
}

/** Everything is stopped; what is wrong with what is left. */
async function finalProblems(firn: FirnOptions, store: ObjectStore, produced: number): Promise<readonly string[]> {
  await firnJson(['run', '--once', ...SCHEDULE], firn)
  const problems: string[] = []
  const table = await loadTable(store)
  if (table === undefined) return ['there is no table']
  const keys: string[] = []
  for await (const key of keysOf(table)) keys.push(key)
  const { rows, missing, twice, strange } = compareKeys(keys, produced, keyOf)
  say(`produced ${produced}, rows ${rows}, missing ${missing.length}, twice ${twice.length}, strange ${strange.length}`)
  for (const [what, list] of Object.entries({ missing, twice, strange })) {
    if (list.length > 0) problems.push(`${list.length} keys are ${what}: ${list.slice(0, 3).join(', ')} …`)
  }
  const verified = await firnJson<{ ok: boolean; problems: readonly unknown[] }>(['verify', TABLE], firn)
  if (!verified.ok) problems.push(`verify found ${JSON.stringify(verified.problems)}`)
  const { failed, counts } = await runsOf(store)
  say(`runs with a record: ${counts}`)
  return [...problems, ...failed]
}

async function end({ child, ended }: Scheduler): Promise<readonly string[]> {
  child.kill('SIGTERM')
  const { code, signal, stderr } = await ended
  // 143: a run was cut short, which is in order
  if (code === 0 || code === 143) return []
  return [`a scheduler ended with ${code ?? signal}: ${stderr.slice(-2000)}`]
}

async function main(folder: string): Promise<readonly string[]> {
  await writeFile(join(folder, 'firn.config.json'), JSON.stringify(SETTINGS))
  // our own reader takes credentials where the AWS SDK looks
  Object.assign(process.env, CREDENTIALS)
  const s3 = await startS3()
  const producer = startProducer(RATE, (SECONDS * 1000) / 12)
  const door = await openKinesisDoor(producer.kinesis)
  const env = { ...CREDENTIALS, AWS_REGION: REGION, AWS_ENDPOINT_URL_S3: s3, AWS_ENDPOINT_URL_KINESIS: door.endpoint }
  const firn = { cwd: folder, warehouse: `s3://${BUCKET}/lake`, env }
  const store = openStore(firn.warehouse, { clock: systemClock, s3: { endpoint: s3, region: REGION } })
  const schedulers = [await startScheduler(firn)]
  const samples = await watch(firn, schedulers, producer, store)
  await producer.stop()
  const problems = (await Promise.all(schedulers.map(end))).flat()
  say(`${producer.splits} splits, ${producer.merges} merges`)
  const left = await finalProblems(firn, store, producer.produced)
  const thirds = rssByThird(samples).map((value) => value.toFixed(0))
  const behind = (done: (sample: Sample) => number): string => mostBehind(samples, RATE, done).toFixed(1)
  say(`memory of the first scheduler by thirds: ${thirds.join(', ')} MiB`)
  say(`most behind: landing ${behind(({ landed }) => landed)} s, rows ${behind(({ compacted }) => compacted)} s`)
  await door.close()
  return [...problems, ...left, ...violations(samples, LIMITS)]
}

const killChildren = (): void => {
  for (const child of children) child.kill('SIGKILL')
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killChildren()
    process.exit(1)
  })
}
const folder = await mkdtemp(join(tmpdir(), 'firn-soak-'))
let problems: readonly string[]
try {
  problems = await main(folder)
} finally {
  killChildren()
  await rm(folder, { recursive: true, force: true })
}
for (const problem of problems) say(`VIOLATED ${problem}`)
say(problems.length === 0 ? 'ok: nothing lost, memory flat, nothing far behind' : `${problems.length} VIOLATED`)
// the door's agent and the S3 client keep sockets for a while
process.exit(problems.length === 0 ? 0 : 1)
