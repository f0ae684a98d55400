/** Tables with one row a key, their histories, and what the rows must be: computed from all records at once. */
import { type CompactOptions, type CompactResult, compact } from '../../../../jobs/compaction/index.ts'
import { originText } from '../../../../jobs/compaction/origin.ts'
import { type DatasetDefinition, parseDataset } from '../../../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../../../jobs/executor.ts'
import { compareStrings } from '../../../../table/index.ts'
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
