import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clampRange, compareKeys } from '../../../table/io/keys.ts'

test('compareKeys orders as UTF-8 bytes do (property)', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 6 })
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      return Math.sign(compareKeys(a, b)) === Buffer.compare(Buffer.from(a), Buffer.from(b))
    }),
    { numRuns: 300 },
  )
})

test('compareKeys puts characters above U+FFFF last, where JavaScript does not', () => {
  expect(compareKeys('～', '😀')).toBeLessThan(0)
  expect('～' < '😀').toBe(false)
})

test('clampRange stays inside of the object and never turns around (property)', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.nat(100), fc.nat(100), (a, b, size) => {
      const range = { start: Math.min(a, b), end: Math.max(a, b) }
      const { start, end } = clampRange(range, size)
      const bytes = new Uint8Array(size)
      expect(end - start).toBe(bytes.subarray(range.start, range.end).length)
      expect(start).toBeLessThanOrEqual(end)
      expect(end).toBeLessThanOrEqual(size)
    }),
  )
})
