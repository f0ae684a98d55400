import { describe, expect, it } from 'vitest'
import { type Dataset, type DatasetOptions, openDataset } from '../../loader/index.ts'
import { type ObjectStore, openStore } from '../../table/index.ts'
import { rowsOf } from '../table/support.ts'
import { digestOf, memoryUrl, numbersOf, ROWS, rowsBatch, rowsTable, withDataset } from './support.ts'

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const sorted = (batches: readonly (readonly number[])[]): number[] => batches.flat().toSorted((a, b) => a - b)

const options = (warehouse: string, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse,
  table: 't.rows',
  shuffle: { seed: 7, blockBytes: 20_000 },
  batch: { size: 32 },
  ...more,
})

describe('an epoch', () => {
  it('gives every row once, in batches of the asked size and a smaller last one', async () => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url), async (dataset) => {
      const batches = await numbersOf(dataset.epoch(0))
      expect(batches.map((batch) => batch.length)).toEqual([...Array<number>(15).fill(32), 20])
      expect(sorted(batches)).toEqual(upTo(500))
      expect(dataset).toMatchObject({ length: 500, numBatches: 16 })
    })
  })

  it('leaves out the last batch with dropLast', async () => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url, { dropLast: true }), async (dataset) => {
      const batches = await numbersOf(dataset.epoch(0))
      expect(batches.map((batch) => batch.length)).toEqual(Array<number>(15).fill(32))
      expect(dataset.numBatches).toBe(15)
    })
  })

  it.each([1, 7, 48, 49, 130, 499, 500, 501, 4096])('comes out whole in batches of %i rows', async (size) => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url, { batch: { size } }), async (dataset) => {
      const batches = await numbersOf(dataset.epoch(3))
      expect(sorted(batches)).toEqual(upTo(500))
      expect(batches).toHaveLength(dataset.numBatches!)
      expect(batches.slice(0, -1).every((batch) => batch.length === size)).toBe(true)
    })
  })

  it('has the same order of rows whatever the size of the batches', async () => {
    const { url } = await rowsTable(memoryUrl())
    const rows = (size: number): Promise<number[]> =>
      withDataset(options(url, { batch: { size } }), async (dataset) => (await numbersOf(dataset.epoch(0))).flat())
    expect(await rows(64)).toEqual(await rows(5))
  })

  it('keeps every value and every null beside its row', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 200 })
    await withDataset(options(url), async (dataset) => {
      const rows = []
      for await (const batch of dataset.epoch(0)) rows.push(...rowsOf(ROWS, batch))
      expect(rows.toSorted((a, b) => Number(a['n']) - Number(b['n']))).toEqual(rowsOf(ROWS, rowsBatch(upTo(200))))
    })
  })

  it('differs from the next one, and with the seed, and is the same when it is read again', async () => {
    const { url } = await rowsTable(memoryUrl())
    const digest = (epoch: number, seed: number): Promise<string> =>
      withDataset(options(url, { shuffle: { seed } }), (dataset) => digestOf(dataset.epoch(epoch)))
    const digests = [await digest(0, 7), await digest(1, 7), await digest(0, 8)]
    expect(new Set(digests).size).toBe(3)
    expect(await digest(1, 7)).toBe(digests[1])
  })

  it('without a shuffle gives files by path and rows as they stand in them', async () => {
    const { url, table } = await rowsTable(memoryUrl())
    const files = await table.scan().planFiles()
    const paths = files.map((task) => task.file.filePath)
    // The names are hashes: manifest order is not path order, or this test would show nothing.
    expect(paths).not.toEqual(paths.toSorted())
    const expected: number[] = []
    for (const path of paths.toSorted()) {
      const first = 130 * paths.indexOf(path)
      expected.push(...upTo(500).slice(first, first + 130))
    }
    await withDataset(options(url, { shuffle: false }), async (dataset) => {
      expect((await numbersOf(dataset.epoch(0))).flat()).toEqual(expected)
      expect(await digestOf(dataset.epoch(1))).toBe(await digestOf(dataset.epoch(0)))
    })
  })
})

describe('while the footers are read, which may take long', () => {
  /** Once the dataset is open, data files answer when the test says so. */
  async function slowDataset(): Promise<{ dataset: Dataset; asked: () => number; answer: () => void }> {
    const { url } = await rowsTable(memoryUrl(), { rows: 100 })
    const store = openStore(url)
    const { promise, resolve } = Promise.withResolvers<void>()
    let asked = 0
    let isSlow = false
    const get: ObjectStore['get'] = async (key, more) => {
      if (isSlow && key.endsWith('.parquet')) {
        asked++
        await promise
      }
      return store.get(key, more)
    }
    const slow: ObjectStore = {
      url: store.url,
      get,
      head: (key, more) => store.head(key, more),
      list: (prefix, more) => store.list(prefix, more),
      put: (key, body, more) => store.put(key, body, more),
      delete: (key, more) => store.delete(key, more),
    }
    const dataset = await openDataset({ ...options(''), warehouse: slow })
    isSlow = true
    return { dataset, asked: () => asked, answer: resolve }
  }

  it('the signal of an epoch ends it at once, and leaves the others alone', async () => {
    const { dataset, asked, answer } = await slowDataset()
    const controller = new AbortController()
    const ended = dataset.epoch(0, { signal: controller.signal }).next()
    const other = numbersOf(dataset.epoch(1))
    await expect.poll(asked).toBeGreaterThan(0)
    const reason = new Error('not this one')
    controller.abort(reason)
    await expect(ended).rejects.toBe(reason)
    answer()
    expect(sorted(await other)).toEqual(upTo(100))
  })

  it('leaving does not wait for them', async () => {
    const { dataset, asked, answer } = await slowDataset()
    const left = dataset.epoch(0)
    const first = left.next()
    first.catch(() => {})
    await expect.poll(asked).toBeGreaterThan(0)
    expect(await left.return()).toEqual({ done: true, value: undefined })
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    answer()
    expect(sorted(await numbersOf(dataset.epoch(0)))).toEqual(upTo(100))
  })
})

it('leaving an epoch stops its reads, and lets those of another one begin', async () => {
  const { url } = await rowsTable(memoryUrl(), { rows: 100 })
  const store = openStore(url)
  let isHanging = false
  let [asked, stopped] = [0, 0]
  const get: ObjectStore['get'] = async (key, more) => {
    if (!isHanging || !key.endsWith('.parquet')) return store.get(key, more)
    asked++
    return new Promise((_resolve, reject) => {
      more?.signal?.addEventListener('abort', () => {
        stopped++
        reject(more.signal!.reason as Error)
      })
    })
  }
  const hanging: ObjectStore = {
    url: store.url,
    get,
    head: (key, more) => store.head(key, more),
    list: (prefix, more) => store.list(prefix, more),
    put: (key, body, more) => store.put(key, body, more),
    delete: (key, more) => store.delete(key, more),
  }
  await withDataset({ ...options(''), warehouse: hanging }, async (dataset) => {
    await numbersOf(dataset.epoch(0))
    isHanging = true
    const [left, other] = [dataset.epoch(1), dataset.epoch(2)]
    const [first, second] = [left.next(), other.next()]
    first.catch(() => {})
    second.catch(() => {})
    await expect.poll(() => asked).toBeGreaterThan(0)
    expect(stopped).toBe(0)
    await left.return()
    await expect.poll(() => stopped).toBeGreaterThan(0)
    // those of the other one hang now, and nobody has stopped them
    await expect.poll(() => asked - stopped).toBeGreaterThan(0)
    await other.return()
    await expect.poll(() => asked - stopped).toBe(0)
  })
})
