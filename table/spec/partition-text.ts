/** Partition values as text, as they stand in paths and tables of partitions. Spec: "Partition Transforms". */
import { decimalText } from './decimal.ts'
import { uuidText } from './json-value.ts'
import { isoMicros } from './timestamp.ts'
import { parseTransform, type Transform } from './transform.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from './types.ts'

/**
 * A partition value as Java prints it in a data file's path. Cosmetic: readers never parse it.
 * @param type of the value, which is the transform's result type.
 */
export function partitionValueToText(transform: Transform, type: PrimitiveType, value: PrimitiveValue): string {
  if (value === null) return 'null'
  switch (parseTransform(transform)?.kind) {
    case 'year':
      return fourDigits(1970 + Number(value))
    case 'month': {
      const month = Number(value)
      const year = Math.floor(month / 12)
      return `${fourDigits(1970 + year)}-${String(month - year * 12 + 1).padStart(2, '0')}`
    }
    case 'day':
      return isoDay(Number(value))
    case 'hour': {
      const hour = Number(value)
      const day = Math.floor(hour / 24)
      return `${isoDay(day)}-${String(hour - day * 24).padStart(2, '0')}`
    }
    default:
      return valueText(type, value)
  }
}

function valueText(type: PrimitiveType, value: PrimitiveValue): string {
  if (typeof value === 'bigint') {
    if (type === 'time') return shortTime(isoMicros(value).slice(11))
    if (type === 'timestamp') return isoTimestamp(value)
    if (type === 'timestamptz') return `${isoTimestamp(value)}Z`
    return decimalText(value, decimalOf(type)?.scale ?? 0)
  }
  if (type === 'date') return isoDay(Number(value))
  if (type === 'uuid') return uuidText(value as Uint8Array)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return Object.is(value, -0) ? '-0.0' : String(value)
}

const fourDigits = (year: number): string => String(year).padStart(4, '0')

const isoDay = (day: number): string => new Date(day * 86_400_000).toISOString().replace(/T.*$/, '')

function isoTimestamp(micros: bigint): string {
  const [day, time] = isoMicros(micros).split('T')
  return `${day}T${shortTime(time!)}`
}

/** Java leaves out seconds that are zero, and the fraction's last three digits. */
const shortTime = (time: string): string => time.replace(/(:00)?\.000000$/, '').replace(/(\.\d{3})000$/, '$1')
