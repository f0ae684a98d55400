/**
 * `npm run demo`: the whole pipeline on this machine, without an account, Docker or a network.
 *
 * Only the two servers and the publisher are the demo's own. Everything else is done by the product's commands, in
 * processes of their own, as a user would type them; each line that starts with `$` is what was run.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKinesis } from '../../ingest/index.ts'
import { systemClock } from '../../table/clock.ts'
import { demoSettings, replaceServiceSettings } from '../config.ts'
import { describeError, exitCodeOf } from '../exit.ts'
import { formatCount, plural, renderFields, toJsonLines } from '../render.ts'
import { interruptible } from '../signals.ts'
import { type CommandLine, commandLine, indent } from './command-line.ts'
import { feedArticles } from './feed.ts'
import { kinesisLocalRegion, startKinesisLocal } from './kinesis.ts'
import { startS3Server } from './s3-server.ts'
import { trainOnSnapshot } from './train.ts'

const STREAM = 'MyStream'
const SHARDS = 2
const BUCKET = 'my-bucket'
const WAREHOUSE = `s3://${BUCKET}/warehouse`
const TABLE = 'news.articles'
const SAMPLE_DIR = join('.firn', 'sample_enriched')
const SEED = 42

const say = (text: string): void => void process.stdout.write(`${text}\n`)
let steps = 0
const step = (title: string): void => say(`\n${++steps}. ${title}`)

/** What the demo has started; stopped in reverse order. */
type Closers = (() => Promise<void>)[]

interface Lake {
  readonly records: number
  readonly firn: CommandLine
  readonly s3Endpoint: string
  /** Publish the next `records` articles. */
  publish(): Promise<void>
}

/**
 * An empty folder for the commands, so that no file of the current one is read, and settings that lead nowhere but to
 * the demo's servers. They are the strongest that there are: a `FIRN_` endpoint beats all of the SDK's.
 */
async function isolate(
  endpoints: { readonly kinesis: string; readonly s3: string },
  closers: Closers,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'firn-demo-'))
  closers.push(() => rm(folder, { recursive: true, force: true }))
  const region = kinesisLocalRegion
  replaceServiceSettings({
    AWS_REGION: region,
    AWS_CONFIG_FILE: join(folder, 'no-profiles'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-profiles'),
    // Both servers take any; the SDK wants some.
    AWS_ACCESS_KEY_ID: 'firn-demo',
    AWS_SECRET_ACCESS_KEY: 'firn-demo-secret',
    FIRN_KINESIS__ENDPOINT: endpoints.kinesis,
    FIRN_KINESIS__REGION: region,
    FIRN_S3__ENDPOINT: endpoints.s3,
    FIRN_S3__REGION: region,
    FIRN_WAREHOUSE: WAREHOUSE,
  })
  return folder
}

async function startLake(records: number, closers: Closers, signal: AbortSignal): Promise<Lake> {
  const kinesis = await startKinesisLocal({ streams: { [STREAM]: SHARDS }, signal })
  closers.push(() => kinesis.close())
  say(`   Kinesis  ${kinesis.endpoint}  stream ${STREAM}, ${SHARDS} shards (kinesis-local, process ${kinesis.pid})`)
  const s3 = await startS3Server({ buckets: [BUCKET] })
  closers.push(() => s3.close())
  say(`   S3       ${s3.url}  bucket ${BUCKET} (embedded, in memory)`)
  const cwd = await isolate({ kinesis: kinesis.endpoint, s3: s3.url }, closers)
  let published = 0
  const publish = async (): Promise<void> => {
    const client = openKinesis({ endpoint: kinesis.endpoint, region: kinesisLocalRegion })
    try {
      await feedArticles({
        client,
        stream: STREAM,
        count: records,
        seed: SEED,
        startIndex: published,
        clock: systemClock,
        signal,
      })
    } finally {
      client.close()
    }
    published += records
    say(`   published ${plural(records, 'article')} to ${STREAM} (${formatCount(published)} in all)`)
  }
  return { records, firn: commandLine({ cwd, say, signal }), s3Endpoint: s3.url, publish }
}

async function demo(closers: Closers, signal: AbortSignal): Promise<void> {
  const { records } = demoSettings()
  const startedMillis = systemClock.monotonicMillis()
  say('firn demo: Kinesis -> staging -> compaction -> Iceberg table on S3 -> shuffled batches -> tfjs')
  step('Start a local Kinesis and a local S3')
  const lake = await startLake(records, closers, signal)
  const { firn } = lake
  const runOnce = ['run', '--once', '--stream', STREAM, '--table', TABLE, '--dataset', 'articles']

  step(`Publish ${plural(records, 'article')}`)
  await lake.publish()
  step('First cycle: land what is in the stream, compact it into the table')
  await firn.show(runOnce)

  step('Look at five enriched records')
  await showSample(firn)

  step(`Second cycle: ${plural(records, 'more article')}`)
  await lake.publish()
  await firn.show(runOnce)

  step('Every cycle made a snapshot')
  await firn.show(['inspect', 'snapshots', TABLE])
  const snapshots = await firn.rows(['inspect', 'snapshots', TABLE])
  const ids = snapshots.map((row) => String(row['snapshot_id']))

  step('Read the table as it was after the first cycle, and as it is now')
  const first = await countRows(firn, ids.at(0))
  const now = await countRows(firn, ids.at(-1))
  check(first === records && now === 2 * records, `expected ${records} rows at first and ${2 * records} now`)

  step('Train on shuffled batches of the current snapshot')
  await trainOnSnapshot({
    warehouse: WAREHOUSE,
    table: TABLE,
    snapshotId: ids.at(-1)!,
    s3Endpoint: lake.s3Endpoint,
    say,
    signal,
  })

  const seconds = (systemClock.monotonicMillis() - startedMillis) / 1000
  say(
    `\ndone in ${seconds.toFixed(1)} s: ${formatCount(2 * records)} articles in ${TABLE}, two snapshots, one trained model`,
  )
}

async function showSample(firn: CommandLine): Promise<void> {
  const path = join(SAMPLE_DIR, 'articles.jsonl')
  const rows = await firn.rows(['sample', TABLE, '-n', '5', '--output', 'jsonl'], `> ${path}`)
  await mkdir(SAMPLE_DIR, { recursive: true })
  await writeFile(path, toJsonLines(rows))
  for (const row of rows) say(`\n${indent(renderFields(row, { maxCellChars: 90 }))}`)
}

async function countRows(firn: CommandLine, snapshotId: string | undefined): Promise<number> {
  check(snapshotId !== undefined, 'the table has no snapshot')
  const args = ['scan', TABLE, '--snapshot', snapshotId, '--columns', 'article_id', '--output', 'jsonl']
  const rows = await firn.rows(args, '| wc -l')
  say(`   ${formatCount(rows.length)}`)
  return rows.length
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`the demo did not come out as it must: ${what}`)
}

const interrupt = interruptible()
const closers: Closers = []
let exitCode = 0
try {
  await demo(closers, interrupt.signal)
} catch (error) {
  exitCode = interrupt.exitCode ?? exitCodeOf(error)
  process.stderr.write(interrupt.exitCode === undefined ? describeError(error, true) : 'interrupted\n')
} finally {
  for (const close of closers.reverse()) await close()
  interrupt.done()
}
process.exitCode = exitCode
