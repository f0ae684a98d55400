/**
 * Positions inside a shard: unsigned decimals without leading zeros (Kinesis sequence numbers, about 186 bits; line
 * numbers of a file). `'0'` is the place before the first record. Kept as strings: they are compared and written far
 * more often than computed with.
 */

export const START_POSITION = '0'

/** Wide enough for any sequence number Kinesis makes (56 digits), so that keys sort as numbers do. */
const KEY_DIGITS = 64

export const isPosition = (text: string): boolean => /^(0|[1-9]\d{0,63})$/.test(text)

/** Negative, zero or positive like `a - b`. */
export function comparePositions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}

export const padPosition = (position: string): string => position.padStart(KEY_DIGITS, '0')

export const unpadPosition = (padded: string): string => padded.replace(/^0+(?=\d)/, '')
