import {
  Bool,
  type Data,
  type DataType,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint8,
  Utf8,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tensorBatch } from '../../../loader/tensors/tensors.ts'

const numbers = (type: DataType, data: ArrayBufferView, more: object = {}): Data =>
  makeData({ type, data, ...more } as never)
const item = (type: DataType): Field => new Field('item', type, true)
const fixed = (width: number, child: Data, more: object = {}): Data =>
  makeData({
    type: new FixedSizeList(width, item(child.type)),
    length: child.length / width,
    nullCount: 0,
    child,
    ...more,
  } as never)
const ragged = (offsets: readonly number[], child: Data, more: object = {}): Data =>
  makeData({
    type: new List(item(child.type)),
    length: offsets.length - 1,
    nullCount: 0,
    valueOffsets: Int32Array.from(offsets),
    child,
    ...more,
  } as never)
function recordOf(column: Data): RecordBatch {
  const fields = [new Field('ids', column.type, true)]
  const struct = makeData({ type: new Struct(fields), length: column.length, nullCount: 0, children: [column] })
  return new RecordBatch(new Schema(fields), struct)
}
const batch = (column: Data) => tensorBatch(recordOf(column))
const ints = (...values: number[]): Data => numbers(new Int32(), Int32Array.from(values))

const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'nothing thrown'
}

describe('lists of one fixed size', () => {
  it.each([
    ['int32', new Int32(), Int32Array.of(1, -2, 3, 4, 5, 6), Int32Array.of(1, -2, 3, 4, 5, 6)],
    ['float32', new Float32(), Float32Array.of(1, 0.5, 3, 4, 5, 6), Float32Array.of(1, 0.5, 3, 4, 5, 6)],
    ['int32', new Uint8(), Uint8Array.of(1, 2, 255, 4, 5, 6), Int32Array.of(1, 2, 255, 4, 5, 6)],
    ['int32', new Int64(), BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n), Int32Array.of(1, 2, 3, 4, 5, 6)],
    ['bool', new Bool(), Uint8Array.of(0b101001), Uint8Array.of(1, 0, 0, 1, 0, 1)],
  ])('become %s of shape [rows, size] from %s', (dtype, type, data, values) => {
    const two = batch(fixed(3, numbers(type, data, { length: 6 })))
    expect(two.numbers('ids')).toEqual({ values, shape: [2, 3], dtype })
    expect(two.lengths('ids')).toEqual({ values: Int32Array.of(3, 3), shape: [2, 1], dtype: 'int32' })
  })

  it('share the memory of a batch that has it for itself, and copy from a larger one', () => {
    const own = Int32Array.of(1, 2, 3, 4)
    expect(batch(fixed(2, numbers(new Int32(), own))).numbers('ids').values.buffer).toBe(own.buffer)
    const part = new Int32Array(own.buffer, 8, 2)
    const { values } = batch(fixed(2, numbers(new Int32(), part))).numbers('ids')
    expect(values).toEqual(Int32Array.of(3, 4))
    expect(values.buffer.byteLength).toBe(8)
    expect(tensorBatch(recordOf(fixed(2, numbers(new Int32(), own))).slice(1, 2)).numbers('ids').values).toEqual(part)
  })

  it('refuse nulls, of rows and of numbers, unless they are told what stands for them', () => {
    const withNullRow = batch(fixed(2, ints(1, 2, 3, 4), { nullCount: 1, nullBitmap: Uint8Array.of(0b10) }))
    expect(code(() => withNullRow.numbers('ids'))).toBe('FIRN_TENSOR_NULL')
    expect(withNullRow.numbers('ids', { nullAs: 9 }).values).toEqual(Int32Array.of(9, 9, 3, 4))
    const child = numbers(new Int32(), Int32Array.of(1, 2, 3, 4), { nullCount: 1, nullBitmap: Uint8Array.of(0b1101) })
    expect(code(() => batch(fixed(2, child)).numbers('ids'))).toBe('FIRN_TENSOR_NULL')
    expect(batch(fixed(2, child)).numbers('ids', { nullAs: -1 }).values).toEqual(Int32Array.of(1, -1, 3, 4))
    expect(code(() => batch(fixed(2, ints(1, 2))).numbers('ids', { nullAs: 0.5 }))).toBe('FIRN_TENSOR_RANGE')
  })

  it('cannot be padded', () => {
    expect(code(() => batch(fixed(2, ints(1, 2))).numbers('ids', { padTo: 4 }))).toBe('FIRN_INVALID_OPTION')
  })
})

