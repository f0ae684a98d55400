/** Replays of several tables and streams, and beside writers of other engines through a REST catalog. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { refusedObjects } from '../../../../jobs/compaction/refused/refused-objects.ts'
import { type ReplayResult, replay } from '../../../../jobs/compaction/refused/replay.ts'
import { inlineExecutor } from '../../../../jobs/executors/executor.ts'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { openRestCatalog } from '../../../../table/catalog/rest.ts'
import { newRunId } from '../../../../table/clock.ts'
import { type RestServer, startRestServer } from '../../../table/catalog/rest-server.ts'
import { loadTable, memoryWarehouse, rowsOf, runCompaction, stage, TABLE, type Warehouse } from '../fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../replay-support.ts'

const strict = setLargestRecord(500)
const OTHER = 'news.other'
const rowsIn = async ({ catalog }: Warehouse, table: string): Promise<unknown[]> =>
  (await rowsOf(await catalog.loadTable(table))).map((row) => row['article_id']).sort()

describe('replay', () => {
  it('of one table leaves the refused records of another table of the same stream alone', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 2, 900)] } })
    await runCompaction(warehouse, { dataset: strict, maxBadRatio: 1 })
    await runCompaction(warehouse, { dataset: strict, maxBadRatio: 1, table: OTHER })
    await setLargestRecord(2000, warehouse)
    await runReplay(warehouse)
    expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
    expect(await rowsIn(warehouse, OTHER)).toEqual(['small-1'])
    const source = { store: warehouse.store, tableName: OTHER, table: await warehouse.catalog.loadTable(OTHER) }
    expect((await refusedObjects(source)).map(({ rows }) => rows)).toEqual([2])
    const [foreign] = await refusedObjects(source)
    await expect(runReplay(warehouse, { objects: [foreign!.id] })).rejects.toMatchObject({
      code: 'FIRN_REFUSED_NOT_FOUND',
    })
  })

  it('takes the records of every stream that the table reads, and moves none of their positions', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: sized('one', 1, 2, 900) } }, { stream: 'One' })
    await stage(
      warehouse,
      { a: { records: sized('two', 1, 2, 900) }, b: { records: sized('three', 5, 1, 10) } },
      { stream: 'Two' },
    )
    await runCompaction(warehouse, { dataset: strict, maxBadRatio: 1, streams: ['One', 'Two'] })
    await setLargestRecord(2000, warehouse)
    const before = (await loadTable(warehouse)).metadata.properties
    expect(await runReplay(warehouse)).toMatchObject({ rows_added: 4 })
    const after = (await loadTable(warehouse)).metadata.properties
    const positions = (properties: Readonly<Record<string, string>>): unknown[] =>
      Object.entries(properties).filter(([name]) => name.startsWith('firn.positions.') || name === 'firn.streams')
    expect(positions(before)).toHaveLength(3)
    expect(positions(after)).toEqual(positions(before))
    expect(await idsOf(warehouse)).toEqual(['one-1', 'one-2', 'three-5', 'two-1', 'two-2'])
    expect(await runCompaction(warehouse)).toMatchObject({ nothing_to_do: true })
  })
})

describe('through a REST catalog', () => {
  let server: RestServer
  let warehouse: Warehouse
  beforeEach(async () => {
    const memory = memoryWarehouse()
    server = await startRestServer({ location: memory.store.url })
    warehouse = { ...memory, catalog: openRestCatalog({ uri: server.uri, clock: memory.clock }) }
    await stage(warehouse, {
      a: { records: [...sized('small', 1, 1, 10), ...sized('large', 2, 2, 900), ...sized('huge', 4, 1, 3000)] },
    })
    await runCompaction(warehouse, { dataset: strict, maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
  })
  afterEach(() => server.close())

  const replayAround = (meanwhile: () => Promise<unknown>): Promise<ReplayResult> => {
    const { run } = inlineExecutor(warehouse.store)
    let raced = false
    const around: typeof run = async (...args) => {
      const results = await run(...args)
      if (!raced) await meanwhile()
      raced = true
      return results
    }
    return replay({ ...warehouse, table: TABLE, executor: { run: around } })
  }
  const other = () => openRestCatalog({ uri: server.uri, clock: warehouse.clock }).loadTable(TABLE)

  it('a replay stands on commits of other engines that came while it ran', async () => {
    const result = await replayAround(async () => {
      await (await other()).append([])
      await (await other()).setProperties({ 'owner.note': 'x' })
    })
    expect(result).toMatchObject({ plans: 1, rows_added: 2, quarantined: { too_large: 1 } })
    expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
    expect(await refusedIds(warehouse)).toEqual(['huge-4'])
    const table = await loadTable(warehouse)
    expect(table.metadata.properties['owner.note']).toBe('x')
    expect((await verifyTable({ table, warehouse: warehouse.store })).problems).toEqual([])
  })

  it('of two replays one commits, and an answer that is lost makes no second one', async () => {
    expect(await replayAround(() => runReplay(warehouse))).toMatchObject({ plans: 2, unchanged: true })
    expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
    await setLargestRecord(8000, warehouse)
    let left = 1
    const isCommit = (method: string, url: string): boolean => method === 'POST' && url.endsWith('/tables/articles')
    server.fault = ({ method, url }) => (isCommit(method, url) && left-- > 0 ? { reset: 'after' } : undefined)
    await runReplay(warehouse)
    expect(left).toBe(0)
    expect(await idsOf(warehouse)).toEqual(['huge-4', 'large-2', 'large-3', 'small-1'])
    expect(await refusedIds(warehouse)).toEqual([])
  })

  it('a rollback with reprocess between commits of other engines takes replays back', async () => {
    await (await other()).append([])
    await runReplay(warehouse)
    await (await other()).append([])
    const { store, clock } = warehouse
    const table = await loadTable(warehouse)
    const options = { store, table, tableName: TABLE }
    const plan = await planRollback(options, table.metadata.snapshots[0]!, { reprocess: true })
    await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
    expect(await idsOf(warehouse)).toEqual(['small-1'])
    expect(await refusedIds(warehouse)).toEqual(['huge-4', 'large-2', 'large-3'])
    await runCompaction(warehouse, { maxBadRatio: 1 })
    await runReplay(warehouse)
    expect(await idsOf(warehouse)).toEqual(['large-2', 'large-3', 'small-1'])
    expect(await refusedIds(warehouse)).toEqual(['huge-4'])
  })
})
