import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  blockV1,
  type EpochBlocks,
  type OrderKey,
  sequentialBlocks,
  shortRun,
  strata,
} from '../../../loader/order/blocks.ts'
import { KEY } from './simulation.ts'

const unitsOf = (blocks: EpochBlocks): number[][] =>
  Array.from({ length: blocks.count }, (_, block) => [...blocks.unitsOf(block)])

const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const range = (length: number): number[] => Array.from({ length }, (_, index) => index)
const bytesOf = (units: readonly number[], sizes: readonly number[]): number =>
  units.reduce((sum, unit) => sum + sizes[unit]!, 0)

/** From a few bytes to far beyond a block: powers of two times a little. */
const size = fc
  .tuple(fc.integer({ min: 0, max: 26 }), fc.integer({ min: 0, max: 999 }))
  .map(([power, part]) => Math.floor(2 ** power * (1 + part / 1000)))
const sizes = fc.array(size, { maxLength: 120 })
const blockBytes = fc.integer({ min: 1, max: 2 ** 27 })
const key: fc.Arbitrary<OrderKey> = fc.record({
  tableUuid: fc.uuid(),
  snapshotId: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  epoch: fc.nat(10_000),
})

describe('blockV1', () => {
  it('has every unit in one block, and no block above its size that is more than one unit', () => {
    fc.assert(
      fc.property(sizes, key, blockBytes, (unitBytes, key, blockBytes) => {
        const blocks = unitsOf(blockV1(unitBytes, key, blockBytes))
        expect(ascending(blocks.flat())).toEqual(range(unitBytes.length))
        for (const units of blocks) {
          expect(units.length).toBeGreaterThan(0)
          expect(units.length === 1 || bytesOf(units, unitBytes) <= blockBytes).toBe(true)
        }
      }),
    )
  })

  it('gives each block one unit of every stretch of the table', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40 }), key, (count, perBlock, key) => {
        const unitBytes = new Array<number>(count).fill(1000)
        const blocks = blockV1(unitBytes, key, perBlock * 1000)
        const blockOf = new Map(unitsOf(blocks).flatMap((units, block) => units.map((unit) => [unit, block])))
        const short = shortRun(Uint32Array.from(range(count)), unitBytes, blocks.count)
        for (let start = 0; start < count; ) {
          const length = start === short ? count % blocks.count : blocks.count
          const stretch = range(length).map((index) => blockOf.get(start + index)!)
          expect(new Set(stretch).size).toBe(length)
          start += length
        }
      }),
    )
  })

  it('has the shorter stretch of a table of equal units in its middle', () => {
    const unitBytes = new Array<number>(103).fill(7)
    expect(shortRun(Uint32Array.from(range(103)), unitBytes, 10)).toBe(50)
    expect(shortRun(Uint32Array.from(range(100)), unitBytes.slice(0, 100), 10)).toBeUndefined()
  })

  it('gives the large units to blocks evenly and fills up with small ones', () => {
    // two of three units are tails of files: by position alone, blocks would have 0 to 6 of the large ones
    const unitBytes = range(300).map((unit) => (unit % 3 === 0 ? 1000 : 10 + (unit % 5)))
    const blocks = unitsOf(blockV1(unitBytes, KEY, 5200))
    expect(blocks).toHaveLength(20)
    for (const units of blocks) expect(units.filter((unit) => unit % 3 === 0)).toHaveLength(5)
  })

  it('does not make every block small for one huge unit', () => {
    const unitBytes = [...new Array<number>(100).fill(10), 5000, ...new Array<number>(100).fill(10), 95]
    const blocks = unitsOf(blockV1(unitBytes, KEY, 100))
    expect(blocks.find((units) => units.includes(100))).toEqual([100])
    // ceil(7095 / 100) = 71 blocks, of which the huge one takes the place of 50
    expect(blocks.length).toBeLessThanOrEqual(71)
  })

  it('makes one block of a table that fits into one', () => {
    expect(unitsOf(blockV1([30, 30, 40], KEY, 100)).map(ascending)).toEqual([[0, 1, 2]])
    expect(unitsOf(blockV1([30, 30, 41], KEY, 100))).toHaveLength(2)
  })

  it('does not try what cannot do: 150,000 units of which no two fit into a block take no minute', {
    timeout: 20_000,
  }, () => {
    const { count } = blockV1(new Array<number>(150_000).fill(200), KEY, 335)
    expect(count).toBe(150_000)
    expect(blockV1(new Array<number>(150_000).fill(115), KEY, 335).count).toBeGreaterThanOrEqual(75_000)
  })

  it('has no block without units', () => {
    expect(blockV1([], KEY, 100).count).toBe(0)
  })

  it('has the first units of a block spread over the table, whatever their number', () => {
    for (let seed = 0; seed < 40; seed++) {
      const units = [...blockV1(new Array<number>(64).fill(1), { ...KEY, seed }, 64).unitsOf(0)]
      for (const first of [2, 4, 8, 16, 32]) {
        const parts = units.slice(0, first).map((unit) => Math.floor((unit * first) / 64))
        expect(ascending(parts)).toEqual(range(first))
      }
    }
  })

  it('opens units one after the other in the first block only', () => {
    const blocks = blockV1(new Array<number>(20).fill(10), KEY, 50)
    expect(range(blocks.count).map((block) => blocks.isOpening(block))).toEqual([true, false, false, false])
  })

  it('is the same for the same key, and differs with table, snapshot, seed and epoch', () => {
    const unitBytes = new Array<number>(60).fill(10)
    const keys: OrderKey[] = [
      KEY,
      { ...KEY, seed: 43 },
      { ...KEY, epoch: 1 },
      { ...KEY, snapshotId: KEY.snapshotId + 1n },
      { ...KEY, tableUuid: KEY.tableUuid.replace('5c', '5d') },
    ]
    const printed = (key: OrderKey): string => {
      const blocks = blockV1(unitBytes, key, 100)
      return JSON.stringify(unitsOf(blocks)) + blocks.unitKey(0, 0)?.replace(/\d+$/, '')
    }
    expect(new Set(keys.map(printed)).size).toBe(keys.length)
    expect(keys.map(printed)).toEqual(keys.map(printed))
  })

  it('keys the rows of a unit by the unit, wherever it lies: a larger block draws them in the same order', () => {
    const keyOf = (blockBytes: number, unit: number): string | undefined => {
      const blocks = blockV1(new Array<number>(20).fill(10), KEY, blockBytes)
      const block = range(blocks.count).find((block) => blocks.unitsOf(block).includes(unit))!
      return blocks.unitKey(block, blocks.unitsOf(block).indexOf(unit))
    }
    for (const unit of range(20)) expect(keyOf(40, unit)).toBe(keyOf(90, unit))
    expect(new Set(range(20).map((unit) => keyOf(40, unit))).size).toBe(20)
  })
})

