import * as tf from '@tensorflow/tfjs'
import type { RecordBatch } from 'apache-arrow'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Dataset, type DatasetOptions, openDataset } from '../../../loader/index.ts'
import { type EpochSource, type TFDatasetOptions, toTFDataset } from '../../../loader/tensors/tfjs.ts'
import { folderWarehouse, memoryUrl, rowsBatch, rowsTable, withDataset } from '../support.ts'
import { countWorkers } from '../support-workers.ts'

type Options = TFDatasetOptions<tf.Tensor>
const N: Options = { xs: 'n', ys: 'n' }
const rowsTaken = (element: IteratorResult<{ xs: unknown }>): number[] =>
  element.done === true ? [] : [...(element.value.xs as tf.Tensor).dataSync()]

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
})

/** Epochs of three batches of two rows that tell which ones were begun, in which order, and which were left. */
function source(): EpochSource & { readonly log: string[] } {
  const log: string[] = []
  return {
    log,
    numBatches: 3,
    schema: rowsBatch([]).schema,
    epoch: (epoch) => {
      async function* batches(): AsyncGenerator<RecordBatch, void, undefined> {
        log.push(`begin ${epoch}`)
        try {
          for (let batch = 0; batch < 3; batch++) yield rowsBatch([epoch * 10 + batch * 2, epoch * 10 + batch * 2 + 1])
          log.push(`end ${epoch}`)
        } finally {
          log.push(`closed ${epoch}`)
        }
      }
      return batches()
    },
  }
}

describe('iterators', () => {
  it('that are only made do nothing: the epoch counts when its first element is asked for', async () => {
    const from = source()
    const dataset = toTFDataset(from, tf, N)
    for (let made = 0; made < 5; made++) await dataset.iterator()
    expect(from.log).toEqual([])
    const [first, second] = [await dataset.iterator(), await dataset.iterator()]
    expect(rowsTaken(await second.next())).toEqual([0, 1])
    expect(rowsTaken(await first.next())).toEqual([10, 11])
    expect(from.log).toEqual(['begin 0', 'begin 1', 'closed 0'])
  })

  it('end the one before: its later calls are over, not errors', async () => {
    const from = source()
    const dataset = toTFDataset(from, tf, N)
    const [old, young] = [await dataset.iterator(), await dataset.iterator()]
    await old.next()
    await young.next()
    expect(await old.next()).toEqual({ done: true, value: undefined })
    expect(rowsTaken(await young.next())).toEqual([12, 13])
  })

  it('answer overlapping calls in their order, and calls after the end', async () => {
    const iterator = await toTFDataset(source(), tf, N).iterator()
    const elements = await Promise.all(Array.from({ length: 6 }, () => iterator.next()))
    expect(elements.map(rowsTaken)).toEqual([[0, 1], [2, 3], [4, 5], [], [], []])
    expect((await iterator.next()).done).toBe(true)
  })

  it('go through as many epochs as asked, from the one asked', async () => {
    const dataset = toTFDataset(source(), tf, { ...N, epochs: 2, firstEpoch: 4 })
    expect(dataset.size).toBe(6)
    const iterator = await dataset.iterator()
    const rows = []
    for (let element = await iterator.next(); element.done !== true; element = await iterator.next()) {
      rows.push(...rowsTaken(element))
    }
    expect(rows).toEqual([40, 41, 42, 43, 44, 45, 50, 51, 52, 53, 54, 55])
    expect(toTFDataset(source(), tf, { ...N, epochs: Number.POSITIVE_INFINITY }).size).toBe(Number.POSITIVE_INFINITY)
  })

  it('fail with the error of a source function once, without leaving tensors behind', async () => {
    const xs = (): tf.Tensor => {
      tf.scalar(1).add(1)
      throw new Error('cannot read this')
    }
    const before = tf.memory().numTensors
    const from = source()
    const iterator = await toTFDataset(from, tf, { xs, ys: 'n' }).iterator()
    await expect(iterator.next()).rejects.toThrow('cannot read this')
    expect((await iterator.next()).done).toBe(true)
    expect(tf.memory().numTensors).toBe(before)
    expect(from.log).toEqual(['begin 0', 'closed 0'])
  })

  it('report the error of a source function even when the epoch cannot be ended', async () => {
    const epoch = (): AsyncIterableIterator<RecordBatch, void, undefined> => ({
      next: async () => ({ done: false, value: rowsBatch([1]) }),
      return: async () => Promise.reject(new Error('cannot end')),
      [Symbol.asyncIterator]() {
        return this
      },
    })
    const xs = (): tf.Tensor => {
      throw new Error('cannot read this')
    }
    const dataset = toTFDataset({ ...source(), epoch }, tf, { xs, ys: 'n' })
    for (const iterator of [await dataset.iterator(), await dataset.iterator()]) {
      await expect(iterator.next()).rejects.toThrow('cannot read this')
      expect((await iterator.next()).done).toBe(true)
    }
  })
})

