/**
 * A table that gets a file every hour and keeps 120 snapshots: what an append and a plan cost after 10, 100 and 1,000
 * of them. They are to stay flat. Older snapshots are expired once a day, which is not part of an append's figures.
 */

import { systemClock } from '../../table/clock.ts'
import { openCatalog, type Table } from '../../table/index.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import { planExpire, runExpire } from '../../table/maintenance/expire.ts'
import { countingStore, noCounts, type StoreCounts } from './counting-store.ts'
import { definition, hourlyFile } from './table-files.ts'

const STEPS = [10, 100, 1000]
const RETAINED_SNAPSHOTS = 120
/** Appends that a figure is the mean of. */
const WINDOW = 10
const PLANS = 5

export interface AppendCost {
  readonly appends: number
  readonly manifests: number
  readonly snapshots: number
  /** Means over the last appends. */
  readonly commitMillis: number
  readonly commit: StoreCounts
  /** Median, and requests of one plan. */
  readonly planMillis: number
  readonly plan: StoreCounts
}

export async function measureAppends(): Promise<readonly AppendCost[]> {
  const { store, take } = countingStore(openMemoryStore(`bench-${process.pid}`, { clock: systemClock }))
  const properties = {
    'write.metadata.previous-versions-max': '20',
    'write.metadata.delete-after-commit.enabled': 'true',
  }
  let table = await openCatalog(store, { clock: systemClock }).createTable('bench.hourly', definition(properties))
  const costs: AppendCost[] = []
  let window: { millis: number; counts: StoreCounts }[] = []
  for (let hour = 0; hour < STEPS.at(-1)!; hour++) {
    take()
    const started = performance.now()
    table = (await table.append([hourlyFile(table.location, hour)])).table
    window = [...window, { millis: performance.now() - started, counts: take() }].slice(-WINDOW)
    if (hour % 24 === 23) table = await expire(table)
    if (STEPS.includes(hour + 1)) costs.push(await costOf(table, hour + 1, window, take))
  }
  return costs
}

async function expire(table: Table): Promise<Table> {
  const options = { olderThan: systemClock.nowMillis(), retainLast: RETAINED_SNAPSHOTS }
  const plan = planExpire(table, options, systemClock)
  return (await runExpire(table, plan, { graceMillis: 0 }, systemClock)).table
}

async function costOf(
  table: Table,
  appends: number,
  window: readonly { millis: number; counts: StoreCounts }[],
  take: () => StoreCounts,
): Promise<AppendCost> {
  const times: number[] = []
  let plan = noCounts()
  for (let index = 0; index < PLANS; index++) {
    take()
    const started = performance.now()
    const tasks = await table.scan().planFiles()
    times.push(performance.now() - started)
    plan = take()
    if (tasks.length !== appends) throw new Error(`the plan has ${tasks.length} files, expected ${appends}`)
  }
  const mean = (value: (counts: StoreCounts) => number): number =>
    window.reduce((sum, { counts }) => sum + value(counts), 0) / window.length
  return {
    appends,
    manifests: plan.get - 1,
    snapshots: table.metadata.snapshots.length,
    commitMillis: window.reduce((sum, { millis }) => sum + millis, 0) / window.length,
    commit: {
      get: mean(({ get }) => get),
      head: mean(({ head }) => head),
      put: mean(({ put }) => put),
      list: mean(({ list }) => list),
      delete: mean((counts) => counts.delete),
      bytesRead: mean(({ bytesRead }) => bytesRead),
      bytesWritten: mean(({ bytesWritten }) => bytesWritten),
    },
    planMillis: times.sort((a, b) => a - b)[times.length >> 1]!,
    plan,
  }
}
