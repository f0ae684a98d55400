/** Runs that depend on the table's rows, while others change these: what was decided on old rows is not committed. */
import { describe, expect, test } from 'vitest'
import { planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { newRunId } from '../../../../table/clock.ts'
import {
  type ObjectStore,
  openCatalog,
  openRestCatalog,
  parseWhere,
  planManifests,
  runManifests,
} from '../../../../table/index.ts'
import { startRestServer } from '../../../table/catalog/rest-server.ts'
import { killedEverywhere } from '../crash-support.ts'
import { loadTable, memoryWarehouse, TABLE, type Warehouse } from '../fixture.ts'
import { runReplay } from '../replay-support.ts'
import {
  allowLarge,
  appendForeign,
  disturbed,
  expectedRows,
  rewriteAll,
  runScoped,
  scopeDataset,
  stageVersions,
  type Version,
  valuesOf,
  version,
} from './scope-fixture.ts'

const of = (stream: string, shift = 0): Version[] =>
  ['v', 'w', 'x', 'y'].map((id, index) =>
    version(id, `${stream}${index}`, index + 1 + shift, { stream, arrivalMillis: 1000 + ((index * 5 + shift) % 4) }),
  )
const older = of('a')
const newer = [...of('b'), ...of('a', 7)]

async function prepared(keep: 'latest' | 'first' = 'latest'): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stageVersions(warehouse, older)
  await runScoped(warehouse, { dataset: scopeDataset(keep), streams: ['a'] })
  await stageVersions(warehouse, [...older, ...newer])
  return warehouse
}

const STAGES = [1, 2, 3]

