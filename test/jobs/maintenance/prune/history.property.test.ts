/** Pruning among everything else that happens to a stream and its tables: no record is lost, none comes twice. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planPrune, runPrune } from '../../../../jobs/maintenance/prune/run.ts'
import { planRollback } from '../../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { articleRecords, rowsOf, type TestRecord } from '../../compaction/fixture.ts'
import { type AgedWarehouse, agedWarehouse, CREATED } from './aged-warehouse.ts'

const TABLES = ['news.articles', 'news.other'] as const

const table = fc.constantFrom(...TABLES)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('land' as const), count: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('compact' as const), table }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reshard' as const), merge: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const), table }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reprocess' as const), table, at: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('forget' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('prune' as const),
      days: fc.constantFrom(0, 4, 4, 9),
      // often everything was consumed and let go, so that much can be pruned
      consumed: fc.boolean(),
    }),
  },
)

interface Shard {
  readonly parents: readonly string[]
  readonly records: TestRecord[]
  ended: boolean
  listed: boolean
}

/** The stream as Kinesis has it; every record has a number of its own, which is its position too. */
class Stream {
  readonly shards = new Map<string, Shard>([['s0', { parents: [], records: [], ended: false, listed: true }]])
  published = 0

  open(): [string, Shard][] {
    return [...this.shards].filter(([, { ended }]) => !ended)
  }

  put(count: number): void {
    for (const [, { records }] of this.open()) {
      records.push(...articleRecords(this.published, this.published + count))
      this.published += count
    }
  }

  reshard(merge: boolean): void {
    const open = this.open()
    if (this.shards.size > 6) return
    const closing = merge && open.length > 1 ? open.slice(0, 2) : open.slice(0, 1)
    for (const [, shard] of closing) shard.ended = true
    const parents = closing.map(([id]) => id)
    for (let born = 0; born < (closing.length > 1 ? 1 : 2); born++) {
      this.shards.set(`s${this.shards.size}`, { parents, records: [], ended: false, listed: true })
    }
  }

  /** Shards that ended are no longer listed. */
  forget(): void {
    for (const shard of this.shards.values()) if (shard.ended) shard.listed = false
  }

  listed(): Record<string, Shard> {
    return Object.fromEntries([...this.shards].filter(([, { listed }]) => listed))
  }
}

/** Snapshots of a table that can be gone back to so that their records are compacted again. */
async function reprocessable({ store, load }: AgedWarehouse, name: string): Promise<string[]> {
  const found: string[] = []
  const loaded = await load(name)
  for (const snapshot of loaded.metadata.snapshots) {
    await planRollback({ store, table: loaded, tableName: name }, snapshot, { reprocess: true }).then(
      () => found.push(String(snapshot.snapshotId)),
      () => {},
    )
  }
  return found
}

/** Prune, and look that everybody can do what they could before. */
async function pruneChecked(warehouse: AgedWarehouse, stream: Stream): Promise<number> {
  const listShards = async () => ({
    created: CREATED,
    shards: Object.entries(stream.listed()).map(([shardId, { parents }]) => ({ shardId, parents })),
  })
  const options = { ...warehouse, listShards }
  const before = await Promise.all(TABLES.map((name) => reprocessable(warehouse, name)))
  const { chunks } = await runPrune(options, await planPrune(options))
  expect(await Promise.all(TABLES.map((name) => reprocessable(warehouse, name)))).toEqual(before)
  expect((await planPrune(options)).totals.chunks).toBe(0)
  return chunks
}

test('whatever happens in between, each table ends with every record once, and goes back wherever it could', async () => {
  let pruned = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 24 }), async (steps) => {
      const [warehouse, stream] = [agedWarehouse(), new Stream()]
      const land = (): Promise<void> => warehouse.stage(stream.listed())
      stream.put(3)
      await land()
      for (const name of TABLES) await warehouse.compact(name)
      for (const each of steps) {
        if (each.do === 'land') stream.put(each.count)
        if (each.do === 'reshard') stream.reshard(each.merge)
        if (each.do === 'land' || each.do === 'reshard') await land()
        if (each.do === 'compact') await warehouse.compact(each.table)
        if (each.do === 'expire') await warehouse.expireOld(each.table)
        if (each.do === 'reprocess') {
          const snapshots = (await warehouse.load(each.table)).metadata.snapshots.map((each) => String(each.snapshotId))
          const possible = await reprocessable(warehouse, each.table)
          const at = each.at % snapshots.length
          if (possible.includes(snapshots[at]!)) await warehouse.reprocessFrom(at, each.table)
        }
        if (each.do === 'forget') {
          stream.forget()
          await land()
        }
        if (each.do === 'prune') {
          if (each.consumed) {
            for (const name of TABLES) {
              await warehouse.compact(name)
              await warehouse.expireOld(name)
            }
          }
          warehouse.later(each.days)
          pruned += await pruneChecked(warehouse, stream)
        }
      }
      stream.put(2)
      await land()
      for (const name of TABLES) {
        await warehouse.compact(name)
        const loaded = await warehouse.load(name)
        const ids = (await rowsOf(loaded)).map((row) => row['article_id']).sort()
        const all = articleRecords(0, stream.published).map(({ data }) => (data as { article_id: string }).article_id)
        expect(ids).toEqual(all)
        expect((await verifyTable({ table: loaded, warehouse: warehouse.store })).problems).toEqual([])
      }
    }),
    { numRuns: 30 },
  )
  expect(pruned).toBeGreaterThan(20)
})
