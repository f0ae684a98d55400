import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rowSet } from '../../../table/format/row-set.ts'

const LIMIT = 140_000
const edge = fc.constantFrom(0, 7, 8, 9, 65_535, 65_536, 65_537, 131_071, 131_072, LIMIT - 1, LIMIT)
const point = fc.oneof(edge, fc.nat({ max: LIMIT + 20 }))

test('rows and ranges, over and over, are the set of them; what is out of range changes nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(point, fc.constantFrom(0, 1, 8, 300)), { maxLength: 8 }), (ranges) => {
      const rows = rowSet(LIMIT)
      const model = new Set<number>()
      for (const [start, length] of ranges) {
        const fits = start + length <= LIMIT
        expect(length === 1 ? rows.add(start) : rows.addRange(start, start + length)).toBe(fits)
        if (fits) for (let row = start; row < start + length; row++) model.add(row)
      }
      expect(rows.size).toBe(model.size)
      for (const [start, length] of ranges) {
        for (let row = start - 2; row < start + length + 2; row++) expect(rows.has(row)).toBe(model.has(row))
        const all = Array.from({ length }, (_, index) => start + index).every((row) => model.has(row))
        expect(rows.hasAll(start, start + length)).toBe(all)
        expect(rows.hasAll(start, start + length + 1)).toBe(all && model.has(start + length))
      }
    }),
    { numRuns: 300 },
  )
})

test('a set of a file of any size takes memory for the rows that are in it', () => {
  const before = process.memoryUsage().arrayBuffers
  const rows = rowSet(2 ** 50)
  expect(rows.add(2 ** 49)).toBe(true)
  expect(rows.add(-1)).toBe(false)
  expect([rows.size, rows.has(2 ** 49), rows.has(2 ** 49 + 1), rows.has(2 ** 51)]).toEqual([1, true, false, false])
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
})