describe('elements', () => {
  it('take columns as one tensor, a list or a map, or what a function makes', async () => {
    const element = async (xs: Options['xs']): Promise<unknown> => {
      const next = await (await toTFDataset(source(), tf, { xs, ys: 'n' }).iterator()).next()
      return next.done === true ? undefined : next.value.xs
    }
    expect(await element('n')).toMatchObject({ shape: [2, 1], dtype: 'int32' })
    expect(await element(['n', 'n'])).toMatchObject([{ shape: [2, 1] }, { shape: [2, 1] }])
    expect(await element({ left: 'n' })).toMatchObject({ left: { shape: [2, 1] } })
    const lengths = await element((batch) => tf.tensor1d(batch.texts('id').map((id) => id!.length)))
    expect([...(lengths as tf.Tensor).dataSync()]).toEqual([10, 10])
  })

  it('come from synchronous functions only; what a promise becomes is disposed', async () => {
    const before = tf.memory().numTensors
    const late = async (): Promise<tf.Tensor> => {
      await Promise.resolve()
      return tf.scalar(1)
    }
    const failing = async (): Promise<tf.Tensor> => Promise.reject(new Error('nobody waits for this'))
    const results = [async () => tf.scalar(1), late, failing, () => [tf.scalar(1), late()], () => ({ a: late() })]
    for (const result of results) {
      const iterator = await toTFDataset(source(), tf, { xs: 'n', ys: result as never }).iterator()
      await expect(iterator.next()).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    }
    const nested = async (): Promise<tf.Tensor[]> => [await late(), await late()]
    const iterator = await toTFDataset(source(), tf, { xs: nested as never, ys: 'n' }).iterator()
    await expect(iterator.next()).rejects.toThrow('not promises')
    await new Promise((resolve) => setImmediate(resolve))
    expect(tf.memory().numTensors).toBe(before)
  })

  it.each(['id', 'at', 'price', 'blob'])('refuse column %s, which is no tensor, when the dataset is made', (column) => {
    for (const xs of [column, ['n', column], { a: column }]) {
      expect(() => toTFDataset(source(), tf, { xs, ys: 'n' })).toThrow(
        expect.objectContaining({ code: 'FIRN_TENSOR_TYPE', message: expect.stringContaining(column) as string }),
      )
    }
  })

  it('refuse a column that is not there when the dataset is made', () => {
    expect(() => toTFDataset(source(), tf, { xs: 'n', ys: ['zz'] })).toThrow(
      expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND', message: expect.stringContaining('"zz"') as string }),
    )
  })

  it('options are checked when the dataset is made', () => {
    for (const more of [{ epochs: 0 }, { epochs: 1.5 }, { firstEpoch: -1 }]) {
      expect(() => toTFDataset(source(), tf, { ...N, ...more })).toThrow(/expected an integer from/)
    }
    const refused = expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }) as Error
    for (const more of [{ epoch: 5 }, { xs: [] }, { xs: {} }, { ys: 5 }, { ys: undefined }, { ys: [['n']] }]) {
      expect(() => toTFDataset(source(), tf, { ...N, ...more } as never)).toThrow(refused)
    }
    expect(() => toTFDataset(source(), tf, undefined as never)).toThrow(refused)
    for (const module of [undefined, null, {}, { default: tf }]) {
      expect(() => toTFDataset(source(), module as never, N)).toThrow(refused)
    }
  })
})

