/**
 * Partition transforms. All divisions floor, also before 1970. Spec: "Partition Transforms", Appendix B.
 * `year`, `bucket` and `truncate` are known by name and result type, so that foreign tables can be read; computing
 * them is refused.
 */
import { FirnError } from '../errors.ts'
import { isPrimitive, type PrimitiveType, type PrimitiveValue } from './types.ts'

export type Transform = string

const MICROS_PER_HOUR = 3_600_000_000n
const MICROS_PER_DAY = 86_400_000_000n

/** Largest integer not above `value / divisor`, `divisor` positive. BigInt division truncates toward zero. */
export function floorDiv(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value % divisor < 0n ? quotient - 1n : quotient
}

const isTimestamp = (type: PrimitiveType): boolean => type === 'timestamp' || type === 'timestamptz'

/** Months since 1970-01 of a day number. */
function monthOfDay(day: number): number {
  const date = new Date(day * 86_400_000)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

/** The type of `transform` applied to a column of `source`. @throws {FirnError} `FIRN_TRANSFORM_UNSUPPORTED`. */
export function transformResultType(transform: Transform, source: PrimitiveType): PrimitiveType {
  if (transform === 'identity' || transform === 'void' || transform.startsWith('truncate[')) return source
  if (transform === 'day') return 'date'
  if (transform === 'year' || transform === 'month' || transform === 'hour' || transform.startsWith('bucket[')) {
    return 'int'
  }
  throw unsupported(transform, source)
}

/** True when this package can compute the transform, and so can write with it and prune by it. */
export function canApply(transform: Transform, source: PrimitiveType): boolean {
  if (transform === 'identity' || transform === 'void') return true
  if (transform === 'day' || transform === 'month') return source === 'date' || isTimestamp(source)
  return transform === 'hour' && isTimestamp(source)
}

/**
 * The partition value of `value`; null stays null.
 * @throws {FirnError} `FIRN_TRANSFORM_UNSUPPORTED` (invalid) for a transform or type that is not computed here.
 */
export function applyTransform(transform: Transform, source: PrimitiveType, value: PrimitiveValue): PrimitiveValue {
  if (!isPrimitive(source) || !canApply(transform, source)) throw unsupported(transform, source)
  if (value === null || transform === 'void') return null
  if (transform === 'identity') return value
  if (transform === 'hour') return Number(floorDiv(value as bigint, MICROS_PER_HOUR))
  const day = source === 'date' ? (value as number) : Number(floorDiv(value as bigint, MICROS_PER_DAY))
  return transform === 'day' ? day : monthOfDay(day)
}

/**
 * A partition value as it stands in a data file's path. Cosmetic: readers never parse it.
 * Spec: "Partition Transforms", human-readable strings as Java prints them.
 */
export function partitionValueToText(transform: Transform, type: PrimitiveType, value: PrimitiveValue): string {
  if (value === null) return 'null'
  if (transform === 'day' || (transform === 'identity' && type === 'date')) return isoDay(Number(value))
  if (transform === 'month') {
    const month = Number(value)
    const year = 1970 + Math.floor(month / 12)
    return `${year}-${String((((month % 12) + 12) % 12) + 1).padStart(2, '0')}`
  }
  if (transform === 'hour') {
    const hour = Number(value)
    const day = Math.floor(hour / 24)
    return `${isoDay(day)}-${String(hour - day * 24).padStart(2, '0')}`
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url')
  return String(value)
}

const isoDay = (day: number): string => new Date(day * 86_400_000).toISOString().replace(/T.*$/, '')

function unsupported(transform: Transform, source: PrimitiveType): FirnError {
  return new FirnError(
    'invalid',
    'FIRN_TRANSFORM_UNSUPPORTED',
    `transform ${transform} of a ${source} column is not supported for writing`,
    { detail: { transform, source }, help: 'Use identity, day, hour or month.' },
  )
}
