import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutUnits } from '../../../loader/source/cut-units.ts'
import type { FileRef } from '../../../loader/source/plan.ts'
import { openStore, type RowGroupSizes } from '../../../table/index.ts'
import { memoryUrl, numbersOf, ROWS, rowsTable, withDataset } from '../support.ts'
import { planOf, recorded, reopened } from './support.ts'

const SIZE = 10_000
const refOf = (index: number, recordCount: number): FileRef => ({
  filePath: `memory://nowhere/data/${index}.parquet`,
  fileFormat: 'PARQUET',
  fileSizeBytes: SIZE,
  recordCount,
  partition: [],
  deletes: [],
})
const context = { store: openStore('memory://nowhere'), location: 'memory://nowhere', schema: ROWS }

describe('cutUnits', () => {
  it('has every row group begin in exactly one unit, whatever the split offsets say', async () => {
    const offsets = fc.array(fc.oneof(fc.integer({ min: -5, max: SIZE + 5 }), fc.constant(Number.NaN)), {
      maxLength: 8,
    })
    const groups = fc.uniqueArray(fc.integer({ min: 4, max: SIZE - 1 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(offsets, groups, async (splitOffsets, starts) => {
        const rowGroups = starts
          .toSorted((a, b) => a - b)
          .map((offset): RowGroupSizes => ({ rows: 5, offset, compressedBytes: 10, uncompressedBytes: 30 }))
        const files = [{ ref: refOf(0, 5 * starts.length), splitOffsets, rowGroups }]
        const { units } = await cutUnits(files, context)
        for (const { offset } of rowGroups) {
          expect(units.filter(({ start, end }) => offset >= start && offset < end)).toHaveLength(1)
        }
        for (const { bytes } of units) expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true)
        expect(units[0]).toMatchObject({ start: 0 })
        expect(units.at(-1)).toMatchObject({ end: Number.POSITIVE_INFINITY })
      }),
    )
  })

  it('estimates decoded bytes by the footers of four files, and 16 bytes a row', async () => {
    const group = (rows: number, uncompressedBytes: number): readonly RowGroupSizes[] => [
      { rows, offset: 4, compressedBytes: 1000, uncompressedBytes },
    ]
    const files = Array.from({ length: 8 }, (_, index) => ({
      ref: refOf(index, 100),
      splitOffsets: [4],
      // of 0, 2, 4 and 6
      rowGroups: group(100, index % 2 === 0 ? 3000 : 9_000_000),
    }))
    const { units, footersRead } = await cutUnits(files, context)
    expect(footersRead).toBe(4)
    expect(units.map(({ bytes }) => bytes)).toEqual(Array.from({ length: 8 }, () => (SIZE - 4) * 3 + 1600))
  })

  it('leaves out files without rows, and reads none of them', async () => {
    const files = [0, 1].map((index) => ({ ref: refOf(index, 0), splitOffsets: [] }))
    expect(await cutUnits(files, context)).toEqual({ units: [], footersRead: 0 })
  })
})

describe('the plan of a table', () => {
  it('goes on without a damaged footer that it would sample, when damage is skipped', async () => {
    const url = memoryUrl()
    const { table } = await rowsTable(url, { rows: 300, fileRows: 60, rowGroupRows: 16 })
    const { filePath, fileSizeBytes } = (await planOf(table)).files[0]!
    const key = filePath.slice(table.location.length + 1)
    const { bytes } = await table.store.get(key)
    await table.store.put(key, bytes.slice().fill(0xee, fileSizeBytes - 60, fileSizeBytes))
    await expect(planOf(table)).rejects.toMatchObject({ code: 'FIRN_PARQUET_CORRUPT' })
    const { store } = table
    const options = { warehouse: openStore(url), table: 't.rows', batch: { size: 16 }, pin: false } as const
    const left = await withDataset({ ...options, onError: 'skip' }, async (dataset) => {
      const rows = (await numbersOf(dataset.epoch(0))).flat()
      expect(dataset.stats().rowsSkipped).toBe(60)
      return rows
    })
    expect(new Set(left).size).toBe(240)
    expect(left).toHaveLength(240)
    // gone is not damaged
    await store.delete(key)
    await expect(planOf(table, { onError: 'skip' })).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  })

  it('takes a damaged file without split offsets as one unit, when damage is skipped', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 40, fileRows: 40, rowGroupRows: 16 })
    const [ref] = (await planOf(table)).files
    const key = ref!.filePath.slice(table.location.length + 1)
    const { bytes } = await table.store.get(key)
    await table.store.put(key, bytes.slice().fill(0xee, -60))
    const files = [{ ref: ref!, splitOffsets: [] }]
    const place = { store: table.store, location: table.location, schema: ROWS }
    await expect(cutUnits(files, place)).rejects.toMatchObject({ code: 'FIRN_PARQUET_CORRUPT' })
    const { units } = await cutUnits(files, { ...place, onError: 'skip' })
    expect(units).toMatchObject([{ file: 0, start: 0, end: Number.POSITIVE_INFINITY }])
  })

  it('has the row groups as units, by path and offset, from four footers', async () => {
    const url = memoryUrl()
    await rowsTable(url, { rows: 500, fileRows: 50, rowGroupRows: 16 })
    const { store, requests } = recorded(openStore(url))
    const plan = await planOf(await reopened(store))
    expect(plan.files).toHaveLength(10)
    expect(plan.files.map(({ filePath }) => filePath)).toEqual(plan.files.map(({ filePath }) => filePath).toSorted())
    // 50 rows are three row groups of 16 and one of 2
    expect(plan.units).toHaveLength(40)
    expect(plan.units.map(({ file }) => file)).toEqual(Array.from({ length: 40 }, (_, unit) => Math.floor(unit / 4)))
    expect(requests.gets.filter((key) => key.endsWith('.parquet'))).toHaveLength(4)
    expect(plan.rowCount).toBe(500)
  })

  it('of 1,500 files reads their manifest and four footers, nothing else', async () => {
    const url = memoryUrl()
    const { table } = await rowsTable(url, { rows: 64, fileRows: 64, rowGroupRows: 16 })
    const [task] = await table.scan().planFiles()
    const first = task!.file
    const bytes = (await table.store.get(first.filePath.slice(table.location.length + 1))).bytes
    // Only the sampled files are there: opening any other one fails.
    const names = Array.from({ length: 1500 }, (_, index) => `data/copy-${String(index).padStart(5, '0')}.parquet`)
    for (const index of [0, 375, 750, 1125]) await table.store.put(names[index]!, bytes)
    const files = names.map((name) => ({ ...first, filePath: `${table.location}/${name}` }))
    await table.commitFiles({ operation: 'overwrite', added: files, removed: [first] })
    const { store, requests } = recorded(openStore(url))
    const opened = await reopened(store)
    const before = requests.gets.length
    const plan = await planOf(opened)
    expect(plan.units).toHaveLength(6000)
    expect(plan.rowCount).toBe(96_000)
    const gets = requests.gets.slice(before)
    expect(gets.filter((key) => key.endsWith('.parquet'))).toHaveLength(4)
    expect(gets.filter((key) => !key.endsWith('.parquet') && !key.endsWith('.avro'))).toEqual([])
    expect(gets.length).toBeLessThan(10)
  })

  it('reads the footer of every file that has no split offsets, and cuts at its row groups', async () => {
    const url = memoryUrl()
    const { table } = await rowsTable(url, { rows: 300, fileRows: 50, rowGroupRows: 16 })
    const tasks = await table.scan().planFiles()
    const added = tasks.map(({ file }) => ({ ...file, splitOffsets: [] }))
    const removed = tasks.map(({ file }) => file)
    // the same files under another name: a path cannot be replaced by itself
    const renamed = await Promise.all(
      added.map(async (file) => {
        const filePath = file.filePath.replace(/\.parquet$/, '-b.parquet')
        const key = (path: string): string => path.slice(table.location.length + 1)
        await table.store.put(key(filePath), (await table.store.get(key(file.filePath))).bytes)
        return { ...file, filePath }
      }),
    )
    const original = await planOf(table)
    await table.commitFiles({ operation: 'overwrite', added: renamed, removed })
    const { store, requests } = recorded(openStore(url))
    const plan = await planOf(await reopened(store))
    expect(plan.origin.footersRead).toBe(6)
    expect(requests.gets.filter((key) => key.endsWith('.parquet'))).toHaveLength(6)
    expect(plan.units).toEqual(original.units)
  })
})
