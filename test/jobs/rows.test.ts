import {
  Field,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Timestamp,
  TimeUnit,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rowsOf, timestampMicros } from '../../jobs/rows.ts'
import { isoMicros } from '../../table/index.ts'

const timestamps = (values: BigInt64Array, nullBitmap?: Uint8Array, nullCount = 0, unit = TimeUnit.MICROSECOND) =>
  makeData({
    type: new Timestamp(unit, 'UTC'),
    length: values.length,
    data: values,
    nullCount,
    ...(nullBitmap ? { nullBitmap } : {}),
  })

describe('isoMicros', () => {
  test('keeps every microsecond, before 1970 too', () => {
    expect(isoMicros(0n)).toBe('1970-01-01T00:00:00.000000')
    expect(isoMicros(1n)).toBe('1970-01-01T00:00:00.000001')
    expect(isoMicros(-1n)).toBe('1969-12-31T23:59:59.999999')
    expect(isoMicros(-1_000_000n)).toBe('1969-12-31T23:59:59.000000')
  })

  test('reads back to the same microsecond', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -60_000_000_000_000_000n, max: 250_000_000_000_000_000n }), (micros) => {
        const text = isoMicros(micros)
        const seconds = BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n
        expect(seconds + BigInt(text.slice(20))).toBe(micros)
      }),
    )
  })
})

describe('timestampMicros', () => {
  test('reads nulls, slices and vectors of several chunks', () => {
    const first = timestamps(new BigInt64Array([1n, 2n, 3n, 4n]), new Uint8Array([0b1011]), 1)
    const second = timestamps(new BigInt64Array([2n ** 60n + 1n, 6n]))
    const all = new Vector([first, second])
    const read = (vector: Vector): (bigint | null)[] =>
      Array.from({ length: vector.length }, (_, row) => timestampMicros(vector)(row))
    expect(read(all)).toEqual([1n, 2n, null, 4n, 2n ** 60n + 1n, 6n])
    expect(read(all.slice(1, 5))).toEqual([2n, null, 4n, 2n ** 60n + 1n])
  })

  test('converts other units', () => {
    const read = (unit: TimeUnit, value: bigint) =>
      timestampMicros(new Vector([timestamps(new BigInt64Array([value]), undefined, 0, unit)]))(0)
    expect(read(TimeUnit.SECOND, 3n)).toBe(3_000_000n)
    expect(read(TimeUnit.MILLISECOND, 3n)).toBe(3_000n)
    expect(read(TimeUnit.NANOSECOND, 3_999n)).toBe(3n)
  })
})

test('rows have columns in schema order and exact 64-bit integers', () => {
  const fields = [
    new Field('id', new Int64()),
    new Field('at', new Timestamp(TimeUnit.MICROSECOND, 'UTC'), true),
    new Field('text', new Utf8(), true),
  ]
  const children = [
    makeData({ type: new Int64(), length: 2, data: new BigInt64Array([2n ** 62n + 1n, -1n]) }),
    timestamps(new BigInt64Array([1n, 0n]), new Uint8Array([0b01]), 1),
    vectorFromArray(['é', null], new Utf8()).data[0]!,
  ]
  const batch = new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length: 2, children }))
  expect(rowsOf(batch)).toEqual([
    { id: 2n ** 62n + 1n, at: '1970-01-01T00:00:00.000001Z', text: 'é' },
    { id: -1n, at: null, text: null },
  ])
})
