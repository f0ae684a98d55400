/**
 * One digest for all engines: equal digests mean equal values, bit for bit, in every column.
 *
 * Each value becomes a text that no engine can print differently: integers, dates (days), times and timestamps
 * (microseconds) and unscaled decimals in decimal digits, floating point as the hexadecimal of its 64-bit form (any
 * NaN as `nan`, so that -0.0 differs from 0.0), text and bytes as hexadecimal, null as `null`; of a struct the texts of
 * its fields in their order, of a list those of its elements, of a map those of its entries, sorted. A column's digest
 * is the SHA-256 over its sorted texts; the digest `rows` is the same over whole rows, so that values that changed their
 * row are noticed. `digest.py` is the same in Python.
 */
import { createHash } from 'node:crypto'
import type { IcebergValue } from '../../table/format/arrow-values.ts'
import { type IcebergType, isPrimitive, type PrimitiveType, type PrimitiveValue } from '../../table/spec/types.ts'

export interface Column<Type extends IcebergType = IcebergType> {
  readonly name: string
  readonly type: Type
}
export type FlatColumn = Column<PrimitiveType>

/** What an engine must find in one snapshot. */
export interface Digests {
  readonly count: number
  /** By column name, and `rows`. */
  readonly sha256: Readonly<Record<string, string>>
  /** Where PyIceberg shows other values, see faults.ts. */
  readonly pyiceberg?: Digests
}

export type Row<Value extends IcebergValue = PrimitiveValue> = Readonly<Record<string, Value>>

export function canonicalText(type: IcebergType, value: IcebergValue): string {
  if (value === null) return 'null'
  if (!isPrimitive(type)) return nestedText(type, value)
  if (type === 'float' || type === 'double') {
    if (Number.isNaN(value)) return 'nan'
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value as number)
    return bytes.toString('hex')
  }
  if (typeof value === 'string') return `x${Buffer.from(value, 'utf8').toString('hex')}`
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`
  return String(value)
}

function nestedText(type: Exclude<IcebergType, PrimitiveType>, value: IcebergValue): string {
  if (type.type === 'struct') {
    const members = value as { readonly [field: string]: IcebergValue }
    return `{${type.fields.map((field) => canonicalText(field.type, members[field.name] ?? null)).join()}}`
  }
  if (type.type === 'list') {
    return `[${(value as readonly IcebergValue[]).map((item) => canonicalText(type.element, item)).join()}]`
  }
  if (type.type === 'unsupported') throw new Error(`no text for a ${type.name}`)
  const entries = value as readonly (readonly [IcebergValue, IcebergValue])[]
  const texts = entries.map(([key, item]) => `${canonicalText(type.key, key)}=${canonicalText(type.value, item)}`)
  return `<${texts.sort().join()}>`
}

export function digestRows(columns: readonly Column[], rows: readonly Row<IcebergValue>[]): Digests {
  const texts = columns.map(({ name, type }) => rows.map((row) => canonicalText(type, row[name] ?? null)))
  const lines = rows.map((_, index) => texts.map((column) => column[index]).join('\t'))
  const sha256 = Object.fromEntries(columns.map(({ name }, index) => [name, digestTexts(texts[index]!)]))
  return { count: rows.length, sha256: { ...sha256, rows: digestTexts(lines) } }
}

/** Of texts in any order. */
export function digestTexts(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of [...texts].sort()) hash.update(text).update('\n')
  return hash.digest('hex')
}
