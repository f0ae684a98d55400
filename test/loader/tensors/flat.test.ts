import {
  type Data,
  type DataType,
  DateDay,
  DateMillisecond,
  Field,
  Float16,
  Int8,
  Int16,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimeMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
} from 'apache-arrow'
import { expect, it } from 'vitest'
import { tensorBatch } from '../../../loader/tensors/tensors.ts'

/** Types that Iceberg tables do not have, but transforms and Parquet files of others do. */
function numbers(type: DataType, values: ArrayBufferView, more: object = {}): ReturnType<typeof tensorBatch> {
  const column = makeData({ type, data: values, ...more } as never) as Data
  const fields = [new Field('n', type, true)]
  const struct = makeData({ type: new Struct(fields), length: column.length, nullCount: 0, children: [column] })
  return tensorBatch(new RecordBatch(new Schema(fields), struct))
}

it.each([
  ['8 bits', new Int8(), Int8Array.of(-128, 127)],
  ['16 bits', new Int16(), Int16Array.of(-32768, 32767)],
  ['8 bits without a sign', new Uint8(), Uint8Array.of(0, 255)],
  ['16 bits without a sign', new Uint16(), Uint16Array.of(0, 65535)],
  ['32 bits without a sign', new Uint32(), Uint32Array.of(0, 2 ** 31 - 1)],
  ['64 bits without a sign', new Uint64(), BigUint64Array.of(0n, 2n ** 31n - 1n)],
  ['days', new DateDay(), Int32Array.of(-1, 20_000)],
])('integers of %s become int32, each value as it is', (_what, type, values) => {
  const expected = Int32Array.from(values as ArrayLike<number | bigint>, Number)
  expect(numbers(type, values).numbers('n')).toEqual({ values: expected, shape: [2, 1], dtype: 'int32' })
})

it('integers without a sign that 32 bits with one do not hold are refused, not wrapped', () => {
  for (const wide of [
    numbers(new Uint32(), Uint32Array.of(1, 2 ** 31)),
    numbers(new Uint64(), BigUint64Array.of(1n, 2n ** 63n)),
  ]) {
    expect(() => wide.numbers('n')).toThrow(expect.objectContaining({ code: 'FIRN_TENSOR_RANGE' }) as Error)
  }
})

it.each([
  ['half floats', new Float16(), Uint16Array.of(0x3c00)],
  ['dates in milliseconds', new DateMillisecond(), BigInt64Array.of(1n)],
  ['times', new TimeMicrosecond(), BigInt64Array.of(1n)],
])('%s are no tensor', (_what, type, values) => {
  const one = numbers(type, values)
  expect(() => one.numbers('n')).toThrow(expect.objectContaining({ code: 'FIRN_TENSOR_TYPE' }) as Error)
})

it('a buffer that is longer than its column gives the rows of the column only', () => {
  const { values, shape } = numbers(new Int32(), Int32Array.of(1, 2, 3, 4), { length: 2 }).numbers('n')
  expect([values, shape]).toEqual([Int32Array.of(1, 2), [2, 1]])
})
