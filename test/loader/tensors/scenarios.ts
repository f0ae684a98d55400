/**
 * Trainings with `fitDataset` as users write them, the orderly and the broken, with any module of TensorFlow.js. Each
 * looks at what it leaves behind: tensors, worker threads, and rows that nobody saw.
 */
import assert from 'node:assert/strict'
import type * as Tfjs from '@tensorflow/tfjs'
import { type Dataset, type DatasetOptions, openDataset } from '../../../loader/index.ts'
import type { TFDataset, TFDatasetOptions } from '../../../loader/tensors/tfjs.ts'
import { countWorkers } from '../support-workers.ts'

/** Rows in the table, and in a batch. */
export const TABLE_ROWS = 500
const BATCH_ROWS = 50
const BATCHES = TABLE_ROWS / BATCH_ROWS

type Tf = typeof Tfjs

interface Run {
  readonly tf: Tf
  readonly model: Tfjs.Sequential
  readonly dataset: Dataset
  readonly data: TFDataset<Tfjs.Tensor>
  /** First number of each batch that was made into tensors. */
  readonly batches: readonly number[]
  /** Tensors that TensorFlow.js leaves behind by itself: it keeps the sums of an epoch that failed. */
  expect(tensors: number): void
  open(more?: Partial<DatasetOptions>): Promise<Dataset>
}

type Scenario = (run: Run) => Promise<void>

const toLine = (tf: Tf, seen: number[]): TFDatasetOptions<Tfjs.Tensor> => ({
  xs: (batch) => {
    const { values, shape } = batch.numbers('n')
    seen.push(values[0]!)
    return tf.tensor2d(values as Int32Array, shape).div(TABLE_ROWS)
  },
  ys: (batch) => tf.tensor2d(batch.numbers('n').values as Int32Array, [batch.rows, 1]).mul(3 / TABLE_ROWS),
})

async function rejected(result: Promise<unknown>, message: string): Promise<void> {
  await assert.rejects(result, (error: Error) => error.message.endsWith(message))
}

async function failing(
  model: Tfjs.Sequential,
  { data, callbacks }: { readonly data: unknown; readonly callbacks: Tfjs.CustomCallbackArgs },
  message: string,
): Promise<void> {
  const fitting = model.fitDataset(data as Tfjs.data.Dataset<Tfjs.TensorContainer>, {
    epochs: 2,
    verbose: 0,
    callbacks,
  })
  await rejected(fitting, message)
}

/** Three batches of one row without this loader, to see what TensorFlow.js leaves behind by itself. */
const plain = (tf: Tf, ys: () => Tfjs.Tensor = () => tf.ones([1, 1])): unknown =>
  tf.data.generator(function* () {
    for (let batch = 0; batch < 3; batch++) {
      const made = ys()
      yield { xs: tf.ones([1, 1]), ys: made }
    }
  })

