/** Literals of the filter language as values of a column's type. */
import { parseUnscaled } from '../spec/decimal.ts'
import { hexBytes, uuidBytes } from '../spec/json-value.ts'
import { parseDateDays, parseTimeMicros, parseTimestampMicros } from '../spec/timestamp.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'

export type LiteralKind = 'text' | 'number' | 'hex' | 'name'

const INT_RANGE = 2n ** 31n
const LONG_RANGE = 2n ** 63n
/** Numbers that have no digits. */
const NAMED_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['nan', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
])

/** How to write a value of the type, for messages. */
export function literalExample(type: PrimitiveType): string {
  switch (type) {
    case 'boolean':
      return 'true'
    case 'int':
    case 'long':
      return '42'
    case 'float':
    case 'double':
      return "-1.5e3 or 'NaN'"
    case 'date':
      return "'2026-01-31'"
    case 'time':
      return "'12:30:00.5'"
    case 'timestamp':
      return "'2026-01-31T12:30:00'"
    case 'timestamptz':
      return "'2026-01-31T12:30:00Z'"
    case 'string':
      return "'text'"
    case 'uuid':
      return "'f79c3e09-677c-4bbd-a479-3f349cb785e7'"
    default: {
      const decimal = decimalOf(type)
      if (decimal) return decimal.scale === 0 ? '12' : `${'9'.repeat(Math.max(1, decimal.precision - decimal.scale))}.5`
      return `X'${'0a'.repeat(Math.min(fixedLengthOf(type) ?? 2, 16))}'`
    }
  }
}

/** The literal as a value of `type`; `undefined` when it is none. */
export function literalValue(kind: LiteralKind, text: string, type: PrimitiveType): PrimitiveValue | undefined {
  const isText = kind === 'text'
  const isNumber = kind === 'number'
  switch (type) {
    case 'boolean':
      return kind === 'name' && /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : undefined
    case 'int': {
      const value = isNumber ? integerWithin(text, INT_RANGE) : undefined
      return value === undefined ? undefined : Number(value)
    }
    case 'long':
      return isNumber ? integerWithin(text, LONG_RANGE) : undefined
    case 'float':
    case 'double': {
      const value = isText ? NAMED_NUMBERS.get(text.toLowerCase()) : isNumber ? Number(text) : undefined
      return value === undefined || type === 'double' ? value : Math.fround(value)
    }
    case 'string':
      return isText && text.isWellFormed() ? text : undefined
    case 'date':
      return isText ? parseDateDays(text) : undefined
    case 'time':
      return isText ? parseTimeMicros(text) : undefined
    case 'timestamp':
      return isText && !/([Zz]|[+-]\d\d:?\d\d)$/.test(text) ? parseTimestampMicros(withZone(text)) : undefined
    case 'timestamptz':
      return isText ? parseTimestampMicros(text) : undefined
    case 'uuid':
      return isText ? uuidBytes(text) : undefined
    case 'binary':
      return kind === 'hex' ? hexBytes(text) : undefined
    default: {
      const decimal = decimalOf(type)
      if (decimal) return isNumber ? parseUnscaled(text, decimal) : undefined
      const bytes = kind === 'hex' ? hexBytes(text) : undefined
      return bytes?.length === fixedLengthOf(type) ? bytes : undefined
    }
  }
}

const withZone = (text: string): string => (/[Tt ]/.test(text) ? `${text}Z` : text)

function integerWithin(text: string, limit: bigint): bigint | undefined {
  // No integer of either type has more digits; BigInt of a long text is slow.
  if (!/^-?0*\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text)
  return value >= -limit && value < limit ? value : undefined
}
