import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../loader/index.ts'
import { FirnError } from '../../table/index.ts'
import { digestOf, folderWarehouse, memoryUrl, numbersOf, rowsTable, withDataset } from './support.ts'
import { countWorkers, type WorkerCount } from './support-workers.ts'

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
let workers: WorkerCount

beforeAll(async () => {
  warehouse = await folderWarehouse()
  await rowsTable(warehouse.url)
})
afterAll(() => warehouse.remove())
beforeEach(() => {
  workers = countWorkers()
})
afterEach(() => workers.stop())

const options = (more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse: warehouse.url,
  table: 't.rows',
  shuffle: { seed: 7, blockBytes: 20_000 },
  batch: { size: 32 },
  ...more,
})

describe('the batches of an epoch', () => {
  it('are the same for 0 to 4 workers, 0 to 8 batches ahead, any memory, with a cache and without', async () => {
    const cache = { dir: join(warehouse.path, 'cache') }
    const ways: readonly Partial<DatasetOptions>[] = [
      { numWorkers: 0, prefetchBatches: 0 },
      { numWorkers: 0, prefetchBatches: 1, cache },
      { numWorkers: 1, prefetchBatches: 1 },
      { numWorkers: 1, prefetchBatches: 8, memoryLimit: '4GB' },
      { numWorkers: 2, prefetchBatches: 0, cache },
      { numWorkers: 2, prefetchBatches: 8, memoryLimit: '256MB' },
      { numWorkers: 4, prefetchBatches: 8 },
    ]
    const digests = new Set<string>()
    for (const way of ways) {
      await withDataset(options(way), async (dataset) => {
        digests.add(await digestOf(dataset.epoch(4)))
      })
    }
    expect(digests.size).toBe(1)
    expect(workers).toMatchObject({ started: 10, alive: 0 })
  })

  it('hold every row once when several epochs are read at the same time by the same workers', async () => {
    await withDataset(options({ numWorkers: 2 }), async (dataset) => {
      const alone = [await digestOf(dataset.epoch(0)), await digestOf(dataset.epoch(1))]
      expect(await Promise.all([digestOf(dataset.epoch(0)), digestOf(dataset.epoch(1))])).toEqual(alone)
      expect(workers.started).toBe(2)
    })
  })

  it('come from the workers of the epoch before', async () => {
    await withDataset(options({ numWorkers: 1 }), async (dataset) => {
      for (const epoch of [0, 1, 2]) expect((await numbersOf(dataset.epoch(epoch))).flat()).toHaveLength(500)
      expect(workers).toMatchObject({ started: 1, alive: 1 })
    })
    expect(workers.alive).toBe(0)
  })
})

describe('no worker is left', () => {
  it('when the consumer breaks out of the loop, whatever is still under way', async () => {
    const dataset = await openDataset(options({ numWorkers: 2, prefetchBatches: 4 }))
    for await (const batch of dataset.epoch(0)) {
      expect(batch.numRows).toBe(32)
      break
    }
    expect(workers).toMatchObject({ started: 2, alive: 0 })
  })

  it('when the consumer throws', async () => {
    const dataset = await openDataset(options({ numWorkers: 1 }))
    const failing = async (): Promise<void> => {
      for await (const _batch of dataset.epoch(0)) throw new Error('training failed')
    }
    await expect(failing()).rejects.toThrow('training failed')
    expect(workers).toMatchObject({ started: 1, alive: 0 })
  })

  it('when the dataset is closed in the middle of an epoch, which then fails', async () => {
    const dataset = await openDataset(options({ numWorkers: 2, prefetchBatches: 0 }))
    const batches = dataset.epoch(0)
    await batches.next()
    await dataset[Symbol.asyncDispose]()
    expect(workers.alive).toBe(0)
    await expect(batches.next()).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
    await expect(dataset.epoch(1).next()).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
    await dataset[Symbol.asyncDispose]()
  })

  it('when the signal of the dataset aborts, and the iteration ends with its reason', async () => {
    const controller = new AbortController()
    const dataset = await openDataset(options({ numWorkers: 1, prefetchBatches: 0, signal: controller.signal }))
    const batches = dataset.epoch(0)
    await batches.next()
    const reason = new Error('stop now')
    controller.abort(reason)
    await expect(batches.next()).rejects.toBe(reason)
    await expect.poll(() => workers.alive).toBe(0)
  })

  it('in a process that neither reads to the end nor closes the dataset: it exits by itself', async () => {
    const script = fileURLToPath(new URL('./abandoned.child.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script, warehouse.url], { timeout: 50_000 })
    expect(stdout.trim().split('\n')).toEqual(['32 rows', '500 rows', '32 rows'])
  })
})

it.each(['--input-type=module', '--input-type module', '--expose-gc --input-type=module'])(
  'workers run in a script given as text: node %s -e …',
  async (given) => {
    const flags = given.split(' ')
    const door = new URL('../../loader/index.ts', import.meta.url)
    const script = `
      import { openDataset } from '${door}'
      const options = { warehouse: '${warehouse.url}', table: 't.rows', batch: { size: 500 }, numWorkers: 1 }
      for await (const batch of (await openDataset(options)).epoch(0)) console.log(batch.numRows)`
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '-e', script], { timeout: 50_000 })
    expect(stdout.trim()).toBe('500')
  },
)

