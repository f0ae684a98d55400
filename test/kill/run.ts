/**
 * `npm run test:kill`: `land` and `compact` are killed (SIGKILL) in the middle, run again plainly, and must end with the
 * same rows and the same averages as a run that nobody disturbed, with nothing for `verify` to find.
 *
 * Over files, the moments are spread evenly over the time that an undisturbed run takes. Over Kinesis and S3 they are
 * the writes themselves, each once before the server sees it and once after it took effect, so that no step of a
 * commit is left out. `KILL_POINTS` (default 20) is how many of each; 4 is a quick check.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openKinesis } from '../../ingest/index.ts'
import { articleAt } from '../../jobs/demo/articles.ts'
import { feedArticles } from '../../jobs/demo/feed.ts'
import { kinesisLocalRegion, startKinesisLocal } from '../../jobs/demo/kinesis.ts'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import { systemClock } from '../../table/clock.ts'
import { type FirnOptions, firnJson, startFirn } from '../firn-process.ts'
import { killAfter, startKillingProxy } from './killers.ts'
import { type Outcome, outcomeOf, TABLE } from './outcome.ts'

const POINTS = Number(process.env['KILL_POINTS'] ?? 20)
/** Runs of one point until one is killed in time: how long a run takes varies on a busy machine. */
const MAX_TRIES = 5
const FILES = 4
const ARTICLES_PER_FILE = 6_000
const STREAM_ARTICLES = 600
const BUCKET = 'my-bucket'
const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')

const say = (line: string): void => void process.stdout.write(`${line}\n`)

type Command = 'land' | 'compact'

interface Arena {
  readonly title: string
  readonly landing: readonly string[]
  /** Where run number `index` works; nothing is there yet. */
  firn(index: string): FirnOptions
  outcome(firn: FirnOptions): Promise<Outcome>
  /** Number of moments, from a first undisturbed run of each command. */
  moments(command: Command, undisturbed: FirnOptions): Promise<number>
  /** Runs a command and kills it at one of the moments. @returns false when it had ended before. */
  runKilled(command: Command, args: readonly string[], firn: FirnOptions, moment: number): Promise<boolean>
}

const argsOf = (arena: Arena, command: Command): readonly string[] =>
  command === 'land' ? arena.landing : ['compact', TABLE]

