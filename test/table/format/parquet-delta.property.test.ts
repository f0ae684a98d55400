/** Delta encodings against an encoder made from the specification, and damaged. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deltaLengthStrings, deltaNumbers, deltaStrings } from '../../../table/format/parquet-delta.ts'

const varint = (value: bigint): number[] => {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}
const zigzag = (value: bigint): number[] => varint((value << 1n) ^ (value >> 63n))

const BLOCK = 128
const PARTS = 4

/** Blocks of 128 values in four parts; sums wrap at `bits`. */
function encode(values: readonly bigint[], bits: 32 | 64): Buffer {
  const bytes = [
    ...varint(BigInt(BLOCK)),
    ...varint(BigInt(PARTS)),
    ...varint(BigInt(values.length)),
    ...zigzag(values[0] ?? 0n),
  ]
  const deltas = values.slice(1).map((value, index) => BigInt.asIntN(bits, value - values[index]!))
  for (let at = 0; at < deltas.length; at += BLOCK) {
    const block = deltas.slice(at, at + BLOCK)
    const least = block.reduce((a, b) => (a < b ? a : b))
    const size = BLOCK / PARTS
    const parts = Array.from({ length: PARTS }, (_, n) =>
      block.slice(n * size, (n + 1) * size).map((delta) => BigInt.asUintN(bits, delta - least)),
    )
    const widths = parts.map((part) =>
      Math.max(0, ...part.map((value) => value.toString(2).length * Number(value > 0n))),
    )
    bytes.push(...zigzag(least), ...widths)
    parts.forEach((part, n) => {
      if (part.length === 0) return
      let packed = 0n
      part.forEach((value, index) => {
        packed |= value << BigInt(index * widths[n]!)
      })
      for (let byte = 0; byte < (size * widths[n]!) / 8; byte++) bytes.push(Number((packed >> BigInt(byte * 8)) & 255n))
    })
  }
  return Buffer.from(bytes)
}

const longs = fc.array(
  fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -50n, max: 50n })),
  {
    minLength: 1,
    maxLength: 300,
  },
)
const ints = fc.array(fc.oneof(fc.integer(), fc.integer({ min: -50, max: 50 })), { minLength: 1, maxLength: 300 })
const strings = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 }), {
  minLength: 1,
  maxLength: 200,
})
const texts = (values: readonly Uint8Array[]): string[] => values.map((value) => Buffer.from(value).toString())
const sizes = (values: readonly number[]): Buffer => encode(values.map(BigInt), 32)

describe('numbers and strings come back', () => {
  test('of 64 bits, over the whole range', () => {
    fc.assert(
      fc.property(longs, (values) => {
        expect([...deltaNumbers(encode(values, 64), values.length, true)]).toEqual(values)
      }),
    )
  })

  test('of 32 bits, over the whole range', () => {
    fc.assert(
      fc.property(ints, (values) => {
        expect([...deltaNumbers(encode(values.map(BigInt), 32), values.length, false)]).toEqual(values)
      }),
    )
  })

  test('with lengths in front', () => {
    fc.assert(
      fc.property(strings, (values) => {
        const page = Buffer.concat([sizes(values.map((value) => value.length)), Buffer.from(values.join(''))])
        expect(texts(deltaLengthStrings(page, values.length))).toEqual(values)
      }),
    )
  })

  test('each beginning as the one before', () => {
    fc.assert(
      fc.property(strings, (values) => {
        const shared = values.map((value, index) => {
          const before = values[index - 1] ?? ''
          let length = 0
          while (length < value.length && value[length] === before[length]) length++
          return length
        })
        const rests = values.map((value, index) => value.slice(shared[index]))
        const page = Buffer.concat([
          sizes(shared),
          sizes(rests.map((rest) => rest.length)),
          Buffer.from(rests.join('')),
        ])
        expect(texts(deltaStrings(page, values.length))).toEqual(values)
      }),
    )
  })
})

describe('refused are', () => {
  const page = encode([1n, 5n, 2n], 64)

  test('another number of values than the page has', () => {
    expect(() => deltaNumbers(page, 4, true)).toThrow('3 delta values, expected 4')
  })

  test('a page that is cut anywhere within what counts', () => {
    // Two deltas of three bits: eleven of the twelve bytes at the end are padding.
    for (let length = 0; length < page.length - 11; length++) {
      expect(() => deltaNumbers(page.subarray(0, length), 3, true)).toThrow()
    }
  })

  test.each([
    ['no parts', 0, 128],
    ['parts of one value', 128, 128],
    ['a block without end', 4, 2 ** 31],
  ])('blocks of %s', (_name, parts, block) => {
    const bytes = Buffer.from([...varint(BigInt(block)), ...varint(BigInt(parts)), 3, 0, ...Array(64).fill(0)])
    expect(() => deltaNumbers(bytes, 3, true)).toThrow('delta blocks of')
  })

  test('strings that end behind their page, or take over more than there is', () => {
    expect(() => deltaLengthStrings(sizes([5]), 1)).toThrow('ends after its page')
    expect(() => deltaLengthStrings(sizes([-1]), 1)).toThrow('ends after its page')
    expect(() => deltaStrings(Buffer.concat([sizes([1]), sizes([0])]), 1)).toThrow('takes 1 of 0 bytes over')
  })

  test('strings that grow beyond what a page can stand for', () => {
    const count = 12_000
    const grown = Array.from({ length: count }, (_, n) => n)
    const page = Buffer.concat([sizes(grown), sizes(grown.map(() => 1)), Buffer.alloc(count)])
    expect(() => deltaStrings(page, count)).toThrow('in a page of')
  })
})
