/** Tables with one row a key, their histories, and what the rows must be: computed from all records at once. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { originText } from '../../../../jobs/compaction/enrich/origin.ts'
import { type CompactOptions, type CompactResult, compact } from '../../../../jobs/compaction/index.ts'
import { type DatasetDefinition, parseDataset } from '../../../../jobs/datasets/index.ts'
import { DATASET_PROPERTY } from '../../../../jobs/datasets/table-layout.ts'
import { type Executor, inlineExecutor } from '../../../../jobs/executors/executor.ts'
import { newRunId } from '../../../../table/clock.ts'
import {
  compareStrings,
  createDataFileWriter,
  currentSchema,
  defaultSpec,
  planRewrite,
  runRewrite,
} from '../../../../table/index.ts'
import { batchOf } from '../../../table/support.ts'
import { loadTable, NOON, rowsOf, stage, TABLE, type TestRecord, type Warehouse } from '../fixture.ts'

export const CREATED = 7

export const scopeDataset = (keep: 'latest' | 'first' = 'latest', sort: 'key' | 'value' = 'key'): DatasetDefinition =>
  parseDataset(
    {
      name: 'scoped',
      fields: [
        { name: 'id', type: 'string', required: true },
        { name: 'value', type: 'string', required: true },
        { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'value' } },
        { name: 'origin', type: 'string', required: true, from: { kind: 'origin' } },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
      key: 'id',
      dedup: { scope: 'table', keep },
      sort: sort === 'key' ? [{ source: 'id' }] : [{ source: 'value' }, { source: 'id' }],
      maxRecordBytes: 1000,
    },
    'test',
  )

/** A record of a history: where it stands, and what it says. */
export interface Version {
  readonly stream: string
  readonly shard: string
  readonly sequence: number
  readonly arrivalMillis: number
  readonly id: string
  readonly value: string
}

export const version = (
  id: string,
  value: string,
  sequence: number,
  { stream = 'a', shard = 'shard-0', arrivalMillis = NOON + sequence }: Partial<Version> = {},
): Version => ({ stream, shard, sequence, arrivalMillis, id, value })

const originOf = ({ stream, shard, sequence, arrivalMillis }: Version): string =>
  originText({ stream, created: CREATED, shardId: shard, sequenceNumber: String(sequence), arrivalMillis })

/** `id=value` of the rows that a table holds which has taken in all of `versions`. */
export function expectedRows(versions: readonly Version[], keep: 'latest' | 'first'): string[] {
  const kept = new Map<string, Version>()
  for (const each of versions) {
    const other = kept.get(each.id)
    const isLater = other !== undefined && compareStrings(originOf(each), originOf(other)) > 0
    if (other === undefined || isLater === (keep === 'latest')) kept.set(each.id, each)
  }
  return [...kept.values()].map(({ id, value }) => `${id}=${value}`).sort()
}

export async function valuesOf(warehouse: Warehouse): Promise<string[]> {
  return (await rowsOf(await loadTable(warehouse))).map(({ id, value }) => `${id}=${value}`).sort()
}

/** All of `versions` that are given so far; staging takes what it has not. */
export async function stageVersions(
  warehouse: Warehouse,
  versions: readonly Version[],
  options: { recordsPerChunk?: number } = {},
): Promise<void> {
  for (const [stream, some] of Map.groupBy(versions, (each) => each.stream)) {
    const shards = [...Map.groupBy(some, (each) => each.shard)].map(([shard, records]) => {
      const inOrder = records.toSorted((a, b) => a.sequence - b.sequence)
      return [shard, { records: inOrder.map(recordOf) }] as const
    })
    await stage(warehouse, Object.fromEntries(shards), { stream, created: CREATED, ...options })
  }
}

const recordOf = ({ sequence, arrivalMillis, id, value }: Version): TestRecord => ({
  sequence: String(sequence),
  arrivalMillis,
  data: { id, value },
})

export const runScoped = (
  { store, catalog, clock }: Warehouse,
  options: Partial<CompactOptions> = {},
): Promise<CompactResult> =>
  compact({
    store,
    catalog,
    clock,
    table: TABLE,
    fallbackDataset: scopeDataset(),
    executor: inlineExecutor(store),
    ...options,
  })

/** Rows of another writer: without an order, or with one of its own. */
export async function appendForeign(
  warehouse: Warehouse,
  rows: readonly { readonly id: string; readonly value: string; readonly origin?: string | null }[],
): Promise<void> {
  const table = await loadTable(warehouse)
  const { metadata, store, location } = table
  const schema = currentSchema(metadata)
  const writer = createDataFileWriter({
    store,
    location,
    schema,
    spec: defaultSpec(metadata),
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: `foreign-${newRunId(warehouse.clock)}`,
    targetFileSizeBytes: 1e6,
  })
  const values = rows.map(({ id, value, origin = '' }) => ({ id, value, word_count: 1, origin, compacted_at: 0n }))
  await writer.write(batchOf(schema, values))
  await table.append((await writer.close()).map(({ dataFile }) => dataFile))
}

/** `meanwhile` happens once, after stage `stage` of the run (1: read, 2: compared, 3: written). */
export function disturbed(warehouse: Warehouse, stage: number, meanwhile: () => Promise<unknown>, times = 1): Executor {
  const inline = inlineExecutor(warehouse.store)
  let stages = 0
  let left = times
  return {
    run: async (...args) => {
      const results = await inline.run(...args)
      if (++stages >= stage && left > 0) {
        stages = 0
        left--
        await meanwhile()
      }
      return results
    },
  }
}

export async function rewriteAll(warehouse: Warehouse): Promise<void> {
  const table = await loadTable(warehouse)
  const plan = await planRewrite(table, { rewriteAll: true })
  await runRewrite(table, plan, { runId: newRunId(warehouse.clock), spillFolder: join(tmpdir(), 'firn-scope-rewrite') })
}

/** What was refused as too large passes from now on. */
export async function allowLarge(warehouse: Warehouse): Promise<void> {
  const table = await loadTable(warehouse)
  const dataset = JSON.parse(table.metadata.properties[DATASET_PROPERTY]!) as object
  await table.setProperties({ [DATASET_PROPERTY]: JSON.stringify({ ...dataset, maxRecordBytes: 10_000 }) })
}
