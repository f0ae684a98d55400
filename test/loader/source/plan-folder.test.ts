import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type DatasetOptions, openDataset } from '../../../loader/index.ts'
import { resolveOptions } from '../../../loader/options.ts'
import type { LoaderPlan } from '../../../loader/source/plan.ts'
import { planFolder } from '../../../loader/source/plan-folder.ts'
import { type ObjectStore, openStore } from '../../../table/index.ts'
import { folderWarehouse, memoryUrl, numbersOf, rowsTable, withDataset } from '../support.ts'
import { recorded } from './support.ts'

const fixture = (name: string): Promise<Buffer> =>
  readFile(join(import.meta.dirname, '../../fixtures/parquet', `${name}.parquet`))

async function folderOf(files: Readonly<Record<string, string>>): Promise<{ url: string; store: ObjectStore }> {
  const url = memoryUrl()
  const store = openStore(url)
  for (const [key, name] of Object.entries(files)) await store.put(key, await fixture(name))
  return { url, store }
}

const planOf = (store: ObjectStore, more: Partial<DatasetOptions> = {}): Promise<LoaderPlan> =>
  planFolder(store, resolveOptions({ folder: store.url, batch: { size: 4 }, ...more }), { storeOptions: {} })

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const upTo = (end: number): number[] => Array.from({ length: end }, (_, n) => n)

/** The data files of a table, without their table. */
async function filesFolder(url: string): Promise<void> {
  const { table } = await rowsTable(memoryUrl(), { rows: 300, fileRows: 70 })
  const target = openStore(url)
  for (const [index, { file }] of (await table.scan().planFiles()).entries()) {
    const { bytes } = await table.store.get(file.filePath.slice(table.location.length + 1))
    await target.put(`part=${index % 2}/${index}.parquet`, bytes)
  }
}

