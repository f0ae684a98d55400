import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeBound,
  decodeUnscaled,
  encodeBound,
  encodeUnscaled,
  truncateLower,
  truncateUpper,
} from '../../../table/manifest/bounds.ts'
import { compareStrings, compareValues } from '../../../table/spec/compare.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const utf8 = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'utf8'))

const VALUES: readonly (readonly [PrimitiveType, fc.Arbitrary<PrimitiveValue>])[] = [
  ['boolean', fc.boolean()],
  ['int', fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
  ['date', fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
  ['long', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['timestamptz', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['float', fc.float({ noNaN: true })],
  ['double', fc.double({ noNaN: true })],
  ['string', text],
  ['binary', fc.uint8Array()],
  ['decimal(38, 4)', fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n })],
]

test.each(VALUES)('a bound of type %s decodes to what was encoded', (type, values) => {
  fc.assert(
    fc.property(values, (value) => {
      expect(decodeBound(type, encodeBound(type, value))).toEqual(value)
    }),
  )
})

describe('encodings of the specification, appendix D', () => {
  test.each([
    ['boolean', true, '01'],
    ['int', 34, '22000000'],
    ['long', 34n, '2200000000000000'],
    ['date', -1, 'ffffffff'],
    ['float', 1.5, '0000c03f'],
    ['double', 1.5, '000000000000f83f'],
    ['string', 'ice', '696365'],
    ['decimal(9, 2)', 1420n, '058c'],
    ['decimal(9, 2)', -1420n, 'fa74'],
    ['decimal(9, 2)', 128n, '0080'],
    ['decimal(9, 2)', 0n, '00'],
  ] as const)('%s %s', (type, value, hex) => {
    expect(Buffer.from(encodeBound(type, value)).toString('hex')).toBe(hex)
  })

  test('an int bound of a column that is a long by now still decodes', () => {
    expect(decodeBound('long', encodeBound('int', -7))).toBe(-7n)
    expect(decodeBound('double', encodeBound('float', 0.5))).toBe(0.5)
  })

  test('a bound of a width that no version of its type has is an error', () => {
    expect(() => decodeBound('int', Uint8Array.of(1, 2))).toThrow(/2 bytes/)
  })
})

test('unscaled decimals take the fewest bytes that keep the sign', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }), (value) => {
      const bytes = encodeUnscaled(value)
      expect(decodeUnscaled(bytes)).toBe(value)
      if (bytes.length > 1) expect(decodeUnscaled(bytes.slice(1))).not.toBe(value)
    }),
  )
})

describe('truncated string bounds', () => {
  test('the lower bound is not above, and the upper not below, any string with that prefix', () => {
    fc.assert(
      fc.property(text, text, fc.integer({ min: 1, max: 16 }), (head, tail, length) => {
        const whole = utf8(head + tail)
        const lower = truncateLower(whole, length)
        const upper = truncateUpper(whole, length)
        expect(Buffer.compare(lower, whole)).toBeLessThanOrEqual(0)
        if (upper !== undefined) expect(Buffer.compare(upper, whole)).toBeGreaterThanOrEqual(0)
        // Both are strings: cut between code points, never inside one.
        for (const bound of [lower, upper]) {
          if (bound !== undefined) expect(() => new TextDecoder('utf8', { fatal: true }).decode(bound)).not.toThrow()
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('a string that fits is kept exactly', () => {
    expect(truncateUpper(utf8('0123456789abcdef'))).toEqual(utf8('0123456789abcdef'))
    expect(truncateLower(utf8('0123456789abcdefg'))).toEqual(utf8('0123456789abcdef'))
  })

  test('the last code point is raised across the surrogates, and dropped where nothing is above it', () => {
    expect(truncateUpper(utf8('a\ud7ffx'), 2)).toEqual(utf8('a\ue000'))
    expect(truncateUpper(utf8('a\u{10ffff}x'), 2)).toEqual(utf8('b'))
    expect(truncateUpper(utf8('\u{10ffff}\u{10ffff}x'), 2)).toBeUndefined()
  })
})

test('strings compare by their UTF-8 bytes, beyond U+FFFF too', () => {
  expect(compareStrings('\uffff', '\u{10000}')).toBeLessThan(0)
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareStrings(a, b))).toBe(Math.sign(Buffer.compare(utf8(a), utf8(b))))
    }),
    { numRuns: 1000 },
  )
})

test('NaN is above every number and the zeros are equal', () => {
  expect(compareValues('double', Number.NaN, Number.POSITIVE_INFINITY)).toBeGreaterThan(0)
  expect(compareValues('double', -0, 0)).toBe(0)
})
