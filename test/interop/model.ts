/**
 * What a table must hold, kept beside it: rows whose values are found by field id, so that a column that is renamed,
 * moved, dropped or added changes what a schema shows of them, but never the rows themselves.
 */
import type { RecordBatch } from 'apache-arrow'
import { columnFromValues } from '../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../table/format/arrow-take.ts'
import type { IcebergValue } from '../../table/format/arrow-values.ts'
import { fieldChain, type Schema } from '../../table/spec/schema.ts'
import {
  decimalOf,
  fixedLengthOf,
  type IcebergType,
  isPrimitive,
  type ListType,
  type MapType,
  type NestedField,
  type PrimitiveType,
  type PrimitiveValue,
} from '../../table/spec/types.ts'
import { canonicalText, type Row } from './digest.ts'

/** Structs by field id; lists; maps as entries. */
export type ModelValue = PrimitiveValue | readonly ModelValue[] | ModelRow
export interface ModelRow {
  readonly [fieldId: number]: ModelValue
}

/** The row as `schema` shows it. A field that did not exist when the row was written is null. */
export const rowUnder = (schema: Schema, row: ModelRow): Row<IcebergValue> => membersUnder(schema.fields, row)

const membersUnder = (fields: readonly NestedField[], members: ModelRow): { readonly [name: string]: IcebergValue } =>
  Object.fromEntries(fields.map(({ id, name, type }) => [name, valueUnder(type, members[id] ?? null)]))

function valueUnder(type: IcebergType, value: ModelValue): IcebergValue {
  if (value === null) return null
  // what was written as an int is a long since the column was promoted
  if (isPrimitive(type)) return type === 'long' ? BigInt(value as number) : (value as PrimitiveValue)
  if (type.type === 'struct') return membersUnder(type.fields, value as ModelRow)
  if (type.type === 'list') return (value as readonly ModelValue[]).map((item) => valueUnder(type.element, item))
  if (type.type === 'unsupported') throw new Error(`no value of ${type.name}`)
  const entries = value as readonly (readonly [ModelValue, ModelValue])[]
  return entries.map(([key, item]) => [valueUnder(type.key, key), valueUnder(type.value, item)])
}

/** A value of the row by field id, wherever it is inside of structs. */
export function fieldValue(schema: Schema, row: ModelRow, id: number): PrimitiveValue {
  let value: ModelValue = row
  for (const field of fieldChain(schema, id)!) value = value === null ? null : ((value as ModelRow)[field.id] ?? null)
  return value as PrimitiveValue
}

/** The rows as a writer takes them. */
export function batchUnder(schema: Schema, rows: readonly ModelRow[]): RecordBatch {
  const named = rows.map((row) => rowUnder(schema, row))
  const columns = schema.fields.map(({ name, type }) =>
    columnFromValues(
      type,
      named.map((row) => row[name]!),
      name,
    ),
  )
  return batchOfColumns(schema, columns, rows.length)
}

/** Of every table here: required, `long`, unique. */
export const KEY = 'key'

/** A row of `schema`; equal keys give equal rows. @param nulls: every column that may be null is. */
export function modelRow(schema: Schema, key: number, { nulls = false }: { readonly nulls?: boolean } = {}): ModelRow {
  const entries = schema.fields.map((field): [number, ModelValue] => {
    if (field.name === KEY) return [field.id, BigInt(key)]
    return [field.id, nulls && !field.required ? null : memberOf(field, key)]
  })
  return Object.fromEntries(entries)
}

/** Null now and then, at every depth, in another rhythm for every field. */
const memberOf = ({ id, type, required }: NestedField, key: number): ModelValue =>
  !required && (key + id) % 6 === 0 ? null : generated(type, id, key)

function generated(type: IcebergType, id: number, key: number): ModelValue {
  if (isPrimitive(type)) {
    const values = valuesOf(type)
    return values[(key * (1 + (id % 2)) + (key >> 3) + id) % values.length]!
  }
  switch (type.type) {
    case 'struct':
      return Object.fromEntries(type.fields.map((field) => [field.id, memberOf(field, key)]))
    case 'list':
      return Array.from({ length: (key + id) % 4 }, (_, index) => elementOf(type, key * 3 + index))
    case 'map':
      return entriesOf(type, id, key)
    default:
      throw new Error(`no value of ${type.name}`)
  }
}

const elementOf = (list: ListType, key: number): ModelValue =>
  memberOf({ id: list.elementId, name: 'element', required: list.elementRequired, type: list.element }, key)

function entriesOf(map: MapType, id: number, key: number): ModelValue {
  const entries = new Map<string, readonly [ModelValue, ModelValue]>()
  for (let index = 0; index < (key + id) % 4; index++) {
    const name = generated(map.key, map.keyId, key * 3 + index)
    const value = { id: map.valueId, name: 'value', required: map.valueRequired, type: map.value }
    const text = canonicalText(map.key, name as PrimitiveValue)
    entries.set(text, [name, memberOf(value, key * 3 + index)])
  }
  return [...entries.values()]
}

const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n
const MOMENTS = [
  0n,
  -1n,
  micros('2024-02-29T23:59:59.999Z') + 999n,
  micros('1969-12-30T01:00:00Z'),
  micros('2026-11-21T10:30:00Z') + 1n,
  micros('2026-11-22T00:00:00Z'),
]

const VALUES: Readonly<Partial<Record<PrimitiveType, readonly NonNullable<PrimitiveValue>[]>>> = {
  boolean: [true, false],
  int: [0, 1, -1, 2_147_483_647, -2_147_483_648, 34],
  long: [0n, -1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n, 9_007_199_254_740_993n, 34n],
  float: [0, -0, 1.5, Number.NaN, Infinity, Math.fround(1e-45), -Infinity],
  double: [-0, 0.1, Number.NaN, 5e-324, -Infinity, Infinity, 0, -2.5],
  date: [0, -1, 11_016, 20_778, 20_779, -36_525],
  time: [0n, 1n, 86_399_999_999n, 43_200_000_000n],
  timestamp: MOMENTS,
  timestamptz: MOMENTS,
  string: ['', 'plain', 'Łódź, 東京', '😀 and then some more text', '\uffff', 'quote " \' \\ \t %2F / end', 'plainer'],
  binary: [Buffer.from(''), Buffer.from('00', 'hex'), Buffer.from('ff'.repeat(20), 'hex'), Buffer.from('c3280001')],
  uuid: [
    Buffer.from('00000000000000000000000000000000', 'hex'),
    Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex'),
    Buffer.from('ffffffffffffffffffffffffffffffff', 'hex'),
    Buffer.from('8000000000000000000000000000007f', 'hex'),
  ],
}

function valuesOf(type: PrimitiveType): readonly NonNullable<PrimitiveValue>[] {
  const decimal = decimalOf(type)
  if (decimal) {
    const all = 10n ** BigInt(decimal.precision)
    // the least value, truncated, would have one digit more than the type: no engine has an answer to that
    return [0n, 1n, -1n, all - 1n, 1000n - all, 128n, -129n]
  }
  const length = fixedLengthOf(type)
  if (length !== undefined) return [Buffer.alloc(length), Buffer.alloc(length, 0xff), Buffer.alloc(length, 0x41)]
  return VALUES[type]!
}
