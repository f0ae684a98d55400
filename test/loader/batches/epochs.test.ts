/** Batches of epochs over made-up units: whatever sizes, deletes, memory and ranks, the order is the same. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochOf, expectedRows, ROW_BYTES, rowsIn, unitBytes, type World } from './support.ts'

const worlds = fc
  .record({
    sizes: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 14 }),
    blockRows: fc.integer({ min: 1, max: 200 }),
    isShuffled: fc.boolean(),
    deleted: fc.integer({ min: 1, max: 9 }),
    segmentRows: fc.integer({ min: 1, max: 12 }),
  })
  .map(({ sizes, blockRows, deleted, ...rest }): World => {
    const isLive = (n: number): boolean => deleted === 1 || (n * 2_654_435_761) % deleted !== 0
    return { ...rest, sizes, blockBytes: blockRows * ROW_BYTES, isLive }
  })

const cut = (rows: readonly number[], size: number): number[][] =>
  Array.from({ length: Math.ceil(rows.length / size) }, (_, batch) => rows.slice(batch * size, (batch + 1) * size))

/** The least that lets a block in, by the rules of the plan. */
const leastBytes = (world: World): number => {
  const bytes = unitBytes(world)
  const largest = Math.max(...bytes)
  const total = bytes.reduce((sum, one) => sum + one, 0)
  // segments are freed whole, and bitmaps and offsets come on top
  return Math.ceil((Math.min(total, Math.max(world.blockBytes, largest)) + largest) * 1.3) + 1000
}

describe('an epoch', () => {
  it('gives the live rows in the order of the rules, cut into batches, in the least memory and in plenty', async () => {
    await fc.assert(
      fc.asyncProperty(
        worlds,
        fc.integer({ min: 1, max: 70 }),
        fc.boolean(),
        fc.constantFrom(0, 1, 8),
        async (world, size, dropLast, depth) => {
          const expected = cut(expectedRows(world), size)
          if (dropLast && (expected.at(-1)?.length ?? size) < size) expected.pop()
          const least = leastBytes(world)
          const memories = [
            { limitBytes: least },
            { limitBytes: Number.POSITIVE_INFINITY },
            // so little that every unit is asked for when it is waited for
            { limitBytes: least, aheadBytes: 1 },
            { limitBytes: 3 * least, aheadBytes: least },
          ]
          for (const { limitBytes, aheadBytes = limitBytes } of memories) {
            const { iterator, budget } = epochOf(world, { size, dropLast, depth, limitBytes, aheadBytes })
            expect(await rowsIn(iterator)).toEqual(expected)
            expect(budget.peakBytes).toBeLessThanOrEqual(limitBytes)
            // nothing is counted that is not there
            expect(budget.residentBytes).toBe(0)
            expect(budget.inFlight).toBe(0)
          }
        },
      ),
    )
  })

  it('is the same when units arrive in another order', async () => {
    const world: World = { sizes: Array<number>(12).fill(20), blockBytes: 60 * ROW_BYTES }
    const turns = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count; turn++) await Promise.resolve()
    }
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(40), { minLength: 12, maxLength: 12 }), async (delays) => {
        const late = { ...world, arrives: (unit: number) => turns(delays[unit]!) }
        expect((await rowsIn(epochOf(late).iterator)).flat()).toEqual(expectedRows(world))
      }),
    )
  })

  it('of several ranks, merged by rank, is the epoch of one', async () => {
    await fc.assert(
      fc.asyncProperty(
        worlds,
        fc.constantFrom(2, 4),
        fc.integer({ min: 1, max: 10 }),
        async (world, worldSize, part) => {
          const size = part * worldSize
          const whole = await rowsIn(epochOf(world, { size }).iterator)
          const ranks = await Promise.all(
            Array.from({ length: worldSize }, (_, rank) => {
              return rowsIn(epochOf(world, { size, shard: { rank, worldSize } }).iterator)
            }),
          )
          for (const [batch, rows] of whole.entries()) {
            const isFull = rows.length === size
            // only of a last batch that is not full may a rank have no row
            if (isFull) for (const rank of ranks) expect(rank[batch]).toHaveLength(part)
            expect(ranks.flatMap((rank) => rank[batch] ?? [])).toEqual(rows)
          }
          expect(Math.max(...ranks.map((rank) => rank.length))).toBe(whole.length)
        },
      ),
    )
  })

  it('goes on from any batch with the batches behind it, with any number of ranks', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, fc.constantFrom(2, 6, 14, 50), fc.boolean(), async (world, size, dropLast) => {
        const whole = await rowsIn(epochOf(world, { size, dropLast }).iterator)
        const { iterator, progress } = epochOf(world, { size, dropLast, depth: 3 })
        for (let batch = 0; batch <= whole.length; batch++) {
          const start = progress()
          expect(start.batches).toBe(batch)
          if (!start.ended) {
            expect(await rowsIn(epochOf(world, { size, dropLast, start }).iterator)).toEqual(whole.slice(batch))
            const shard = { rank: 1, worldSize: 2 }
            const half = (await rowsIn(epochOf(world, { size, dropLast, start, shard }).iterator)).flat()
            const expected = whole.slice(batch).flatMap((rows) => rows.slice(Math.floor(rows.length / 2)))
            expect(half).toEqual(expected)
          }
          await iterator.next()
        }
        expect(progress().ended).toBe(true)
      }),
      { numRuns: 40 },
    )
  })
})

describe('token budgets', () => {
  const batching = { maxTokens: 120, bucketBoundaries: [8, 16], padToMultipleOf: 4 }
  const lengthOf = (n: number): number => (n * 7919) % 31
  const paddedTokens = (rows: readonly number[]): number =>
    rows.length * Math.ceil(Math.max(1, ...rows.map(lengthOf)) / 4) * 4

  it('give every row once, in batches within the budget, whatever the memory', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (made) => {
        const world = { ...made, lengthOf }
        const batches = await rowsIn(epochOf(world, { batching, limitBytes: leastBytes(world) }).iterator)
        expect(batches.flat().toSorted((a, b) => a - b)).toEqual(expectedRows(world).toSorted((a, b) => a - b))
        for (const rows of batches) expect(paddedTokens(rows)).toBeLessThanOrEqual(batching.maxTokens)
        expect(await rowsIn(epochOf(world, { batching, depth: 8 }).iterator)).toEqual(batches)
      }),
    )
  })

  it('go on from any batch with the batches behind it', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (made) => {
        const world = { ...made, lengthOf }
        const whole = await rowsIn(epochOf(world, { batching }).iterator)
        const { iterator, progress } = epochOf(world, { batching })
        for (let batch = 0; batch <= whole.length; batch++) {
          const start = progress()
          if (!start.ended) {
            const { iterator: rest, budget } = epochOf(world, { batching, start })
            expect(await rowsIn(rest)).toEqual(whole.slice(batch))
            expect(budget.residentBytes).toBe(0)
          }
          await iterator.next()
        }
      }),
      { numRuns: 40 },
    )
  })

  it('refuse a row without a length, and name the column', async () => {
    const world: World = { sizes: [20], blockBytes: 1e6, lengthOf: (n) => (n === 13 ? null : 3) }
    await expect(rowsIn(epochOf(world, { batching }).iterator)).rejects.toMatchObject({
      kind: 'invalid',
      code: 'FIRN_LENGTH_INVALID',
      message: expect.stringContaining('length') as string,
    })
  })
})
