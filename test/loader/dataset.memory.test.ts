/** What a dataset holds and counts. */
import { beforeAll, describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../loader/index.ts'
import { FirnError } from '../../table/index.ts'
import { digestOf, folderWarehouse, memoryUrl, numbersOf, rowsTable, withDataset } from './support.ts'

let url = ''
beforeAll(async () => {
  ;({ url } = await rowsTable(memoryUrl(), { rows: 400, fileRows: 90, rowGroupRows: 10 }))
})

const options = (more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse: url,
  table: 't.rows',
  shuffle: { seed: 3, blockBytes: 30_000 },
  batch: { size: 16 },
  ...more,
})

describe('memoryLimit', () => {
  /** The least that is allowed, as the error says. */
  async function least(): Promise<FirnError> {
    const error: unknown = await openDataset(options({ memoryLimit: 1 })).catch((caught: unknown) => caught)
    if (FirnError.is(error)) return error
    throw new Error(`expected an error, got ${String(error)}`)
  }

  it('too small for a block is an error at once, which names the size that will do and no other order', async () => {
    const error = await least()
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_MEMORY_LIMIT' })
    const needed = Number(error.detail['neededBytes'])
    const text = /memoryLimit: '(\d+MB)'/.exec(error.help!)![1]!
    const reference = await withDataset(options(), (dataset) => digestOf(dataset.epoch(1)))
    for (const memoryLimit of [needed, text]) {
      await withDataset(options({ memoryLimit }), async (dataset) => {
        expect(await digestOf(dataset.epoch(1))).toBe(reference)
        const { peakResidentBytes, budgetBytes, residentBytes } = dataset.stats()
        expect(peakResidentBytes).toBeGreaterThan(0)
        expect(peakResidentBytes).toBeLessThanOrEqual(budgetBytes)
        expect(residentBytes).toBe(0)
      })
    }
    await expect(openDataset(options({ memoryLimit: needed - 1 }))).rejects.toMatchObject({ code: 'FIRN_MEMORY_LIMIT' })
  })

  it('grows with the block, the batch and the threads', async () => {
    const needed = async (more: Partial<DatasetOptions>): Promise<number> => {
      return withDataset(options(more), async (dataset) => dataset.explain().memory.needed)
    }
    const plain = await needed({})
    expect(await needed({ shuffle: { seed: 3, blockBytes: 60_000 } })).toBeGreaterThan(plain)
    expect(await needed({ batch: { size: 128 } })).toBeGreaterThan(plain)
    expect(await needed({ prefetchBatches: 64 })).toBeGreaterThan(plain)
  })
})

describe('count()', () => {
  it('is known without reading where metadata proves it, and reads once where not', async () => {
    await withDataset(options(), async (dataset) => {
      expect(dataset).toMatchObject({ length: 400, numBatches: 25 })
      expect(await dataset.count()).toBe(400)
    })
    await withDataset(options({ filter: 'n >= 5 and n < 111' }), async (dataset) => {
      expect(dataset).toMatchObject({ length: undefined, numBatches: undefined })
      expect(await dataset.count()).toBe(106)
      expect(dataset).toMatchObject({ length: 106, numBatches: 7 })
      expect((await numbersOf(dataset.epoch(0))).map((rows) => rows.length)).toEqual([16, 16, 16, 16, 16, 16, 10])
    })
    const split = { column: 'id', buckets: 5, include: [1, 3] } as const
    await withDataset(options({ split }), async (dataset) => {
      const rows = (await numbersOf(dataset.epoch(0))).flat()
      expect(await dataset.count()).toBe(rows.length)
    })
  })

  it('counts without a transform and with worker threads too', async () => {
    const folder = await folderWarehouse()
    try {
      await rowsTable(folder.url, { rows: 60, fileRows: 60, rowGroupRows: 10 })
      await withDataset({ ...options({ filter: 'n < 33' }), warehouse: folder.url, numWorkers: 1 }, async (dataset) => {
        expect(await Promise.all([dataset.count(), dataset.count()])).toEqual([33, 33])
      })
    } finally {
      await folder.remove()
    }
  })
})

