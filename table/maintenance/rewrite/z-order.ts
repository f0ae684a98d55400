/**
 * Z-order keys: the bits of several columns interleaved, so that rows near one another in all of them come near one
 * another in the file, and filters on each column skip files.
 *
 * Each column gives 64 bits that rise with its value: where the value lies between the least and the greatest one of
 * the group. Without that, dates of one year would use only the last of their bits, and the column of the wider type
 * would decide alone. Text counts with its first eight bytes behind what all of it begins with. Null lies below every
 * value.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { leafColumn, leafValueAt } from '../../scan/columns.ts'
import { KeyBuffer, type KeyMaker, writeValue } from '../../sort/sort-key.ts'
import type { Schema } from '../../spec/schema.ts'
import { fieldByName } from '../../spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../spec/types.ts'

/** Bytes that a column contributes. */
const COLUMN_BYTES = 8

/** Least and greatest value of each column in the rows to sort, as far as known. */
export type ColumnRanges = ReadonlyMap<number, { readonly lower: PrimitiveValue; readonly upper: PrimitiveValue }>

/** @param columns names of flat columns of `schema`. */
export function zorderKeyMaker(schema: Schema, columns: readonly string[], ranges: ColumnRanges): KeyMaker {
  const parts = columns.map((name) => {
    const field = fieldByName(schema, name)
    const type = field.type as PrimitiveType
    return { type, id: field.id, scale: scaleOf(type, ranges.get(field.id)) }
  })
  return (batch: RecordBatch) => {
    const columns = batch.data.children as Data[]
    const leaves = parts.map((part) => ({ ...part, leaf: leafColumn(part.id, schema.fields, columns) }))
    const scratch = new KeyBuffer()
    const words = leaves.map(() => 0n)
    return (row, out) => {
      leaves.forEach(({ leaf, type, scale }, index) => {
        const value = leafValueAt(leaf, row)
        words[index] = value === null ? 0n : placeOf(type, value, scale, scratch)
      })
      interleave(words, out)
    }
  }
}

/** How the ordered bytes of a column's values become 64 bits. */
interface Scale {
  /** Bytes that all values begin with. */
  readonly skipBytes: number
  readonly least: bigint
  readonly span: bigint
  /** Leading zero bits of `span`. */
  readonly shift: bigint
}

const WHOLE: Scale = { skipBytes: 0, least: 0n, span: (1n << 64n) - 1n, shift: 0n }

function scaleOf(type: PrimitiveType, range: { lower: PrimitiveValue; upper: PrimitiveValue } | undefined): Scale {
  if (range === undefined || range.lower === null || range.upper === null) return WHOLE
  const scratch = new KeyBuffer()
  const lower = Uint8Array.from(orderedBytes(type, range.lower, scratch))
  const upper = orderedBytes(type, range.upper, scratch)
  let skipBytes = 0
  while (skipBytes < Math.min(lower.length, upper.length) && lower[skipBytes] === upper[skipBytes]) skipBytes++
  const least = wordAt(lower, skipBytes)
  const span = wordAt(upper, skipBytes) - least
  return span <= 0n ? { ...WHOLE, skipBytes } : { skipBytes, least, span, shift: BigInt(64 - span.toString(2).length) }
}

function orderedBytes(type: PrimitiveType, value: PrimitiveValue, scratch: KeyBuffer): Uint8Array {
  scratch.length = 0
  writeValue(type, value, scratch)
  return scratch.bytes.subarray(0, scratch.length)
}

/** Big-endian; bytes past the end are 0. */
function wordAt(bytes: Uint8Array, start: number): bigint {
  let word = 0n
  for (let index = start; index < start + COLUMN_BYTES; index++) word = (word << 8n) | BigInt(bytes[index] ?? 0)
  return word
}

/** At least 1: 0 is null. */
function placeOf(type: PrimitiveType, value: PrimitiveValue, scale: Scale, scratch: KeyBuffer): bigint {
  const { skipBytes, least, span, shift } = scale
  const above = wordAt(orderedBytes(type, value, scratch), skipBytes) - least
  const place = (above < 0n ? 0n : above > span ? span : above) << shift
  return place === 0n ? 1n : place
}

/** The first bit of every column, then the second of every column, and so on. */
function interleave(words: readonly bigint[], out: KeyBuffer): void {
  const at = out.reserve(words.length * COLUMN_BYTES)
  const { bytes } = out
  bytes.fill(0, at, out.length)
  const halves = words.flatMap((word) => [Number(word >> 32n), Number(word & 0xffff_ffffn)])
  let bit = 0
  for (let position = 0; position < 64; position++) {
    const half = position >> 5
    const shift = 31 - (position & 31)
    for (let column = 0; column < words.length; column++, bit++) {
      if (((halves[column * 2 + half]! >>> shift) & 1) === 1)
        bytes[at + (bit >> 3)] = bytes[at + (bit >> 3)]! | (0x80 >> (bit & 7))
    }
  }
}
