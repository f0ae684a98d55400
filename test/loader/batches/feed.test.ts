/** What is read when, and how much of it is in memory. */
import { describe, expect, it } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { blocksOf, epochOf, numbersIn, ROW_BYTES, rowsIn, type World } from './support.ts'

const never = (): Promise<void> => new Promise(() => {})
const turns = async (count = 50): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}
/** Twelve units of 64 rows, three or four of them a block. */
const WORLD: World = { sizes: Array<number>(12).fill(64), blockBytes: 4 * 64 * ROW_BYTES }
const BLOCK_BYTES = 4 * 64 * ROW_BYTES
/** Offsets have an entry more than rows: a unit is a little larger than its rows. */
const LEAST = Math.ceil((BLOCK_BYTES + 64 * ROW_BYTES) * 1.2)

describe('units are asked for', () => {
  it('with the first call of next(), not before', async () => {
    const { iterator, asked } = epochOf(WORLD)
    await turns()
    expect(asked).toEqual([])
    await iterator.next()
    expect(asked.length).toBeGreaterThan(0)
  })

  it('in the order in which their rows are needed, each once', async () => {
    const { iterator, asked } = epochOf(WORLD, { limitBytes: LEAST })
    const batches = await rowsIn(iterator)
    const blocks = blocksOf(WORLD)
    const needed: number[] = []
    for (const n of batches.flat()) {
      const unit = Math.floor(n / 10_000)
      if (!needed.includes(unit)) needed.push(unit)
    }
    expect(asked).toEqual(needed)
    expect(asked).toHaveLength(WORLD.sizes.length)
    expect(asked.slice(0, blocks.unitsOf(0).length).toSorted((a, b) => a - b)).toEqual(
      [...blocks.unitsOf(0)].toSorted((a, b) => a - b),
    )
  })

  it('of the next block while the current one drains, as its segments are freed', async () => {
    const { iterator, asked, budget } = epochOf(WORLD, { size: 16, limitBytes: LEAST })
    const first = blocksOf(WORLD).unitsOf(0).length
    const ahead: number[] = []
    for (let batch = 0; batch < (first * 64) / 16; batch++) {
      await iterator.next()
      await turns()
      ahead.push(asked.length - first)
      expect(budget.residentBytes).toBeLessThanOrEqual(LEAST)
    }
    expect(ahead[0]).toBeLessThanOrEqual(1)
    // before the first block is through, most of the second one has been asked for
    expect(ahead.at(-2)).toBeGreaterThanOrEqual(blocksOf(WORLD).unitsOf(1).length - 1)
    expect(ahead).toEqual(ahead.toSorted((a, b) => a - b))
  })

  it('never beyond the budget, however slow the consumer is', async () => {
    const limitBytes = LEAST + BLOCK_BYTES / 2
    const { iterator, asked, budget } = epochOf(WORLD, { size: 16, limitBytes })
    await iterator.next()
    await turns(500)
    expect(asked.length).toBeLessThan(WORLD.sizes.length)
    expect(budget.peakBytes).toBeLessThanOrEqual(limitBytes)
    await rowsIn(iterator)
    expect(budget.peakBytes).toBeLessThanOrEqual(limitBytes)
    expect(budget.peakBytes).toBeGreaterThan(BLOCK_BYTES / 2)
  })

  it('further ahead once they turn out to be smaller than estimated', async () => {
    // with few columns, units are a tenth of what the plan says
    const world = { ...WORLD, estimatedRowBytes: ROW_BYTES * 10, blockBytes: BLOCK_BYTES * 10 }
    const { iterator, asked, budget } = epochOf(world, { size: 1, limitBytes: LEAST * 10 })
    await iterator.next()
    await turns(500)
    expect(asked).toHaveLength(WORLD.sizes.length)
    expect(budget.scale).toBeLessThan(0.5)
  })
})

