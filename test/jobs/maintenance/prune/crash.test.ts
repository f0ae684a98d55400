/** Pruning that dies, at every single call; and what else happens while it runs. */
import { describe, expect, test } from 'vitest'
import { planPrune, runPrune } from '../../../../jobs/maintenance/prune/run.ts'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { newRunId } from '../../../../table/clock.ts'
import { faultyStore, type ObjectStore, openCatalog, type StoreCall } from '../../../../table/index.ts'
import { articleRecords, rowsOf, runCompaction } from '../../compaction/fixture.ts'
import { type AgedWarehouse, agedWarehouse, CREATED } from './aged-warehouse.ts'

const parent = { records: articleRecords(0, 6), ended: true }
const childTo = (to: number) => ({ records: articleRecords(6, to), parents: ['a'] })
const listShards = async () => ({ created: CREATED, shards: [{ shardId: 'b', parents: ['a'] }] })
const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `article-${String(from + n).padStart(6, '0')}`)
const idsOf = async (warehouse: AgedWarehouse, table?: string): Promise<unknown[]> =>
  (await rowsOf(await warehouse.load(table))).map((row) => row['article_id']).sort()

/** Of each shard the table has what comes last. @returns its rows. */
async function expectNoHole(warehouse: AgedWarehouse, table: string, to: number): Promise<unknown[]> {
  const rows = await idsOf(warehouse, table)
  const ofA = rows.filter((id) => String(id) < 'article-000006').length
  expect(rows).toEqual([...ids(6 - ofA, 6), ...ids(to - (rows.length - ofA), to)])
  return rows
}

/** A split: `a` can go as a whole, three chunks of `b` can go, the last one stays. */
async function splitWarehouse(): Promise<AgedWarehouse> {
  const warehouse = agedWarehouse()
  await warehouse.stage({ a: parent, b: childTo(18) })
  await warehouse.compact()
  warehouse.later(4)
  await warehouse.stage({ b: childTo(18) })
  return warehouse
}

/** The warehouse's store, and what happens before its calls. */
function watched(warehouse: AgedWarehouse, before: (call: StoreCall) => Promise<void>): ObjectStore {
  const { store } = warehouse
  let index = 0
  const call = async <T>(operation: StoreCall['operation'], key: string, work: () => Promise<T>): Promise<T> => {
    await before({ operation, key, index: ++index })
    return await work()
  }
  return {
    url: store.url,
    put: (key, body, options) => call('put', key, () => store.put(key, body, options)),
    get: (key, options) => call('get', key, () => store.get(key, options)),
    head: (key, options) => call('head', key, () => store.head(key, options)),
    delete: (key, options) => call('delete', key, () => store.delete(key, options)),
    list: async function* (prefix, options) {
      await before({ operation: 'list', key: prefix, index: ++index })
      yield* store.list(prefix, options)
    },
  }
}

const onto = (warehouse: AgedWarehouse, store: ObjectStore) => ({
  store,
  catalog: openCatalog(store, { clock: warehouse.clock }),
  clock: warehouse.clock,
  listShards,
})

describe('killed', () => {
  test('before or after any call, every chain is whole for landing, for compaction and for a new table; the next run goes on', async () => {
    let calls = 0
    const whole = await splitWarehouse()
    const counting = faultyStore(whole.store, {
      seed: 1,
      clock: whole.clock,
      kill: ({ index }) => {
        calls = index
        return undefined
      },
    })
    await whole.prune({ store: counting, listShards })
    expect(await whole.chunks()).toEqual(['b/15'])
    expect(calls).toBeGreaterThan(20)
    const seen = new Set<string>()
    for (let at = 1; at <= calls; at++) {
      for (const when of ['before', 'after'] as const) {
        const warehouse = await splitWarehouse()
        const dying = faultyStore(warehouse.store, {
          seed: 1,
          clock: warehouse.clock,
          kill: ({ index }) => (index === at ? when : undefined),
        })
        await warehouse.prune({ store: dying, listShards }).catch(() => {})
        seen.add((await warehouse.chunks()).join(' '))
        await warehouse.stage({ b: childTo(21) })
        expect(await warehouse.compact(), `${at} ${when}`).toMatchObject({ rows_added: 3 })
        expect(await idsOf(warehouse)).toEqual(ids(0, 21))
        await warehouse.compact('news.new')
        await expectNoHole(warehouse, 'news.new', 21)
        const { problems } = await verifyTable({ table: await warehouse.load(), warehouse: warehouse.store })
        expect(problems).toEqual([])
        warehouse.later(4)
        await warehouse.prune({ listShards })
        expect(await warehouse.chunks()).toEqual(['b/18'])
      }
    }
    expect(seen.size).toBeGreaterThan(4)
  })

  test('a delete whose answer is lost, or that takes effect late, leaves no hole', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const warehouse = await splitWarehouse()
      const rates = { delete: { answerLost: 0.2, refused: 0.2, late: 0.2 } }
      const store = faultyStore(warehouse.store, { seed, clock: warehouse.clock, rates, lateMillis: 1 })
      for (let run = 0; run < 20; run++) await warehouse.prune({ store, listShards }).catch(() => {})
      await store.settled()
      await warehouse.prune({ listShards })
      expect(await warehouse.chunks()).toEqual(['b/15'])
    }
  })
})

