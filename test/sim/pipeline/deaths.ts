/**
 * Death at every store call: a story of jobs is told once without faults; before each job that is attacked the world is
 * copied, and the job dies in a copy, before and after each of its calls. Every copy is then recovered by running all
 * jobs again, plainly, and checked.
 */
import '../synchronous-zlib.ts'
import { createHash } from 'node:crypto'
import { faultyStore, type StoreCall } from '../../../table/io/faulty.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { check, holes } from './check.ts'
import {
  ALL,
  CLICKS,
  compact,
  DAY,
  expire,
  type Host,
  land,
  orphans,
  prune,
  replay,
  rewrite,
  rollback,
  SOME,
  setRule,
  TABLES,
  VIEWS,
} from './jobs.ts'
import type { JournaledStore } from './journaled-store.ts'
import { WIDE_RULE } from './ledger.ts'
import { hostOf, type PipelineWorld, pipelineWorld } from './world.ts'

export type JobKind =
  | 'land'
  | 'compact'
  | 'rewrite'
  | 'expire'
  | 'prune'
  | 'replay'
  | 'rollback'
  | 'reprocess'
  | 'orphans'

interface Step {
  readonly kind?: JobKind
  /** Dies at every call, in copies. */
  readonly attacked?: boolean
  readonly run: (host: Host) => Promise<unknown>
}

export interface DeathsOptions {
  readonly seed: number
  /** Default: all. */
  readonly kinds?: readonly JobKind[] | undefined
  /** Every so many calls; default 1. */
  readonly stride?: number | undefined
  /** A safeguard taken away, of the jobs and of their recovery. */
  readonly without?: ((host: Host) => Host) | undefined
  /** Stop at the first finding. */
  readonly isFirstEnough?: boolean | undefined
}

export interface DeathsResult {
  readonly findings: readonly string[]
  /** Of every write of every copy: one seed, one digest. */
  readonly digest: string
  /** Store calls of the attacked jobs. */
  readonly calls: number
  readonly deaths: number
  readonly callsOf: Readonly<Partial<Record<JobKind, number>>>
  readonly records: number
}

export async function deaths(options: DeathsOptions): Promise<DeathsResult> {
  const { seed, kinds, stride = 1, without = (host) => host, isFirstEnough = false } = options
  const world = pipelineWorld(seed)
  const findings: string[] = []
  const callsOf: Partial<Record<JobKind, number>> = {}
  const digest = createHash('sha256')
  let died = 0
  const isDone = (): boolean => isFirstEnough && findings.length > 0
  for (const [index, step] of story(world).entries()) {
    const isAttacked = step.attacked === true && (kinds === undefined || kinds.includes(step.kind!))
    if (isAttacked) {
      const back = world.clock.mark()
      const calls = await attempt(world, world.store.copy(), step, without)
      callsOf[step.kind!] = (callsOf[step.kind!] ?? 0) + calls
      for (let call = 1; call <= calls && !isDone(); call += stride) {
        for (const when of ['before', 'after'] as const) {
          back()
          const store = world.store.copy()
          await attempt(world, store, step, without, { call, when })
          died++
          const torn = step.kind === 'prune' || step.kind === 'land' ? await holes(store) : []
          for (const what of [...torn, ...(await recovered(world, store, without))]) {
            findings.push(`step ${index}, ${step.kind} dead ${when} call ${call}: ${what}`)
          }
          digest.update(store.digest())
        }
      }
      back()
    }
    if (isDone()) break
    await step.run(without(hostOf(world)))
  }
  const { store, ledger } = world
  if (!isDone()) for (const what of await recovered(world, store, without)) findings.push(`undisturbed: ${what}`)
  const calls = Object.values(callsOf).reduce((sum, count) => sum + count, 0)
  return {
    findings,
    digest: digest.update(store.digest()).digest('hex'),
    calls,
    deaths: died,
    callsOf,
    records: ledger.records.length,
  }
}