describe('model.fitDataset', () => {
  let model: tf.Sequential
  beforeEach(() => {
    model = tf.sequential({
      layers: [tf.layers.dense({ inputShape: [1], units: 1, kernelInitializer: 'zeros' })],
    })
    model.compile({ optimizer: tf.train.adam(0.05), loss: 'meanSquaredError' })
  })

  const options = (warehouse: string, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
    warehouse,
    table: 't.rows',
    columns: ['n'],
    shuffle: { seed: 3, blockRowGroups: 4 },
    batch: { size: 50 },
    ...more,
  })
  const scaled = (batch: { numbers(column: string): { values: ArrayLike<number> } }, by: number): tf.Tensor =>
    tf.tensor2d(
      Float32Array.from(batch.numbers('n').values, (n) => (n / 500) * by),
      [50, 1],
    )
  const line: Options = { xs: (batch) => scaled(batch, 1), ys: (batch) => scaled(batch, 3) }

  it('learns from two epochs, every row in each, and leaves as many tensors as the model has', async () => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url), async (dataset) => {
      const seen: number[] = []
      const xs: Options['xs'] = (batch) => {
        seen.push(...(batch.record.getChild('n')!.toArray() as Int32Array))
        return scaled(batch, 1)
      }
      const data = dataset.toTFDataset(tf, { ...line, xs })
      await model.fitDataset(data, { epochs: 1, verbose: 0 }) // makes the optimizer's variables
      const before = tf.memory().numTensors
      const history = await model.fitDataset(data, { epochs: 2, verbose: 0 })
      expect(tf.memory().numTensors).toBe(before)
      const all = Array.from({ length: 500 }, (_, n) => n)
      for (const epoch of [0, 1, 2]) {
        expect(seen.slice(epoch * 500, epoch * 500 + 500).toSorted((a, b) => a - b)).toEqual(all)
      }
      expect(seen).toHaveLength(1500)
      expect(seen.slice(0, 500)).not.toEqual(seen.slice(500, 1000))
      const losses = history.history['loss'] as number[]
      expect(losses[1]!).toBeLessThan(losses[0]!)
    })
  })

  it('with batchesPerEpoch goes on through the epochs of one iterator', async () => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url), async (dataset) => {
      const epochs: number[] = []
      const counting: Pick<Dataset, 'numBatches' | 'schema' | 'epoch'> = {
        numBatches: dataset.numBatches,
        schema: dataset.schema,
        epoch: (epoch) => {
          epochs.push(epoch ?? 0)
          return dataset.epoch(epoch)
        },
      }
      const data = toTFDataset(counting, tf, { ...line, epochs: 3 })
      const history = await model.fitDataset(data, { epochs: 6, batchesPerEpoch: 5, verbose: 0 })
      expect(history.epoch).toHaveLength(6)
      expect(epochs).toEqual([0, 1, 2])
    })
  })

  it('takes a dataset for validation', async () => {
    const { url } = await rowsTable(memoryUrl())
    await withDataset(options(url), async (dataset) => {
      const validation = await openDataset(options(url, { shuffle: false }))
      const history = await model.fitDataset(dataset.toTFDataset(tf, line), {
        epochs: 2,
        verbose: 0,
        validationData: validation.toTFDataset(tf, line) as never,
      })
      expect(history.history['val_loss']).toHaveLength(2)
      await validation[Symbol.asyncDispose]()
    })
  })

  it('stopped early, then run again, reads on with the same workers; closing ends them', async () => {
    const warehouse = await folderWarehouse()
    const workers = countWorkers()
    try {
      await rowsTable(warehouse.url)
      const dataset = await openDataset(options(warehouse.url, { numWorkers: 1 }))
      const data = dataset.toTFDataset(tf, line)
      const stopAt = (batch: number): tf.CustomCallbackArgs => ({
        onBatchEnd: async (index) => {
          if (index === batch) model.stopTraining = true
        },
      })
      await model.fitDataset(data, { epochs: 3, verbose: 0, callbacks: stopAt(1) })
      const before = tf.memory().numTensors
      const history = await model.fitDataset(data, { epochs: 1, verbose: 0 })
      expect(history.epoch).toEqual([0])
      expect(tf.memory().numTensors).toBe(before)
      expect(workers).toMatchObject({ started: 1, alive: 1 })
      await dataset[Symbol.asyncDispose]()
      expect(workers.alive).toBe(0)
    } finally {
      workers.stop()
      await warehouse.remove()
    }
  })

  it('passes on what goes wrong while reading', async () => {
    const { url } = await rowsTable(memoryUrl())
    const controller = new AbortController()
    const dataset = await openDataset(options(url, { signal: controller.signal }))
    const reason = new Error('enough')
    const callbacks = { onEpochBegin: async () => controller.abort(reason) }
    const fitting = model.fitDataset(dataset.toTFDataset(tf, line), { epochs: 1, verbose: 0, callbacks })
    await expect(fitting).rejects.toBe(reason)
  })
})
