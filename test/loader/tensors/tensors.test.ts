import { describe, expect, it } from 'vitest'
import { tensorBatch } from '../../../loader/tensors/tensors.ts'
import type { Schema } from '../../../table/index.ts'
import { batchOf, type TestRow } from '../../table/support.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'int' },
    { id: 2, name: 'big', required: false, type: 'long' },
    { id: 3, name: 'score', required: false, type: 'double' },
    { id: 4, name: 'ratio', required: false, type: 'float' },
    { id: 5, name: 'flag', required: false, type: 'boolean' },
    { id: 6, name: 'day', required: false, type: 'date' },
    { id: 7, name: 'at', required: false, type: 'timestamptz' },
    { id: 8, name: 'text', required: false, type: 'string' },
    { id: 9, name: 'price', required: false, type: 'decimal(9, 2)' },
  ],
}
const FULL: TestRow = {
  n: -5,
  big: -(2n ** 31n),
  score: 0.1,
  ratio: 0.5,
  flag: true,
  day: 20_000,
  at: 1n,
  text: 'żółw 🐢',
  price: 12n,
}
const batch = (...rows: TestRow[]) => tensorBatch(batchOf(SCHEMA, rows))
const refusal = (run: () => unknown): unknown => {
  try {
    return run()
  } catch (error) {
    return error
  }
}

describe('numbers', () => {
  it('gives each type as the array that tensors take, one value a row', () => {
    const two = batch(FULL, { ...FULL, n: 7, big: 2n ** 31n - 1n, flag: false })
    expect(two.numbers('n')).toEqual({ values: Int32Array.of(-5, 7), shape: [2, 1], dtype: 'int32' })
    expect(two.numbers('big').values).toEqual(Int32Array.of(-(2 ** 31), 2 ** 31 - 1))
    expect(two.numbers('score')).toMatchObject({ values: Float32Array.of(0.1, 0.1), dtype: 'float32' })
    expect(two.numbers('ratio')).toMatchObject({ values: Float32Array.of(0.5, 0.5), dtype: 'float32' })
    expect(two.numbers('flag')).toMatchObject({ values: Uint8Array.of(1, 0), dtype: 'bool' })
    expect(two.numbers('day')).toMatchObject({ values: Int32Array.of(20_000, 20_000), dtype: 'int32' })
  })

  it('gives an array of its own each time, because a tensor keeps it', () => {
    const one = batch(FULL)
    one.numbers('n').values.fill(9)
    expect(one.numbers('n').values).toEqual(Int32Array.of(-5))
    expect(one.record.getChild('n')?.get(0)).toBe(-5)
  })

  it.each(['n', 'big', 'score', 'flag', 'day'])(
    'refuses a null in %s, unless it is told what stands for it',
    (column) => {
      const rows = batch(FULL, { ...FULL, [column]: null }, FULL)
      expect(refusal(() => rows.numbers(column))).toMatchObject({
        kind: 'invalid',
        code: 'FIRN_TENSOR_NULL',
        message: `column ${column} has 1 nulls in this batch`,
        help: expect.stringContaining('nullAs') as string,
      })
      expect(rows.numbers(column, { nullAs: 1 }).values[1]).toBe(1)
      expect(rows.numbers(column, { nullAs: 1 }).values[2]).toBe(rows.numbers(column, { nullAs: 1 }).values[0])
    },
  )

  it('refuses a 64-bit integer that 32 bits do not hold', () => {
    for (const big of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 62n]) {
      expect(refusal(() => batch({ big }).numbers('big'))).toMatchObject({ code: 'FIRN_TENSOR_RANGE' })
    }
  })

  it.each([
    ['flag', -1],
    ['flag', 0.5],
    ['flag', Number.NaN],
    ['n', Number.NaN],
    ['n', 0.5],
    ['day', 3e9],
    ['big', 2 ** 31],
    ['score', 1e300],
    ['ratio', -1e39],
    ['score', '0'],
  ])('refuses what the tensor of %s cannot hold to stand for nulls: %s', (column, nullAs) => {
    for (const rows of [batch(FULL, { ...FULL, [column]: null }), batch(FULL)]) {
      expect(refusal(() => rows.numbers(column, { nullAs: nullAs as number }))).toMatchObject({
        kind: 'invalid',
        code: 'FIRN_TENSOR_RANGE',
        message: expect.stringContaining(`got ${nullAs}`) as string,
        help: expect.stringContaining('nullAs') as string,
      })
    }
  })

  it('takes every value of the tensor to stand for nulls', () => {
    const nulls = batch({ ...FULL, n: null, flag: null, score: null, ratio: null })
    for (const nullAs of [-(2 ** 31), 2 ** 31 - 1, -0])
      expect(nulls.numbers('n', { nullAs }).values[0]).toBe(nullAs | 0)
    for (const nullAs of [0, 1]) expect(nulls.numbers('flag', { nullAs }).values[0]).toBe(nullAs)
    for (const nullAs of [Number.NaN, Number.POSITIVE_INFINITY, -0.5, 3e38]) {
      expect(nulls.numbers('score', { nullAs }).values[0]).toBe(Math.fround(nullAs))
      expect(nulls.numbers('ratio', { nullAs }).values[0]).toBe(Math.fround(nullAs))
    }
  })

  it('refuses a finite double that would be infinite in 32 bits, and keeps what is infinite or not a number', () => {
    for (const score of [1e300, -3.5e38]) {
      expect(refusal(() => batch(FULL, { ...FULL, score }).numbers('score'))).toMatchObject({
        code: 'FIRN_TENSOR_RANGE',
        message: expect.stringContaining('column score') as string,
        help: expect.stringContaining('function') as string,
      })
    }
    const odd = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 3.4028234663852886e38, 1e-300]
    const kept = batch(...odd.map((score) => ({ ...FULL, score }))).numbers('score').values
    expect([...kept]).toEqual(odd.map(Math.fround))
  })

  it.each(['text', 'at', 'price'])('refuses %s, which is no tensor, and says what to do', (column) => {
    expect(refusal(() => batch(FULL).numbers(column))).toMatchObject({
      code: 'FIRN_TENSOR_TYPE',
      help: expect.stringContaining('function') as string,
    })
  })

  it('names the columns there are when one is missing', () => {
    expect(refusal(() => batch(FULL).numbers('m'))).toMatchObject({
      code: 'FIRN_COLUMN_NOT_FOUND',
      help: expect.stringContaining('n, big, score') as string,
    })
  })
})

describe('texts', () => {
  it('decodes UTF-8 and keeps nulls', () => {
    expect(batch(FULL, { ...FULL, text: null }, { ...FULL, text: '' }).texts('text')).toEqual(['żółw 🐢', null, ''])
  })

  it('refuses numbers', () => {
    expect(refusal(() => batch(FULL).texts('n'))).toMatchObject({ code: 'FIRN_TENSOR_TYPE' })
  })
})
