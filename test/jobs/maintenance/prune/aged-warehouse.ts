/** A warehouse whose store and whose runs go by one clock, which a test moves on by days. */
import type { CompactResult } from '../../../../jobs/compaction/index.ts'
import { type ListShards, type PruneResult, planPrune, runPrune } from '../../../../jobs/maintenance/prune/run.ts'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { newRunId, systemClock } from '../../../../table/clock.ts'
import {
  type Clock,
  epochMillis,
  type ObjectStore,
  openCatalog,
  openStore,
  planExpire,
  runExpire,
  type Table,
} from '../../../../table/index.ts'
import { articleRecords, NOON, runCompaction, stage, type TestShard, type Warehouse } from '../../compaction/fixture.ts'

export const DAY = 86_400_000
export const CREATED = 7
export const STREAM = 'MyStream'

export interface AgedWarehouse extends Warehouse {
  readonly store: ObjectStore
  /** Let days pass, for the store too. */
  later(days: number): void
  /** Land records `[0, to)` of shard `a`, three in a chunk. */
  land(to: number): Promise<void>
  stage(shards: Readonly<Record<string, TestShard>>): Promise<void>
  compact(table?: string): Promise<CompactResult>
  load(table?: string): Promise<Table>
  prune(options?: PruneChoice): Promise<PruneResult>
  /** Keys of the chunks that are left, shortened to `shard/after`. */
  chunks(): Promise<string[]>
  /** Let all snapshots but the newest of a table go. */
  expireOld(table?: string): Promise<void>
  /** Go back to the `at`th snapshot of the table, and have its records compacted again. */
  reprocessFrom(at: number, table?: string): Promise<void>
}

export interface PruneChoice {
  /** Instead of the warehouse's store: one that fails. */
  readonly store?: ObjectStore
  readonly listShards?: ListShards
  readonly streams?: readonly string[]
}

let warehouses = 0
const ARTICLES = 'news.articles'

export function agedWarehouse(): AgedWarehouse {
  let now = NOON
  const clock: Clock = { ...systemClock, nowMillis: () => epochMillis(now), sleep: async () => {} }
  const store = openStore(`memory://prune-${process.pid}-${warehouses++}`, { clock })
  const catalog = openCatalog(store, { clock })
  const warehouse: Warehouse = { store, catalog, clock }
  const load = (table = ARTICLES): Promise<Table> => catalog.loadTable(table)
  const land = async (shards: Readonly<Record<string, TestShard>>): Promise<void> =>
    stage(warehouse, shards, { recordsPerChunk: 3, stream: STREAM, created: CREATED })
  return {
    ...warehouse,
    later: (days) => {
      now += days * DAY
    },
    land: (to) => land({ a: { records: articleRecords(0, to) } }),
    stage: land,
    compact: (table = ARTICLES) => runCompaction(warehouse, { table }),
    load,
    prune: async ({ store: other = store, ...more } = {}) => {
      const options = { store: other, catalog: openCatalog(other, { clock }), clock, ...more }
      return await runPrune(options, await planPrune(options))
    },
    chunks: async () => {
      const found: string[] = []
      for await (const { key } of store.list('_staging/')) {
        const match = /\/shards\/([^/]+)\/0*(\d+)\.arrows\.zst$/.exec(key)
        if (match !== null) found.push(`${match[1]}/${match[2]}`)
      }
      return found
    },
    expireOld: async (name = ARTICLES) => {
      now += 60_000
      const table = await load(name)
      const plan = planExpire(table, { olderThan: epochMillis(now), retainLast: 1 }, clock)
      await runExpire(table, plan, { graceMillis: 0 }, clock)
    },
    reprocessFrom: async (at, name = ARTICLES) => {
      const table = await load(name)
      const options = { store, table, tableName: name }
      const plan = await planRollback(options, table.metadata.snapshots[at]!, { reprocess: true })
      await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
    },
  }
}
