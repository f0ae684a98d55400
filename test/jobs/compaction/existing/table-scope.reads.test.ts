/** What a run reads of a large table, and that memory, tasks and files cut small change nothing. */
import { describe, expect, test } from 'vitest'
import { inlineExecutor } from '../../../../jobs/executors/executor.ts'
import { type ObjectStore, openCatalog } from '../../../../table/index.ts'
import { loadTable, memoryWarehouse, type Warehouse } from '../fixture.ts'
import { squeezed } from '../staged-fixture.ts'
import {
  expectedRows,
  runScoped,
  scopeDataset,
  stageVersions,
  type Version,
  valuesOf,
  version,
} from './scope-fixture.ts'

const key = (n: number): string => `key-${String(n).padStart(6, '0')}`
const many = (from: number, to: number, shift = 0): Version[] =>
  Array.from({ length: to - from }, (_, index) =>
    version(key(from + index), `${index + shift}`, from + index + 1 + shift),
  )

/** The data files that a run opens. */
async function filesRead(warehouse: Warehouse, run: (warehouse: Warehouse) => Promise<unknown>): Promise<number> {
  const read = new Set<string>()
  const { store } = warehouse
  const watched: ObjectStore = {
    ...store,
    get: (path, options) => {
      if (path.endsWith('.parquet') && path.includes('/data/')) read.add(path)
      return store.get(path, options)
    },
  }
  await run({ ...warehouse, store: watched, catalog: openCatalog(watched, { clock: warehouse.clock }) })
  return read.size
}

/** Many files in the order of their keys. */
async function orderedTable(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  for (let to = 40; to <= 400; to += 40) {
    await stageVersions(warehouse, many(0, to))
    await runScoped(warehouse, { dataset: scopeDataset() })
  }
  return warehouse
}

describe('a table whose files are ordered by their keys', () => {
  test('is not read for records of new keys, and for old ones where these may be', async () => {
    const warehouse = await orderedTable()
    const files = (await (await loadTable(warehouse)).scan().planFiles()).length
    expect(files).toBe(10)
    const news = many(400, 500)
    await stageVersions(warehouse, [...many(0, 400), ...news])
    expect(await filesRead(warehouse, (watched) => runScoped(watched))).toBe(0)

    const changed = [version(key(17), 'changed', 1001), version(key(333), 'changed', 1002), ...many(500, 600, 1000)]
    await stageVersions(warehouse, [...many(0, 400), ...news, ...changed])
    expect(await filesRead(warehouse, (watched) => runScoped(watched))).toBe(2)
    const all = [...many(0, 400), ...news, ...changed]
    expect(await valuesOf(warehouse)).toEqual(expectedRows(all, 'latest'))
  })

  test('keeps every file of which no row goes', async () => {
    const warehouse = await orderedTable()
    const pathsOf = async (): Promise<Set<string>> =>
      new Set((await (await loadTable(warehouse)).scan().planFiles()).map(({ file }) => file.filePath))
    const before = await pathsOf()
    await stageVersions(warehouse, [
      ...many(0, 400),
      version(key(17), 'older', 9000, { arrivalMillis: 5 }),
      version(key(18), 'newer', 9001),
    ])
    expect(await runScoped(warehouse)).toMatchObject({ rows_added: 1, duplicates: 1, rows_replaced: 1 })
    const now = await pathsOf()
    expect([...before].filter((path) => !now.has(path))).toHaveLength(1)
  })
})

describe('a run with little memory', () => {
  test.each([1, 3])('in %i tasks makes the rows that a run in memory makes', async (tasks) => {
    const versions = [
      ...many(0, 120),
      ...many(60, 180, 500).map((each, index) => ({ ...each, arrivalMillis: 1e12 + ((index * 7919) % 97) * 1e10 })),
    ]
    for (const keep of ['latest', 'first'] as const) {
      for (const sort of ['key', 'value'] as const) {
        const warehouse = memoryWarehouse()
        const executor = squeezed(inlineExecutor(warehouse.store))
        const options = { executor, tasks, dataset: scopeDataset(keep, sort) }
        await stageVersions(warehouse, versions.slice(0, 90), { recordsPerChunk: 20 })
        await runScoped(warehouse, options)
        await stageVersions(warehouse, versions, { recordsPerChunk: 20 })
        const result = await runScoped(warehouse, options)
        expect(result.records_read).toBe(result.rows_added + result.duplicates)
        expect(await valuesOf(warehouse)).toEqual(expectedRows(versions, keep))
        for await (const { key: left } of warehouse.store.list('_spill/')) expect(left).toBeUndefined()
      }
    }
  })
})