describe('a run is planned anew', () => {
  test.each(STAGES)('when a run of another stream was faster, after stage %i', async (stage) => {
    for (const keep of ['latest', 'first'] as const) {
      const warehouse = await prepared(keep)
      const executor = disturbed(warehouse, stage, () => runScoped(warehouse, { streams: ['b'] }))
      expect(await runScoped(warehouse, { streams: ['a'], executor })).toMatchObject({ plans: 2 })
      expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], keep))
    }
  })

  test('also one of many at once', async () => {
    const warehouse = await prepared()
    await Promise.all([['a'], ['b'], ['a', 'b']].map((streams) => runScoped(warehouse, { streams })))
    expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], 'latest'))
  })

  test.each(STAGES)('when files were rewritten, after stage %i', async (stage) => {
    const warehouse = await prepared()
    const executor = disturbed(warehouse, stage, () => rewriteAll(warehouse))
    expect(await runScoped(warehouse, { executor, streams: ['a', 'b'] })).toMatchObject({ plans: 2 })
    expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], 'latest'))
  })

  test.each(STAGES)('when a row was deleted that had won, after stage %i', async (stage) => {
    const warehouse = await prepared('first')
    const { schemaFor } = await loadTable(warehouse).then((table) => ({ schemaFor: table.schemaFor() }))
    const remove = async (): Promise<unknown> =>
      (await loadTable(warehouse)).deleteWhere(parseWhere("id = 'v' or id = 'w'", schemaFor))
    const executor = disturbed(warehouse, stage, remove)
    expect(await runScoped(warehouse, { executor, streams: ['a', 'b'] })).toMatchObject({ plans: 2 })
    const left = older.filter(({ id }) => id !== 'v' && id !== 'w')
    expect(await valuesOf(warehouse)).toEqual(expectedRows([...left, ...newer], 'first'))
  })

  test.each(STAGES)('when another writer added a row of one of its keys, after stage %i', async (stage) => {
    const warehouse = memoryWarehouse()
    const there = [version('there', 'one', 1)]
    await stageVersions(warehouse, there)
    await runScoped(warehouse, { dataset: scopeDataset('first') })
    await stageVersions(warehouse, [...there, version('x', 'new', 2)])
    const executor = disturbed(warehouse, stage, () => appendForeign(warehouse, [{ id: 'x', value: 'foreign' }]))
    expect(await runScoped(warehouse, { executor })).toMatchObject({ plans: 2, duplicates: 1, rows_added: 0 })
    expect(await valuesOf(warehouse)).toEqual(['there=one', 'x=foreign'])
  })

  test.each(STAGES)('when the table went back to older files, after stage %i', async (stage) => {
    const warehouse = await prepared()
    await runScoped(warehouse, { streams: ['b'] })
    const executor = disturbed(warehouse, stage, async () => {
      const { store, clock } = warehouse
      const table = await loadTable(warehouse)
      const options = { store, table, tableName: TABLE }
      const plan = await planRollback(options, table.metadata.snapshots[0]!, { reprocess: true })
      await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
    })
    expect(await runScoped(warehouse, { executor, streams: ['a'] })).toMatchObject({ plans: 2 })
    await runScoped(warehouse, { streams: ['b'] })
    expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], 'latest'))
  })

  test('when another writer was faster by as little as its commit', async () => {
    const warehouse = memoryWarehouse()
    const there = [version('there', 'one', 1)]
    await stageVersions(warehouse, there)
    await runScoped(warehouse, { dataset: scopeDataset('first') })
    await stageVersions(warehouse, [...there, version('x', 'new', 2)])
    let raced = false
    const store: ObjectStore = {
      ...warehouse.store,
      put: async (key, body, options) => {
        if (/v\d+\.metadata\.json$/.test(key) && !raced) {
          raced = true
          await appendForeign(warehouse, [{ id: 'x', value: 'foreign' }])
        }
        return warehouse.store.put(key, body, options)
      },
    }
    const slow = { ...warehouse, store, catalog: openCatalog(store, { clock: warehouse.clock }) }
    expect(await runScoped(slow)).toMatchObject({ plans: 2, duplicates: 1, rows_added: 0 })
    expect(await valuesOf(warehouse)).toEqual(['there=one', 'x=foreign'])
  })

  test('also the first one of a table, and through a REST catalog', async () => {
    const memory = memoryWarehouse()
    const server = await startRestServer({ location: memory.store.url })
    try {
      const warehouse = { ...memory, catalog: openRestCatalog({ uri: server.uri, clock: memory.clock }) }
      await stageVersions(warehouse, [version('x', 'new', 1), version('y', 'new', 2)])
      const executor = disturbed(warehouse, 3, () => appendForeign(warehouse, [{ id: 'x', value: 'foreign' }]))
      const result = await runScoped(warehouse, { executor, dataset: scopeDataset('first') })
      expect(result).toMatchObject({ plans: 2, rows_added: 1, duplicates: 1 })
      expect(await valuesOf(warehouse)).toEqual(['x=foreign', 'y=new'])
    } finally {
      await server.close()
    }
  })

  test.each(STAGES)('when it is a replay, and files were rewritten, after stage %i', async (stage) => {
    const warehouse = memoryWarehouse()
    const refused = version('x', 'x'.repeat(2000), 9)
    await stageVersions(warehouse, [version('x', 'older', 1), version('y', 'there', 2), refused])
    await runScoped(warehouse, { maxBadRatio: 1 })
    await allowLarge(warehouse)
    const executor = disturbed(warehouse, stage, () => rewriteAll(warehouse))
    expect(await runReplay(warehouse, { executor })).toMatchObject({ plans: 2, rows_added: 1, rows_replaced: 1 })
    expect(await valuesOf(warehouse)).toEqual([`x=${refused.value}`, 'y=there'])
  })

  test('a few times, then it gives up, and the table is as the others left it', async () => {
    const warehouse = await prepared()
    const before = await valuesOf(warehouse)
    const executor = disturbed(warehouse, 3, () => rewriteAll(warehouse), 99)
    await expect(runScoped(warehouse, { executor, streams: ['a', 'b'] })).rejects.toMatchObject({
      code: 'FIRN_COMPACTION_RACE',
    })
    expect(await valuesOf(warehouse)).toEqual(before)
    await runScoped(warehouse, { streams: ['a', 'b'] })
    expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], 'latest'))
  })
})

test('commits that change no file do not disturb a run', async () => {
  const warehouse = await prepared()
  const executor = disturbed(warehouse, 3, async () => {
    const table = await loadTable(warehouse)
    const plan = await planManifests(table, { rewriteAll: true })
    const { result } = await runManifests(table, plan, {}, warehouse.clock)
    expect(result.replaced).toBe(1)
    await (await loadTable(warehouse)).setProperties({ note: 'kept' })
  })
  expect(await runScoped(warehouse, { executor, streams: ['a', 'b'] })).toMatchObject({ plans: 1, rows_added: 4 })
  expect(await valuesOf(warehouse)).toEqual(expectedRows([...older, ...newer], 'latest'))
})

test('a run that dies at any request is made again by the next one', async () => {
  // two tasks meet in the warehouse: its requests are more than those of one
  const inWarehouse = (warehouse: Warehouse): Promise<unknown> =>
    runScoped(warehouse, { streams: ['a', 'b'], tasks: 2 })
  await killedEverywhere(prepared, inWarehouse, async (warehouse, message) => {
    const rows = await valuesOf(warehouse)
    const whole = [expectedRows(older, 'latest'), expectedRows([...older, ...newer], 'latest')]
    expect(whole, message).toContainEqual(rows)
    await inWarehouse(warehouse)
    expect(await valuesOf(warehouse), message).toEqual(whole[1])
  })
}, 120_000)