describe('a folder of Parquet files', () => {
  it.each([0, 1])('is read like a table, with filter, split and %i workers', async (numWorkers) => {
    const folder = await folderWarehouse()
    onTestFinished(folder.remove)
    await filesFolder(folder.url)
    const read = (more: Partial<DatasetOptions>): Promise<number[]> =>
      withDataset({ folder: folder.path, batch: { size: 32 }, numWorkers, ...more }, async (dataset) =>
        (await numbersOf(dataset.epoch(0))).flat(),
      )
    const all = await read({})
    expect(all).not.toEqual(sorted(all))
    expect(sorted(all)).toEqual(upTo(300))
    expect(sorted(await read({ filter: 'n >= 250' }))).toEqual(upTo(300).slice(250))
    const split = { column: 'id', buckets: 4 } as const
    const shares = [
      await read({ split: { ...split, include: [0, 1] } }),
      await read({ split: { ...split, include: [1, 4] } }),
    ]
    expect(sorted(shares.flat())).toEqual(upTo(300))
  })

  it('counts rows and units by the footers, one request each', async () => {
    const url = memoryUrl()
    await filesFolder(url)
    const { store, requests } = recorded(openStore(url))
    const plan = await planOf(store)
    expect(plan).toMatchObject({ rowCount: 300, origin: { footersRead: 5 } })
    // 70 rows in row groups of 16 are five, 20 are two
    expect(plan.units).toHaveLength(4 * 5 + 2)
    expect(requests.gets).toHaveLength(5)
  })

  it.each([
    ['no-ids', ['key', 'lists']],
    ['spark', ['key', 'at', 'with_nulls', 'no_nulls', 'dec']],
    ['spark-legacy', ['key', 'at', 'with_nulls', 'no_nulls', 'dec']],
  ] as const)('reads %s, whose columns have no field ids, lists too', async (name, columns) => {
    const { url } = await folderOf({ 'b/x.parquet': name, 'a.parquet': name })
    await withDataset({ folder: url, columns, batch: { size: 3 }, shuffle: false }, async (dataset) => {
      const rows: unknown[] = []
      for await (const batch of dataset.epoch(0)) for (const row of batch) rows.push(row.toJSON())
      expect(rows).toHaveLength(dataset.length!)
      const half = rows.length / 2
      const text = (part: readonly unknown[]): string =>
        JSON.stringify(part, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
      expect(text(rows.slice(0, half))).toBe(text(rows.slice(half)))
      expect(rows[0]).toMatchObject({ key: 1n })
    })
  })

  it('leaves out hidden names and other kinds of files', async () => {
    const { store } = await folderOf({
      'a.PARQUET': 'no-ids',
      '_spark/b.parquet': 'units',
      '.tmp.parquet': 'units',
      'c.parquet.crc': 'units',
    })
    expect((await planOf(store)).files.map(({ filePath }) => filePath)).toEqual([`${store.url}/a.PARQUET`])
  })

  it('without such a file is refused', async () => {
    const { store } = await folderOf({ '_hidden.parquet': 'no-ids' })
    await expect(planOf(store)).rejects.toMatchObject({ code: 'FIRN_FOLDER_EMPTY', kind: 'not-found' })
  })

  it.each([
    ['nested-v1', 'carries field ids'],
    ['spark', 'has no column lists'],
  ])('with %s among other files is refused by name', async (other, why) => {
    const { store } = await folderOf({ 'a.parquet': 'no-ids', 'b.parquet': other })
    await expect(planOf(store)).rejects.toMatchObject({
      code: 'FIRN_FOLDER_MIXED',
      kind: 'invalid',
      message: expect.stringContaining(`b.parquet ${why}`) as string,
    })
  })

  it('with a damaged footer is refused', async () => {
    const { store } = await folderOf({ 'a.parquet': 'no-ids' })
    await store.put('b.parquet', Buffer.from('no Parquet at all'))
    await expect(planOf(store)).rejects.toMatchObject({ code: 'FIRN_PARQUET_CORRUPT', kind: 'corrupt' })
  })

  it('refuses a column of a type that is not read, and reads the others', async () => {
    const { url, store } = await folderOf({ 'a.parquet': 'units' })
    await expect(planOf(store)).rejects.toMatchObject({ code: 'FIRN_TYPE_UNSUPPORTED' })
    await expect(planOf(store, { columns: ['u64'] })).rejects.toMatchObject({ code: 'FIRN_TYPE_UNSUPPORTED' })
    await withDataset({ folder: url, columns: ['day', 'id'], batch: { size: 2 } }, async (dataset) => {
      let rows = 0
      for await (const batch of dataset.epoch(0)) rows += batch.numRows
      expect(rows).toBe(2)
    })
  })
})

describe('the identity of a folder', () => {
  it('is that of its files: a file that was written anew makes another one, to tokens as well', async () => {
    const { url, store } = await folderOf({ 'a.parquet': 'no-ids', 'b.parquet': 'no-ids' })
    const before = await planOf(store)
    expect(await planOf(store)).toMatchObject({ tableUuid: before.tableUuid, snapshotId: before.snapshotId })
    const options: DatasetOptions = { folder: url, columns: ['key'], batch: { size: 3 } }
    const token = await withDataset(options, async (dataset) => {
      const batches = dataset.epoch(0)
      await batches.next()
      const state = dataset.stateDict()
      await batches.return()
      return state
    })
    await withDataset(options, (dataset) => Promise.resolve(dataset.loadStateDict(token)))
    await store.put('b.parquet', altered(await fixture('no-ids')))
    const after = await planOf(store)
    expect(after.tableUuid).not.toBe(before.tableUuid)
    expect(after.snapshotId).not.toBe(before.snapshotId)
    const dataset = await openDataset(options)
    onTestFinished(() => dataset[Symbol.asyncDispose]())
    await expect((async () => dataset.loadStateDict(token))()).rejects.toMatchObject({ kind: 'invalid' })
  })
})

/** One byte of a column's values. */
function altered(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[10] = copy[10]! ^ 1
  return copy
}
