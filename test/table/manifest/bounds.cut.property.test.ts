/** Bounds of texts whose bytes some writer cut without looking at characters. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeLowerBound, decodeUpperBound } from '../../../table/manifest/bounds.ts'
import { compareStrings } from '../../../table/spec/compare.ts'

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })
const bytesOf = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'utf8'))

test('a lower bound cut anywhere is not above the text', () => {
  fc.assert(
    fc.property(text, fc.nat({ max: 48 }), (value, cut) => {
      const lower = decodeLowerBound('string', bytesOf(value).subarray(0, cut)) as string
      expect(compareStrings(lower, value)).toBeLessThanOrEqual(0)
    }),
    { numRuns: 2_000 },
  )
})

test('an upper bound cut anywhere, its last byte raised, is not below the text', () => {
  fc.assert(
    fc.property(text, fc.nat({ max: 48 }), (value, cut) => {
      const prefix = bytesOf(value).slice(0, cut)
      if (prefix.length === 0) return
      if (prefix.length < bytesOf(value).length) prefix[prefix.length - 1]!++
      const upper = decodeUpperBound('string', prefix)
      if (upper !== undefined) expect(compareStrings(upper as string, value)).toBeGreaterThanOrEqual(0)
    }),
    { numRuns: 2_000 },
  )
})

test('a bound that is whole characters is itself', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(decodeLowerBound('string', bytesOf(value))).toBe(value)
      expect(decodeUpperBound('string', bytesOf(value))).toBe(value)
    }),
  )
})

test('bytes that are no text at all bound nothing', () => {
  const noise = Uint8Array.of(0xff, 0x41, 0x41, 0x41, 0x41)
  expect(decodeLowerBound('string', noise)).toBe('')
  expect(decodeUpperBound('string', noise)).toBe(undefined)
})
