import * as tf from '@tensorflow/tfjs'
import type { RecordBatch } from 'apache-arrow'
import { beforeAll, describe, expect, it } from 'vitest'
import { type EpochSource, type TFDatasetOptions, toTFDataset } from '../../../loader/tensors/tfjs.ts'
import { rowsBatch } from '../support.ts'
import { listBatch } from './list-batch.ts'

type Options = TFDatasetOptions<tf.Tensor>
const N: Options = { xs: 'n', ys: 'n' }
const rowsTaken = (element: IteratorResult<{ xs: unknown }>): number[] =>
  element.done === true ? [] : [...(element.value.xs as tf.Tensor).dataSync()]

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
})

/**
 * Epochs of three batches of two rows that tell which ones were begun, in which order, and which were left. With a
 * state, the first epoch without a number is what is left of the one in the state.
 */
function source(state = { epoch: 0, batches: 0 }): EpochSource & { readonly log: string[] } {
  const log: string[] = []
  let next = state.epoch
  return {
    log,
    numBatches: 3,
    schema: rowsBatch([]).schema,
    epoch: (given) => {
      const first = given === undefined && next === state.epoch ? state.batches : 0
      const epoch = given ?? next
      next = epoch + 1
      async function* batches(): AsyncGenerator<RecordBatch, void, undefined> {
        log.push(`begin ${epoch}`)
        try {
          for (let batch = first; batch < 3; batch++) {
            yield rowsBatch([epoch * 10 + batch * 2, epoch * 10 + batch * 2 + 1])
          }
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

  it('have no size, as in tf.data, when only reading tells how many batches there are', () => {
    for (const epochs of [1, 5]) {
      expect(toTFDataset({ ...source(), numBatches: undefined }, tf, { ...N, epochs }).size).toBe(null)
    }
  })

  it('go on with what is left of the epoch of a loaded state, then through whole epochs', async () => {
    const dataset = toTFDataset(source({ epoch: 2, batches: 2 }), tf, N)
    const rows: number[][] = []
    for (let epoch = 0; epoch < 2; epoch++) {
      await dataset.iterator() // thrown away, as fitDataset does
      const iterator = await dataset.iterator()
      const seen: number[] = []
      for (let element = await iterator.next(); element.done !== true; element = await iterator.next()) {
        seen.push(...rowsTaken(element))
      }
      rows.push(seen)
    }
    expect(rows).toEqual([
      [24, 25],
      [30, 31, 32, 33, 34, 35],
    ])
  })

  it('go on behind a state with nothing left of its epoch, and end when epochs are empty', async () => {
    const iterator = await toTFDataset(source({ epoch: 2, batches: 3 }), tf, { ...N, epochs: 3 }).iterator()
    const rows: number[] = []
    for (let element = await iterator.next(); element.done !== true; element = await iterator.next()) {
      rows.push(...rowsTaken(element))
    }
    expect(rows).toEqual([30, 31, 32, 33, 34, 35, 40, 41, 42, 43, 44, 45])
    const none = { ...source(), numBatches: undefined, epoch: () => source({ epoch: 0, batches: 3 }).epoch() }
    const empty = await toTFDataset(none, tf, { ...N, epochs: Number.POSITIVE_INFINITY }).iterator()
    expect((await empty.next()).done).toBe(true)
  })

  it.each(['rejects', 'ends'])('that wait when a newer one takes over are over: what they wait for %s', async (how) => {
    let begun = 0
    const epoch = (): AsyncIterableIterator<RecordBatch, void, undefined> => {
      if (begun++ > 0) return source().epoch(7)
      const waiting = Promise.withResolvers<IteratorResult<RecordBatch, void>>()
      return {
        next: () => waiting.promise,
        return: async () => {
          if (how === 'rejects') waiting.reject(new Error('the iteration was left'))
          else waiting.resolve({ done: true, value: undefined })
          return { done: true, value: undefined }
        },
        [Symbol.asyncIterator]() {
          return this
        },
      }
    }
    const dataset = toTFDataset({ ...source(), epoch }, tf, { ...N, epochs: 3 })
    const [old, young] = [await dataset.iterator(), await dataset.iterator()]
    const late = old.next()
    await Promise.resolve() // it is asked for
    expect(rowsTaken(await young.next())).toEqual([70, 71])
    expect((await late).done).toBe(true)
    expect(begun).toBe(2)
  })

  it('serve tf.data around them: a prefetch of 8 asks at the same time and behind the end', async () => {
    const from = source()
    const data = toTFDataset(from, tf, { ...N, epochs: 2 })
    const ahead = tf.data.generator(() => data.iterator() as never).prefetch(8)
    const rows: number[] = []
    await ahead.forEachAsync((element) => {
      const { xs, ys } = element as unknown as { xs: tf.Tensor; ys: tf.Tensor }
      rows.push(...xs.dataSync())
      tf.dispose([xs, ys])
    })
    expect(rows).toEqual([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15])
    expect(from.log.filter((line) => line.startsWith('begin'))).toEqual(['begin 0', 'begin 1'])
  })

  it('are made of fresh tensors each time, also where two sides name one column', async () => {
    const before = tf.memory().numTensors
    const iterator = await toTFDataset(source(), tf, N).iterator()
    const [one, two] = [await iterator.next(), await iterator.next()]
    if (one.done === true || two.done === true) throw new Error('three batches')
    expect(tf.memory().numTensors).toBe(before + 4)
    tf.dispose([one.value.xs, one.value.ys])
    expect(rowsTaken(two)).toEqual([2, 3])
    tf.dispose([two.value.xs, two.value.ys])
    expect(tf.memory().numTensors).toBe(before)
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

  it('take lists of numbers by name, padded as `pad` says', async () => {
    const record = listBatch(
      [
        [1, 2],
        [3, 4],
      ],
      [[5], [6, 7, 8]],
    )
    const epoch = (): AsyncIterableIterator<RecordBatch, void, undefined> =>
      (async function* () {
        yield record
      })()
    const from = { ...source(), schema: record.schema, epoch }
    const pad = { ragged: { padToMultipleOf: 4, padValue: -1 } }
    const options: Options = { xs: ['fixed', 'ragged'], ys: { out: 'ragged' }, pad }
    const next = await (await toTFDataset(from, tf, options).iterator()).next()
    if (next.done === true) throw new Error('one batch')
    const [fixed, ragged] = next.value.xs as tf.Tensor[]
    expect(fixed).toMatchObject({ shape: [2, 2], dtype: 'int32' })
    expect([...fixed!.dataSync()]).toEqual([1, 2, 3, 4])
    expect(ragged).toMatchObject({ shape: [2, 4], dtype: 'int32' })
    expect([...ragged!.dataSync()]).toEqual([5, -1, -1, -1, 6, 7, 8, -1])
    const asked = (more: object): unknown => toTFDataset(from, tf, { ...options, ...more })
    const refused = expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }) as Error
    expect(() => asked({ pad: { fixed: { padTo: 4 } } })).toThrow(refused)
    expect(() => asked({ pad: { ragged: { padTo: 0 } } })).toThrow(refused)
    expect(() => asked({ pad: { ragged: { width: 4 } } })).toThrow(refused)
    expect(() => asked({ pad: { raged: { padTo: 4 } } })).toThrow(refused)
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