describe('ranks', () => {
  it.each([2, 4])(
    '%i of them deliver their parts of every batch; merged they are the batches of one',
    async (worldSize) => {
      const whole = await withDataset(options(), (dataset) => numbersOf(dataset.epoch(0)))
      const ranks = await Promise.all(
        Array.from({ length: worldSize }, (_, rank) =>
          withDataset(options({ shard: { rank, worldSize } }), async (dataset) => {
            const batches = await numbersOf(dataset.epoch(0))
            expect(batches).toHaveLength(dataset.numBatches!)
            return batches
          }),
        ),
      )
      expect(whole.map((_, batch) => ranks.flatMap((rank) => rank[batch] ?? []))).toEqual(whole)
    },
  )

  it('of a last batch with fewer rows than ranks, some have none, and say so beforehand', async () => {
    const filter = 'n < 17'
    const shard = (rank: number): Partial<DatasetOptions> => ({ filter, shard: { rank, worldSize: 4 } })
    const lengths: number[][] = []
    for (const rank of [0, 1, 2, 3]) {
      await withDataset(options(shard(rank)), async (dataset) => {
        await dataset.count()
        const batches = await numbersOf(dataset.epoch(0))
        expect(batches).toHaveLength(dataset.numBatches!)
        lengths.push(batches.map((rows) => rows.length))
      })
    }
    expect(lengths).toEqual([[4], [4], [4], [4, 1]])
  })

  it('get as many rows each: a batch that does not divide is refused', async () => {
    const refused = openDataset(options({ batch: { size: 10 }, shard: { rank: 0, worldSize: 4 } }))
    await expect(refused).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})

describe('stats() and provenance()', () => {
  it('count what was delivered and read, and the padding of token budgets', async () => {
    const batch = { maxTokens: 2000, lengthColumn: 'n', padToMultipleOf: 10 }
    await withDataset(options({ batch }), async (dataset) => {
      let [batches, padded] = [0, 0]
      for await (const record of dataset.epoch(0)) {
        const lengths = [...(record.getChild('n')!.toArray() as Int32Array)]
        batches++
        padded += lengths.length * Math.ceil(Math.max(1, ...lengths) / 10) * 10
      }
      const stats = dataset.stats()
      expect(stats).toMatchObject({ batches, rows: 400, epochs: 1, tokens: (399 * 400) / 2, paddedTokens: padded })
      expect(stats.paddingWaste).toBeCloseTo(1 - stats.tokens / padded)
      expect(stats.rowGroups).toBe(40)
      expect(stats.requests).toBeGreaterThan(40)
      expect(stats.bytesRead).toBeGreaterThan(1000)
      expect(JSON.parse(JSON.stringify(stats))).toEqual(JSON.parse(JSON.stringify({ ...stats })))
      expect(dataset.provenance().consumed).toEqual({ epochs: 1, batches, rows: 400, rowsSkipped: 0 })
    })
  })

  it('refuse lengths that are null, and name the column', async () => {
    const batch = { maxTokens: 2000, lengthColumn: 'big' }
    await withDataset(options({ batch }), async (dataset) => {
      await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ code: 'FIRN_LENGTH_INVALID' })
    })
  })

  it('tell of the tag that keeps the snapshot, which goes with the dataset', async () => {
    const { table, catalog, url: own } = await rowsTable(memoryUrl(), { rows: 20 })
    const tags = async (): Promise<string[]> => {
      const { refs } = (await catalog.loadTable('t.rows')).metadata
      return [...(refs instanceof Map ? refs.keys() : Object.keys(refs ?? {}))].filter((name) => name !== 'main')
    }
    expect(table.currentSnapshot()).toBeDefined()
    await withDataset(options({ warehouse: own, pin: 'required' }), async (dataset) => {
      expect(await tags()).toEqual([])
      expect(dataset.stats().pinned).toBeUndefined()
      await numbersOf(dataset.epoch(0))
      expect(await tags()).toEqual([dataset.stats().pinned])
    })
    expect(await tags()).toEqual([])
  })
})
