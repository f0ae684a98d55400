/** Times and durations as people type them. */
import { InvalidArgumentError } from 'commander'

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i

/** ISO 8601 to milliseconds since the epoch; a time without a zone is UTC. `undefined` when it is not a time. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text.trim())
  if (match === null) return undefined
  // The 30th of February must not quietly become the 2nd of March.
  const day = text.trim().slice(0, 10)
  const dayMillis = Date.parse(day)
  if (Number.isNaN(dayMillis) || new Date(dayMillis).toISOString().slice(0, 10) !== day) return undefined
  const dateOnly = !/[T ]\d\d:/.test(text)
  const millis = Date.parse(dateOnly || match[1] !== undefined ? text.trim() : `${text.trim()}Z`)
  return Number.isNaN(millis) ? undefined : millis
}

/** For commander. @throws InvalidArgumentError */
export function timeArgument(text: string): number {
  const millis = parseTime(text)
  if (millis === undefined) throw new InvalidArgumentError('Expected a time like 2026-01-31 or 2026-01-31T12:00:00Z.')
  return millis
}

const UNIT_MILLIS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A time that lies further back than this may not be one. */
const MAX_DURATION_MILLIS = 36_500 * UNIT_MILLIS.d

/** `90m`, `36h`, `7d` to milliseconds, 36500d at most; a bare number is refused, because the unit is the point. */
export function durationArgument(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text)
  if (match === null || Number(match[1]) === 0)
    throw new InvalidArgumentError('Expected a number, 1 or more, and a unit, like 7d.')
  const millis = Number(match[1]) * UNIT_MILLIS[match[2] as keyof typeof UNIT_MILLIS]
  if (millis > MAX_DURATION_MILLIS) throw new InvalidArgumentError('Expected 36500d at most.')
  return millis
}

/** A whole number from `min` to `max`, both included. */
export const integerArgument =
  (min: number, max: number = 2 ** 31 - 1) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d{1,10}$/.test(text) || value < min || value > max) {
      const range = max === 2 ** 31 - 1 ? `${min} or more` : `${min} to ${max}`
      throw new InvalidArgumentError(`Expected a whole number, ${range}.`)
    }
    return value
  }

/** As `durationArgument` reads it, in the largest unit that gives a whole number. */
export function formatDuration(millis: number): string {
  const [unit, size] = (
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1000],
    ] as const
  ).find(([, each]) => millis % each === 0) ?? ['ms', 1]
  return `${millis / size}${unit}`
}
