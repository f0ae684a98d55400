/**
 * Single values as JSON: column defaults in schemas. Spec: Appendix D "JSON single-value serialization".
 */
import { decimalText, parseUnscaled } from './decimal.ts'
import { isoMicros, parseDateDays, parseTimeMicros, parseTimestampMicros, timeText } from './timestamp.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type PrimitiveValue } from './types.ts'

/** The value that `json` stands for; `undefined` when it is none of `type`. */
export function valueFromJson(type: PrimitiveType, json: unknown): PrimitiveValue | undefined {
  const text = typeof json === 'string' ? json : undefined
  switch (type) {
    case 'boolean':
      return typeof json === 'boolean' ? json : undefined
    case 'int':
      return integerWithin(json, 31n) === undefined ? undefined : Number(json)
    case 'long':
      return integerWithin(json, 63n)
    case 'float':
    case 'double':
      return typeof json === 'number' ? json : undefined
    case 'string':
      return text
    case 'date':
      return text === undefined ? undefined : parseDateDays(text)
    case 'time':
      return text === undefined ? undefined : parseTimeMicros(text)
    case 'timestamp':
      return text === undefined || /(Z|[+-]\d\d:?\d\d)$/.test(text) ? undefined : parseTimestampMicros(`${text}Z`)
    case 'timestamptz':
      return text === undefined ? undefined : parseTimestampMicros(text)
    case 'uuid':
      return text === undefined ? undefined : uuidBytes(text)
    case 'binary':
      return text === undefined ? undefined : hexBytes(text)
    default: {
      const decimal = decimalOf(type)
      if (decimal) return text === undefined ? undefined : parseUnscaled(text, decimal)
      const bytes = text === undefined ? undefined : hexBytes(text)
      return bytes?.length === fixedLengthOf(type) ? bytes : undefined
    }
  }
}

/** Inverse of `valueFromJson`. */
export function valueToJson(type: PrimitiveType, value: PrimitiveValue): unknown {
  if (value === null) return null
  switch (type) {
    case 'date':
      return isoMicros(BigInt(value as number) * 86_400_000_000n).replace(/T.*$/, '')
    case 'time':
      return timeText(value as bigint)
    case 'timestamp':
      return isoMicros(value as bigint)
    case 'timestamptz':
      return `${isoMicros(value as bigint)}+00:00`
    case 'uuid':
      return uuidText(value as Uint8Array)
    default: {
      const decimal = decimalOf(type)
      if (decimal) return decimalText(value as bigint, decimal.scale)
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
    }
  }
}

/** The 16 bytes of `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, or `undefined`. */
export function uuidBytes(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(text)) return undefined
  return hexBytes(text.replaceAll('-', ''))
}

export function uuidText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Bytes of an even number of hexadecimal digits, or `undefined`. */
export function hexBytes(text: string): Uint8Array | undefined {
  return /^([0-9a-fA-F]{2})*$/.test(text) ? Uint8Array.from(Buffer.from(text, 'hex')) : undefined
}

function integerWithin(json: unknown, bits: bigint): bigint | undefined {
  if (typeof json !== 'bigint' && !Number.isSafeInteger(json)) return undefined
  const value = BigInt(json as number | bigint)
  return value >= -(1n << bits) && value < 1n << bits ? value : undefined
}
