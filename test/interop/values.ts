/** Rows with the values that engines disagree on, and the tables they go into. */
import type { PartitionField } from '../../table/spec/partition.ts'
import type { NestedField, PrimitiveType, PrimitiveValue } from '../../table/spec/types.ts'
import type { Column, Row } from './digest.ts'

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n

/** Values of a column are taken in turn; lengths differ, so that rows combine them in many ways. */
const VALUES: Readonly<Record<string, readonly PrimitiveValue[]>> = {
  flag: [true, false, null],
  small: [0, 1, -1, 2_147_483_647, -2_147_483_648, null, 34],
  large: [0n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n, null, 9_007_199_254_740_993n],
  single: [0, -0, 1.5, Number.NaN, Infinity, -Infinity, Math.fround(1e-45), Math.fround(3.4028234e38), null],
  double: [-0, 0.1, Number.NaN, null, 5e-324, 1.7976931348623157e308, -Infinity, Infinity, 0, -2.5, 1e100],
  // 1970-01-01, the day before, a leap day, before the Gregorian calendar, the first and the last day of four digits
  day: [0, -1, 11_016, -141_428, null, -719_162, 2_932_896, 20_778],
  time: [0n, 1n, 86_399_999_999n, null, 43_200_000_000n],
  local: [0n, -1n, null, micros('1969-12-31T23:00:00Z'), micros('2026-11-21T10:30:00Z') + 999n],
  instant: [
    0n,
    -1n,
    -3_600_000_001n,
    micros('2024-02-29T23:59:59.999Z') + 999n,
    micros('2026-11-21T00:00:00Z'),
    null,
    micros('1582-10-04T12:00:00Z'),
    micros('9999-12-31T23:59:59Z'),
    micros('2026-11-21T23:00:00Z'),
    micros('0001-01-01T00:00:00Z'),
    -86_400_000_000n,
  ],
  text: [
    '',
    'plain',
    'Łódź, 東京',
    null,
    // beyond U+FFFF: sorts after U+FFFF by code point, before it by UTF-16 unit
    '😀 and then some more text',
    '\uffff'.repeat(20),
    // truncated upper bounds: no position can be incremented; a step over the surrogates
    '\u{10ffff}'.repeat(20),
    '\ud7ff'.repeat(20),
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab',
    'quote " apostrophe \' backslash \\ tab \t line \n percent %2F slash / end',
    'e\u0301 is not é',
  ],
  bytes: [hex(''), hex('00'), hex('ff'.repeat(20)), null, hex('c3280001fe')],
  fixed: [hex('0000000000'), hex('ffffffffff'), null, hex('0102030405')],
  dec9: [0n, 1n, -1n, 999_999_999n, -999_999_999n, null, 12_345n],
  dec18: [0n, -1n, 999_999_999_999_999_999n, null, -999_999_999_999_999_999n],
  dec38: [0n, -1n, 10n ** 38n - 1n, null, 1n - 10n ** 38n, 128n, -129n],
}

const TYPES: Readonly<Record<string, PrimitiveType>> = {
  flag: 'boolean',
  small: 'int',
  large: 'long',
  single: 'float',
  double: 'double',
  day: 'date',
  time: 'time',
  local: 'timestamp',
  instant: 'timestamptz',
  text: 'string',
  bytes: 'binary',
  fixed: 'fixed[5]',
  dec9: 'decimal(9, 2)',
  dec18: 'decimal(18, 4)',
  dec38: 'decimal(38, 10)',
}

/** Required, unique over the whole table. */
export const KEY = 'key'

export interface InteropTable {
  readonly name: string
  readonly fields: readonly NestedField[]
  readonly partition: readonly PartitionField[]
  /** Engines that cannot read it, whoever wrote it. */
  readonly without?: readonly string[]
}

// Field ids leave gaps and are not in column order: readers must go by id.
const fieldsOf = (names: readonly string[]): readonly NestedField[] => [
  { id: 7, name: KEY, required: true, type: 'long' },
  ...names.map((name, index) => ({ id: 100 - 3 * index, name, required: false, type: TYPES[name]! })),
]

const EVERY_TYPE = Object.keys(TYPES).filter((name) => name !== 'time')

function table(name: string, partition: readonly string[], columns: readonly string[] = EVERY_TYPE): InteropTable {
  const fields = fieldsOf(columns)
  return {
    name: `interop.${name}`,
    fields,
    partition: partition.map((text, index) => {
      const [column, transform] = text.split(' ') as [string, string]
      const { id } = fields.find((field) => field.name === column)!
      const suffix = transform === 'identity' ? '' : `_${transform}`
      return { sourceId: id, fieldId: 1000 + index, name: `${column}${suffix}`, transform }
    }),
  }
}

export const TABLES: readonly InteropTable[] = [
  table('unpartitioned', []),
  table('by_day', ['instant day']),
  table('by_day_of_date', ['day day']),
  table('by_hour', ['instant hour']),
  table('by_month_and_text', ['local month', 'text identity']),
  table('by_value', ['flag identity', 'small identity', 'dec9 identity']),
  table('by_wide_value', ['large identity', 'dec38 identity']),
  table('by_instant_and_bytes', ['instant identity', 'bytes identity']),
  // Spark 3.5 has no type for a time of day and refuses the table
  { ...table('times', ['instant month'], ['time', 'text', 'instant']), without: ['spark'] },
]

/** Rows `[start, end)` of a table; equal numbers give equal rows. */
export function rowsBetween(columns: readonly Column[], start: number, end: number): Row[] {
  return Array.from({ length: end - start }, (_, index) => {
    const key = start + index
    const cells = columns.map(({ name }, column): [string, PrimitiveValue] => {
      if (name === KEY) return [name, BigInt(key)]
      const values = VALUES[name]!
      // a stride per column, else columns with as many values would always show the same pairs
      return [name, values[(key * (1 + (column % 2)) + (key >> 4) * column) % values.length]!]
    })
    return Object.fromEntries(cells)
  })
}

/** Rows that leave a file nothing to bound: only nulls, only NaN. */
export function rowsWithoutBounds(columns: readonly Column[], start: number, count: number): Row[] {
  return Array.from({ length: count }, (_, index) => ({
    ...Object.fromEntries(columns.map(({ name }): [string, PrimitiveValue] => [name, null])),
    ...(columns.some(({ name }) => name === 'double') ? { single: Number.NaN, double: Number.NaN } : {}),
    [KEY]: BigInt(start + index),
  }))
}
