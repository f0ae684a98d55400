/** Bounds of footers that other writers got wrong, cut, or meant in another order. */
import { expect, test } from 'vitest'
import { planColumn } from '../../../table/format/parquet-columns.ts'
import type { ColumnChunk, FileNode } from '../../../table/format/parquet-footer.ts'
import { rangeOf } from '../../../table/format/parquet-statistics.ts'
import type { PrimitiveType } from '../../../table/spec/types.ts'

interface Column {
  readonly type: PrimitiveType
  readonly physical: string
  readonly annotation?: FileNode['annotation']
  readonly ordered?: boolean
}

/** Fields of `Statistics`: 1 and 2 the deprecated max and min, 3 nulls, 5 and 6 max and min, 7 and 8 whether exact. */
type Statistics = Readonly<Record<`field_${number}`, unknown>>

function rangeFor({ type, physical, annotation = 'none', ordered = true }: Column, statistics: Statistics | undefined) {
  const leaf = {
    physical,
    typeLength: undefined,
    path: ['OPTIONAL' as const],
    maxDefinition: 1,
    maxRepetition: 0,
    index: 0,
  }
  const node: FileNode = {
    name: 'c',
    fieldId: 1,
    repetition: 'OPTIONAL',
    maxDefinition: 1,
    maxRepetition: 0,
    children: [],
    annotation,
    moment: undefined,
    leaf,
    precision: undefined,
    scale: undefined,
  }
  const plan = planColumn({ id: 1, name: 'c', required: false, type }, [node], { where: 'test' })
  if (plan.kind !== 'leaf') throw new Error('expected a leaf')
  const { lower, upper, nulls } = rangeOf(plan, { numValues: 10, statistics } as unknown as ColumnChunk, ordered)
  return [lower, upper, nulls]
}

const int32 = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)
const double = (value: number): Uint8Array => new Uint8Array(Float64Array.of(value).buffer)
const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value))

test('no statistics bound nothing and count no nulls', () => {
  expect(rangeFor({ type: 'int', physical: 'INT32' }, undefined)).toEqual([undefined, undefined, undefined])
  expect(rangeFor({ type: 'int', physical: 'INT32' }, { field_3: 4n })).toEqual([undefined, undefined, 4])
})

test('bounds of a column without a defined order bound nothing, the deprecated ones of signed numbers do', () => {
  const column = { type: 'int', physical: 'INT32', ordered: false } as const
  expect(rangeFor(column, { field_5: int32(9), field_6: int32(1) })).toEqual([undefined, undefined, undefined])
  expect(rangeFor(column, { field_1: int32(9), field_2: int32(1) })).toEqual([1, 9, undefined])
})

test('deprecated bounds of texts, bytes and unsigned numbers were taken in the wrong order', () => {
  const deprecated = { field_1: text('z'), field_2: text('a') }
  expect(rangeFor({ type: 'string', physical: 'BYTE_ARRAY' }, deprecated)).toEqual([undefined, undefined, undefined])
  const unsigned = { type: 'long', physical: 'INT32', annotation: 'uint32' } as const
  expect(rangeFor(unsigned, { field_1: int32(-1), field_2: int32(1) })).toEqual([undefined, undefined, undefined])
  expect(rangeFor(unsigned, { field_5: int32(-1), field_6: int32(1) })).toEqual([1n, 4_294_967_295n, undefined])
})

test('INT96 has no order', () => {
  const bytes = new Uint8Array(12)
  const statistics = { field_1: bytes, field_2: bytes, field_5: bytes, field_6: bytes }
  expect(rangeFor({ type: 'timestamptz', physical: 'INT96' }, statistics)).toEqual([undefined, undefined, undefined])
})

test('a bound that is NaN spoils both; zeros are widened to both signs', () => {
  const column = { type: 'double', physical: 'DOUBLE' } as const
  expect(rangeFor(column, { field_5: double(Number.NaN), field_6: double(1) })).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  const [lower, upper] = rangeFor(column, { field_5: double(-0), field_6: double(0) })
  expect([Object.is(lower, -0), Object.is(upper, 0)]).toEqual([true, true])
})

test('a text cut inside a character bounds from outside', () => {
  const column = { type: 'string', physical: 'BYTE_ARRAY' } as const
  const cut = text('ab😀').subarray(0, 4)
  expect(rangeFor(column, { field_5: cut, field_6: cut })).toEqual(['ab', 'ac', undefined])
})

test('the bytes of a decimal cut short are another number', () => {
  const column = { type: 'decimal(30, 2)', physical: 'BYTE_ARRAY', annotation: 'decimal' } as const
  const bytes = Uint8Array.of(0xff, 0x85)
  expect(rangeFor(column, { field_5: bytes, field_6: bytes })).toEqual([-123n, -123n, undefined])
  expect(rangeFor(column, { field_5: bytes, field_6: bytes, field_7: false, field_8: false })).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('bounds of another width bound nothing; those from before a promotion are of the new type', () => {
  expect(rangeFor({ type: 'long', physical: 'INT64' }, { field_5: int32(1), field_6: int32(1) })).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(rangeFor({ type: 'long', physical: 'INT32' }, { field_5: int32(7), field_6: int32(-7) })).toEqual([
    -7n,
    7n,
    undefined,
  ])
})
