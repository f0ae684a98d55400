/** A warehouse with staged records, for the tests of compaction and of verify. Lands through the real landing code. */

import {
  type ChunkLimits,
  defaultChunkLimits,
  land,
  type RecordSource,
  type SourcePage,
} from '../../../ingest/index.ts'
import { type CompactOptions, type CompactResult, compact } from '../../../jobs/compaction/index.ts'
import { articles } from '../../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import {
  type Catalog,
  epochMillis,
  type ObjectStore,
  openCatalog,
  openStore,
  type Table,
} from '../../../table/index.ts'

export interface TestRecord {
  readonly sequence: string
  readonly arrivalMillis: number
  readonly data: Uint8Array | string | object
}

export interface TestShard {
  readonly records: readonly TestRecord[]
  readonly parents?: readonly string[]
  readonly ended?: boolean
}

export interface Warehouse {
  readonly store: ObjectStore
  readonly catalog: Catalog
  readonly clock: Clock
}

/** 2026-11-21T12:00:00Z. */
export const NOON = 1_795_262_400_000
export const TABLE = 'news.articles'

/** A clock that stands still, so that what a run writes can be told apart from what the machine says. */
export function fixedClock(nowMillis: number): Clock {
  return { ...systemClock, nowMillis: () => epochMillis(nowMillis), sleep: async () => {} }
}

let warehouses = 0

export function memoryWarehouse(clock: Clock = fixedClock(NOON)): Warehouse {
  const store = openStore(`memory://compaction-${process.pid}-${warehouses++}`)
  return { store, catalog: openCatalog(store, { clock }), clock }
}

/** Land whatever of `shards` is not in staging yet. */
export async function stage(
  { store, clock }: Warehouse,
  shards: Readonly<Record<string, TestShard>>,
  options: { stream?: string; created?: number; recordsPerChunk?: number } = {},
): Promise<void> {
  const { stream = 'MyStream', created = 7, recordsPerChunk } = options
  const source: RecordSource = {
    stream,
    start: { type: 'TRIM_HORIZON' },
    listsEveryShard: true,
    open: async () => ({ created }),
    listShards: async () => Object.entries(shards).map(([shardId, { parents = [] }]) => ({ shardId, parents })),
    read: async function* (shard) {
      const { records, ended = false } = shards[shard.shardId]!
      const page: SourcePage = {
        records: records.map(({ sequence, arrivalMillis, data }) => ({
          sequenceNumber: sequence,
          partitionKey: 'p',
          arrivalMillis,
          data: bytesOf(data),
        })),
        millisBehindLatest: 0,
        gap: false,
        ended,
        caughtUp: true,
      }
      yield page
    },
  }
  const limits: ChunkLimits = {
    ...defaultChunkLimits,
    ...(recordsPerChunk === undefined ? {} : { maxRecords: recordsPerChunk }),
  }
  await land({ store, source, clock, chunkLimits: limits })
}

export function bytesOf(data: TestRecord['data']): Uint8Array {
  if (data instanceof Uint8Array) return data
  return Buffer.from(typeof data === 'string' ? data : JSON.stringify(data))
}

/** Records `[from, to)` as articles, one a minute of event time, arriving one a second. */
export function articleRecords(from: number, to: number, change: (n: number) => object = () => ({})): TestRecord[] {
  return Array.from({ length: to - from }, (_, index) => {
    const n = from + index
    const article = {
      article_id: `article-${String(n).padStart(6, '0')}`,
      title: `Title ${n}`,
      author: n % 3 === 0 ? null : `Author ${n % 7}`,
      publish_date: new Date(NOON - ((n * 37) % 3000) * 60_000).toISOString(),
      content: `Article ${n}. ${'word '.repeat(n % 50)}end!`,
      ...change(n),
    }
    return { sequence: String(n + 1), arrivalMillis: NOON - 3_600_000 + n * 1000, data: article }
  })
}

export async function runCompaction(
  warehouse: Warehouse,
  options: Partial<CompactOptions> = {},
): Promise<CompactResult> {
  const { store, catalog, clock } = warehouse
  return await compact({
    store,
    catalog,
    clock,
    table: TABLE,
    dataset: articles,
    executor: inlineExecutor(store),
    ...options,
  })
}

export const loadTable = (warehouse: Warehouse): Promise<Table> => warehouse.catalog.loadTable(TABLE)

/** Every row of the current snapshot as plain values. */
export async function rowsOf(table: Table): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for await (const batch of table.scan().batches()) {
    for (const row of batch) rows.push({ ...row.toJSON() })
  }
  return rows
}
