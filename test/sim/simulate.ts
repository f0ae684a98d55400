/** One run: a world, its actors, the judgement. */
import './synchronous-zlib.ts'
import { type Actor, expirer, reader, rewriter, type Shared, tagger, trimmer, writer } from './actors.ts'
import { checkHistory } from './invariants.ts'
import type { Finding } from './observer.ts'
import type { Weather } from './process.ts'
import { uniform } from './random.ts'
import { createWorld, type Protocol } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly writers: number
  readonly commits: number
  readonly protocol?: Protocol
  /** Beside the writers; default: all kinds. */
  readonly helpers?: readonly Actor[]
  readonly properties?: Readonly<Record<string, string>>
  readonly weather?: Partial<Weather>
  readonly keepStory?: boolean
  /** `busy`: all haste and contention. `slow`: days, in which stalls and trimming meet. Default: by the seed. */
  readonly pace?: 'busy' | 'slow'
  /** A run that is not over by then is stuck. */
  readonly maxVirtualMillis?: number
}

export interface SimulationResult {
  readonly findings: readonly Finding[]
  /** Of the whole history of requests. */
  readonly digest: string
  readonly story: readonly string[]
  readonly versions: number
  readonly zombies: number
  readonly refused: number
  readonly requests: number
  readonly virtualMillis: number
}

const read = { refused: 0.02, throttled: 0.01, timedOut: 0.005 }
const write = { ...read, answerLost: 0.03, late: 0.02 }
const WEATHER: Weather = {
  rates: { put: write, get: { ...read, reset: 0.01 }, head: read, list: { ...read, reset: 0.01 }, delete: write },
  latencyMillis: [5, 120],
  attempts: 2,
  stallRate: 0.03,
  stallMillis: 0,
  killRate: 0.002,
}

const PROPERTIES = {
  'commit.retry.num-retries': '8',
  'commit.retry.min-wait-ms': '50',
  'commit.retry.max-wait-ms': '5000',
  'commit.manifest.min-count-to-merge': '12',
  'write.metadata.delete-after-commit.enabled': 'true',
  'write.metadata.previous-versions-max': '5',
}

/** A process that stands still does so for as long as this many pauses between two commits of the others. */
const STALL_PACES = 12
const MAX_VIRTUAL_MILLIS = 60 * 86_400_000

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, writers, commits } = options
  const { pace: kind = uniform(seed)() < 0.5 ? 'busy' : 'slow', maxVirtualMillis = MAX_VIRTUAL_MILLIS } = options
  const pace = kind === 'busy' ? 500 : 40 * 60_000
  const world = await createWorld({
    seed,
    weather: { ...WEATHER, attempts: 1 + (seed % 3), stallMillis: STALL_PACES * pace, ...options.weather },
    properties: {
      ...PROPERTIES,
      // As little as is allowed; a stall is longer.
      'firn.metadata.min-age-ms': String(Math.max(60_000, pace)),
      ...options.properties,
    },
    ...(options.protocol === undefined ? {} : { protocol: options.protocol }),
    ...(options.keepStory === undefined ? {} : { keepStory: options.keepStory }),
  })
  try {
    const helpers = options.helpers ?? defaultHelpers(pace, seed)
    const shared: Shared = { writing: writers }
    const own = Array.from({ length: writers }, (_, i) => writer(`w${i}`, commits, pace))
    try {
      await world.time.run(
        [...own, ...helpers].map((actor) => () => actor(world, shared)),
        maxVirtualMillis,
      )
    } catch (error) {
      world.observer.report('stuck', error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    await checkHistory(world)
    const { observer, ledger, time } = world
    return {
      findings: observer.findings,
      digest: observer.digest(),
      story: observer.story(),
      versions: observer.newest,
      zombies: observer.zombies,
      refused: ledger.intents().filter(({ fate }) => fate === 'refused').length,
      requests: observer.requests,
      virtualMillis: time.now(),
    }
  } finally {
    world.close()
  }
}

/** Every other seed has somebody who removes metadata against the rules, sooner than a stalled writer gives up. */
function defaultHelpers(paceMillis: number, seed: number): readonly Actor[] {
  const hasty = trimmer('trimmer', 4, paceMillis, 3 * paceMillis)
  return [
    rewriter('rewriter', 6 * paceMillis),
    expirer('expirer', 10, 6 * paceMillis),
    reader('reader', 4 * paceMillis),
    tagger('tagger', 8 * paceMillis),
    ...(seed % 2 === 0 ? [hasty] : []),
  ]
}
