/**
 * ISO 8601 timestamps and dates, to the microsecond.
 *
 * Accepted: `2026-11-21T13:45:10.123456Z`, with `+05:30`, `+0530` or `+05` for `Z`; a blank or lower-case letters for
 * `T` and `Z` (RFC 3339); seconds may be left out; a date alone is midnight UTC. Fractions have up to nine digits and
 * are cut to microseconds, toward the past.
 * Refused: a time without offset, for it names no instant; second 60 and hour 24; years outside 0001 to 9999, which
 * other readers cannot represent, also when only the offset leads there.
 */
import { type EpochMicros, epochMicros } from '../ids.ts'

const PATTERN =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?))?$/
const TIME_PATTERN = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/
const DATE_PATTERN = /^(\d{4})-(\d\d)-(\d\d)$/

const DAY_SECONDS = 86_400
/** 0001-01-01T00:00:00Z and 10000-01-01T00:00:00Z, in seconds since the epoch. */
const FIRST_SECOND = daysFromCivil(1, 1, 1) * DAY_SECONDS
const END_SECOND = daysFromCivil(10_000, 1, 1) * DAY_SECONDS

/** Microseconds since the epoch, or `undefined` when `text` is not a timestamp as described above. */
export function parseTimestampMicros(text: string): EpochMicros | undefined {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  const days = daysOf(match)
  if (days === undefined) return undefined
  const hour = Number(match[4] ?? 0)
  const minute = Number(match[5] ?? 0)
  const second = Number(match[6] ?? 0)
  const offsetHour = Number(match[9] ?? 0)
  const offsetMinute = Number(match[10] ?? 0)
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined
  const offsetSeconds = (offsetHour * 60 + offsetMinute) * (match[8] === '-' ? -60 : 60)
  const seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second - offsetSeconds
  if (seconds < FIRST_SECOND || seconds >= END_SECOND) return undefined
  const micros = Number((match[7] ?? '').padEnd(6, '0').slice(0, 6))
  return epochMicros(BigInt(seconds) * 1_000_000n + BigInt(micros))
}

/** Inverse of `parseTimestampMicros` in UTC, without a zone: `2026-01-31T12:00:00.000001`, always six decimals. */
export function isoMicros(micros: bigint): string {
  const millis = micros >= 0n ? micros / 1000n : (micros - 999n) / 1000n
  const rest = micros - millis * 1000n
  return `${new Date(Number(millis)).toISOString().slice(0, -1)}${rest.toString().padStart(3, '0')}`
}

/** Days since the epoch of `YYYY-MM-DD`, or `undefined` when it is no date. */
export function parseDateDays(text: string): number | undefined {
  const match = DATE_PATTERN.exec(text)
  return match === null ? undefined : daysOf(match)
}

/** Microseconds since midnight of `HH:MM[:SS[.ffffff]]`, or `undefined` when it is no time of day. */
export function parseTimeMicros(text: string): bigint | undefined {
  const match = TIME_PATTERN.exec(text)
  if (match === null) return undefined
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  return BigInt(hour * 3600 + minute * 60 + second) * 1_000_000n + BigInt((match[4] ?? '').padEnd(6, '0'))
}

/** Inverse of `parseTimeMicros`, always six decimals. */
export const timeText = (micros: bigint): string => isoMicros(micros).slice(11)

function daysOf(match: RegExpExecArray): number | undefined {
  const year = Number(match[1])
  const month = Number(match[2])
  const day = Number(match[3])
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  return daysFromCivil(year, month, day)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March here, so that leap days come last. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468
}