describe('strata', () => {
  it('goes from the largest class of sizes to the smallest, forwards and backwards in turns', () => {
    expect([...strata([1000, 5, 1023, 300, 512, 4, 511, 7])]).toEqual([0, 2, 4, 6, 3, 1, 5, 7])
  })

  it('tells sizes beyond 32 bits apart', () => {
    expect([...strata([2 ** 31, 2 ** 40, 2 ** 32 - 1, 2 ** 32])]).toEqual([1, 3, 0, 2])
  })
})

describe('sequentialBlocks', () => {
  it('leaves units as they are, in blocks of an eighth of the size at most', () => {
    fc.assert(
      fc.property(sizes, blockBytes, (unitBytes, blockBytes) => {
        const blocks = sequentialBlocks(unitBytes, blockBytes)
        const units = unitsOf(blocks)
        expect(units.flat()).toEqual(range(unitBytes.length))
        for (const [block, members] of units.entries()) {
          expect(members.length === 1 || bytesOf(members, unitBytes) <= blockBytes / 8).toBe(true)
          expect(blocks.isOpening(block)).toBe(false)
          expect(blocks.unitKey(block, 0)).toBeUndefined()
          // no block could have been filled further
          const next = units[block + 1]?.[0]
          if (next !== undefined) expect(bytesOf([...members, next], unitBytes)).toBeGreaterThan(blockBytes / 8)
        }
      }),
    )
  })
})
