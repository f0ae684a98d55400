/**
 * The order `block-v1` as it is and stays. The numbers are from an implementation of its own, in Python. When one of
 * these tests fails, the order has changed for everybody who resumes a run or repeats one: undo that, or give the new
 * order a new name.
 */
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { blockV1 } from '../../../loader/order/blocks.ts'
import { drawOrder, rowOrder } from '../../../loader/order/rows.ts'
import { epochRows, KEY } from './simulation.ts'

const blocksOf = (unitBytes: readonly number[], blockBytes: number): number[][] => {
  const blocks = blockV1(unitBytes, KEY, blockBytes)
  return Array.from({ length: blocks.count }, (_, block) => [...blocks.unitsOf(block)])
}

const unitKey = (unit: number): string =>
  `firn/block-v1/5c0a5f0e-9d3c-4f0e-8a55-0a4b6d3f7c11/3055729675574597004/42/0/unit/${unit}`

describe('block-v1', () => {
  it('deals out units of one size as it always has', () => {
    expect(blocksOf(new Array<number>(13).fill(1000), 3200)).toEqual([
      [1, 10, 6],
      [5, 3, 9],
      [7, 8, 4],
      [0, 12],
      [11, 2],
    ])
  })

  it('deals out units of mixed sizes as it always has, one of them larger than a block', () => {
    const sizes = [900, 17, 5000, 900, 64, 1100, 3, 2100, 900, 700, 4096, 1, 1300, 950, 12_000, 800]
    expect(blocksOf(sizes, 9000)).toEqual([[12, 9, 10, 1, 3], [6, 5, 13, 7], [14], [11, 0, 15, 4, 2, 8]])
  })

  it('deals out 3,000 units as it always has', () => {
    const sizes = Array.from(
      { length: 3000 },
      (_, unit) => 700_000 + Math.floor((Math.imul(unit, 2654435761) >>> 0) / 7000),
    )
    const blocks = blocksOf(sizes, 25_000_000)
    expect(blocks).toHaveLength(127)
    expect(crc32(blocks.map((units) => units.join()).join(' '))).toBe(1259781766)
  })

  it('gives the rows of an epoch out as it always has', () => {
    const rows = [4, 3, 5, 2, 4, 3].map((count) => ({ bytes: 400, rows: count }))
    expect(Array.from(epochRows(rows, KEY, 900), ([unit, row]) => `${unit}:${row}`).join(' ')).toBe(
      '0:3 5:1 0:1 0:2 5:0 5:2 0:0 1:0 3:1 1:1 3:0 1:2 4:3 2:1 2:2 4:0 2:3 2:4 4:2 2:0 4:1',
    )
  })

  it('names the rows of a unit by the key, the seed and the canonical number of the unit', () => {
    expect(blockV1(new Array<number>(13).fill(1000), KEY, 3200).unitKey(1, 2)).toBe(unitKey(9))
  })
})

describe('rowOrder', () => {
  it('permutes as it always has', () => {
    expect([...rowOrder(10, unitKey(7))]).toEqual([9, 5, 7, 8, 6, 0, 3, 1, 2, 4])
  })
})

describe('drawOrder', () => {
  it('draws as it always has', () => {
    const keys = [4, 0, 2, 9].map(unitKey)
    expect([...drawOrder([3, 5, 2], keys, { opening: false })]).toEqual([1, 0, 1, 1, 2, 0, 1, 2, 1, 0])
    expect([...drawOrder([3, 5, 2, 4], keys, { opening: true })]).toEqual([1, 0, 1, 3, 1, 2, 3, 0, 3, 1, 2, 3, 1, 0])
  })

  it('draws a whole block as it always has', () => {
    const rows = new Array<number>(31).fill(2048)
    const keys = rows.map((_, unit) => unitKey(unit))
    expect(crc32(Uint8Array.from(drawOrder(rows, keys, { opening: true })))).toBe(1277611320)
    expect(crc32(Uint8Array.from(drawOrder(rows, keys, { opening: false })))).toBe(1270330346)
  })
})
