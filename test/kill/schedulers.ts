/** Two schedulers at once on one warehouse, both killed and started again at random moments while records come in. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { articleAt } from '../../jobs/demo/articles.ts'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import { systemClock } from '../../table/clock.ts'
import { openKinesisDoor } from '../contract/kinesis-door.ts'
import { MemoryKinesis } from '../contract/memory-kinesis.ts'
import { type FirnOptions, firnJson, startFirn } from '../firn-process.ts'
import { seedOf, uniform } from '../sim/random.ts'
import { type Arena, assertSame, BUCKET, CREDENTIALS, closing, contentOf, STREAM } from './arena.ts'
import { outcomeOf, TABLE } from './outcome.ts'

const REGION = 'us-east-1'
const PUT_MILLIS = 200
const ARTICLES_PER_PUT = 10
const RESHARD_EVERY = 25
/** Starting takes about a second, a lease that a dead process held runs out after two. */
const LIFE_MILLIS = [800, 5_000] as const
const SCHEDULE = [
  ...['--stream', STREAM, '--table', TABLE, '--dataset', 'articles', '--lease-ttl', '2s'],
  ...['--land-cron', '* * * * * *', '--compact-cron', '*/2 * * * * *', '--maintain-cron', '*/6 * * * * *'],
]
/** An expiry would hold the table for the minute that readers are given. */
const SETTINGS = { maintain: { expire: { enabled: false } } }

function publish(kinesis: MemoryKinesis, signal: AbortSignal): Promise<void> {
  const control = kinesis.control(STREAM)
  const newestMillis = Date.parse('2026-11-20T12:00:00Z')
  let index = 0
  const run = async (): Promise<void> => {
    for (let puts = 1; !signal.aborted; puts++) {
      const entries = Array.from({ length: ARTICLES_PER_PUT }, () => {
        const article = articleAt({ seed: 2, index: index++, newestMillis })
        return { partitionKey: article.article_id, data: Buffer.from(JSON.stringify(article)) }
      })
      await kinesis.putRecords(STREAM, entries)
      if (puts % RESHARD_EVERY === 0) {
        const [first = '', second] = control.openShards()
        if (second === undefined || puts % (2 * RESHARD_EVERY) === 0) control.split(first)
        else control.merge(first, second)
      }
      await systemClock.sleep(PUT_MILLIS, signal).catch(() => {})
    }
  }
  return run()
}

interface Deaths {
  killed: number
  readonly points: number
}

/** One host: a scheduler, killed and started again until there were enough deaths. */
async function host(firn: FirnOptions, random: () => number, deaths: Deaths): Promise<void> {
  const [least, most] = LIFE_MILLIS
  while (deaths.killed < deaths.points) {
    const { child, ended } = startFirn(['run', ...SCHEDULE], firn)
    const timer = setTimeout(() => child.kill('SIGKILL'), least + random() * (most - least))
    const { code, signal, stderr } = await ended
    clearTimeout(timer)
    if (signal !== 'SIGKILL') throw new Error(`a scheduler ended by itself with ${code}: ${stderr.slice(-2000)}`)
    deaths.killed++
  }
}

export const twoSchedulers: Arena = ({ folder, points, seed, say }) =>
  closing(async (onClose) => {
    const s3 = await startS3Server({ buckets: [BUCKET] })
    onClose(() => s3.close())
    const kinesis = new MemoryKinesis({ clock: systemClock })
    kinesis.createStream(STREAM, 2)
    const door = await openKinesisDoor(kinesis)
    onClose(() => door.close())
    Object.assign(process.env, CREDENTIALS)
    const cwd = join(folder, 'schedulers')
    await mkdir(cwd)
    await writeFile(join(cwd, 'firn.config.json'), JSON.stringify(SETTINGS))
    const env = {
      ...CREDENTIALS,
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ENDPOINT_URL_KINESIS: door.endpoint,
    }
    const firn: FirnOptions = { cwd, warehouse: `s3://${BUCKET}/two`, env }
    const deaths: Deaths = { killed: 0, points }
    const ended = new AbortController()
    const publishing = publish(kinesis, ended.signal)
    try {
      const hosts = ['a', 'b'].map((name) => host(firn, uniform(seedOf(seed, name)), deaths))
      await Promise.all(hosts).finally(() => ended.abort())
      await publishing
      await firnJson(['run', '--once', ...SCHEDULE], firn)
      const landing = ['land', '--stream', STREAM]
      const calm = { ...firn, warehouse: `s3://${BUCKET}/undisturbed` }
      await firnJson(landing, calm)
      await firnJson(['compact', TABLE], calm)
      const outcome = async (of: FirnOptions) =>
        contentOf(await outcomeOf(of, landing, ['compacted_at'], { s3: { endpoint: s3.url, region: REGION } }))
      const wanted = await outcome(calm)
      assertSame(await outcome(firn), wanted)
      say(`two schedulers: killed ${deaths.killed} times; ${wanted.rows} rows as undisturbed`)
      return 0
    } catch (error) {
      say(`FAILED two schedulers, seed ${seed}: ${String(error)}`)
      return 1
    } finally {
      deaths.killed = points
      ended.abort()
    }
  })
