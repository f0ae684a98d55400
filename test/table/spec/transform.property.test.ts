import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { partitionValueToText } from '../../../table/spec/partition-text.ts'
import { applyTransform, floorDiv } from '../../../table/spec/transform.ts'

const micros = fc.bigInt({ min: -62_000_000_000_000_000n, max: 250_000_000_000_000_000n })

describe('transforms floor', () => {
  test('one microsecond before the epoch lies in day -1, hour -1 and month -1', () => {
    expect(applyTransform('day', 'timestamptz', -1n)).toBe(-1)
    expect(applyTransform('hour', 'timestamptz', -1n)).toBe(-1)
    expect(applyTransform('month', 'timestamptz', -1n)).toBe(-1)
    expect(applyTransform('day', 'timestamptz', -999n)).toBe(-1)
  })

  test('values of the specification', () => {
    const at = 1_510_871_468_000_000n // 2017-11-16T22:31:08Z
    expect(applyTransform('month', 'timestamptz', at)).toBe(574)
    expect(applyTransform('day', 'timestamptz', at)).toBe(17_486)
    expect(applyTransform('hour', 'timestamptz', at)).toBe(419_686)
    expect(applyTransform('month', 'date', 17_486)).toBe(574)
  })

  test('a day starts at midnight UTC and a month on its first day, for any time', () => {
    fc.assert(
      fc.property(micros, (at) => {
        const date = new Date(Number(floorDiv(at, 1000n)))
        const day = applyTransform('day', 'timestamptz', at) as number
        expect(day).toBe(Math.floor(date.getTime() / 86_400_000))
        expect(applyTransform('hour', 'timestamptz', at)).toBe(Math.floor(date.getTime() / 3_600_000))
        expect(applyTransform('month', 'timestamptz', at)).toBe(
          (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth(),
        )
        expect(applyTransform('month', 'date', day)).toBe(applyTransform('month', 'timestamptz', at))
      }),
    )
  })

  test('a later time never has an earlier partition', () => {
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        const [first, last] = a <= b ? [a, b] : [b, a]
        for (const transform of ['day', 'hour', 'month', 'identity']) {
          const low = applyTransform(transform, 'timestamptz', first) as number
          expect(low <= (applyTransform(transform, 'timestamptz', last) as number)).toBe(true)
        }
      }),
    )
  })
})

test('null stays null, and void makes null of everything', () => {
  expect(applyTransform('day', 'timestamptz', null)).toBeNull()
  expect(applyTransform('void', 'string', 'x')).toBeNull()
})

test.each(['bucket[0]', 'truncate[99999999999]', 'year', 'zorder'])(
  '%s is refused for writing, with the way out',
  (transform) => {
    expect(() => applyTransform(transform, 'string', 'x')).toThrow(FirnError)
    expect(() => applyTransform(transform, 'string', 'x')).toThrow(/not supported/)
  },
)

test('partition values read like dates in paths', () => {
  expect(partitionValueToText('day', 'date', 17_486)).toBe('2017-11-16')
  expect(partitionValueToText('month', 'int', -1)).toBe('1969-12')
  expect(partitionValueToText('hour', 'int', -1)).toBe('1969-12-31-23')
  expect(partitionValueToText('identity', 'string', null)).toBe('null')
})
