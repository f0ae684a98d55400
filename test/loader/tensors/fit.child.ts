/** One scenario in a process of its own, which must end by itself: `fit.child.ts <warehouse> <close|forget> <name>`. */
import * as tf from '@tensorflow/tfjs'
import { runScenario } from './scenarios.ts'

const [, , warehouse, close, name] = process.argv
tf.enableProdMode()
await tf.setBackend('cpu')
const options = { warehouse: warehouse!, table: 't.rows', numWorkers: 1 }
await runScenario(tf, name!, { options, close: close === 'close' })
console.log('done')
