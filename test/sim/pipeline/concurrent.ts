/**
 * The whole pipeline at once: producers, landers, compactors, maintenance and people who go back, each a process with
 * bad weather on its way to the store, which dies now and then. Afterwards everything is recovered plainly and checked.
 */
import '../synchronous-zlib.ts'
import { FirnError } from '../../../table/errors.ts'
import { openCatalog } from '../../../table/index.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { processStore, type Weather } from '../process.ts'
import { seedOf, uniform } from '../random.ts'
import { type VirtualTime, virtualTime } from '../virtual-time.ts'
import { check } from './check.ts'
import { recover } from './deaths.ts'
import * as jobs from './jobs.ts'
import { ALL, CLICKS, compact, DAY, type Host, land, SOME, TABLES, VIEWS } from './jobs.ts'
import { JournaledStore } from './journaled-store.ts'
import { Ledger, type Producer, producer, SMALL_RULE, WIDE_RULE } from './ledger.ts'

export interface ConcurrentOptions {
  readonly seed: number
  /** A safeguard taken away, of the jobs and of their recovery. */
  readonly without?: ((host: Host) => Host) | undefined
}

export interface ConcurrentResult {
  readonly findings: readonly string[]
  readonly digest: string
  readonly records: number
  readonly deaths: number
  /** Runs that ended well, by job. */
  readonly runs: Readonly<Record<string, number>>
}

const read = { refused: 0.01, throttled: 0.01, timedOut: 0.002 }
const write = { ...read, answerLost: 0.02, late: 0.01 }
const WEATHER: Weather = {
  rates: { put: write, get: { ...read, reset: 0.005 }, head: read, list: { ...read, reset: 0.005 }, delete: write },
  latencyMillis: [5, 120],
  attempts: 3,
  stallRate: 0,
  stallMillis: 0,
  killRate: 0.002,
}
const RETENTION_MILLIS = 8 * DAY
const MAX_VIRTUAL_MILLIS = 120 * DAY

interface Scene {
  readonly seed: number
  readonly time: VirtualTime
  readonly store: JournaledStore
  readonly kinesis: MemoryKinesis
  readonly ledger: Ledger
  readonly producer: Producer
  readonly without: (host: Host) => Host
  readonly paceMillis: number
  readonly runs: Record<string, number>
  readonly findings: string[]
  producing: boolean
  deaths: number
}

