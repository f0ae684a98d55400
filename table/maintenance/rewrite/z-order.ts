/**
 * Z-order keys: the bits of several columns interleaved, so that rows near one another in all of them come near one
 * another in the file, and filters on each column skip files.
 *
 * Each column gives 64 bits that rise with its value. The bits that the least and the greatest value of the group
 * share are left out first: dates of one year would otherwise use only the last of their bits, and the column with the
 * wider type would decide alone. Text counts with its first bytes. Null lies below every value.
 */
import type { RecordBatch } from 'apache-arrow'
import { valueAt } from '../../format/arrow-values.ts'
import type { Schema } from '../../spec/schema.ts'
import { fieldByName } from '../../spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../spec/types.ts'
import { KeyBuffer, type KeyMaker, leafOf, pathOf, writeValue } from './sort-key.ts'

/** Bytes that a column contributes. */
const COLUMN_BYTES = 8

/** Least and greatest value of each column in the rows to sort, as far as known. */
export type ColumnRanges = ReadonlyMap<number, { readonly lower: PrimitiveValue; readonly upper: PrimitiveValue }>

/** @param columns names of flat columns of `schema`. */
export function zorderKeyMaker(schema: Schema, columns: readonly string[], ranges: ColumnRanges): KeyMaker {
  const parts = columns.map((name) => {
    const field = fieldByName(schema, name)
    const type = field.type as PrimitiveType
    return { type, path: pathOf(schema, field.id), skipBits: sharedBits(type, ranges.get(field.id)) }
  })
  return (batch: RecordBatch) => {
    const leaves = parts.map((part) => ({ ...part, leaf: leafOf(batch, part.path) }))
    const scratch = new KeyBuffer()
    const words = leaves.map(() => 0n)
    return (row, out) => {
      leaves.forEach(({ leaf, type, skipBits }, index) => {
        const value = leaf.isValid(row) ? valueAt(type, leaf.data, row) : null
        words[index] = value === null ? 0n : bitsOf(type, value, skipBits, scratch)
      })
      interleave(words, out)
    }
  }
}

function sharedBits(type: PrimitiveType, range: { lower: PrimitiveValue; upper: PrimitiveValue } | undefined): number {
  if (range === undefined || range.lower === null || range.upper === null) return 0
  const [lower, upper] = [orderedBytes(type, range.lower), orderedBytes(type, range.upper)]
  for (let index = 0; index < Math.min(lower.length, upper.length); index++) {
    const difference = lower[index]! ^ upper[index]!
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24
  }
  return 0
}

function orderedBytes(type: PrimitiveType, value: PrimitiveValue): Uint8Array {
  const buffer = new KeyBuffer()
  writeValue(type, value, buffer)
  return buffer.bytes.subarray(0, buffer.length)
}

/** Sixty-four bits of the ordered bytes behind the first `skipBits`, raised by one where it can be: 0 is null. */
function bitsOf(type: PrimitiveType, value: PrimitiveValue, skipBits: number, scratch: KeyBuffer): bigint {
  scratch.length = 0
  writeValue(type, value, scratch)
  const from = skipBits >> 3
  let word = 0n
  for (let index = from; index <= from + COLUMN_BYTES; index++) {
    word = (word << 8n) | BigInt(index < scratch.length ? scratch.bytes[index]! : 0)
  }
  const bits = BigInt.asUintN(64, word >> BigInt(8 - (skipBits & 7)))
  return bits === 0n ? 1n : bits
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
