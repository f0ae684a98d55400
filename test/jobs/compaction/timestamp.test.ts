import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDateDays, parseTimestampMicros } from '../../../table/index.ts'

describe('parseTimestampMicros', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0n],
    ['1969-12-31T23:59:59.999999Z', -1n],
    ['2026-11-21T13:45:10.123456Z', 1795268710123456n],
    ['2026-11-21T13:45:10.1Z', 1795268710100000n],
    ['2026-11-21T13:45Z', 1795268700000000n],
    ['2026-11-21', 1795219200000000n],
    ['2026-11-21t13:45:10z', 1795268710000000n],
    ['2026-11-21 13:45:10+00:00', 1795268710000000n],
    ['2026-11-21T15:45:10+02:00', 1795268710000000n],
    ['2026-11-21T08:15:10-0530', 1795268710000000n],
    ['2026-11-21T15:45:10+02', 1795268710000000n],
    ['2026-11-21T13:45:10-00:00', 1795268710000000n],
    ['2026-11-21T13:45:10.123456789Z', 1795268710123456n],
    ['1969-12-31T23:59:59.9999999Z', -1n],
    ['2000-02-29T00:00:00Z', 951782400000000n],
    ['0001-01-01T00:00:00Z', -62135596800000000n],
    ['9999-12-31T23:59:59.999999Z', 253402300799999999n],
  ])('%s is %d microseconds', (text, micros) => {
    expect(parseTimestampMicros(text)).toBe(micros)
  })

  it.each([
    '',
    'yesterday',
    '2026-11-21T13:45:10', // no offset: no instant
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-11-31T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T23:60:00Z',
    '2026-11-21T23:59:60Z',
    '2026-11-21T13:45:10+24:00',
    '2026-11-21T13:45:10+02:60',
    '2026-11-21T13:45:10.Z',
    '2026-11-21T13:45:10.1234567890Z',
    '0000-12-31T00:00:00Z',
    '10000-01-01T00:00:00Z',
    '+010000-01-01T00:00:00Z',
    '9999-12-31T23:59:59-00:01',
    '0001-01-01T00:00:00+00:01',
    '2026-11-21T13:45:10Z ',
    ' 2026-11-21T13:45:10Z',
    '2026-11-21T13:45:10Z\n',
    '2026-1-2T00:00:00Z',
    '2026-11-21Z',
    '1795268710',
    '２０２６-11-21T13:45:10Z',
  ])('refuses %j', (text) => {
    expect(parseTimestampMicros(text)).toBeUndefined()
  })

  it('reads back every instant that Date prints, with any offset and any microsecond', () => {
    const millis = fc.integer({ min: Date.parse('0001-01-02T00:00:00Z'), max: Date.parse('9999-12-30T00:00:00Z') })
    const offset = fc.integer({ min: -1439, max: 1439 })
    fc.assert(
      fc.property(millis, fc.integer({ min: 0, max: 999 }), offset, (at, micros, minutes) => {
        const local = new Date(at + minutes * 60_000).toISOString().slice(0, -1)
        const clock = `${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`
        const text = `${local}${String(micros).padStart(3, '0')}${minutes < 0 ? '-' : '+'}${clock}`
        fc.pre(text.length === 32) // years beyond 9999 print longer
        expect(parseTimestampMicros(text)).toBe(BigInt(at) * 1000n + BigInt(micros))
      }),
      { numRuns: 2000 },
    )
  })
})

const pad = (value: number): string => String(value).padStart(2, '0')

describe('parseDateDays', () => {
  it('agrees with Date on every day of four centuries', () => {
    for (let day = -150_000; day < 150_000; day += 1) {
      const text = new Date(day * 86_400_000).toISOString().slice(0, 10)
      if (parseDateDays(text) !== day) expect(text).toBe(`day ${day}`)
    }
  })

  it.each(['2026-02-30', '2026-11-21T00:00:00Z', '2026-11', '', '0000-01-01'])('refuses %j', (text) => {
    expect(parseDateDays(text)).toBeUndefined()
  })
})