it('a dataset that is forgotten without being closed gives its workers back, even when its signal lives on', async () => {
  const script = fileURLToPath(new URL('./forgotten.child.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, warehouse.url])
  expect(stdout.trim().split('\n')).toEqual([1, 2, 3].flatMap(() => ['500 rows, 1 alive', '0 alive']))
})

describe('the signal of one epoch', () => {
  it('ends that one and leaves the others alone', async () => {
    await withDataset(options({ numWorkers: 1, prefetchBatches: 0 }), async (dataset) => {
      const controller = new AbortController()
      const [ended, other] = [dataset.epoch(0, { signal: controller.signal }), dataset.epoch(1)]
      await ended.next()
      await other.next()
      controller.abort()
      await expect(ended.next()).rejects.toThrow(/abort/)
      expect((await numbersOf(other)).flat()).toHaveLength(500 - 32)
    })
  })
})

describe.each([0, 1])('with %i workers', (numWorkers) => {
  it('a damaged data page is a corrupt file, named', async () => {
    const { url, path, remove } = await folderWarehouse()
    try {
      const { table } = await rowsTable(url, { rows: 60, fileRows: 60 })
      const folder = join(path, 't/rows/data')
      const [name] = await readdir(folder)
      const bytes = await readFile(join(folder, name!))
      // The pages of the first row group begin after the magic number; the footer stays readable.
      await writeFile(join(folder, name!), bytes.fill(0xff, 4, 200))
      expect(table.currentSnapshot()).toBeDefined()
      await withDataset({ ...options({ numWorkers }), warehouse: url }, async (dataset) => {
        const error: unknown = await numbersOf(dataset.epoch(0)).catch((caught: unknown) => caught)
        expect(FirnError.is(error)).toBe(true)
        expect(error).toMatchObject({ kind: 'corrupt', code: 'FIRN_PARQUET_CORRUPT' })
        expect((error as Error).message).toContain(name)
      })
    } finally {
      await remove()
    }
  })

  it('a data file that is gone is an error of the store, not damage', async () => {
    const { url, path, remove } = await folderWarehouse()
    await rowsTable(url, { rows: 60, fileRows: 60 })
    const dataset = await openDataset({ ...options({ numWorkers }), warehouse: url })
    try {
      await remove()
      expect(path).not.toBe('')
      await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
    } finally {
      await dataset[Symbol.asyncDispose]()
    }
  })
})

it('a worker that dies loses no row: its units fail or are decoded here, and the next epoch is whole', async () => {
  await withDataset(options({ numWorkers: 1, prefetchBatches: 0 }), async (dataset) => {
    let killed = false
    const kill = (worker: import('node:worker_threads').Worker): void => {
      if (!killed) void worker.terminate()
      killed = true
    }
    process.on('worker', kill)
    try {
      // Its death may be noticed while the first epoch is read, or later.
      for (let epoch = 0; epoch < 2; epoch++) {
        const rows = await numbersOf(dataset.epoch(epoch)).catch((error: unknown) => error)
        if (Array.isArray(rows)) expect(rows.flat()).toHaveLength(500)
        else expect(rows).toMatchObject({ code: 'FIRN_WORKER_CRASHED' })
      }
      await expect.poll(() => workers.started - workers.alive).toBe(1)
      expect((await numbersOf(dataset.epoch(0))).flat()).toHaveLength(500)
    } finally {
      process.off('worker', kill)
    }
  })
})

it('refuses workers for a warehouse that they cannot see', async () => {
  const { url } = await rowsTable(memoryUrl(), { rows: 10 })
  const refused = openDataset({ ...options({ numWorkers: 1 }), warehouse: url })
  await expect(refused).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
})
