/**
 * Trains, stops in the middle of an epoch, and drops dataset and tf dataset without closing anything: the threads must
 * end when these are collected. `forgotten.child.ts <warehouse>`, with --expose-gc.
 */
import { setTimeout } from 'node:timers/promises'
import * as tf from '@tensorflow/tfjs'
import { openDataset } from '../../../loader/index.ts'
import { countWorkers } from '../support-workers.ts'

const workers = countWorkers()
tf.enableProdMode()
await tf.setBackend('cpu')

async function trainAndForget(): Promise<void> {
  const dataset = await openDataset({
    warehouse: process.argv[2]!,
    table: 't.rows',
    columns: ['n'],
    batch: { size: 50 },
    numWorkers: 1,
  })
  const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [1], units: 1 })] })
  model.compile({ optimizer: tf.train.sgd(1e-9), loss: 'meanSquaredError' })
  const onBatchEnd = async (batch: number): Promise<void> => {
    if (batch === 2) model.stopTraining = true
  }
  const data = dataset.toTFDataset(tf, { xs: 'n', ys: 'n' })
  await model.fitDataset(data as never, { epochs: 2, verbose: 0, callbacks: { onBatchEnd } })
}

await trainAndForget()
console.log(`${workers.started} started`)
// The process would end before the collection: this keeps it, for as long as a slow machine may take.
for (let tries = 0; workers.alive > 0 && tries < 500; tries++) {
  globalThis.gc?.()
  await setTimeout(20)
}
console.log(`${workers.alive} alive`)
