/** One scenario with tfjs-node: `fit.child.ts <module that exports tf> <warehouse> <close|forget> <name>`. */
import type * as Tfjs from '@tensorflow/tfjs'
import { runScenario } from '../loader/tensors/scenarios.ts'

const [, , module, warehouse, close, name] = process.argv
const { tf } = (await import(module!)) as { readonly tf: typeof Tfjs }
await tf.ready()
if (tf.getBackend() !== 'tensorflow') throw new Error(`the backend is ${tf.getBackend()}, not tfjs-node's`)
await runScenario(tf, name!, {
  options: { warehouse: warehouse!, table: 't.rows', numWorkers: 1 },
  close: close === 'close',
})
console.log(`done with tfjs-node ${tf.version['tfjs-core']}`)
