import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomOf } from '../../../loader/order/random.ts'
import { drawOrder, rowOrder } from '../../../loader/order/rows.ts'
import { epochRows, KEY } from './simulation.ts'

const counted = (order: Uint32Array, units: number): number[] => {
  const counts = new Array<number>(units).fill(0)
  for (const ordinal of order) counts[ordinal]!++
  return counts
}

const keysOf = (units: number, text = 'k'): string[] => Array.from({ length: units }, (_, unit) => `${text}/${unit}`)
const unitRows = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 500, max: 900 })), {
  maxLength: 20,
})

describe('an epoch', () => {
  it('gives every row once, blocks one after the other', () => {
    const unit = fc.record({ bytes: fc.integer({ min: 1, max: 1000 }), rows: fc.integer({ min: 0, max: 60 }) })
    fc.assert(
      fc.property(
        fc.array(unit, { maxLength: 30 }),
        fc.nat(),
        fc.integer({ min: 1, max: 5000 }),
        (units, seed, blockBytes) => {
          const rows = [...epochRows(units, { ...KEY, seed }, blockBytes)]
          const all = units.flatMap(({ rows }, unit) => Array.from({ length: rows }, (_, row) => `${unit}:${row}`))
          expect(rows.map(([unit, row]) => `${unit}:${row}`).toSorted()).toEqual(all.toSorted())
          expect(rows.every(([, , block], index) => index === 0 || block >= rows[index - 1]![2])).toBe(true)
        },
      ),
    )
  })
})

describe('rowOrder', () => {
  it('is a permutation; without a key rows stay as they are', () => {
    fc.assert(
      fc.property(fc.nat(3000), fc.string(), (rows, key) => {
        const identity = Uint32Array.from({ length: rows }, (_, row) => row)
        expect(rowOrder(rows, key).toSorted()).toEqual(identity)
        expect(rowOrder(rows, undefined)).toEqual(identity)
      }),
    )
  })

  it('draws from other numbers than the moments of a unit', () => {
    const drawn = drawOrder([1000, 1000], ['same', 'same'], { opening: false })
    // the same moments in both units: ties go by ordinal, so a common key shows up as strict turns
    expect([...drawn.subarray(0, 6)]).toEqual([0, 1, 0, 1, 0, 1])
    expect(randomOf('same/rows')()).not.toBe(randomOf('same/draws')())
  })
})

describe('drawOrder', () => {
  it('draws as many rows of each unit as it has', () => {
    fc.assert(
      fc.property(unitRows, fc.boolean(), fc.string(), (unitRows, opening, text) => {
        const order = drawOrder(unitRows, keysOf(unitRows.length, text), { opening })
        expect(counted(order, unitRows.length)).toEqual(unitRows)
      }),
    )
  })

  it('is what sorting every row by its moment gives', () => {
    fc.assert(
      fc.property(unitRows, fc.boolean(), fc.string(), (unitRows, opening, text) => {
        const keys = keysOf(unitRows.length, text)
        expect([...drawOrder(unitRows, keys, { opening })]).toEqual(sortedByMoment(unitRows, keys, opening))
      }),
    )
  })

  it('gives one row to each of as many equal stretches of the block as a unit has rows', () => {
    // nine units alike: a stretch of a unit with r rows is 9 positions, give or take what jitter moves across its ends
    const rows = new Array<number>(9).fill(200)
    const order = drawOrder(rows, keysOf(9), { opening: false })
    for (let start = 0; start + 180 <= order.length; start += 45) {
      for (const count of counted(order.subarray(start, start + 180), 9))
        expect(Math.abs(count - 20)).toBeLessThanOrEqual(3)
    }
  })

  it('mixes units of all sizes to the end: the last tenth has its share of each', () => {
    const unitRows = [4000, 1000, 200, 100]
    const order = drawOrder(unitRows, keysOf(4), { opening: false })
    const last = counted(order.subarray(Math.floor(order.length * 0.9)), 4)
    for (const [ordinal, count] of last.entries())
      expect(Math.abs(count - unitRows[ordinal]! / 10)).toBeLessThanOrEqual(4)
  })

  it('opens the units of an opening block one after the other within its first quarter', () => {
    const units = 32
    const order = drawOrder(new Array<number>(units).fill(2000), keysOf(units), { opening: true })
    const firsts = Array.from({ length: units }, (_, ordinal) => order.indexOf(ordinal))
    expect(firsts).toEqual(firsts.toSorted((a, b) => a - b))
    expect(new Set(order.subarray(0, 64)).size).toBeLessThanOrEqual(4)
    expect(firsts.at(-1)).toBeLessThan(order.length / 4)
    // none is used up before the end
    for (const count of counted(order.subarray(order.length * 0.9), units)) expect(count).toBeGreaterThan(150)
    // a block that is not opening has them all at once
    expect(
      new Set(drawOrder(new Array<number>(units).fill(2000), keysOf(units), { opening: false }).subarray(0, 128)).size,
    ).toBe(units)
  })

  it('gives units one after the other without keys', () => {
    expect([...drawOrder([2, 0, 3], [undefined, undefined, undefined], { opening: true })]).toEqual([0, 0, 2, 2, 2])
  })

  it('has no position without rows', () => {
    expect(drawOrder([], [], { opening: true })).toHaveLength(0)
    expect(drawOrder([0, 0], ['a', 'b'], { opening: false })).toHaveLength(0)
  })
})

/** The definition, by a general sort. */
function sortedByMoment(unitRows: readonly number[], keys: readonly string[], opening: boolean): number[] {
  const draws = unitRows.flatMap((rows, ordinal) => {
    const random = randomOf(`${keys[ordinal]}/draws`)
    const from = opening ? Math.floor((2 ** 32 * ordinal) / (4 * unitRows.length)) : 0
    return Array.from({ length: rows }, (_, draw) => ({
      ordinal,
      moment: Math.min(
        from + Math.floor(((draw * 2 ** 32 + random()) / rows) * ((2 ** 32 - from) / 2 ** 32)),
        2 ** 32 - 1,
      ),
    }))
  })
  return draws.toSorted((a, b) => a.moment - b.moment || a.ordinal - b.ordinal).map(({ ordinal }) => ordinal)
}