describe('the first batch', () => {
  it('waits for the units that it needs and for no other', async () => {
    const sizes = Array<number>(20).fill(200)
    const world: World = { sizes, blockBytes: 1e9 }
    const needed = new Set((await rowsIn(epochOf(world, { size: 16 }).iterator))[0]!.map((n) => Math.floor(n / 10_000)))
    expect(needed.size).toBeLessThan(8)
    const arrives = (unit: number): Promise<void> => (needed.has(unit) ? Promise.resolve() : never())
    const { iterator } = epochOf({ ...world, arrives }, { size: 16 })
    const { value } = await iterator.next()
    expect(numbersIn(value!).every((n) => needed.has(Math.floor(n / 10_000)))).toBe(true)
  })

  it('of a resumed epoch does not read units that were given out whole', async () => {
    const world: World = { sizes: [8, 8, 8, 8], blockBytes: 1e9, isShuffled: false }
    const { iterator, asked } = epochOf(world, {
      size: 8,
      start: { batches: 2, next: { block: 0, offset: 16 }, ended: false },
    })
    expect((await rowsIn(iterator)).flat()[0]).toBe(20_000)
    expect(asked).toEqual([2, 3])
  })
})

describe('too little memory', () => {
  const errorOf = async (world: World, limitBytes: number): Promise<FirnError> => {
    const error: unknown = await rowsIn(epochOf(world, { limitBytes }).iterator).catch((caught: unknown) => caught)
    if (!FirnError.is(error)) throw new Error(`expected an error, got ${String(error)}`)
    return error
  }

  it('for a block that is larger than estimated is an error that names what is needed, and not a wait', async () => {
    const world = { ...WORLD, estimatedRowBytes: ROW_BYTES / 4, blockBytes: BLOCK_BYTES / 4 }
    const error = await errorOf(world, LEAST / 3)
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_MEMORY_LIMIT' })
    expect(error.detail['neededBytes']).toBeGreaterThan(LEAST / 3)
    // what it names is enough
    const { iterator } = epochOf(world, { limitBytes: Number(error.detail['neededBytes']) })
    expect((await rowsIn(iterator)).flat()).toHaveLength(12 * 64)
  })

  it('for what everything waits for is an error too, when nothing is left that could make room', async () => {
    expect(await errorOf(WORLD, BLOCK_BYTES * 0.8)).toMatchObject({ code: 'FIRN_MEMORY_LIMIT' })
    expect((await rowsIn(epochOf(WORLD, { limitBytes: BLOCK_BYTES * 1.1 }).iterator)).flat()).toHaveLength(12 * 64)
  })

  it('for units that are a little larger than estimated is none', async () => {
    const world = { ...WORLD, estimatedRowBytes: ROW_BYTES * 0.97 }
    expect((await rowsIn(epochOf(world, { limitBytes: LEAST }).iterator)).flat()).toHaveLength(12 * 64)
  })
})

describe('leaving', () => {
  it('stops the reads that are under way and frees what is here', async () => {
    const slow = new Set([...blocksOf(WORLD).unitsOf(1)])
    const world = { ...WORLD, arrives: (unit: number) => (slow.has(unit) ? never() : Promise.resolve()) }
    const { iterator, aborted } = epochOf(world, { size: 16 })
    await iterator.next()
    await turns()
    await iterator.return()
    expect(aborted).toEqual(expect.arrayContaining([...slow]))
  })
})

it('a failed read is told when its rows have their turn, after the batches before it', async () => {
  const world: World = {
    sizes: [8, 8, 8],
    blockBytes: 1e9,
    isShuffled: false,
    arrives: (unit) => (unit === 2 ? Promise.reject(new Error('no luck')) : Promise.resolve()),
  }
  const { iterator, progress } = epochOf(world, { size: 8, depth: 2 })
  expect((await iterator.next()).value?.numRows).toBe(8)
  await turns()
  expect((await iterator.next()).value?.numRows).toBe(8)
  await expect(iterator.next()).rejects.toThrow('no luck')
  expect(await iterator.next()).toEqual({ done: true, value: undefined })
  // the token is that of the last batch that came
  expect(progress()).toEqual({ batches: 2, next: { block: 0, offset: 16 }, ended: false })
  const { iterator: rest } = epochOf({ ...world, arrives: async () => {} }, { size: 8, start: progress() })
  expect((await rowsIn(rest)).flat()).toHaveLength(8)
})
