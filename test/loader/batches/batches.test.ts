import { Field, type Int32, Int32 as Int32Type, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchesOf } from '../../../loader/batches/batches.ts'
import { previewOrder } from '../../../loader/order/shuffle.ts'
import type { Decoder } from '../../../loader/read/preview-decoder.ts'
import type { Unit } from '../../../loader/source/units.ts'

const SCHEMA = new Schema<{ n: Int32 }>([new Field('n', new Int32Type(), false)])
const KEY = { tableUuid: 'u', snapshotId: 1n, seed: 1, epoch: 0 }

/** Units of these sizes; row r of unit u is the number of rows before it. */
function unitsOf(sizes: readonly number[]): readonly Unit[] {
  return sizes.map((rows, rowGroup) => ({
    file: { filePath: 'f', fileFormat: 'PARQUET', fileSizeBytes: 1, recordCount: 1 },
    rowGroup,
    rows,
  }))
}

function decoded(sizes: readonly number[], unit: number): RecordBatch {
  const start = sizes.slice(0, unit).reduce((sum, rows) => sum + rows, 0)
  const values = Int32Array.from({ length: sizes[unit]! }, (_, row) => start + row)
  const child = makeData({ type: new Int32Type(), length: values.length, nullCount: 0, data: values })
  const type = new Struct(SCHEMA.fields)
  return new RecordBatch(SCHEMA, makeData({ type, length: values.length, nullCount: 0, children: [child] }))
}

/** Decodes at once, or in an order of the test's choosing. */
function fakeDecoder(sizes: readonly number[], delay: (unit: number) => Promise<void> = async () => {}) {
  const asked: number[] = []
  const aborted: number[] = []
  const decoder: Decoder = {
    decode: async (unit, signal) => {
      asked.push(unit.rowGroup)
      signal.addEventListener('abort', () => aborted.push(unit.rowGroup))
      await delay(unit.rowGroup)
      signal.throwIfAborted()
      return decoded(sizes, unit.rowGroup)
    },
    collect: () => {},
    close: async () => {},
  }
  return { decoder, asked, aborted }
}

const options = (batchSize: number, dropLast = false, signal = new AbortController().signal) => ({
  schema: SCHEMA,
  batchSize,
  dropLast,
  signal,
})

async function rowsIn(batches: AsyncIterable<RecordBatch>): Promise<number[][]> {
  const all: number[][] = []
  for await (const batch of batches) all.push([...(batch.getChild('n')!.toArray() as Int32Array)])
  return all
}

describe('batchesOf', () => {
  it('cuts the order of the epoch into batches, whatever the sizes of units, blocks and batches', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 })
    const size = fc.integer({ min: 1, max: 70 })
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 1, max: 6 }),
        size,
        fc.boolean(),
        async (unitRows, k, batchSize, dropLast) => {
          const order = previewOrder(unitRows, KEY, k)
          const expected = order.blocks.flatMap((units, block) => {
            const laidOut = Array.from(units).flatMap((unit) => [
              ...(decoded(unitRows, unit).getChild('n')!.toArray() as Int32Array),
            ])
            return Array.from(order.rowsOf(block), (position) => laidOut[position]!)
          })
          const { decoder } = fakeDecoder(unitRows)
          const batches = await rowsIn(batchesOf(order, unitsOf(unitRows), decoder, options(batchSize, dropLast)))
          const whole = Math.floor(expected.length / batchSize) * batchSize
          expect(batches.flat()).toEqual(dropLast ? expected.slice(0, whole) : expected)
          expect(batches.slice(0, -1).every((batch) => batch.length === batchSize)).toBe(true)
          if (dropLast) expect(batches.every((batch) => batch.length === batchSize)).toBe(true)
        },
      ),
    )
  })

  it('gives the same batches when units finish in another order', async () => {
    const sizes = [9, 9, 9, 9, 9, 9]
    const order = previewOrder(sizes, KEY, 3)
    const late = (unit: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, (unit * 7) % 5))
    const expected = await rowsIn(batchesOf(order, unitsOf(sizes), fakeDecoder(sizes).decoder, options(4)))
    const got = await rowsIn(batchesOf(order, unitsOf(sizes), fakeDecoder(sizes, late).decoder, options(4)))
    expect(got).toEqual(expected)
  })

  it('asks for nothing before the first batch, then for one block and the next one, never more', async () => {
    const sizes = Array<number>(12).fill(10)
    const order = previewOrder(sizes, KEY, 3)
    const { decoder, asked } = fakeDecoder(sizes)
    const batches = batchesOf(order, unitsOf(sizes), decoder, options(10))
    expect(asked).toEqual([])
    for (let batch = 0; batch < 12; batch++) {
      await batches.next()
      const block = Math.floor(batch / 3)
      expect(asked).toEqual(order.blocks.slice(0, block + 2).flatMap((units) => [...units]))
    }
    expect((await batches.next()).done).toBe(true)
  })

  it('stops the reads that are under way when the consumer leaves', async () => {
    const sizes = Array<number>(6).fill(10)
    const order = previewOrder(sizes, KEY, 2)
    const slow = async (unit: number): Promise<void> => {
      if (!order.blocks[0]!.includes(unit)) await new Promise(() => {})
    }
    const { decoder, aborted } = fakeDecoder(sizes, slow)
    const batches = batchesOf(order, unitsOf(sizes), decoder, options(5))
    await batches.next()
    await batches.return()
    expect(aborted).toEqual(expect.arrayContaining([...order.blocks[1]!]))
  })

  it('reports a failed read when its block has its turn, after the batches before it', async () => {
    const sizes = [10, 10, 10]
    const order = previewOrder(sizes, KEY, 1)
    const broken = order.blocks[2]![0]
    const fail = async (unit: number): Promise<void> => {
      if (unit === broken) throw new Error('no luck')
    }
    const batches = batchesOf(order, unitsOf(sizes), fakeDecoder(sizes, fail).decoder, options(10))
    expect((await batches.next()).value?.numRows).toBe(10)
    expect((await batches.next()).value?.numRows).toBe(10)
    await expect(batches.next()).rejects.toThrow('no luck')
    expect((await batches.next()).done).toBe(true)
  })
})
