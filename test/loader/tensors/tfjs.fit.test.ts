import * as tf from '@tensorflow/tfjs'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Dataset, type DatasetOptions, openDataset } from '../../../loader/index.ts'
import { type TFDatasetOptions, toTFDataset } from '../../../loader/tensors/tfjs.ts'
import { folderWarehouse, memoryUrl, rowsTable, withDataset } from '../support.ts'
import { countWorkers } from '../support-workers.ts'

type Options = TFDatasetOptions<tf.Tensor>

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
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
    shuffle: { seed: 3, blockBytes: '64KiB' },
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
          epochs.push(epoch ?? -1)
          return dataset.epoch(epoch)
        },
      }
      const data = toTFDataset(counting, tf, { ...line, epochs: 3, firstEpoch: 0 })
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
