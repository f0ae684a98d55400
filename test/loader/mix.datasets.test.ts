/** Mixes of real datasets: every row of each, in the order that each has alone, and resumed. */
import * as tf from '@tensorflow/tfjs'
import type { RecordBatch } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DatasetOptions, type Mix, type MixOptions, mix, openDataset } from '../../loader/index.ts'
import { folderWarehouse, numbersOf, rowsTable, withDataset } from './support.ts'

const warehouses: { url: string; remove: () => Promise<void> }[] = []

beforeAll(async () => {
  for (const rows of [200, 90]) {
    const warehouse = await folderWarehouse()
    await rowsTable(warehouse.url, { rows })
    warehouses.push(warehouse)
  }
})
afterAll(() => Promise.all(warehouses.map(({ remove }) => remove())))

const optionsOf = (which: number, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse: warehouses[which]!.url,
  table: 't.rows',
  columns: ['n'],
  shuffle: { seed: 5 + which },
  batch: { size: 8 },
  numWorkers: 0,
  ...more,
})

async function mixed(options: MixOptions = {}, more: Partial<DatasetOptions> = {}): Promise<Mix> {
  const parts = []
  for (const [which, proportion] of [0.75, 0.25].entries()) {
    parts.push({ dataset: await openDataset(optionsOf(which, more)), proportion })
  }
  return mix(parts, { seed: 9, ...options })
}

const key = (batch: RecordBatch): string => [...(batch.getChild('n')!.toArray() as Int32Array)].join()

async function keysOf(use: Mix, epochs: readonly (number | undefined)[]): Promise<string[]> {
  const keys: string[] = []
  for (const epoch of epochs) for await (const batch of use.epoch(epoch)) keys.push(key(batch))
  return keys
}

describe('a mix of datasets', () => {
  test('gives the batches of each in the order that it has alone, and numBatches of them', async () => {
    const use = await mixed()
    try {
      const found = await keysOf(use, [3])
      expect(use.numBatches).toBe(found.length)
      const given = use.stats().datasets.map(({ batches }) => batches)
      for (const which of [0, 1]) {
        const own = await withDataset(optionsOf(which), (dataset) => numbersOf(dataset.epoch(3)))
        const keys = own.map((numbers) => numbers.join()).slice(0, given[which])
        expect(found.filter((one) => keys.includes(one))).toEqual(keys)
      }
      // 25 batches of 200 rows: the larger dataset ends the epoch
      expect(given[0]).toBe(25)
      expect(Math.abs(given[1]! - found.length / 4)).toBeLessThan(1)
    } finally {
      await use[Symbol.asyncDispose]()
    }
  })

  test.each(['first_exhausted', 'all_exhausted'] as const)(
    '%s: stopped behind any batch, it goes on with the next one',
    async (stoppingStrategy) => {
      const whole = await mixed({ stoppingStrategy })
      const expected = await keysOf(whole, [0, 1])
      await whole[Symbol.asyncDispose]()
      for (let stop = 0; stop <= expected.length; stop += 7) {
        const first = await mixed({ stoppingStrategy }, { prefetchBatches: stop % 4 })
        const found: string[] = []
        let iterator = first.epoch()
        while (found.length < stop) {
          const result = await iterator.next()
          if (result.done === true) iterator = first.epoch()
          else found.push(key(result.value))
        }
        const token = first.stateDict()
        await first[Symbol.asyncDispose]()
        const second = await mixed({ stoppingStrategy }, { prefetchBatches: 5 })
        const { epoch } = await second.loadStateDict(token)
        found.push(...(await keysOf(second, epoch === 0 ? [undefined, undefined] : [undefined])))
        await second[Symbol.asyncDispose]()
        expect(found).toEqual(expected)
      }
    },
  )

  test('a token of a mix over other data is refused', async () => {
    const use = await mixed()
    await keysOf(use, [0])
    const token = use.stateDict()
    await use[Symbol.asyncDispose]()
    const other = await mixed({}, { batch: { size: 9 } })
    await expect(other.loadStateDict(token)).rejects.toMatchObject({ code: 'FIRN_TOKEN_MISMATCH' })
    await other[Symbol.asyncDispose]()
  })

  test('trains: two epochs of fitDataset leave no tensor and no thread behind', async () => {
    const use = await mixed({}, { numWorkers: 1, columns: ['n'] })
    await tf.setBackend('cpu')
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] })
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
    const data = use.toTFDataset(tf as never, {
      xs: (batch) =>
        tf.tensor2d(
          Float32Array.from(batch.numbers('n').values, (n) => n / 1000),
          [batch.rows, 1],
        ) as never,
      ys: (batch) => tf.zeros([batch.rows, 1]) as never,
    })
    await model.fitDataset(data as never, { epochs: 1, verbose: 0 })
    const before = tf.memory().numTensors
    await model.fitDataset(data as never, { epochs: 2, verbose: 0 })
    expect(tf.memory().numTensors).toBe(before)
    expect(use.stats().batches).toBe(use.numBatches! * 3)
    await use[Symbol.asyncDispose]()
    model.dispose()
  })
})