async function leftBy(tf: Tf, run: () => Promise<void>): Promise<number> {
  const before = tf.memory().numTensors
  await run()
  return tf.memory().numTensors - before
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'two epochs': async ({ model, data, batches }) => {
    const { history } = await model.fitDataset(data as never, { epochs: 2, verbose: 0 })
    const [first, second] = history['loss'] as number[]
    assert.ok(second! < first!, `loss falls: ${first} then ${second}`)
    assert.equal(batches.length, 2 * BATCHES)
    assert.equal(new Set(batches.slice(0, BATCHES)).size, BATCHES)
  },
  'model.stopTraining in the first epoch': async ({ model, data, batches }) => {
    const onBatchEnd = async (batch: number): Promise<void> => {
      if (batch === 1) model.stopTraining = true
    }
    await model.fitDataset(data as never, { epochs: 3, verbose: 0, callbacks: { onBatchEnd } })
    assert.equal(batches.length, 2)
  },
  EarlyStopping: async ({ tf, model, data, batches, open }) => {
    const validation = await open({ shuffle: false })
    const stop = tf.callbacks.earlyStopping({ monitor: 'val_loss', patience: 0, minDelta: 1e9 })
    await model.fitDataset(data as never, {
      epochs: 9,
      verbose: 0,
      validationData: validation.toTFDataset(tf, toLine(tf, [])) as never,
      callbacks: stop,
    })
    assert.equal(batches.length, 2 * BATCHES)
    await validation[Symbol.asyncDispose]()
  },
  'a callback that throws, then another training': async ({ model, data }) => {
    const onEpochEnd = async (): Promise<void> => {
      throw new Error('callback failed')
    }
    await rejected(
      model.fitDataset(data as never, { epochs: 2, verbose: 0, callbacks: { onEpochEnd } }),
      'callback failed',
    )
    const { epoch } = await model.fitDataset(data as never, { epochs: 1, verbose: 0 })
    assert.deepEqual(epoch, [0])
  },
  'a callback that throws in the middle of an epoch': async ({ tf, model, data, expect }) => {
    const options = (): Tfjs.CustomCallbackArgs => ({
      onBatchBegin: async (batch) => {
        if (batch === 2) throw new Error('callback failed')
      },
    })
    const left = await leftBy(tf, () => failing(model, { data: plain(tf), callbacks: options() }, 'callback failed'))
    await failing(model, { data, callbacks: options() }, 'callback failed')
    expect(2 * left) // there, and here
  },
  'a source that throws': async ({ tf, model, dataset, expect }) => {
    const source = (): ((batch: { readonly rows: number }) => Tfjs.Tensor) => {
      let calls = 0
      return ({ rows }) => {
        const made = tf.zeros([rows, 1])
        if (calls++ === 2) throw new Error('source failed')
        return made.add(1)
      }
    }
    const ys = source()
    const failed = plain(tf, () => tf.tidy(() => ys({ rows: 1 })))
    const left = await leftBy(tf, () => failing(model, { data: failed, callbacks: {} }, 'source failed'))
    const data = dataset.toTFDataset(tf, { xs: 'n', ys: source() })
    await failing(model, { data, callbacks: {} }, 'source failed')
    expect(2 * left) // there, and here
  },
  'batchesPerEpoch, one iterator for all epochs': async ({ tf, model, dataset }) => {
    const seen: number[] = []
    const data = dataset.toTFDataset(tf, { ...toLine(tf, seen), epochs: 2 })
    const { epoch } = await model.fitDataset(data as never, { epochs: 5, batchesPerEpoch: 4, verbose: 0 })
    assert.equal(epoch.length, 5)
    assert.equal(seen.length, 2 * BATCHES)
  },
  'batchesPerEpoch that leaves batches behind': async ({ tf, model, dataset }) => {
    const seen: number[] = []
    const data = dataset.toTFDataset(tf, { ...toLine(tf, seen), epochs: Number.POSITIVE_INFINITY })
    await model.fitDataset(data as never, { epochs: 2, batchesPerEpoch: 3, verbose: 0 })
    assert.equal(seen.length, 6)
  },
  'evaluateDataset, whole and a few batches': async ({ tf, model, data, batches }) => {
    for (const [options, expected] of [
      [{}, BATCHES],
      [{ batches: 3 }, BATCHES + 3],
    ] as const) {
      const loss = (await model.evaluateDataset(data as never, options)) as Tfjs.Scalar
      assert.ok(Number.isFinite(loss.dataSync()[0]))
      tf.dispose(loss)
      assert.equal(batches.length, expected)
    }
  },
}

/**
 * @param options of a dataset over a table with `TABLE_ROWS` rows `n`, without its batches.
 * @param close false: nobody closes the dataset, as happens; then its threads may live on.
 */
export async function runScenario(
  tf: Tf,
  name: string,
  { options, close }: { readonly options: Omit<DatasetOptions, 'batch'>; readonly close: boolean },
): Promise<void> {
  const workers = countWorkers()
  const open = (more: Partial<DatasetOptions> = {}): Promise<Dataset> =>
    openDataset({
      columns: ['n'],
      shuffle: { seed: 3 },
      ...options,
      batch: { size: BATCH_ROWS },
      ...more,
    } as DatasetOptions)
  const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [1], units: 1, kernelInitializer: 'zeros' })] })
  model.compile({ optimizer: tf.train.sgd(0.05), loss: 'meanSquaredError' })
  await warmUp(tf, model)
  const before = tf.memory().numTensors
  const dataset = await open()
  const batches: number[] = []
  const data = dataset.toTFDataset(tf, toLine(tf, batches))
  let expected = 0
  const expect = (tensors: number): void => {
    expected = tensors
  }
  await SCENARIOS[name]!({ tf, model, dataset, data, batches, expect, open })
  assert.equal(tf.memory().numTensors - before, expected, 'tensors are left behind')
  if (options.numWorkers !== 0) assert.ok(workers.started > 0, 'worker threads decode')
  if (close) {
    await dataset[Symbol.asyncDispose]()
    assert.equal(workers.alive, 0, 'worker threads are left behind')
  }
  workers.stop()
}

/** The model's own tensors, so that they are there before anybody counts. */
async function warmUp(tf: Tf, model: Tfjs.Sequential): Promise<void> {
  const [x, y] = [tf.zeros([1, 1]), tf.zeros([1, 1])]
  await model.fit(x, y, { epochs: 1, verbose: 0 })
  tf.dispose([x, y])
}
