/**
 * From partition values back to the source values that have them: pruning by a partition is then pruning by a range of
 * the column. Values are in "ordered form": text as its UTF-8 bytes, whose order is the order of the text, so that also
 * a bound that ends inside of a character compares rightly.
 */
import { assertNever } from '../errors.ts'
import { compareValues } from './compare.ts'
import { daysFromCivil } from './timestamp.ts'
import { MICROS_PER_DAY, MICROS_PER_HOUR, parseTransform, type Transform } from './transform.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from './types.ts'

/** A value that is neither null nor NaN; text as UTF-8. */
export type OrderedValue = boolean | number | bigint | Uint8Array

export interface SourceRange {
  readonly lower?: OrderedValue | undefined
  readonly upper?: OrderedValue | undefined
  /** `upper` itself is outside. */
  readonly upperOpen?: boolean
}

export const toOrdered = (value: Exclude<PrimitiveValue, null>): OrderedValue =>
  typeof value === 'string' ? Buffer.from(value, 'utf8') : value

export const compareOrdered = (type: PrimitiveType, a: OrderedValue, b: OrderedValue): number =>
  a instanceof Uint8Array ? Buffer.compare(a, b as Uint8Array) : compareValues(type, a, b)

/** The least bytes above everything that starts with `prefix`; `undefined` when there are none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end--
  if (end === 0) return undefined
  // Not `slice`: that of a Buffer shares its memory.
  const next = Uint8Array.from(prefix.subarray(0, end))
  next[end - 1]!++
  return next
}

/**
 * The source values whose partition value lies from `lower` to `upper`, both in ordered form; `undefined` when the
 * transform says nothing about their order.
 */
export function sourceRange(
  transform: Transform,
  source: PrimitiveType,
  lower: OrderedValue,
  upper: OrderedValue,
): SourceRange | undefined {
  const known = parseTransform(transform)
  switch (known?.kind) {
    case 'identity':
      return { lower, upper }
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
      return timeRange(known.kind, source, Number(lower), Number(upper))
    case 'truncate':
      if (upper instanceof Uint8Array) return textRange(source, lower, upper, known.width)
      return numberRange(source, BigInt(lower as number), BigInt(upper as number), known.width)
    case 'bucket':
    case 'void':
    case undefined:
      return undefined
    default:
      return assertNever(known)
  }
}

type TimeUnit = 'year' | 'month' | 'day' | 'hour'

function timeRange(unit: TimeUnit, source: PrimitiveType, lower: number, upper: number): SourceRange {
  // Writers have computed these by rounding toward zero, which puts times before 1970 one unit too high.
  const first = lower <= 0 ? lower - 1 : lower
  if (source === 'date') return { lower: startDay(unit, first), upper: startDay(unit, upper + 1) - 1 }
  const start = (value: number): bigint =>
    unit === 'hour' ? BigInt(value) * MICROS_PER_HOUR : BigInt(startDay(unit, value)) * MICROS_PER_DAY
  return { lower: start(first), upper: start(upper + 1) - 1n }
}

function startDay(unit: TimeUnit, value: number): number {
  if (unit === 'day') return value
  if (unit === 'year') return daysFromCivil(1970 + value, 1, 1)
  const year = Math.floor(value / 12)
  return daysFromCivil(1970 + year, value - year * 12 + 1, 1)
}

const INT_END = 2n ** 31n
const LONG_END = 2n ** 63n

function numberRange(source: PrimitiveType, lower: bigint, upper: bigint, width: number): SourceRange | undefined {
  const step = BigInt(width)
  if (decimalOf(source) !== undefined) return { lower, upper: upper + step - 1n }
  // The lowest values wrap around to the highest multiples; in a column that was promoted, to those of the int range.
  const mayHoldWrapped = (end: bigint): boolean =>
    lower === upper ? lower % step !== 0n : upper > end - 2n * step && lower < end
  if (mayHoldWrapped(INT_END) || mayHoldWrapped(LONG_END)) return undefined
  const last = upper + step - 1n
  return source === 'int' ? { lower: Number(lower), upper: Number(last) } : { lower, upper: last }
}

function textRange(source: PrimitiveType, lower: OrderedValue, upper: Uint8Array, width: number): SourceRange {
  const length = source === 'string' ? upper.reduce((n, byte) => n + ((byte & 0xc0) === 0x80 ? 0 : 1), 0) : upper.length
  // A value that is shorter than the width was not cut.
  if (length < width) return { lower, upper }
  const end = afterPrefix(upper)
  return end === undefined ? { lower } : { lower, upper: end, upperOpen: true }
}