describe('while it runs', () => {
  test('a compaction that is under way commits, and a slower one plans anew', async () => {
    const warehouse = await splitWarehouse()
    await warehouse.stage({ b: childTo(24) })
    let raced = false
    const store = watched(warehouse, async ({ operation }) => {
      if (operation !== 'delete' || raced) return
      raced = true
      expect(await warehouse.compact()).toMatchObject({ rows_added: 6 })
    })
    const options = onto(warehouse, store)
    await runPrune(options, await planPrune(options))
    expect(raced).toBe(true)
    expect(await idsOf(warehouse)).toEqual(ids(0, 24))
    expect(await warehouse.compact()).toMatchObject({ nothing_to_do: true })
  })

  test('a table that registers before any call keeps everything from then on, or begins at what is left and says so', async () => {
    let calls = 0
    const counted = await splitWarehouse()
    await counted.prune({
      store: watched(counted, async ({ index }) => {
        calls = index
      }),
      listShards,
    })
    const starts = new Set<number>()
    for (let at = 1; at <= calls; at++) {
      const warehouse = await splitWarehouse()
      const store = watched(warehouse, async ({ index }) => {
        if (index === at) await warehouse.compact('news.new')
      })
      await warehouse.prune({ store, listShards })
      const rows = await expectNoHole(warehouse, 'news.new', 18)
      starts.add(rows.length)
      expect(await warehouse.compact('news.new')).toMatchObject({ nothing_to_do: true })
      const { problems } = await verifyTable({ table: await warehouse.load('news.new'), warehouse: warehouse.store })
      expect(problems).toEqual([])
    }
    expect(starts.size).toBeGreaterThan(2)
  })

  test('a table whose first run is overtaken, before any of its calls, has no hole: at worst the run fails, and the next one does not', async () => {
    let calls = 0
    const counted = await splitWarehouse()
    const first = (warehouse: AgedWarehouse, store: ObjectStore) =>
      runCompaction({ ...warehouse, ...onto(warehouse, store) }, { table: 'news.new' })
    const counting = watched(counted, async ({ index }) => {
      calls = index
    })
    await first(counted, counting)
    let failed = 0
    for (let at = 1; at <= calls; at++) {
      const warehouse = await splitWarehouse()
      const store = watched(warehouse, async ({ index }) => {
        if (index === at) await warehouse.prune({ listShards })
      })
      await first(warehouse, store).catch(() => failed++)
      await warehouse.compact('news.new')
      await expectNoHole(warehouse, 'news.new', 18)
    }
    expect(failed).toBeLessThan(calls)
  })

  test('going back with --reprocess, begun before any call, leaves records that can be compacted again', async () => {
    const prepare = async (): Promise<AgedWarehouse> => {
      const warehouse = agedWarehouse()
      for (const end of [9, 18]) {
        await warehouse.land(end)
        await warehouse.compact()
      }
      warehouse.later(4)
      return warehouse
    }
    let calls = 0
    const counted = await prepare()
    await counted.prune({
      store: watched(counted, async ({ index }) => {
        calls = index
      }),
    })
    for (let at = 1; at <= calls; at++) {
      for (const expires of [false, true]) {
        const warehouse = await prepare()
        let refused = false
        const store = watched(warehouse, async ({ index }) => {
          if (index !== at) return
          if (expires) await warehouse.expireOld()
          // what has expired is gone back to no more, and says so
          await warehouse.reprocessFrom(0).catch(() => {
            refused = true
          })
        })
        await warehouse.prune({ store })
        await warehouse.compact()
        expect(await idsOf(warehouse), `${at} ${refused}`).toEqual(ids(0, 18))
      }
    }
  })

  test('a rollback that was planned before its snapshot expired and staging was pruned is refused, not committed', async () => {
    const warehouse = agedWarehouse()
    for (const end of [9, 18]) {
      await warehouse.land(end)
      await warehouse.compact()
    }
    warehouse.later(4)
    const { store, clock } = warehouse
    const table = await warehouse.load()
    const options = { store, table, tableName: 'news.articles' }
    const plan = await planRollback(options, table.metadata.snapshots[0]!, { reprocess: true })
    await warehouse.expireOld()
    expect(await warehouse.prune()).toMatchObject({ chunks: 5 })
    await expect(runRollback({ ...options, clock, runId: newRunId(clock) }, plan)).rejects.toThrow()
    expect(await warehouse.compact()).toMatchObject({ nothing_to_do: true })
    expect(await idsOf(warehouse)).toEqual(ids(0, 18))
  })

  test('two prunes at once delete the same chunks and nothing else', async () => {
    const warehouse = await splitWarehouse()
    await Promise.all([warehouse.prune({ listShards }), warehouse.prune({ listShards })])
    expect(await warehouse.chunks()).toEqual(['b/15'])
  })
})
