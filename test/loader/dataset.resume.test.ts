/** Tokens: from any batch the rest of the epoch, for the dataset that they belong to and no other. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { DatasetOptions } from '../../loader/index.ts'
import { FirnError, type ObjectStore, openStore } from '../../table/index.ts'
import { appendRows, folderWarehouse, memoryUrl, numbersOf, rowsTable, withDataset } from './support.ts'

let url = ''
beforeAll(async () => {
  ;({ url } = await rowsTable(memoryUrl(), { rows: 120, fileRows: 50, rowGroupRows: 8 }))
})

const options = (more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse: url,
  table: 't.rows',
  shuffle: { seed: 5, blockBytes: 6000 },
  batch: { size: 16 },
  ...more,
})

/** What a dataset of its own gives after the token. */
const restOf = (token: string, more: Partial<DatasetOptions> = {}): Promise<number[][]> =>
  withDataset(options(more), async (dataset) => {
    await dataset.loadStateDict(token)
    return numbersOf(dataset.epoch())
  })

/** Tokens of the dataset before the first batch, after each one, and after the end. */
async function tokensOf(more: Partial<DatasetOptions>): Promise<{ batches: number[][]; tokens: string[] }> {
  return withDataset(options(more), async (dataset) => {
    const tokens = [dataset.stateDict()]
    const batches: number[][] = []
    for await (const batch of dataset.epoch(2)) {
      batches.push([...(batch.getChild('n')!.toArray() as Int32Array)])
      tokens.push(dataset.stateDict())
    }
    return { batches, tokens: [...tokens, dataset.stateDict()] }
  })
}

const PLANS: readonly (readonly [string, Partial<DatasetOptions>])[] = [
  ['a plain one', {}],
  ['one without shuffle', { shuffle: false }],
  ['one with a filter', { filter: 'n >= 20 and n < 90' }],
  ['one with a split', { split: { column: 'id', buckets: 4, include: [0, 3] } }],
  ['one that drops its last batch', { dropLast: true, batch: { size: 22 } }],
  ['one by tokens', { batch: { maxTokens: 900, lengthColumn: 'n', bucketBoundaries: [50, 100], padToMultipleOf: 8 } }],
]

describe.each(PLANS)('a token of %s', (_name, more) => {
  it('goes on behind the batches that were delivered, wherever it was taken', async () => {
    const { batches, tokens } = await tokensOf(more)
    expect(batches.length).toBeGreaterThan(2)
    for (const token of tokens) expect(token).toMatch(/^[\w-]{64}$/)
    expect(await restOf(tokens[0]!, more)).toEqual(
      await withDataset(options(more), (fresh) => numbersOf(fresh.epoch(0))),
    )
    for (let delivered = 1; delivered < batches.length; delivered++) {
      expect(await restOf(tokens[delivered]!, more)).toEqual(batches.slice(delivered))
    }
    const next = await withDataset(options(more), (fresh) => numbersOf(fresh.epoch(3)))
    expect(await restOf(tokens.at(-1)!, more)).toEqual(next)
  })
})

