/**
 * What runs left in the warehouse: `_spill/<runId>/…` of runs that died, and run records that nobody reads any more.
 * Nothing that a table consists of lies there.
 */
import type { Clock } from '../../table/clock.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import { prefetch } from '../../table/index.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { formatBytes, plural } from '../render.ts'
import { documentOf } from './document.ts'
import type { PreparedWork } from './prepared.ts'
import { cutoffByStoreClock } from './store-clock.ts'

/** Requests in flight. */
const CONCURRENCY = 16
const SPILL = /^_spill\/([^/]+)\/./
const RECORD = /^_runs\/([^/]+)\/[^/]+\.json$/

export interface LeftoverOptions extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly clock: Clock
  /** In the plan's document. */
  readonly tableName: string
  /** Age of the newest object of a run's exchange; longer than any run takes. */
  readonly spillMinAgeMillis: number
  /** Age of run records. The newest record of each job stays. */
  readonly runsMinAgeMillis: number
}

interface Leftovers {
  readonly spilled: readonly ObjectInfo[]
  readonly records: readonly ObjectInfo[]
}

/** Changes nothing. @throws {FirnError} `FIRN_STORE_UNAVAILABLE`. */
export async function prepareLeftovers(options: LeftoverOptions): Promise<PreparedWork> {
  const { store, clock, tableName, signal } = options
  const plannedAtMillis = clock.nowMillis()
  const planned = await findLeftovers(options, plannedAtMillis)
  const all = [...planned.spilled, ...planned.records]
  const summary = (found: Leftovers): string =>
    `${plural(found.spilled.length, 'exchanged object')} of runs that died, ${plural(found.records.length, 'run record')} (${formatBytes(bytesOf([...found.spilled, ...found.records]))})`
  return {
    schema: 'firn.leftovers/1',
    table: tableName,
    plan: documentOf({ plannedAtMillis, ...countsOf(planned) }),
    text: all.length === 0 ? 'nothing to do: no run has left anything\n' : `would delete ${summary(planned)}\n`,
    nothingToDo: all.length === 0,
    question: 'Delete them?',
    run: async () => {
      // ages by the store's clock, and a listing of now: a run may have gone on in a folder that looked dead
      const now = await cutoffByStoreClock(store, { plannedAtMillis, olderThanMillis: plannedAtMillis }, { signal })
      const meant = new Set(all.map(({ key }) => key))
      const still = await findLeftovers(options, now)
      const found = {
        spilled: still.spilled.filter(({ key }) => meant.has(key)),
        records: still.records.filter(({ key }) => meant.has(key)),
      }
      const remove = (info: ObjectInfo, abort: AbortSignal): Promise<void> => store.delete(info.key, { signal: abort })
      const doomed = [...found.spilled, ...found.records]
      for await (const _ of prefetch(doomed, remove, { depth: CONCURRENCY, signal })) void _
      return { result: documentOf(countsOf(found)), text: `deleted ${summary(found)}\n` }
    },
  }
}

const bytesOf = (infos: readonly ObjectInfo[]): number => infos.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

const countsOf = ({ spilled, records }: Leftovers): object => ({
  spilled: { runs: new Set(spilled.map(runOf)).size, objects: spilled.length, bytes: bytesOf(spilled) },
  records: { objects: records.length, bytes: bytesOf(records) },
})

const runOf = ({ key }: ObjectInfo): string => SPILL.exec(key)?.[1] ?? ''

async function findLeftovers(options: LeftoverOptions, nowMillis: EpochMillis): Promise<Leftovers> {
  const { store, signal, spillMinAgeMillis, runsMinAgeMillis } = options
  const spilled: ObjectInfo[] = []
  for await (const info of store.list('_spill/', { signal })) if (SPILL.test(info.key)) spilled.push(info)
  const before = epochMillis(nowMillis - spillMinAgeMillis)
  const alive = new Set(spilled.filter(({ lastModifiedMillis }) => lastModifiedMillis >= before).map(runOf))
  const records: ObjectInfo[] = []
  let newest: ObjectInfo | undefined
  const recordsBefore = nowMillis - runsMinAgeMillis
  // Keys sort by job and time: the one before another job's, or the end, is the newest of its job.
  for await (const info of store.list('_runs/', { signal })) {
    const job = RECORD.exec(info.key)?.[1]
    if (job === undefined) continue
    if (newest !== undefined && RECORD.exec(newest.key)?.[1] === job && newest.lastModifiedMillis < recordsBefore) {
      records.push(newest)
    }
    newest = info
  }
  return { spilled: spilled.filter((info) => !alive.has(runOf(info))), records }
}
