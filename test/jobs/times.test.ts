import { describe, expect, test } from 'vitest'
import { parseStart } from '../../jobs/landing/landing.ts'
import { durationArgument, integerArgument, parseTime } from '../../jobs/times.ts'

describe('times', () => {
  test.each([
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    ['2026-01-31T12:00', Date.UTC(2026, 0, 31, 12)],
    ['2026-01-31 12:00:05Z', Date.UTC(2026, 0, 31, 12, 0, 5)],
    ['2026-01-31T12:00:05.25+02:00', Date.UTC(2026, 0, 31, 10, 0, 5, 250)],
    ['2026-01-31T12:00:05.123456Z', Date.UTC(2026, 0, 31, 12, 0, 5, 123)],
  ])('%s', (text, millis) => {
    expect(parseTime(text)).toBe(millis)
  })

  test.each(['', 'now', '2026', '2026-13-01', '2026-02-30', '2026-01-31T25:00', '31.01.2026', '1769860800000'])(
    '%j is no time',
    (text) => {
      expect(parseTime(text)).toBeUndefined()
    },
  )
})

test('a duration has a unit', () => {
  expect(['90s', '30m', '36h', '7d'].map(durationArgument)).toEqual([90_000, 1_800_000, 129_600_000, 604_800_000])
  for (const text of ['7', '0d', '-1d', '1.5h', 'd', '1w']) expect(() => durationArgument(text), text).toThrow('unit')
  // what lies so far back is no time any more
  expect(durationArgument('36500d')).toBe(36_500 * 86_400_000)
  for (const text of ['36501d', '999999999d', '876001h']) expect(() => durationArgument(text), text).toThrow('36500d')
})

test('a count is a whole number from its minimum on', () => {
  expect(integerArgument(1)('5')).toBe(5)
  for (const text of ['0', '-1', '1.5', '1e3', '', '99999999999'])
    expect(() => integerArgument(1)(text), text).toThrow('whole number')
  expect(integerArgument(1, 64)('64')).toBe(64)
  expect(() => integerArgument(1, 64)('65')).toThrow('1 to 64')
})

test('where to start: two words, in any case, or a time', () => {
  expect(parseStart('latest')).toEqual({ type: 'LATEST' })
  expect(parseStart('trim-horizon')).toEqual({ type: 'TRIM_HORIZON' })
  expect(parseStart('2026-01-31')).toEqual({ type: 'AT_TIMESTAMP', timestampMillis: Date.UTC(2026, 0, 31) })
  expect(() => parseStart('noon')).toThrow(expect.objectContaining({ code: 'FIRN_USAGE' }))
})
