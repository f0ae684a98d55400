/** Bitmaps of our own writer and of Java's come out as they went in; damage is an error and allocates nothing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RoaringSink, readRoaring64 } from '../../../table/format/roaring.ts'
import { roaring64 } from './roaring.ts'

function collect(bytes: Uint8Array, limit: number = Number.MAX_SAFE_INTEGER): number[] {
  const found: number[] = []
  const sink: RoaringSink = {
    add: (value) => value < limit && found.push(value) > 0,
    addRange: (start, end) => {
      if (end > limit) return false
      for (let value = start; value < end; value++) found.push(value)
      return true
    },
  }
  readRoaring64(bytes, sink)
  return found
}

/** Ranges of any length around the edges of containers and bitmaps: arrays, bit sets and runs all come about. */
const values: fc.Arbitrary<number[]> = fc
  .array(
    fc.record({
      base: fc.constantFrom(0, 65_536, 5 * 65_536, 2 ** 32 - 65_536, 2 ** 32, 2 ** 40),
      start: fc.nat({ max: 65_535 }),
      step: fc.constantFrom(1, 1, 2, 7),
      count: fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(4096, 4097, 9000)),
    }),
    { maxLength: 8 },
  )
  .map((ranges) => {
    const all = ranges.flatMap(({ base, start, step, count }) =>
      Array.from({ length: count }, (_, index) => base + start + index * step),
    )
    return [...new Set(all)].sort((a, b) => a - b)
  })

test('every kind of container is read back', () => {
  fc.assert(
    fc.property(values, fc.func(fc.boolean()), (expected, asRuns) => {
      expect(collect(roaring64(expected, asRuns))).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('a bitmap that is cut anywhere is an error', () => {
  const bytes = roaring64([1, 2, 3, 70_000, 2 ** 32 + 5], (key) => key === 0)
  for (let length = 0; length < bytes.length; length++) {
    expect(() => collect(bytes.subarray(0, length)), `${length} bytes`).toThrow(/cut short|in \d+ bytes/)
  }
  expect(() => collect(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('1 bytes follow')
})

test('garbled bytes are read as ascending values or are an error, at once', () => {
  const whole = roaring64(
    Array.from({ length: 6000 }, (_, index) => index * 3),
    (key) => key === 0,
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
      (changes) => {
        const bytes = Uint8Array.from(whole)
        for (const [at, value] of changes) bytes[at] = value
        let found: number[]
        try {
          found = collect(bytes, 100_000)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
          return
        }
        expect(found.every((value, index) => value < 100_000 && (index === 0 || value > found[index - 1]!))).toBe(true)
      },
    ),
    { numRuns: 500 },
  )
})

describe('absurd claims are refused before anything is read or allocated', () => {
  const edited = (change: (bytes: Buffer) => void, from: readonly number[] = [1, 2, 3]): Buffer => {
    const bytes = Buffer.from(roaring64(from))
    change(bytes)
    return bytes
  }
  test.each([
    ['2^63 bitmaps', edited((bytes) => void bytes.writeBigUInt64LE(2n ** 63n)), /bitmaps in/],
    ['2^32 - 1 containers', edited((bytes) => void bytes.writeUInt32LE(0xffff_ffff, 16)), /containers in/],
    ['an unknown cookie', edited((bytes) => void bytes.writeUInt32LE(12_345, 12)), /unknown cookie/],
    ['more values than there are', edited((bytes) => void bytes.writeUInt16LE(9, 22)), /cut short/],
    ['values out of order', edited((bytes) => void bytes.writeUInt16LE(9, 28)), /value 2 after 9/],
    ['a bitmap twice', edited((bytes) => void bytes.writeUInt32LE(0, 30), [1, 2 ** 32 + 1]), /has key 0 after 0/],
    ['a container twice', edited((bytes) => void bytes.writeUInt16LE(0, 24), [1, 65_537]), /container 0 after 0/],
  ] as const)('%s', (_name, bytes, message) => {
    expect(() => collect(bytes)).toThrow(message)
  })

  test('runs that overlap, leave their container or miss the count', () => {
    const runs = (...numbers: number[]): Buffer => {
      const bytes = Buffer.from(roaring64([1, 2, 3, 10, 11], () => true))
      const body = Buffer.alloc(numbers.length * 2)
      numbers.forEach((value, index) => void body.writeUInt16LE(value, index * 2))
      return Buffer.concat([bytes.subarray(0, bytes.length - 10), body])
    }
    expect(collect(runs(2, 1, 2, 10, 1))).toEqual([1, 2, 3, 10, 11])
    expect(() => collect(runs(2, 1, 2, 3, 1))).toThrow('run 3 to 5 after 3')
    expect(() => collect(runs(2, 1, 2, 65_535, 1))).toThrow('run 65535 to 65537')
    expect(() => collect(runs(2, 1, 2, 10, 2))).toThrow('of 5 values has 6')
  })

  test('a bit set that misses its count', () => {
    const bytes = roaring64(Array.from({ length: 5000 }, (_, index) => index))
    bytes[bytes.length - 1] = 1
    expect(() => collect(bytes)).toThrow('of 5000 values has 5001')
  })
})
