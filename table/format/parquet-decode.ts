/**
 * Column chunks of Parquet to values and levels, before anything is assembled of them. What the values mean is decided
 * elsewhere. Encodings that take more than a few lines are hyparquet's; no other file imports it.
 * Format: https://parquet.apache.org/docs/file-format/data-pages/encodings/
 */
import { byteStreamSplit } from 'hyparquet/src/encoding.js'
import { readPlain } from 'hyparquet/src/plain.js'
import type { DecodedArray, ParquetType } from 'hyparquet/src/types.js'
import type { DecodedValues } from './arrow-columns.ts'
import { deltaLengthStrings, deltaNumbers, deltaStrings } from './parquet-delta.ts'
import { decodeHybrid } from './parquet-hybrid.ts'
import {
  type ChunkLevels,
  type ChunkShape,
  type LeafShape,
  readPages,
  type ValuePage,
  viewOf,
} from './parquet-pages.ts'

/** A column chunk: levels of every entry, and the values of those that have one, page by page. */
export interface LeafColumn extends ChunkLevels {
  readonly pages: readonly DecodedValues[]
}

/** @throws {Error} as `readPages`. */
export function decodeChunk(bytes: Uint8Array, leaf: LeafShape, chunk: ChunkShape): LeafColumn {
  const pages: DecodedValues[] = []
  let dictionary: DecodedArray | undefined
  const levels = readPages(bytes, leaf, chunk, {
    dictionary: (page, count) => {
      dictionary = plainValues(page, leaf, count)
    },
    values: (page) => {
      const values = decodeValues(page, leaf, dictionary)
      if (values.length !== page.count) throw new Error(`a page has ${values.length} of ${page.count} values`)
      pages.push(values)
    },
  })
  return { ...levels, pages }
}

/** Bytes that a value takes at least. Booleans are packed. */
const PLAIN_WIDTHS: Readonly<Record<string, number>> = {
  INT32: 4,
  INT64: 8,
  INT96: 12,
  FLOAT: 4,
  DOUBLE: 8,
  BYTE_ARRAY: 4,
}

/** @throws {Error} when the page has not so many values. */
export function plainValues(page: Uint8Array, { physical, typeLength }: LeafShape, count: number): DecodedArray {
  // Numbers are taken from the buffer that the page lies in, which may well go on behind it.
  const width = PLAIN_WIDTHS[physical] ?? (physical === 'BOOLEAN' ? 1 / 8 : (typeLength ?? 0))
  if (!(width > 0) || count * width > page.length) throw new Error(`${count} values in a page of ${page.length} bytes`)
  const values = readPlain({ view: viewOf(page), offset: 0 }, physical as ParquetType, count, typeLength)
  // Byte strings are views that damaged lengths can lead out of their page; they grow, so the last one tells.
  const last: unknown = Array.isArray(values) ? values.at(-1) : undefined
  if (last instanceof Uint8Array && last.byteOffset + last.length > page.byteOffset + page.length) {
    throw new Error('a value ends after its page')
  }
  return values
}

/** @throws {Error} when the page is damaged, or encoded in a way that is not read. */
export function decodeValues(
  { bytes: page, encoding, count }: ValuePage,
  leaf: LeafShape,
  dictionary: DecodedArray | undefined,
): DecodedValues {
  if (count === 0) return []
  const reader = { view: viewOf(page), offset: 0 }
  switch (encoding) {
    case 'PLAIN':
      return plainValues(page, leaf, count)
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY': {
      if (dictionary === undefined) throw new Error('a page refers to a dictionary that is not there')
      const indexes = new Int32Array(count)
      decodeHybrid(page, 1, page.length, page[0] ?? 0, indexes)
      return lookUp(indexes, dictionary)
    }
    case 'RLE': {
      if (leaf.physical !== 'BOOLEAN') break
      const bits = new Uint8Array(count)
      decodeHybrid(page, 4, Math.min(4 + reader.view.getUint32(0, true), page.length), 1, bits)
      return Array.from(bits, (bit) => bit === 1)
    }
    case 'DELTA_BINARY_PACKED':
      if (leaf.physical !== 'INT32' && leaf.physical !== 'INT64') break
      return deltaNumbers(page, count, leaf.physical !== 'INT32')
    case 'DELTA_LENGTH_BYTE_ARRAY':
      if (leaf.physical !== 'BYTE_ARRAY') break
      return deltaLengthStrings(page, count)
    case 'DELTA_BYTE_ARRAY':
      return prefixedStrings(page, leaf, count)
    case 'BYTE_STREAM_SPLIT': {
      const width = PLAIN_WIDTHS[leaf.physical] ?? leaf.typeLength ?? 0
      if (!(width > 0) || count * width > page.length) throw new Error(`${count} values in ${page.length} bytes`)
      return byteStreamSplit(reader, count, leaf.physical as ParquetType, leaf.typeLength)
    }
  }
  throw new Error(`${leaf.physical} encoded as ${encoding}`)
}

function prefixedStrings(page: Uint8Array, { physical, typeLength }: LeafShape, count: number): Uint8Array[] {
  if (physical !== 'BYTE_ARRAY' && physical !== 'FIXED_LEN_BYTE_ARRAY') {
    throw new Error(`${physical} encoded as DELTA_BYTE_ARRAY`)
  }
  const values = deltaStrings(page, count)
  const odd = physical === 'BYTE_ARRAY' ? undefined : values.find((value) => value.length !== typeLength)
  if (odd !== undefined) throw new Error(`a value of ${odd.length} bytes, expected ${typeLength}`)
  return values
}

function lookUp(indexes: Int32Array, dictionary: DecodedArray): DecodedValues {
  const values = new (dictionary.constructor as ArrayConstructor)(indexes.length)
  for (let index = 0; index < indexes.length; index++) {
    const at = indexes[index]!
    if (at >= dictionary.length) throw new Error('a value is not in the dictionary')
    values[index] = dictionary[at]
  }
  return values
}