describe('lists of any size', () => {
  const rows = (): ReturnType<typeof tensorBatch> => batch(ragged([0, 3, 3, 5], ints(1, 2, 3, 4, 5)))

  it('are padded to the longest of the batch, rounded up when asked', () => {
    expect(rows().numbers('ids')).toEqual({
      values: Int32Array.of(1, 2, 3, 0, 0, 0, 4, 5, 0),
      shape: [3, 3],
      dtype: 'int32',
    })
    expect(rows().numbers('ids', { padToMultipleOf: 4, padValue: -1 }).values).toEqual(
      Int32Array.of(1, 2, 3, -1, -1, -1, -1, -1, 4, 5, -1, -1),
    )
    expect(rows().lengths('ids')).toEqual({ values: Int32Array.of(3, 0, 2), shape: [3, 1], dtype: 'int32' })
  })

  it('take one width for every batch, and are cut only when asked', () => {
    expect(rows().numbers('ids', { padTo: 4 }).shape).toEqual([3, 4])
    expect(code(() => rows().numbers('ids', { padTo: 2 }))).toBe('FIRN_TENSOR_RANGE')
    const cut = { padTo: 2, truncateTo: 2 }
    expect(rows().numbers('ids', cut).values).toEqual(Int32Array.of(1, 2, 0, 0, 4, 5))
    expect(rows().lengths('ids', cut).values).toEqual(Int32Array.of(2, 0, 2))
  })

  it('that are all empty are still one wide', () => {
    expect(batch(ragged([0, 0, 0], ints())).numbers('ids')).toMatchObject({ shape: [2, 1] })
  })

  it('keep floats, and NaN or infinity as padding', () => {
    const floats = batch(ragged([0, 1, 3], numbers(new Float32(), Float32Array.of(0.5, 1, 2))))
    expect(floats.numbers('ids', { padValue: Number.NEGATIVE_INFINITY })).toEqual({
      values: Float32Array.of(0.5, Number.NEGATIVE_INFINITY, 1, 2),
      shape: [2, 2],
      dtype: 'float32',
    })
  })

  it('refuse what tensors cannot hold', () => {
    const wide = batch(ragged([0, 1], numbers(new Int64(), BigInt64Array.of(2n ** 31n))))
    expect(code(() => wide.numbers('ids'))).toBe('FIRN_TENSOR_RANGE')
    expect(code(() => rows().numbers('ids', { padValue: 0.5 }))).toBe('FIRN_TENSOR_RANGE')
    const text = ragged(
      [0, 1],
      makeData({
        type: new Utf8(),
        length: 1,
        nullCount: 0,
        valueOffsets: Int32Array.of(0, 1),
        data: Uint8Array.of(97),
      }),
    )
    expect(code(() => batch(text).numbers('ids'))).toBe('FIRN_TENSOR_TYPE')
  })

  it.each([{ padTo: 0 }, { padToMultipleOf: 1.5 }, { truncateTo: -1 }, { padTo: 8, padToMultipleOf: 8 }])(
    'refuse the padding %o',
    (options) => {
      expect(code(() => rows().numbers('ids', options))).toBe('FIRN_INVALID_OPTION')
      expect(code(() => rows().lengths('ids', options))).toBe('FIRN_INVALID_OPTION')
    },
  )

  it('that are null are refused, or empty', () => {
    const withNull = batch(ragged([0, 2, 3], ints(1, 2, 3), { nullCount: 1, nullBitmap: Uint8Array.of(0b10) }))
    expect(code(() => withNull.numbers('ids'))).toBe('FIRN_TENSOR_NULL')
    expect(code(() => withNull.lengths('ids'))).toBe('FIRN_TENSOR_NULL')
    expect(withNull.numbers('ids', { nullAs: 0 }).values).toEqual(Int32Array.of(0, 3))
  })

  it('hold every row in front of its padding, whatever the rows and the slice', () => {
    const row = fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 7 })
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 12 }),
        fc.nat(11),
        fc.integer({ min: 1, max: 5 }),
        (all, from, multiple) => {
          const first = from % all.length
          const offsets = [0]
          for (const list of all) offsets.push(offsets.at(-1)! + list.length)
          const record = recordOf(ragged(offsets, ints(...all.flat()))).slice(first)
          const part = tensorBatch(record)
          const { values, shape } = part.numbers('ids', { padToMultipleOf: multiple })
          const lists = all.slice(first)
          const longest = Math.max(1, ...lists.map((list) => list.length))
          expect(shape).toEqual([lists.length, Math.ceil(longest / multiple) * multiple])
          lists.forEach((list, index) => {
            const padded = [...list, ...new Array<number>(shape[1] - list.length).fill(0)]
            expect([...values.subarray(index * shape[1], (index + 1) * shape[1])]).toEqual(padded)
          })
          expect([...part.lengths('ids').values]).toEqual(lists.map((list) => list.length))
        },
      ),
    )
  })
})

it('a column without lists has no lengths', () => {
  expect(code(() => batch(ints(1)).lengths('ids'))).toBe('FIRN_TENSOR_TYPE')
})
