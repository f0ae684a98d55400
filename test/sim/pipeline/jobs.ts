/** Each job of the warehouse as one call, the way its command runs it. */
import type { KinesisApi } from '../../../ingest/index.ts'
import { kinesisSource, land as landRun } from '../../../ingest/index.ts'
import { compact as compactRun } from '../../../jobs/compaction/index.ts'
import { replay as replayRun } from '../../../jobs/compaction/refused/replay.ts'
import type { DatasetDefinition } from '../../../jobs/datasets/index.ts'
import { articles } from '../../../jobs/datasets/index.ts'
import { DATASET_PROPERTY } from '../../../jobs/datasets/table-layout.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { expireTable } from '../../../jobs/maintenance/expire-table.ts'
import { planWarehouseOrphans, removeWarehouseOrphans } from '../../../jobs/maintenance/json-manifests.ts'
import { planPrune, runPrune } from '../../../jobs/maintenance/prune/run.ts'
import { rewriteTable } from '../../../jobs/maintenance/rewrite.ts'
import { isNoRollback, planRollback, runRollback } from '../../../jobs/maintenance/rollback.ts'
import type { Clock } from '../../../table/clock.ts'
import { newRunId } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import {
  type Catalog,
  openCatalog,
  planExpire,
  planOrphans,
  planRewrite,
  runOrphans,
  type Snapshot,
  type Table,
} from '../../../table/index.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { SMALL_RULE } from './ledger.ts'

/** A process: what it sees of the world. */
export interface Host {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly kinesis: KinesisApi
  /** Its way to the tables; wrapped where a safeguard is taken away. */
  readonly openTables?: ((store: ObjectStore, clock: Clock) => Catalog) | undefined
}

export interface TableSpec {
  readonly name: string
  readonly streams: readonly string[]
}

export const CLICKS = 'clicks'
export const VIEWS = 'views'
export const ALL = 'sim.all'
export const SOME = 'sim.some'
/** One stream feeds two tables, and one table is fed by two streams. */
export const TABLES: readonly TableSpec[] = [
  { name: ALL, streams: [CLICKS, VIEWS] },
  { name: SOME, streams: [CLICKS] },
]
export const DAY = 86_400_000

const dataset: DatasetDefinition = { ...articles, maxRecordBytes: SMALL_RULE }

export const catalogOf = ({ store, clock, openTables }: Host): Catalog =>
  openTables?.(store, clock) ?? openCatalog(store, { clock })

export async function land({ store, clock, kinesis }: Host, stream: string): Promise<number> {
  const source = kinesisSource({ stream, client: kinesis, clock })
  const chunkLimits = { maxBytes: 4_000, maxRecords: 6 }
  return (await landRun({ store, source, clock, chunkLimits, shardConcurrency: 2 })).records
}

/** @returns false when there was nothing to do. */
export async function compact(host: Host, table: string, maxReadBytes?: number): Promise<boolean> {
  const { store, clock } = host
  const streams = TABLES.find(({ name }) => name === table)?.streams
  const options = { store, clock, table, dataset, streams, maxReadBytes, maxBadRatio: 1 }
  const result = await compactRun({ ...options, catalog: catalogOf(host), executor: inlineExecutor(store) })
  return !result.nothing_to_do
}

export async function replay(host: Host, table: string): Promise<boolean> {
  const { store, clock } = host
  const result = await replayRun({ store, clock, table, catalog: catalogOf(host), executor: inlineExecutor(store) })
  return !result.nothing_to_do
}

export async function rewrite(host: Host, tableName: string): Promise<void> {
  const table = await catalogOf(host).loadTable(tableName)
  const plan = await planRewrite(table, { rewriteAll: true })
  if (plan.groups.length === 0) return
  await rewriteTable({ store: host.store, table, tableName, plan, runId: newRunId(host.clock) })
}

/** All but the newest `retainLast` snapshots. */
export async function expire(host: Host, tableName: string, retainLast = 3): Promise<void> {
  const { store, clock } = host
  const table = await catalogOf(host).loadTable(tableName)
  const plan = planExpire(table, { olderThan: clock.nowMillis(), retainLast }, clock)
  await expireTable({ store, table, tableName, plan, clock })
}

export async function orphans(host: Host, tableName: string): Promise<number> {
  const { store, clock } = host
  const table = await catalogOf(host).loadTable(tableName)
  const plan = await planOrphans(table, {}, clock)
  const beside = await planWarehouseOrphans(store, table, tableName, epochMillis(plan.olderThanMillis))
  const { result } = await runOrphans(table, plan, { force: true })
  const cutoff = result.olderThanMillis
  const removed = await removeWarehouseOrphans(store, table, tableName, beside.orphans, cutoff)
  return result.deleted + removed.deleted
}

export async function prune(host: Host): Promise<number> {
  const { store, clock, kinesis } = host
  const options = {
    store,
    clock,
    catalog: catalogOf(host),
    listShards: async (stream: string) => {
      const source = kinesisSource({ stream, client: kinesis, clock })
      const { created } = await source.open()
      return { created, shards: await source.listShards() }
    },
  }
  return (await runPrune(options, await planPrune(options))).chunks
}

/** To the snapshot that `choose` picks. @returns false when there was nothing to go back from. */
export async function rollback(
  host: Host,
  tableName: string,
  choose: (snapshots: readonly Snapshot[]) => Snapshot | undefined,
  { reprocess }: { readonly reprocess: boolean },
): Promise<boolean> {
  const { store, clock } = host
  const table = await catalogOf(host).loadTable(tableName)
  const target = choose(table.metadata.snapshots)
  if (target === undefined) return false
  const plan = await planRollback({ store, table, tableName }, target, { reprocess })
  if (isNoRollback(plan)) return false
  await runRollback({ store, table, tableName, clock, runId: newRunId(clock) }, plan)
  return true
}

/** Another rule for the size of records: what was too large may be replayed, or the other way round. */
export async function setRule(host: Host, tableName: string, maxRecordBytes: number): Promise<Table> {
  const table = await catalogOf(host).loadTable(tableName)
  const stored = JSON.parse(table.metadata.properties[DATASET_PROPERTY]!) as DatasetDefinition
  return table.setProperties({ [DATASET_PROPERTY]: JSON.stringify({ ...stored, maxRecordBytes }) })
}
