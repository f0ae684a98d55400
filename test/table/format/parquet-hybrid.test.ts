/** Runs and packed bits of levels and indexes, sound and damaged. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHybrid } from '../../../table/format/parquet-hybrid.ts'

const decode = (bytes: readonly number[], width: number, count: number): number[] => {
  const output = new Int32Array(count)
  decodeHybrid(Uint8Array.from(bytes), 0, bytes.length, width, output)
  return [...output]
}

/** One bit-packed run of whole groups of eight, least significant bit first. */
function pack(values: readonly number[], width: number): number[] {
  const groups = Math.ceil(values.length / 8)
  const bytes = new Array<number>(groups * width).fill(0)
  values.forEach((value, index) => {
    for (let bit = 0; bit < width; bit++) {
      const at = index * width + bit
      bytes[at >> 3]! |= ((value >> bit) & 1) << (at & 7)
    }
  })
  return [groups * 2 + 1, ...bytes]
}

test('packed values of every width come back, also when the last group is cut behind the last value', () => {
  const packed = fc
    .integer({ min: 1, max: 24 })
    .chain((width) =>
      fc.tuple(fc.constant(width), fc.array(fc.nat({ max: 2 ** width - 1 }), { minLength: 1, maxLength: 60 })),
    )
  fc.assert(
    fc.property(packed, ([width, values]) => {
      const bytes = pack(values, width)
      expect(decode(bytes, width, values.length)).toEqual(values)
      const needed = 1 + Math.ceil((values.length * width) / 8)
      expect(decode(bytes.slice(0, needed), width, values.length)).toEqual(values)
      expect(() => decode(bytes.slice(0, needed - 1), width, values.length)).toThrow()
    }),
  )
})

test('runs repeat, follow one another and mix with packed values', () => {
  expect(decode([6, 5, 4, 1, ...pack([1, 2, 3], 3)], 3, 8)).toEqual([5, 5, 5, 1, 1, 1, 2, 3])
  expect(decode([4, 0x34, 0x12], 16, 2)).toEqual([0x1234, 0x1234])
  expect(decode([], 0, 3)).toEqual([0, 0, 0])
})

test('a run that claims a thousand million values fills what was asked for', () => {
  expect(decode([0xfe, 0xff, 0xff, 0xff, 0x0f, 1], 1, 3)).toEqual([1, 1, 1])
})

test.each([
  ['nothing where values belong', []],
  ['a run without its value', [6]],
  ['a length without an end', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80]],
  ['packed values that are not there', [0xff, 0xff, 0xff, 0xff, 0x0f, 1]],
] as const)('%s is an error', (_what, bytes) => {
  expect(() => decode(bytes, 1, 20)).toThrow()
})
