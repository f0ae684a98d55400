import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSchedule, MAX_POSITION, type Schedule, weightsOf } from '../../../loader/mix/schedule.ts'

const take = (schedule: Schedule, count: number): number[] => Array.from({ length: count }, () => schedule.next())

const weights: fc.Arbitrary<readonly number[]> = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1000 })), { minLength: 1, maxLength: 8 })
  .map((values) => weightsOf(values))
const seeds: fc.Arbitrary<number> = fc.nat({ max: 1000 })

describe('the schedule', () => {
  test('keeps every prefix within one batch of the proportions', () => {
    fc.assert(
      fc.property(weights, seeds, (shares, seed) => {
        const total = shares.reduce((sum, share) => sum + share, 0)
        const schedule = createSchedule(shares, seed)
        const counts = shares.map(() => 0)
        for (let given = 1; given <= 600; given++) {
          counts[schedule.next()]!++
          // |count - given * share / total| < 1, in integers
          for (const [index, share] of shares.entries()) {
            if (Math.abs(counts[index]! * total - given * share) >= total) expect.fail(`${counts[index]} of ${given}`)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('goes on from any point as if it had not stopped', () => {
    fc.assert(
      fc.property(weights, seeds, fc.nat({ max: 100 }), (shares, seed, stop) => {
        const whole = take(createSchedule(shares, seed), stop + 50)
        const first = createSchedule(shares, seed)
        const before = take(first, stop)
        const rest = take(createSchedule(shares, seed, JSON.parse(JSON.stringify(first.point()))), 50)
        expect([...before, ...rest]).toEqual(whole)
      }),
    )
  })

  test('is within the bound far out, where products are large', () => {
    const shares = weightsOf([0.000_003, 0.333_333, 0.666_664])
    const total = shares.reduce((sum, share) => sum + share, 0)
    // a point at which every dataset has given exactly its share
    const periods = Math.floor((MAX_POSITION - 4096) / total / 16) * 16
    const counts = shares.map((share) => share * periods)
    const schedule = createSchedule(shares, 1, { position: periods * total, counts: [...counts] })
    for (let given = 1; given <= 4000; given++) {
      counts[schedule.next()]!++
      for (const [index, share] of shares.entries()) {
        const lag = BigInt(counts[index]!) * BigInt(total) - BigInt(periods * total + given) * BigInt(share)
        if (lag >= BigInt(total) || -lag >= BigInt(total)) expect.fail(`${lag} of ${total}`)
      }
    }
  })

  test('a seed has an order of its own, the same one every time', () => {
    const orders = [0, 1, 2, 3].map((seed) => take(createSchedule([4, 1], seed), 200).join(''))
    expect(new Set(orders).size).toBe(4)
    expect(take(createSchedule([4, 1], 2), 200).join('')).toBe(orders[2])
    // where the second of five falls is not always the same place
    const places = new Set([...orders[0]!.matchAll(/1/g)].map((match) => match.index % 5))
    expect(places.size).toBeGreaterThanOrEqual(3)
  })

  test('golden: orders stay as they are', () => {
    expect(take(createSchedule([4, 1], 0), 32).join('')).toBe('00100001001000001000000100000100')
    expect(take(createSchedule([5, 3, 2], 7), 32).join('')).toBe('10200110020120011002020101021001')
  })
})

describe('weights', () => {
  test.each([
    [
      [0.8, 0.2],
      [4, 1],
    ],
    [
      [8, 2],
      [4, 1],
    ],
    [
      [1, 1, 1],
      [1, 1, 1],
    ],
    [
      [0.1, 0.7, 0.2],
      [1, 7, 2],
    ],
    [[0.25], [1]],
    [
      [0.000_001, 0.999_999],
      [1, 999_999],
    ],
    [
      [1 / 3, 2 / 3],
      [333_333, 666_667],
    ],
    [
      [5e6, 15e6],
      [1, 3],
    ],
  ])('%j are %j', (proportions, expected) => {
    expect(weightsOf(proportions)).toEqual(expected)
  })

  test.each([[[0]], [[-1]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]], [['1']], [[1e-9, 1]]])(
    '%j are refused',
    (proportions) => {
      expect(() => weightsOf(proportions as number[])).toThrow(expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }))
    },
  )
})
