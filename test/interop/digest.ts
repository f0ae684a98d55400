/**
 * One digest for all engines: equal digests mean equal values, bit for bit, in every column.
 *
 * Each value becomes a text that no engine can print differently: integers, dates (days), times and timestamps
 * (microseconds) and unscaled decimals in decimal digits, floating point as the hexadecimal of its 64-bit form (any
 * NaN as `nan`, so that -0.0 differs from 0.0), text and bytes as hexadecimal, null as `null`. A column's digest is the
 * SHA-256 over its sorted texts; the digest `rows` is the same over whole rows, so that values that changed their row
 * are noticed. `digest.py` is the same in Python.
 */
import { createHash } from 'node:crypto'
import type { PrimitiveType, PrimitiveValue } from '../../table/spec/types.ts'

export interface Column {
  readonly name: string
  readonly type: PrimitiveType
}

/** What an engine must find in one snapshot. */
export interface Digests {
  readonly count: number
  /** By column name, and `rows`. */
  readonly sha256: Readonly<Record<string, string>>
}

export type Row = Readonly<Record<string, PrimitiveValue>>

export function canonicalText(type: PrimitiveType, value: PrimitiveValue): string {
  if (value === null) return 'null'
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

export function digestRows(columns: readonly Column[], rows: readonly Row[]): Digests {
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