/** @returns the store calls that the job made. */
async function attempt(
  { clock, kinesis }: PipelineWorld,
  store: JournaledStore,
  { run, kind }: Step,
  without: (host: Host) => Host,
  death?: { readonly call: number; readonly when: 'before' | 'after' },
): Promise<number> {
  let calls = 0
  const kill = ({ index }: StoreCall): 'before' | 'after' | undefined => {
    calls = index
    return index === death?.call ? death.when : undefined
  }
  try {
    await run(without({ clock, kinesis, store: faultyStore(store, { seed: 1, clock, kill }) as ObjectStore }))
  } catch (error) {
    // whatever a dead process throws is nobody's to see
    if (death === undefined || calls < death.call) throw new Error(`${kind} failed`, { cause: error })
  }
  return calls
}

async function recovered(
  { clock, kinesis, ledger }: PipelineWorld,
  store: JournaledStore,
  without: (host: Host) => Host,
): Promise<readonly string[]> {
  const host = without({ clock, store, kinesis })
  try {
    await recover(host, (millis) => clock.advance(millis))
  } catch (error) {
    return [`recovery failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`]
  }
  return await check(store, { clock }, ledger)
}

/** Every job again until nothing is left to do, and days later those that clean up. */
export async function recover(host: Host, wait: (millis: number) => Promise<void> | void): Promise<void> {
  await wait(60_000)
  for (const stream of [CLICKS, VIEWS]) await land(host, stream)
  for (const { name } of TABLES) while (await compact(host, name));
  for (const { name } of TABLES) await replay(host, name)
  await wait(10 * DAY)
  for (const stream of [CLICKS, VIEWS]) await land(host, stream)
  for (const { name } of TABLES) {
    while (await compact(host, name));
    await expire(host, name, 2)
  }
  await prune(host)
  await wait(10 * DAY)
  for (const { name } of TABLES) await orphans(host, name)
}

/** What happens in a warehouse, with every kind of job. */
function story({ clock, producer, random }: PipelineWorld): readonly Step[] {
  const later = (millis: number): Step => ({ run: async () => clock.advance(millis) })
  const publish = (clicks: number, views: number): Step => ({
    run: async () => {
      for (let left = clicks; left > 0; left -= 6) {
        producer.publish(CLICKS, Math.min(left, 6))
        clock.advance(random() * 1_000)
      }
      producer.publish(VIEWS, views)
      clock.advance(1_000)
    },
  })
  const reshard: Step = { run: async () => producer.reshard(CLICKS) }
  const job = (kind: JobKind, run: Step['run'], attacked = false): Step => ({ kind, run, attacked })
  const landAll = [job('land', (host) => land(host, CLICKS)), job('land', (host) => land(host, VIEWS))]
  const compactAll = TABLES.map(({ name }) => job('compact', (host) => compact(host, name)))
  const toSecond = (reprocess: boolean) => (host: Host) => rollback(host, ALL, (all) => all.at(-2), { reprocess })
  return [
    ...[publish(18, 9), ...landAll, ...compactAll, reshard],
    ...[publish(15, 6), job('land', (host) => land(host, CLICKS), true), landAll[1]!],
    ...[job('compact', (host) => compact(host, ALL), true), compactAll[1]!, reshard],
    ...[publish(9, 4), ...landAll, ...compactAll],
    ...TABLES.map(({ name }) => ({ run: (host: Host) => setRule(host, name, WIDE_RULE) })),
    ...[job('replay', (host) => replay(host, ALL), true), job('rewrite', (host) => rewrite(host, ALL), true)],
    ...[publish(7, 4), ...landAll, ...compactAll],
    ...[job('reprocess', toSecond(true), true), later(60_000), ...compactAll],
    ...[job('rollback', toSecond(false), true), job('replay', (host) => replay(host, SOME))],
    ...[later(4 * DAY), publish(5, 2), ...landAll, ...compactAll],
    ...[job('expire', (host) => expire(host, ALL), true), job('expire', (host) => expire(host, SOME))],
    ...[later(8 * DAY), ...landAll, job('prune', (host) => prune(host), true)],
    ...[job('orphans', (host) => orphans(host, ALL), true), publish(6, 3), reshard],
    ...[job('land', (host) => land(host, CLICKS), true), job('compact', (host) => compact(host, SOME), true)],
  ]
}
