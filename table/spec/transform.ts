/**
 * Partition transforms. All divisions floor, also before 1970 and below zero. Spec: "Partition Transforms", Appendix B.
 * A transform that is not known here is carried along by name: files are read, nothing is pruned or written by it.
 */
import { assertNever, FirnError } from '../errors.ts'
import { hashValue } from './murmur3.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type PrimitiveValue } from './types.ts'

/** As metadata spells it: `day`, `bucket[16]`. */
export type Transform = string

export type ParsedTransform =
  | { readonly kind: 'identity' | 'void' | 'year' | 'month' | 'day' | 'hour' }
  | { readonly kind: 'bucket'; readonly buckets: number }
  /** Integers and unscaled decimals: down to a multiple of `width`; text: code points; binary: bytes. */
  | { readonly kind: 'truncate'; readonly width: number }

export const MICROS_PER_HOUR = 3_600_000_000n
export const MICROS_PER_DAY = 86_400_000_000n
const MAX_INT = 2 ** 31 - 1

const SIMPLE = ['identity', 'void', 'year', 'month', 'day', 'hour'] as const
const parsed = new Map<Transform, ParsedTransform | undefined>()

/** `undefined` for a transform that is not known here. Letter case does not matter, as in Java. */
export function parseTransform(transform: Transform): ParsedTransform | undefined {
  if (!parsed.has(transform)) {
    // Names come from files: the memory that this takes has a limit.
    if (parsed.size >= 1000) parsed.clear()
    parsed.set(transform, parse(transform.toLowerCase()))
  }
  return parsed.get(transform)
}

function parse(text: string): ParsedTransform | undefined {
  const simple = SIMPLE.find((name) => name === text)
  if (simple !== undefined) return { kind: simple }
  const match = /^(bucket|truncate)\[(\d{1,10})\]$/.exec(text)
  const parameter = Number(match?.[2])
  if (match === null || parameter < 1 || parameter > MAX_INT) return undefined
  return match[1] === 'bucket' ? { kind: 'bucket', buckets: parameter } : { kind: 'truncate', width: parameter }
}

/** Largest integer not above `value / divisor`, `divisor` positive. BigInt division truncates toward zero. */
export function floorDiv(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value % divisor < 0n ? quotient - 1n : quotient
}

const isTimestamp = (type: PrimitiveType): boolean => type === 'timestamp' || type === 'timestamptz'

/**
 * The type of `transform` applied to a column of `source`; text for a transform that is not known, as in Java.
 */
export function transformResultType(transform: Transform, source: PrimitiveType): PrimitiveType {
  const known = parseTransform(transform)
  switch (known?.kind) {
    case undefined:
      return 'string'
    case 'identity':
    case 'void':
    case 'truncate':
      return source
    case 'day':
      return 'date'
    case 'year':
    case 'month':
    case 'hour':
    case 'bucket':
      return 'int'
    default:
      return assertNever(known)
  }
}

/** True when the specification has the transform for the type, and so it can be written with and pruned by. */
export function canApply(transform: Transform, source: PrimitiveType): boolean {
  if (!isPrimitive(source)) return false
  const known = parseTransform(transform)
  switch (known?.kind) {
    case undefined:
      return false
    case 'identity':
    case 'void':
      return true
    case 'year':
    case 'month':
    case 'day':
      return source === 'date' || isTimestamp(source)
    case 'hour':
      return isTimestamp(source)
    case 'truncate':
      return ['int', 'long', 'string', 'binary'].includes(source) || decimalOf(source) !== undefined
    case 'bucket':
      return source !== 'boolean' && source !== 'float' && source !== 'double'
    default:
      return assertNever(known)
  }
}

/**
 * The partition value of `value`; null stays null.
 * @throws {FirnError} `FIRN_TRANSFORM_UNSUPPORTED` (invalid) where `canApply` is false.
 */
export function applyTransform(transform: Transform, source: PrimitiveType, value: PrimitiveValue): PrimitiveValue {
  const known = parseTransform(transform)
  if (known === undefined || !canApply(transform, source)) throw unsupported(transform, source)
  if (value === null) return null
  switch (known.kind) {
    case 'void':
      return null
    case 'identity':
      return value
    case 'bucket':
      return (hashValue(source, value as string) & MAX_INT) % known.buckets
    case 'truncate':
      return truncate(source, value, known.width)
    case 'hour':
      return Number(floorDiv(value as bigint, MICROS_PER_HOUR))
    case 'day':
    case 'month':
    case 'year': {
      const day = source === 'date' ? (value as number) : Number(floorDiv(value as bigint, MICROS_PER_DAY))
      if (known.kind === 'day') return day
      const date = new Date(day * 86_400_000)
      const year = date.getUTCFullYear() - 1970
      return known.kind === 'year' ? year : year * 12 + date.getUTCMonth()
    }
    default:
      return assertNever(known)
  }
}

/** Like Java, integers wrap around where the multiple of `width` below them is below their range. */
function truncate(source: PrimitiveType, value: PrimitiveValue, width: number): PrimitiveValue {
  if (typeof value === 'string') return firstCodePoints(value, width)
  if (value instanceof Uint8Array) return value.length <= width ? value : value.slice(0, width)
  const divisor = BigInt(width)
  const floored = floorDiv(BigInt(value as number | bigint), divisor) * divisor
  if (source === 'int') return Number(BigInt.asIntN(32, floored))
  return source === 'long' ? BigInt.asIntN(64, floored) : floored
}

function firstCodePoints(text: string, count: number): string {
  if (text.length <= count) return text
  let end = 0
  for (let points = 0; points < count && end < text.length; points++) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1
  }
  return text.slice(0, end)
}

const applicable = (source: PrimitiveType): string => {
  const names = ['identity', 'year', 'month', 'day', 'hour', 'bucket[16]', 'truncate[4]', 'void']
  return names.filter((name) => canApply(name, source)).join(', ')
}

function unsupported(transform: Transform, source: PrimitiveType): FirnError {
  return new FirnError(
    'invalid',
    'FIRN_TRANSFORM_UNSUPPORTED',
    `transform ${transform} of a ${source} column is not supported`,
    { detail: { transform, source }, help: `Transforms of a ${source} column: ${applicable(source)}.` },
  )
}
