import { describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../../loader/index.ts'
import { openStore } from '../../../table/index.ts'
import { memoryUrl, numbersOf, rowsTable, withDataset } from '../support.ts'
import { recorded } from './support.ts'

const options = (warehouse: DatasetOptions['warehouse'], more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse,
  table: 't.rows',
  pin: false,
  batch: { size: 32 },
  ...more,
})

describe('explain', () => {
  it('tells files, units, blocks and rows without reading anything more', async () => {
    const url = memoryUrl()
    await rowsTable(url, { rows: 500, fileRows: 50, rowGroupRows: 16 })
    const { store, requests } = recorded(openStore(url))
    await withDataset(
      options(store, { filter: 'n < 100', shuffle: { seed: 1, blockBytes: 8000 } }),
      async (dataset) => {
        const before = requests.gets.length
        const explained = dataset.explain()
        expect(requests.gets).toHaveLength(before)
        expect(explained).toMatchObject({
          table: 't.rows',
          rows: 100,
          files: 2,
          filesSkipped: 8,
          deleteFiles: 0,
          units: 8,
          footersRead: 2,
          filter: 'n < 100',
          filterLeft: false,
          split: null,
          splitLeft: false,
        })
        expect(explained.blocks).toBeGreaterThan(1)
        expect(explained.mixing).toMatchObject({ blocks: explained.blocks })
        expect(explained.memory.resident).toBeLessThan(explained.memory.decoded)
        expect(explained.memory.needed).toBeLessThan(explained.memory.limit)
        expect(JSON.parse(JSON.stringify(explained))).toEqual(explained)
      },
    )
  })

  it('estimates what an epoch reads: the columns that are asked for, those of filter and split', async () => {
    const url = memoryUrl()
    await rowsTable(url, { rows: 2000, fileRows: 500, rowGroupRows: 250 })
    const few: Partial<DatasetOptions> = {
      columns: ['n'],
      filter: "text is null or text != ''",
      split: { column: 'id', buckets: 10, include: [0, 9] },
    }
    for (const more of [{}, { columns: ['n'] }, few]) {
      const { store, requests } = recorded(openStore(url))
      const dataset = await openDataset(options(store, more))
      const { reads } = dataset.explain()
      const before = { bytes: requests.bytes, gets: requests.gets.length }
      await numbersOf(dataset.epoch(0))
      await dataset[Symbol.asyncDispose]()
      // Footers come on top, at most 64 kB a file: the guess of where they begin.
      const bytes = requests.bytes - before.bytes
      expect(bytes).toBeGreaterThanOrEqual(reads.bytes * 0.8)
      expect(bytes).toBeLessThanOrEqual(reads.bytes * 1.2 + 4 * 65_536)
      expect(requests.gets.length - before.gets).toBeGreaterThanOrEqual(reads.requests / 3)
      expect(requests.gets.length - before.gets).toBeLessThanOrEqual(reads.requests * 3)
    }
  })

  it('says what is left for the rows', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 100 })
    const more: Partial<DatasetOptions> = {
      filter: 'n > 5',
      split: { column: 'id', buckets: 10, include: [0, 5] },
      shuffle: false,
    }
    await withDataset(options(url, more), async (dataset) => {
      expect(dataset.explain()).toMatchObject({
        rows: null,
        filterLeft: true,
        split: { column: 'id', buckets: 10, include: [0, 5] },
        splitLeft: true,
        mixing: null,
      })
      const counted = await dataset.count()
      expect(dataset.explain()).toMatchObject({ rows: counted, filterLeft: true })
    })
  })
})

describe('a dataset without rows', () => {
  it.each([
    ['a filter that no row passes', { filter: 'n > 3000' }],
    ['a filter that only rows can refuse', { filter: "n > 5 and text = 'no such'" }],
    ['a delta of nothing', { snapshot: {} as { after: bigint } }],
    ['a batch that the rows do not fill', { batch: { size: 101 }, dropLast: true }],
    [
      'a batch that the filtered rows do not fill',
      { batch: { size: 99 }, filter: 'n != 5 and n != 7', dropLast: true },
    ],
  ] as const)('opens, and its epoch fails: %s', async (_what, more) => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 100 })
    const after = table.currentSnapshot()!.snapshotId
    const given = 'snapshot' in more ? { snapshot: { after } } : more
    await withDataset(options(url, given), async (dataset) => {
      await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ kind: 'invalid', code: 'FIRN_DATASET_EMPTY' })
    })
  })

  it('is none where one short batch comes', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 100 })
    await withDataset(options(url, { batch: { size: 1000 } }), async (dataset) => {
      expect((await numbersOf(dataset.epoch(0))).map((batch) => batch.length)).toEqual([100])
    })
  })
})
