/** toTFDataset over tables: what worker threads make of them, during steps that block, and after a resume. */
import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dataset, type DatasetOptions, openDataset } from '../../../loader/index.ts'
import type { TFElement } from '../../../loader/tensors/tfjs.ts'
import { folderWarehouse, rowsTable, withDataset } from '../support.ts'
import { fixedOf, raggedOf } from './ids.transform.ts'

const ROWS = 500
const BATCH = 50
const MODULE = new URL('./ids.transform.ts', import.meta.url)

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  warehouse = await folderWarehouse()
  await rowsTable(warehouse.url, { rows: ROWS })
})
afterAll(() => warehouse.remove())

const options = (more: Partial<DatasetOptions> = {}): DatasetOptions =>
  ({
    warehouse: warehouse.url,
    table: 't.rows',
    columns: ['n'],
    shuffle: { seed: 5 },
    batch: { size: BATCH },
    numWorkers: 1,
    ...more,
  }) as DatasetOptions

const numbersIn = (xs: unknown): number[] => [...(xs as tf.Tensor).dataSync()]

async function elementsOf(dataset: Dataset): Promise<TFElement<tf.Tensor>[]> {
  const iterator = await dataset.toTFDataset(tf, { xs: 'n', ys: 'n' }).iterator()
  const elements: TFElement<tf.Tensor>[] = []
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) elements.push(next.value)
  return elements
}

it.each([0, 1])(
  'ids that a transform makes with %i workers become tensors, lists and all, without a copy',
  async (numWorkers) => {
    await withDataset(options({ transform: MODULE, numWorkers }), async (dataset) => {
      const rows = new Set<number>()
      let shared = 0
      const data = dataset.toTFDataset(tf, {
        xs: { fixed: 'fixed', ragged: 'ragged' },
        ys: (batch) => {
          const column = batch.record.getChild('fixed')!.data[0]!.children[0]!.values as Int32Array
          if (batch.numbers('fixed').values.buffer === column.buffer) shared++
          return tf.tensor(batch.numbers('n').values, [batch.rows, 1])
        },
        pad: { ragged: { padTo: 4, padValue: -1 } },
      })
      const iterator = await data.iterator()
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        const { fixed, ragged } = next.value.xs as Record<string, tf.Tensor>
        const numbers = numbersIn(next.value.ys)
        expect(fixed).toMatchObject({ shape: [BATCH, 4], dtype: 'int32' })
        expect([...fixed!.dataSync()]).toEqual(numbers.flatMap(fixedOf).map((value) => value | 0))
        const padded = numbers.flatMap((n) => [...raggedOf(n), ...Array<number>(4 - (n % 5)).fill(-1)])
        expect(ragged).toMatchObject({ shape: [BATCH, 4], dtype: 'int32' })
        expect([...ragged!.dataSync()]).toEqual(padded)
        for (const n of numbers) rows.add(n)
      }
      expect(rows.size).toBe(ROWS)
      expect(shared).toBe(ROWS / BATCH)
    })
  },
)

/** Settled by promises alone: no message, timer or I/O was waited for. */
async function withoutTheLoop<T>(result: Promise<T>): Promise<T | 'not yet'> {
  let settled: T | 'not yet' = 'not yet'
  result.then(
    (value) => {
      settled = value
    },
    () => {},
  )
  for (let tick = 0; tick < 200 && settled === 'not yet'; tick++) await Promise.resolve()
  return settled
}

it('while a step blocks this thread, a worker decodes on; then the batches come without a turn of the event loop', async () => {
  const done = new Int32Array(new SharedArrayBuffer(4))
  const transform = { module: MODULE, options: { done } }
  await withDataset(options({ transform, shuffle: false, prefetchBatches: 1 }), async (dataset) => {
    // Until the worker is up this thread decodes.
    for (let epoch = 0; Atomics.load(done, 0) === 0; epoch++) {
      for await (const _batch of dataset.epoch(epoch)) await new Promise((resolve) => setImmediate(resolve))
    }
    Atomics.store(done, 0, 0)
    const iterator = await dataset.toTFDataset(tf, { xs: 'n', ys: 'fixed' }).iterator()
    expect((await iterator.next()).done).toBe(false)
    let turned = false
    const turn = setImmediate(() => {
      turned = true
    })
    try {
      // The step: this thread stands still until the worker says that it has seen every row.
      for (let seen = Atomics.load(done, 0); seen < ROWS; seen = Atomics.load(done, 0)) {
        if (Atomics.wait(done, 0, seen, 20_000) === 'timed-out') break
      }
      expect(Atomics.load(done, 0)).toBe(ROWS)
      // The last unit may not be on its way yet; batches of the ones before it must be there.
      for (let batch = 1; batch <= 7; batch++) {
        const element = await withoutTheLoop(iterator.next())
        if (element === 'not yet' || element.done === true) throw new Error(`batch ${batch} is not there`)
        expect(numbersIn(element.value.xs)[0]).toBeTypeOf('number')
      }
      expect(turned).toBe(false)
    } finally {
      clearImmediate(turn)
    }
  })
})

it('after a resume the first epoch has the batches that are left, and the next ones are whole', async () => {
  const whole = await withDataset(options(), async (dataset) => [await elementsOf(dataset), await elementsOf(dataset)])
  const rowsOf = (elements: readonly TFElement<tf.Tensor>[]): number[][] => elements.map(({ xs }) => numbersIn(xs))
  const token = await withDataset(options(), async (dataset) => {
    const iterator = await dataset.toTFDataset(tf, { xs: 'n', ys: 'n' }).iterator()
    for (let batch = 0; batch < 4; batch++) await iterator.next()
    return dataset.stateDict()
  })
  await withDataset(options({ numWorkers: 0 }), async (dataset) => {
    expect(await dataset.loadStateDict(token)).toEqual({ epoch: 0, batches: 4 })
    const data = dataset.toTFDataset(tf, { xs: 'n', ys: 'n' })
    expect(data.size).toBe(ROWS / BATCH)
    const epochs: number[][][] = []
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [1], units: 1 })] })
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
    const spied = {
      ...data,
      iterator: async () => {
        const iterator = await data.iterator()
        return {
          next: async () => {
            const next = await iterator.next()
            if (next.done !== true) epochs.at(-1)!.push(numbersIn(next.value.xs))
            return next
          },
        }
      },
    }
    const onEpochBegin = async (): Promise<void> => void epochs.push([])
    await model.fitDataset(spied as never, { epochs: 2, verbose: 0, callbacks: { onEpochBegin } })
    expect(epochs[0]).toEqual(rowsOf(whole[0]!).slice(4))
    expect(epochs[1]).toEqual(rowsOf(whole[1]!))
  })
})

it('a filter on rows leaves the number of batches open until they are counted', async () => {
  const dataset = await openDataset(options({ filter: 'n < 333', numWorkers: 0 }))
  try {
    const data = dataset.toTFDataset(tf, { xs: 'n', ys: 'n' })
    expect(dataset.numBatches).toBe(undefined)
    expect(data.size).toBe(null)
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [1], units: 1 })] })
    model.compile({ optimizer: tf.train.sgd(1e-9), loss: 'meanSquaredError' })
    const sizes: unknown[] = []
    const onBatchEnd = async (_batch: number, logs?: tf.Logs): Promise<void> => void sizes.push(logs?.['size'])
    await model.fitDataset(data as never, { epochs: 1, verbose: 0, callbacks: { onBatchEnd } })
    expect(sizes).toEqual([50, 50, 50, 50, 50, 50, 33])
  } finally {
    await dataset[Symbol.asyncDispose]()
  }
})