describe('a token', () => {
  it('is valid with other workers, prefetching, memory, columns and ranks', async () => {
    const folder = await folderWarehouse()
    try {
      await rowsTable(folder.url, { rows: 120, fileRows: 50, rowGroupRows: 8 })
      const own = { warehouse: folder.url }
      const { batches, tokens } = await tokensOf({ ...own, numWorkers: 0 })
      const rest = batches.slice(3)
      const others: readonly Partial<DatasetOptions>[] = [
        { numWorkers: 2, prefetchBatches: 8 },
        { numWorkers: 1, columns: ['n', 'text'] },
        { numWorkers: 0, memoryLimit: '4GB' },
        { numWorkers: 0, cache: { dir: `${folder.path}/cache` } },
      ]
      for (const other of others) expect(await restOf(tokens[3]!, { ...own, ...other })).toEqual(rest)
      const ranks = await Promise.all(
        [0, 1].map((rank) => restOf(tokens[3]!, { ...own, numWorkers: 0, shard: { rank, worldSize: 2 } })),
      )
      expect(rest.map((_, batch) => ranks.flatMap((rank) => rank[batch] ?? []))).toEqual(rest)
    } finally {
      await folder.remove()
    }
  })

  it('tells which epoch it goes on with, and serves one call of epoch() only', async () => {
    const { batches, tokens } = await tokensOf({})
    await withDataset(options(), async (dataset) => {
      expect(await dataset.loadStateDict(tokens[3]!)).toEqual({ epoch: 2, batches: 3 })
      expect(dataset.stateDict()).toBe(tokens[3])
      expect(await numbersOf(dataset.epoch(2))).toEqual(batches.slice(3))
      expect(await numbersOf(dataset.epoch(2))).toEqual(batches)
      expect(await dataset.loadStateDict(tokens.at(-1)!)).toEqual({ epoch: 3, batches: 0 })
    })
  })

  it('waits for its epoch when another one is read first', async () => {
    const { batches, tokens } = await tokensOf({})
    await withDataset(options(), async (dataset) => {
      await dataset.loadStateDict(tokens[2]!)
      expect((await numbersOf(dataset.epoch(0))).flat()).toHaveLength(120)
      expect(await numbersOf(dataset.epoch(2))).toEqual(batches.slice(2))
    })
  })

  it('of an iteration is its own; that of the dataset is that of the iteration which began last', async () => {
    await withDataset(options(), async (dataset) => {
      const [one, other] = [dataset.epoch(0), dataset.epoch(1)]
      await one.next()
      await other.next()
      await one.next()
      expect(dataset.stateDict()).toBe(other.stateDict())
      expect(one.stateDict()).not.toBe(other.stateDict())
      expect((await restOf(one.stateDict())).flat()).toHaveLength(120 - 32)
      await Promise.all([one.return(), other.return()])
    })
  })

  it('goes on after commits: the dataset that it is loaded into reads the same snapshot', async () => {
    const { url: own, table } = await rowsTable(memoryUrl(), { rows: 120, fileRows: 50, rowGroupRows: 8 })
    const id = table.currentSnapshot()!.snapshotId
    const { batches, tokens } = await tokensOf({ warehouse: own })
    await appendRows(table, 120, 160, { fileRows: 40, rowGroupRows: 8 })
    expect(await restOf(tokens[2]!, { warehouse: own, snapshot: { id } })).toEqual(batches.slice(2))
    await expect(restOf(tokens[2]!, { warehouse: own })).rejects.toMatchObject({
      code: 'FIRN_TOKEN_MISMATCH',
      message: expect.stringContaining(`its snapshot is ${id}`) as string,
    })
  })

  it.each<[string, Partial<DatasetOptions>, RegExp]>([
    ['seed', { shuffle: { seed: 6, blockBytes: 6000 } }, /its seed is 5, that of the dataset 6/],
    ['block', { shuffle: { seed: 5, blockBytes: 7000 } }, /its plan is another one/],
    ['batch', { batch: { size: 8 } }, /its plan is another one/],
    ['filter', { filter: 'n >= 0 and n < 100' }, /its plan is another one/],
    ['split', { split: { column: 'id', buckets: 2, include: [0, 1] } }, /its plan is another one/],
  ])('is refused with another %s', async (_what, more, message) => {
    const { tokens } = await tokensOf({})
    await expect(restOf(tokens[2]!, more)).rejects.toMatchObject({ kind: 'invalid', code: 'FIRN_TOKEN_MISMATCH' })
    await expect(restOf(tokens[2]!, more)).rejects.toThrow(message)
  })

  it('is refused when it is none, and what was loaded before stays', async () => {
    const { batches, tokens } = await tokensOf({})
    await withDataset(options(), async (dataset) => {
      await dataset.loadStateDict(tokens[4]!)
      await expect(dataset.loadStateDict('nonsense')).rejects.toMatchObject({ code: 'FIRN_TOKEN_INVALID' })
      expect(await numbersOf(dataset.epoch())).toEqual(batches.slice(4))
    })
  })
})

it('a store that stops answering ends the epoch with a typed error; the token goes on when it is back', async () => {
  const store = openStore(url)
  let answers = Number.POSITIVE_INFINITY
  const get: ObjectStore['get'] = (key, more) => {
    if (key.endsWith('.parquet') && answers-- <= 0) {
      return Promise.reject(new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'down'))
    }
    return store.get(key, more)
  }
  const weak: ObjectStore = {
    url: store.url,
    get,
    head: (key, more) => store.head(key, more),
    list: (prefix, more) => store.list(prefix, more),
    put: (key, body, more) => store.put(key, body, more),
    delete: (key, more) => store.delete(key, more),
  }
  await withDataset({ ...options({ retry: { attempts: 1 } }), warehouse: weak }, async (dataset) => {
    const whole = await numbersOf(dataset.epoch(0))
    const delivered: number[][] = []
    answers = 8
    const failed = async (): Promise<void> => {
      for await (const batch of dataset.epoch(0)) delivered.push([...(batch.getChild('n')!.toArray() as Int32Array)])
    }
    await expect(failed()).rejects.toMatchObject({ kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE' })
    expect(delivered.length).toBeGreaterThan(0)
    expect(delivered.length).toBeLessThan(whole.length)
    answers = Number.POSITIVE_INFINITY
    expect(await dataset.loadStateDict(dataset.stateDict())).toEqual({ epoch: 0, batches: delivered.length })
    expect([...delivered, ...(await numbersOf(dataset.epoch(0)))]).toEqual(whole)
  })
})
