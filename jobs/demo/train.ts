/**
 * The end of the demo's line: shuffled batches of one pinned snapshot into a tfjs model.
 *
 * The task is small and honest: tell the length of an article (the logarithm of its word count) from a hashed bag of
 * its words. There is something to learn, the loss of an untrained model is far off, and a few seconds are enough.
 */
import { type Dataset, openDataset, type TensorBatch } from '../../loader/index.ts'
import { FirnError } from '../../table/errors.ts'

export interface TrainOptions {
  readonly warehouse: string
  readonly table: string
  readonly snapshotId: string
  readonly s3Endpoint: string
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const SEED = 7
const BATCH_SIZE = 64
const EPOCHS = 5
/** Words fall into this many buckets by hash. */
const BUCKETS = 256

type Tf = typeof import('@tensorflow/tfjs')

/** @throws {FirnError} `FIRN_DEMO_TRAINING` (failed) when the loss does not fall. */
export async function trainOnSnapshot(options: TrainOptions): Promise<void> {
  const tf: Tf = await import('@tensorflow/tfjs')
  tf.enableProdMode()
  const dataset = await openDataset({
    warehouse: options.warehouse,
    storeOptions: { s3: { endpoint: options.s3Endpoint } },
    table: options.table,
    snapshot: { id: options.snapshotId },
    columns: ['content', 'word_count'],
    shuffle: { seed: SEED },
    batch: { size: BATCH_SIZE },
    signal: options.signal,
  })
  try {
    await train(tf, dataset, options)
  } finally {
    await dataset[Symbol.asyncDispose]()
  }
}

async function train(tf: Tf, dataset: Dataset, options: TrainOptions): Promise<void> {
  const { say } = options
  say(
    `   ${dataset.length} rows of snapshot ${options.snapshotId}, ${dataset.numBatches} batches of ${BATCH_SIZE} an epoch`,
  )
  const model = lengthModel(tf)
  const losses: number[] = []
  await model.fitDataset(
    dataset.toTFDataset(tf, { xs: (batch) => wordBuckets(tf, batch), ys: (batch) => logLength(tf, batch) }),
    {
      epochs: EPOCHS,
      verbose: 0,
      callbacks: {
        onEpochEnd: async (epoch, logs) => {
          options.signal.throwIfAborted()
          losses.push(logs?.['loss'] ?? Number.NaN)
          say(`   epoch ${epoch + 1} of ${EPOCHS}  loss ${losses.at(-1)!.toFixed(4)}`)
        },
      },
    },
  )
  const [first = 0, last = 0] = [losses.at(0), losses.at(-1)]
  if (!(last < first)) throw new FirnError('failed', 'FIRN_DEMO_TRAINING', `the loss went from ${first} to ${last}`)
  say(`   the loss fell from ${first.toFixed(4)} to ${last.toFixed(4)}`)
}

function lengthModel(tf: Tf): import('@tensorflow/tfjs').LayersModel {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({
        inputShape: [BUCKETS],
        units: 16,
        activation: 'relu',
        kernelInitializer: tf.initializers.glorotUniform({ seed: SEED }),
      }),
      tf.layers.dense({ units: 1, kernelInitializer: tf.initializers.glorotUniform({ seed: SEED + 1 }) }),
    ],
  })
  model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' })
  return model
}

/** `[rows, BUCKETS]`: log(1 + how often words of the bucket occur). */
function wordBuckets(tf: Tf, batch: TensorBatch): import('@tensorflow/tfjs').Tensor2D {
  const values = new Float32Array(batch.rows * BUCKETS)
  batch.texts('content').forEach((content, row) => {
    for (const word of (content ?? '').toLowerCase().split(/\s+/)) values[row * BUCKETS + bucketOf(word)]! += 1
  })
  return tf.tensor2d(values.map(Math.log1p), [batch.rows, BUCKETS])
}

/** FNV-1a. */
function bucketOf(word: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % BUCKETS
}

function logLength(tf: Tf, batch: TensorBatch): import('@tensorflow/tfjs').Tensor2D {
  const { values, shape } = batch.numbers('word_count')
  return tf.tensor2d(Float32Array.from(values, Math.log1p), shape)
}
