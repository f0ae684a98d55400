/** `land` and `compact` between Kinesis (kinesis-local) and S3 (the embedded one), killed. */
import { openKinesis } from '../../ingest/index.ts'
import { feedArticles } from '../../jobs/demo/feed.ts'
import { kinesisLocalRegion, startKinesisLocal } from '../../jobs/demo/kinesis.ts'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import { systemClock } from '../../table/clock.ts'
import { type FirnOptions, firnJson, startFirn } from '../firn-process.ts'
import { seedOf, uniform } from '../sim/random.ts'
import { type Arena, assertSame, BUCKET, CREDENTIALS, closing, contentOf, STREAM } from './arena.ts'
import { type KillingProxy, startKillingProxy } from './killers.ts'
import { type Outcome, outcomeOf, TABLE } from './outcome.ts'
import { createVictim, talliesText } from './victim.ts'

const LANDING = ['land', '--stream', STREAM]
const COMPACTION = ['compact', TABLE]
const FIRST_ARTICLES = 200
const ARTICLES_PER_ROUND = 26
/** The emulator slows down as its stream grows; after that landing looks at what is there. */
const MOST_ARTICLES = 1_500
/** Rounds per kill that is wanted of each command: some runs end before their moment. */
const MOST_ROUNDS = 3

interface Services {
  readonly proxy: KillingProxy
  /** Publish so many articles more. */
  feed(count: number): Promise<void>
  firn(warehouse: string): FirnOptions
  outcome(firn: FirnOptions): Promise<Outcome>
}

async function startServices(folder: string, onClose: (close: () => Promise<void>) => void): Promise<Services> {
  const s3 = await startS3Server({ buckets: [BUCKET] })
  onClose(() => s3.close())
  const kinesis = await startKinesisLocal({ streams: { [STREAM]: 2 } })
  onClose(() => kinesis.close())
  const proxy = await startKillingProxy(s3.url)
  onClose(() => proxy.close())
  // the publisher and our own reader, in this process, take credentials where the AWS SDK looks
  Object.assign(process.env, CREDENTIALS)
  const env = {
    ...CREDENTIALS,
    AWS_REGION: kinesisLocalRegion,
    AWS_ENDPOINT_URL_S3: proxy.url,
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  }
  let startIndex = 0
  return {
    proxy,
    feed: async (count) => {
      const client = openKinesis({ endpoint: kinesis.endpoint, region: kinesisLocalRegion })
      await feedArticles({ client, stream: STREAM, count, seed: 1, startIndex, clock: systemClock })
      client.close()
      startIndex += count
    },
    firn: (warehouse) => ({ cwd: folder, warehouse: `s3://${BUCKET}/${warehouse}`, env }),
    // arrival times are the stream's, and so the same in every run
    outcome: (firn) => {
      proxy.arm(undefined)
      return outcomeOf(firn, LANDING, ['compacted_at'], { s3: { endpoint: s3.url, region: kinesisLocalRegion } })
    },
  }
}

/** At random moments, one warehouse for all of them: each run finds what the dead before it have left. */
export const randomMoments: Arena = ({ folder, points, seed, say }) =>
  closing(async (onClose) => {
    const services = await startServices(folder, onClose)
    const random = uniform(seedOf(seed, 'services'))
    const firn = services.firn('random')
    const victim = createVictim(firn, random)
    try {
      await services.feed(FIRST_ARTICLES)
      await victim.calm(LANDING)
      await victim.calm(COMPACTION)
      const isLacking = (args: readonly string[]): boolean => (victim.tallies.get(args[0]!)?.killed ?? 0) < points
      let articles = FIRST_ARTICLES
      for (let round = 0; round < MOST_ROUNDS * points && (isLacking(LANDING) || isLacking(COMPACTION)); round++) {
        if (articles < MOST_ARTICLES) {
          articles += ARTICLES_PER_ROUND
          await services.feed(ARTICLES_PER_ROUND)
        }
        for (const args of [LANDING, COMPACTION].filter(isLacking)) {
          const killed = await victim.attempt(args)
          if (killed && random() < 0.5) await victim.calm(args)
        }
      }
      await victim.calm(LANDING)
      await victim.calm(COMPACTION)
      const calm = services.firn('undisturbed')
      await firnJson(LANDING, calm)
      await firnJson(COMPACTION, calm)
      const wanted = contentOf(await services.outcome(calm))
      assertSame(contentOf(await services.outcome(firn)), wanted)
      say(`Kinesis and S3, random moments: ${talliesText(victim.tallies)}; ${wanted.rows} rows as undisturbed`)
      return 0
    } catch (error) {
      say(`FAILED Kinesis and S3, random moments, seed ${seed}: ${String(error)}`)
      return 1
    }
  })

type Command = 'land' | 'compact'
const argsOf = (command: Command): readonly string[] => (command === 'land' ? LANDING : COMPACTION)

/**
 * At the writes themselves, each once before the server sees it and once after it took effect, so that no step of a
 * commit is left out. A warehouse for each.
 */
export const everyWrite: Arena = ({ folder, points, say }) =>
  closing(async (onClose) => {
    const services = await startServices(folder, onClose)
    const { proxy } = services
    await services.feed(FIRST_ARTICLES)
    const calm = services.firn('undisturbed')
    const writes: Record<Command, number> = { land: 0, compact: 0 }
    for (const command of ['land', 'compact'] as const) {
      proxy.arm(undefined)
      await firnJson(argsOf(command), calm)
      writes[command] = proxy.writes
    }
    const wanted = await services.outcome(calm)
    let failures = 0
    for (const command of ['land', 'compact'] as const) {
      const moments = spread(2 * writes[command], points)
      for (const moment of moments) {
        try {
          const firn = services.firn(`${command}-${moment}`)
          await killAtWrite(proxy, command, firn, moment)
          if (command === 'land') await firnJson(COMPACTION, firn)
          assertSame(await services.outcome(firn), wanted)
        } catch (error) {
          failures++
          say(`FAILED ${command} killed at ${moment + 1} of ${2 * writes[command]} moments: ${String(error)}`)
        }
      }
      say(
        `Kinesis and S3, ${writes[command]} writes of ${command}: killed before or after them ${moments.length} times`,
      )
    }
    return failures
  })

/** Killed once, then run again. */
async function killAtWrite(proxy: KillingProxy, command: Command, firn: FirnOptions, moment: number): Promise<void> {
  proxy.arm(undefined)
  if (command === 'compact') await firnJson(LANDING, firn)
  const { child, ended } = startFirn(argsOf(command), firn)
  proxy.arm({ child, write: moment >> 1, moment: moment % 2 === 0 ? 'before' : 'after' })
  const { signal } = await ended
  proxy.arm(undefined)
  if (signal !== 'SIGKILL') throw new Error('it had ended before')
  await firnJson(argsOf(command), firn)
}

/** `count` of the numbers below `total`, evenly from first to last. */
function spread(total: number, count: number): readonly number[] {
  if (total <= count) return Array.from({ length: total }, (_, index) => index)
  return Array.from({ length: count }, (_, index) => Math.floor((index * (total - 1)) / (count - 1)))
}