export async function concurrent({ seed, without = (host) => host }: ConcurrentOptions): Promise<ConcurrentResult> {
  const scene = sceneOf(seed, without)
  const { time, store, ledger, findings, runs } = scene
  const actors = [produce, ...workers(seed)]
  try {
    await time.run(
      actors.map((actor) => () => actor(scene)),
      MAX_VIRTUAL_MILLIS,
    )
    const clock = time.clock('recovery')
    const host = without({ clock, store, kinesis: scene.kinesis })
    await time.run([() => recover(host, (millis) => clock.sleep(millis))])
    await time.run([
      async () => {
        findings.push(...(await check(store, { clock }, ledger)))
      },
    ])
  } catch (error) {
    findings.push(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  return { findings, digest: store.digest(), records: ledger.records.length, deaths: scene.deaths, runs }
}

function sceneOf(seed: number, without: (host: Host) => Host): Scene {
  const time = virtualTime(seed)
  const random = uniform(seedOf(seed, 'stream'))
  const clock = time.clock('stream')
  const kinesis = new MemoryKinesis({
    clock,
    pageRecords: 2 + Math.floor(random() * 10),
    emptyPages: Math.floor(random() * 3),
    nullIteratorEvery: random() < 0.5 ? 5 : 0,
    iteratorLifeMillis: 1_000 + random() * 20_000,
    listPageShards: 2,
    retentionMillis: RETENTION_MILLIS,
    trims: true,
    skipsTrimmed: true,
    limits: true,
    fault: () => {
      if (random() < 0.03) throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'slow down')
    },
  })
  kinesis.createStream(CLICKS, 2)
  kinesis.createStream(VIEWS, 1)
  const ledger = new Ledger()
  return {
    seed,
    time,
    kinesis,
    ledger,
    without,
    store: new JournaledStore(time.clock('store')),
    producer: producer(ledger, kinesis, random, () => clock.nowMillis()),
    // all haste, or days, in which things grow old enough to be removed
    paceMillis: random() < 0.5 ? 2_000 : DAY,
    runs: {},
    findings: [],
    producing: true,
    deaths: 0,
  }
}

type Actor = (scene: Scene) => Promise<void>

async function produce(scene: Scene): Promise<void> {
  const { seed, time, producer: stream, paceMillis } = scene
  const clock = time.clock('producer')
  const random = uniform(seedOf(seed, 'producer'))
  for (let round = 0; round < 12; round++) {
    stream.publish(CLICKS, 2 + Math.floor(random() * 8))
    if (random() < 0.6) stream.publish(VIEWS, 1 + Math.floor(random() * 5))
    await clock.sleep(random() * paceMillis)
    if (random() < 0.25) stream.reshard(random() < 0.7 ? CLICKS : VIEWS)
    await clock.sleep(random() * paceMillis)
  }
  scene.producing = false
}

/** Two of each that must not get into each other's way, and one of each of the others. */
function workers(seed: number): readonly Actor[] {
  const random = uniform(seedOf(seed, 'people'))
  const eachTable = async (run: (table: string) => Promise<unknown>): Promise<void> => {
    for (const { name } of TABLES) await run(name)
  }
  const landing = async (host: Host): Promise<void> => {
    for (const stream of [CLICKS, VIEWS]) await land(host, stream)
  }
  const compaction = (table: string) => (host: Host) => compact(host, table, random() < 0.3 ? 2_000 : undefined)
  const replay = (host: Host) => eachTable((table) => jobs.replay(host, table))
  const goBack = (host: Host) => {
    const [steps, reprocess] = [2 + Math.floor(random() * 3), random() < 0.5]
    return jobs.rollback(host, random() < 0.7 ? ALL : SOME, (all) => all.at(-steps), { reprocess })
  }
  return [
    worker('lander-1', 0.7, landing),
    worker('lander-2', 0.7, landing),
    worker('compactor-1', 0.8, compaction(ALL)),
    worker('compactor-2', 0.8, compaction(ALL)),
    // far behind the other table, of the same stream
    worker('compactor-3', 7, compaction(SOME)),
    worker('compactor-4', 7, compaction(SOME)),
    worker('rewriter', 4, (host) => eachTable((table) => jobs.rewrite(host, table))),
    worker('expirer', 4, (host) => eachTable((table) => jobs.expire(host, table, 4))),
    worker('replayer-1', 3, replay),
    worker('replayer-2', 3, replay),
    reader,
    worker('rules', 8, (host) =>
      eachTable((table) => jobs.setRule(host, table, random() < 0.5 ? SMALL_RULE : WIDE_RULE)),
    ),
    worker('pruner', 3, (host) => jobs.prune(host)),
    worker('sweeper', 5, (host) => eachTable((table) => jobs.orphans(host, table))),
    worker('returner', 9, goBack),
  ]
}

/** Does its job again and again while there is something to do, and is started again when it dies. */
function worker(name: string, pauses: number, work: (host: Host) => Promise<unknown>): Actor {
  return async (scene) => {
    const { seed, time, store, kinesis, without, paceMillis } = scene
    const random = uniform(seedOf(seed, `pauses of ${name}`))
    let incarnation = 0
    const born = (): Host => {
      incarnation++
      const clock = time.clock(`${name}/${incarnation}`, Math.floor(uniform(seedOf(seed, name))() * 60_000))
      const own = seedOf(seed, `${name}/${incarnation}`)
      return without({ clock, kinesis, store: processStore(store, clock, own, WEATHER) })
    }
    let host = born()
    while (scene.producing) {
      // its first run comes soon: what a table has not begun to read may be pruned
      await host.clock.sleep((0.2 + random()) * (scene.runs[name] === undefined ? 0.3 : pauses) * paceMillis)
      try {
        await work(host)
        scene.runs[name] = (scene.runs[name] ?? 0) + 1
      } catch (error) {
        const fate = fateOf(error)
        if (fate === 'unexpected')
          scene.findings.push(`${name} failed: ${error instanceof Error ? error.stack : error}`)
        if (fate === 'dead') scene.deaths++
        host = born()
      }
    }
  }
}

/** Plans a scan and takes a while: what it planned is there for as long as expiry grants. */
async function reader({ seed, time, store, without, kinesis, findings, runs, ...scene }: Scene): Promise<void> {
  const random = uniform(seedOf(seed, 'pauses of reader'))
  const clock = time.clock('reader')
  const { store: own } = without({ clock, store, kinesis })
  for (let round = 0; round < 40; round++) {
    await clock.sleep((0.2 + random()) * scene.paceMillis)
    try {
      const table = await openCatalog(own, { clock }).loadTable(ALL)
      const snapshotId = table.currentSnapshot()?.snapshotId
      await clock.sleep(random() * READING_MILLIS)
      if (snapshotId !== undefined) for await (const _ of table.scan({ snapshotId }).batches()) void _
      runs['reader'] = (runs['reader'] ?? 0) + 1
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_TABLE_NOT_FOUND')) findings.push(`reader failed: ${error}`)
    }
  }
}

/** Less than the minute for which expiry leaves files. */
const READING_MILLIS = 50_000

/** Refusals by rule, which a person reads and a scheduler tries again. */
const REFUSALS = [
  'FIRN_OBJECT_NOT_FOUND',
  'FIRN_TABLE_NOT_FOUND',
  'FIRN_STREAM_NOT_STAGED',
  'FIRN_NOT_AN_ANCESTOR',
  'FIRN_REPROCESS_IMPOSSIBLE',
  'FIRN_ROLLBACK_REPEATS',
  'FIRN_NO_CONSUMER',
  'FIRN_TABLE_EMPTY',
]

function fateOf(error: unknown): 'dead' | 'weather' | 'unexpected' {
  const chain: FirnError[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (FirnError.is(at)) chain.push(at)
  // what stops the pruning of a stream is told in words only
  const isDeath = ({ code, message }: FirnError): boolean => code === 'FIRN_STORE_KILLED' || / killed at /.test(message)
  if (chain.some(isDeath)) return 'dead'
  const isWeather = ({ code, kind, retryable }: FirnError): boolean =>
    retryable || ['conflict', 'unavailable', 'unknown-commit'].includes(kind) || REFUSALS.includes(code)
  return chain.some(isWeather) ? 'weather' : 'unexpected'
}

let warm: Promise<void> | undefined

/** What is loaded once per process by other threads, and which virtual time cannot wait for. */
export function warmUp(): Promise<void> {
  warm ??= import('./deaths.ts').then(async ({ deaths }) => void (await deaths({ seed: 1, kinds: [] })))
  return warm
}