async function runArena(arena: Arena): Promise<number> {
  const calm = arena.firn('undisturbed')
  const moments: Record<Command, number> = {
    land: await arena.moments('land', calm),
    compact: await arena.moments('compact', calm),
  }
  const wanted = await arena.outcome(calm)
  let failures = 0
  for (const command of ['land', 'compact'] as const) {
    const chosen = spread(moments[command], POINTS)
    let killed = 0
    for (const moment of chosen) {
      const where = `${arena.title}: ${command} killed at ${moment + 1} of ${moments[command]}`
      try {
        const firn = await killOnce(arena, command, moment)
        if (firn === undefined) throw new Error(`it had ended before, ${MAX_TRIES} times`)
        killed++
        await firnJson(argsOf(arena, command), firn)
        if (command === 'land') await firnJson(['compact', TABLE], firn)
        const found = await arena.outcome(firn)
        if (JSON.stringify(found) !== JSON.stringify(wanted)) {
          throw new Error(`expected ${JSON.stringify(wanted)}\n       found ${JSON.stringify(found)}`)
        }
      } catch (error) {
        failures++
        say(`FAILED ${where}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    say(`${arena.title}: ${command} at ${chosen.length} points, killed in the middle at ${killed}`)
  }
  return failures
}

/** A run that was killed in the middle. @returns `undefined` when each of some tries had ended before its moment. */
async function killOnce(arena: Arena, command: Command, moment: number): Promise<FirnOptions | undefined> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const firn = arena.firn(`${command}-${moment}-${attempt}`)
    if (command === 'compact') await firnJson(arena.landing, firn)
    if (await arena.runKilled(command, argsOf(arena, command), firn, moment)) return firn
  }
  return undefined
}

/** `count` of the numbers below `total`, evenly from first to last. */
function spread(total: number, count: number): readonly number[] {
  if (total <= count) return Array.from({ length: total }, (_, index) => index)
  return Array.from({ length: count }, (_, index) => Math.floor((index * (total - 1)) / (count - 1)))
}

async function fileArena(folder: string): Promise<Arena> {
  const paths: string[] = []
  for (let file = 0; file < FILES; file++) {
    const path = join(folder, `articles-${file}.ndjson`)
    const out = createWriteStream(path)
    for (let index = 0; index < ARTICLES_PER_FILE; index++) {
      const article = articleAt({ seed: file, index, newestMillis: NEWEST_MILLIS })
      if (!out.write(`${JSON.stringify(article)}\n`)) await once(out, 'drain')
    }
    out.end()
    await once(out, 'close')
    paths.push(path)
  }
  const landing = ['land', '--from', ...paths]
  /** Of an undisturbed run, and of the start of the program: points lie between. */
  const millis: Record<Command, { from: number; to: number }> = {
    land: { from: 0, to: 0 },
    compact: { from: 0, to: 0 },
  }
  return {
    title: 'files',
    landing,
    firn: (index) => ({ cwd: folder, warehouse: pathToFileURL(join(folder, 'warehouses', index)).href }),
    outcome: (firn) => outcomeOf(firn, landing, ['arrived_at', 'compacted_at'], {}),
    async moments(command, firn) {
      const starting = await timed(() => startFirn(['--version'], firn).ended)
      const whole = await timed(() => firnJson(command === 'land' ? landing : ['compact', TABLE], firn))
      millis[command] = { from: starting, to: whole }
      say(`files: an undisturbed ${command} takes ${whole.toFixed(0)} ms, ${starting.toFixed(0)} ms of it to start`)
      return POINTS
    },
    async runKilled(command, args, firn, moment) {
      const { from, to } = millis[command]
      const started = performance.now()
      const { child, ended } = startFirn(args, firn)
      const callOff = killAfter(child, from + ((to - from) * moment) / POINTS)
      const { signal } = await ended
      callOff()
      if (signal === 'SIGKILL') return true
      // it took less time than the one that was measured: points lie closer from now on
      millis[command] = { from: from * 0.9, to: Math.min(to, performance.now() - started) }
      return false
    },
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function serviceArena(folder: string, closers: (() => Promise<void>)[]): Promise<Arena> {
  const s3 = await startS3Server({ buckets: [BUCKET] })
  closers.push(() => s3.close())
  const kinesis = await startKinesisLocal({ streams: { MyStream: 2 } })
  closers.push(() => kinesis.close())
  const proxy = await startKillingProxy(s3.url)
  closers.push(() => proxy.close())
  const credentials = { AWS_ACCESS_KEY_ID: 'firn-test', AWS_SECRET_ACCESS_KEY: 'firn-test-secret' }
  // the publisher and our own reader, in this process, take credentials where the AWS SDK looks
  Object.assign(process.env, credentials)
  const client = openKinesis({ endpoint: kinesis.endpoint, region: kinesisLocalRegion })
  const feed = { client, stream: 'MyStream', count: STREAM_ARTICLES, seed: 1, startIndex: 0, clock: systemClock }
  await feedArticles(feed)
  client.close()
  const env = {
    ...credentials,
    AWS_REGION: kinesisLocalRegion,
    AWS_ENDPOINT_URL_S3: proxy.url,
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  }
  const landing = ['land', '--stream', 'MyStream']
  return {
    title: 'Kinesis and S3',
    landing,
    firn: (index) => ({ cwd: folder, warehouse: `s3://${BUCKET}/${index}`, env }),
    // arrival times are the stream's, and so the same in every run
    outcome: (firn) => {
      proxy.arm(undefined)
      return outcomeOf(firn, landing, ['compacted_at'], { s3: { endpoint: s3.url, region: kinesisLocalRegion } })
    },
    async moments(command, firn) {
      proxy.arm(undefined)
      await firnJson(command === 'land' ? landing : ['compact', TABLE], firn)
      say(`Kinesis and S3: an undisturbed ${command} makes ${proxy.writes} writes`)
      return 2 * proxy.writes
    },
    async runKilled(_command, args, firn, moment) {
      const { child, ended } = startFirn(args, firn)
      proxy.arm({ child, write: moment >> 1, moment: moment % 2 === 0 ? 'before' : 'after' })
      const { signal } = await ended
      proxy.arm(undefined)
      return signal === 'SIGKILL'
    },
  }
}

async function main(): Promise<number> {
  if (!Number.isInteger(POINTS) || POINTS < 2) throw new Error(`KILL_POINTS must be 2 or more, got ${POINTS}`)
  const folder = await mkdtemp(join(tmpdir(), 'firn-kill-'))
  const closers: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })]
  try {
    await mkdir(join(folder, 'warehouses'))
    const failures = await runArena(await fileArena(folder))
    return failures + (await runArena(await serviceArena(folder, closers)))
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

const failures = await main()
say(failures === 0 ? 'ok: every killed run was made good by running it again' : `${failures} FAILED`)
process.exitCode = failures === 0 ? 0 : 1
