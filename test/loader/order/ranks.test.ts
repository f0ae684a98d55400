import fc from 'fast-check'
import { expect, it } from 'vitest'
import { rankRange } from '../../../loader/order/ranks.ts'

it('cuts a batch into ranges that meet, of sizes that differ by one row at most', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 300 }), (rows, worldSize) => {
      let covered = 0
      for (let rank = 0; rank < worldSize; rank++) {
        const [start, end] = rankRange(rows, rank, worldSize)
        expect(start).toBe(covered)
        expect([Math.floor(rows / worldSize), Math.ceil(rows / worldSize)]).toContain(end - start)
        covered = end
      }
      expect(covered).toBe(rows)
    }),
  )
})

it('gives the whole batch to a single process', () => {
  expect(rankRange(64, 0, 1)).toEqual([0, 64])
})
