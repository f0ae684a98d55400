import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EpochOrder, previewOrder, type ShuffleKey, sequentialOrder } from '../../../loader/order/shuffle.ts'

const KEY: ShuffleKey = {
  tableUuid: '5c0a5f0e-9d3c-4f0e-8a55-0a4b6d3f7c11',
  snapshotId: 3055729675574597004n,
  seed: 42,
  epoch: 0,
}

/** Every row of the epoch as `unit:row`, in order. */
function emitted(order: EpochOrder, unitRows: readonly number[]): string[] {
  return order.blocks.flatMap((units, block) => {
    const laidOut = Array.from(units).flatMap((unit) =>
      Array.from({ length: unitRows[unit]! }, (_, row) => `${unit}:${row}`),
    )
    return Array.from(order.rowsOf(block), (position) => laidOut[position]!)
  })
}

const all = (unitRows: readonly number[]): string[] =>
  unitRows.flatMap((rows, unit) => Array.from({ length: rows }, (_, row) => `${unit}:${row}`))

describe('previewOrder', () => {
  it('is a permutation of all rows for every seed, epoch, size of units and size of block', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 24 })
    const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(sizes, seed, fc.nat(1000), fc.integer({ min: 1, max: 30 }), (unitRows, seed, epoch, blockUnits) => {
        const order = previewOrder(unitRows, { ...KEY, seed, epoch }, blockUnits)
        expect(emitted(order, unitRows).toSorted()).toEqual(all(unitRows).toSorted())
        expect(order.blocks.every((units) => units.length <= blockUnits)).toBe(true)
      }),
    )
  })

  it('stays the order it is (golden)', () => {
    const order = previewOrder([3, 2, 4, 1, 3], KEY, 2)
    expect(order.blocks.map((units) => [...units])).toEqual(GOLDEN_BLOCKS)
    expect(order.blocks.map((_, block) => [...order.rowsOf(block)])).toEqual(GOLDEN_ROWS)
  })

  it('differs with the seed, the epoch, the snapshot and the table', () => {
    const unitRows = Array.from({ length: 12 }, () => 8)
    const keys: ShuffleKey[] = [
      KEY,
      { ...KEY, seed: 43 },
      { ...KEY, epoch: 1 },
      { ...KEY, snapshotId: KEY.snapshotId + 1n },
      { ...KEY, tableUuid: KEY.tableUuid.replace('5c', '5d') },
    ]
    const orders = keys.map((key) => emitted(previewOrder(unitRows, key, 4), unitRows).join())
    expect(new Set(orders).size).toBe(keys.length)
  })

  it('gives the rows of a block alone, in any order of asking', () => {
    const unitRows = [5, 6, 7, 8]
    const order = previewOrder(unitRows, KEY, 1)
    const last = [...order.rowsOf(3)]
    order.rowsOf(0)
    expect([...order.rowsOf(3)]).toEqual(last)
  })

  it('has no block for a table without rows', () => {
    expect(previewOrder([], KEY, 4).blocks).toEqual([])
  })
})

describe('sequentialOrder', () => {
  it('leaves every row where it is', () => {
    const unitRows = [3, 1, 2, 4, 2]
    expect(emitted(sequentialOrder(unitRows, 2), unitRows)).toEqual(all(unitRows))
  })
})

/** From an implementation of its own, in Python. */
const GOLDEN_BLOCKS = [[2, 3], [0, 4], [1]]
const GOLDEN_ROWS = [
  [3, 1, 2, 4, 0],
  [1, 0, 5, 2, 3, 4],
  [1, 0],
]
