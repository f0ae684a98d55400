/**
 * A table that gets a file every hour and keeps 120 snapshots: what an append and a plan cost after 10, 100, 200 and
 * 1,000 of them. From 200 on, when all 120 snapshots are there, they are to stay flat. Older snapshots are expired after
 * every append, which is not part of an append's figures.
 */

import { type Clock, systemClock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'
import { type ObjectStore, openCatalog, parseWhere, type Table } from '../../table/index.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import { planExpire, runExpire } from '../../table/maintenance/expire.ts'
import { countingStore, noCounts, type StoreCounts } from './counting-store.ts'
import { dayOf, definition, hourlyFile } from './table-files.ts'

const STEPS = [10, 100, 200, 1000]
const RETAINED_SNAPSHOTS = 120
/** Appends that a figure is the mean of: one of 100 merges the manifests of the others. */
const WINDOW = 100
const PLANS = 9

export interface AppendCost {
  readonly appends: number
  readonly manifests: number
  readonly snapshots: number
  /** All that the warehouse has. */
  readonly objects: number
  /** Means over the last appends. */
  readonly commitMillis: number
  /** Of all threads: what a busy machine does not change. */
  readonly commitCpuMillis: number
  readonly commit: StoreCounts
  readonly newestDay: PlanCost
  readonly everything: PlanCost
}

interface Append {
  readonly millis: number
  readonly cpuMillis: number
  readonly counts: StoreCounts
}

export interface PlanCost {
  /** Median. */
  readonly millis: number
  readonly counts: StoreCounts
  readonly files: number
}

export async function measureAppends(): Promise<readonly AppendCost[]> {
  // Old metadata files go by their age: without the hours in between, none would ever go.
  let elapsedMillis = 0
  const clock: Clock = {
    ...systemClock,
    nowMillis: () => epochMillis(systemClock.nowMillis() + elapsedMillis),
    monotonicMillis: () => systemClock.monotonicMillis() + elapsedMillis,
  }
  const { store, take } = countingStore(openMemoryStore(`bench-${process.pid}`, { clock }))
  const properties = {
    'write.metadata.previous-versions-max': '20',
    'write.metadata.delete-after-commit.enabled': 'true',
  }
  let table = await openCatalog(store, { clock }).createTable('bench.hourly', definition(properties))
  const costs: AppendCost[] = []
  let window: Append[] = []
  for (let hour = 0; hour < STEPS.at(-1)!; hour++) {
    take()
    const usedBefore = process.cpuUsage()
    const started = performance.now()
    table = (await table.append([hourlyFile(table.location, hour)])).table
    const millis = performance.now() - started
    const { user, system } = process.cpuUsage(usedBefore)
    window = [...window, { millis, cpuMillis: (user + system) / 1000, counts: take() }].slice(-WINDOW)
    if (hour >= RETAINED_SNAPSHOTS) table = await expire(table, clock)
    elapsedMillis += 3_600_000
    if (STEPS.includes(hour + 1)) {
      costs.push({ ...(await costOf(table, hour, window, take)), objects: await countObjects(store) })
    }
  }
  return costs
}

async function expire(table: Table, clock: Clock): Promise<Table> {
  const options = { olderThan: clock.nowMillis(), retainLast: RETAINED_SNAPSHOTS }
  const plan = planExpire(table, options, clock)
  return (await runExpire(table, plan, { graceMillis: 0 }, clock)).table
}

async function countObjects(store: ObjectStore): Promise<number> {
  let objects = 0
  for await (const _object of store.list('')) objects++
  return objects
}

async function costOf(
  table: Table,
  hour: number,
  window: readonly Append[],
  take: () => StoreCounts,
): Promise<Omit<AppendCost, 'objects'>> {
  const everything = await planCost(table, undefined, take)
  const newestDay = await planCost(table, `at >= '${dayOf(hour)}T00:00:00Z'`, take)
  if (everything.files !== hour + 1 || newestDay.files !== (hour % 24) + 1) {
    throw new Error(`after ${hour + 1} appends the plans have ${everything.files} and ${newestDay.files} files`)
  }
  const meanOf = (value: (append: Append) => number): number =>
    window.reduce((sum, append) => sum + value(append), 0) / window.length
  const mean = (value: (counts: StoreCounts) => number): number => meanOf(({ counts }) => value(counts))
  return {
    appends: hour + 1,
    manifests: everything.counts.get - 1,
    snapshots: table.metadata.snapshots.length,
    commitMillis: meanOf(({ millis }) => millis),
    commitCpuMillis: meanOf(({ cpuMillis }) => cpuMillis),
    commit: {
      get: mean(({ get }) => get),
      head: mean(({ head }) => head),
      put: mean(({ put }) => put),
      list: mean(({ list }) => list),
      delete: mean((counts) => counts.delete),
      bytesRead: mean(({ bytesRead }) => bytesRead),
      bytesWritten: mean(({ bytesWritten }) => bytesWritten),
    },
    newestDay,
    everything,
  }
}

async function planCost(table: Table, where: string | undefined, take: () => StoreCounts): Promise<PlanCost> {
  const selection = where === undefined ? {} : { where: parseWhere(where, table.schemaFor()) }
  const times: number[] = []
  let counts = noCounts()
  let files = 0
  for (let index = 0; index < PLANS; index++) {
    take()
    const started = performance.now()
    files = (await table.scan(selection).planFiles()).length
    times.push(performance.now() - started)
    counts = take()
  }
  return { millis: times.sort((a, b) => a - b)[times.length >> 1]!, counts, files }
}
