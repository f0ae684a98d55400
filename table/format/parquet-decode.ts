/**
 * Thrift structures and column chunks of Parquet, decoded by hyparquet: pages to values and levels, before anything is
 * assembled of them. The only file that imports hyparquet; what the values mean is decided elsewhere.
 * Format: https://parquet.apache.org/docs/file-format/
 */
import { brotliDecompressSync, crc32, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parquetHeader } from 'hyparquet/src/column.js'
import { decompressPage } from 'hyparquet/src/datapage.js'
import { deltaBinaryUnpack, deltaByteArray, deltaLengthByteArray } from 'hyparquet/src/delta.js'
import { byteStreamSplit } from 'hyparquet/src/encoding.js'
import { readPlain } from 'hyparquet/src/plain.js'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import type { CompressionCodec, Compressors, DecodedArray, PageHeader, ParquetType } from 'hyparquet/src/types.js'
import type { DecodedValues } from './arrow-columns.ts'
import { lz4Block, lz4Hadoop } from './lz4.ts'
import { decodeHybrid } from './parquet-hybrid.ts'
import { snappyDecompress } from './snappy.ts'

/** Fields of a Thrift structure by number: `field_1`, …. Integers of 64 bits are bigint, binaries views of the bytes. */
export type ThriftStruct = { readonly [field: `field_${number}`]: unknown }

/** @throws {Error} when the bytes end early or are no compact Thrift. */
export const readThrift = (bytes: Uint8Array, offset: number): ThriftStruct =>
  deserializeTCompactProtocol({ view: viewOf(bytes), offset })

/** What decoding a column chunk needs to know of its leaf column. */
export interface LeafShape {
  /** `INT32`, `BYTE_ARRAY`, …. */
  readonly physical: string
  readonly typeLength: number | undefined
  /** Repetition of every node from the top-level column down to the leaf. */
  readonly path: readonly ('REQUIRED' | 'OPTIONAL' | 'REPEATED')[]
  readonly maxDefinition: number
  readonly maxRepetition: number
}

export interface ChunkShape {
  readonly codec: string
  /** Entries: values with nulls and empty lists. */
  readonly numValues: number
  readonly uncompressedBytes: number
}

/** A column chunk: levels of every entry, and the values of those that have one, page by page. */
export interface LeafColumn {
  readonly entries: number
  /** `undefined`: every entry has a value. */
  readonly definition: Uint8Array | undefined
  /** `undefined`: every entry starts a row. */
  readonly repetition: Uint8Array | undefined
  readonly pages: readonly DecodedValues[]
}

/**
 * @param bytes the whole column chunk, dictionary page first.
 * @throws {Error} when they are damaged, or encoded or compressed in a way that is not read; callers name the object.
 */
export function decodeChunk(bytes: Uint8Array, leaf: LeafShape, chunk: ChunkShape): LeafColumn {
  const reader = { view: viewOf(bytes), offset: 0 }
  const levels = new Levels(leaf, chunk.numValues)
  const pages: DecodedValues[] = []
  let dictionary: DecodedArray | undefined
  while (levels.entries < chunk.numValues) {
    const header = parquetHeader(reader)
    const start = reader.offset
    const { compressed_page_size: size, uncompressed_page_size: fullSize } = header
    if (!isCount(size) || start + size > bytes.length) throw new Error('a page ends after its chunk')
    if (!isCount(fullSize) || fullSize > chunk.uncompressedBytes) throw new Error('a page is larger than its chunk')
    reader.offset += size
    const compressed = bytes.subarray(start, reader.offset)
    if (header.crc !== undefined && crc32(compressed) !== header.crc >>> 0) throw new Error('a page fails its checksum')
    if (header.type === 'DICTIONARY_PAGE') dictionary = dictionaryOf(compressed, header, leaf, chunk)
    else if (header.type !== 'INDEX_PAGE') {
      const page = pageParts(compressed, header, leaf, chunk)
      if (!isCount(page.entries) || page.entries > chunk.numValues - levels.entries) {
        throw new Error(`a page of ${page.entries} values where ${chunk.numValues - levels.entries} are left`)
      }
      const present = levels.add(page)
      const values = valuesOf(page, leaf, present, dictionary)
      if (values.length !== present) throw new Error(`a page has ${values.length} of ${present} values`)
      pages.push(values)
    }
  }
  return levels.done(pages)
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** A data page taken apart, nothing decoded yet. Ranges are `[start, end)` of their bytes. */
interface PageParts {
  readonly entries: number
  readonly encoding: string
  readonly levels: Uint8Array
  readonly repetition: readonly [number, number]
  readonly definition: readonly [number, number]
  readonly values: Uint8Array
}

function pageParts(compressed: Uint8Array, header: PageHeader, leaf: LeafShape, chunk: ChunkShape): PageParts {
  const { data_page_header: v1, data_page_header_v2: v2, uncompressed_page_size: fullSize } = header
  if (v2 !== undefined) {
    const [repetitionEnd, size] = [v2.repetition_levels_byte_length, v2.definition_levels_byte_length]
    const end = repetitionEnd + size
    if (!isCount(repetitionEnd) || !isCount(size) || end > compressed.length || end > fullSize) {
      throw new Error('the levels of a page end after it')
    }
    const rest = compressed.subarray(end)
    const values = v2.is_compressed === false ? rest : inflate(rest, fullSize - end, chunk.codec)
    return {
      entries: v2.num_values,
      encoding: v2.encoding,
      levels: compressed,
      repetition: [0, repetitionEnd],
      definition: [repetitionEnd, end],
      values,
    }
  }
  if (v1 === undefined) throw new Error(`a page of the type ${header.type}`)
  const page = inflate(compressed, fullSize, chunk.codec)
  const view = viewOf(page)
  let at = 0
  const levels = (max: number, encoding: string): readonly [number, number] => {
    if (max === 0) return [at, at]
    if (encoding !== 'RLE') throw new Error(`levels encoded as ${encoding}`)
    const start = at + 4
    at = start + view.getUint32(at, true)
    if (at > page.length) throw new Error('the levels of a page end after it')
    return [start, at]
  }
  const repetition = levels(leaf.maxRepetition, v1.repetition_level_encoding)
  const definition = levels(leaf.maxDefinition, v1.definition_level_encoding)
  const { num_values: entries, encoding } = v1
  return { entries, encoding, levels: page, repetition, definition, values: page.subarray(at) }
}

const inflate = (bytes: Uint8Array, length: number, codec: string): Uint8Array =>
  // Some writers leave a page of no values without even an empty frame.
  length === 0 ? EMPTY : decompressPage(bytes, length, codec as CompressionCodec, COMPRESSORS)
const EMPTY = new Uint8Array(0)

function dictionaryOf(compressed: Uint8Array, header: PageHeader, leaf: LeafShape, chunk: ChunkShape): DecodedArray {
  const count = header.dictionary_page_header?.num_values
  // Of no type does a value take no byte, but booleans, which have no dictionary.
  if (!isCount(count) || count > chunk.uncompressedBytes) throw new Error(`a dictionary of ${String(count)} values`)
  return plainValues(inflate(compressed, header.uncompressed_page_size, chunk.codec), leaf, count)
}

function plainValues(page: Uint8Array, { physical, typeLength }: LeafShape, count: number): DecodedArray {
  const values = readPlain({ view: viewOf(page), offset: 0 }, physical as ParquetType, count, typeLength)
  // Byte strings are views that damaged lengths can lead out of their page; they grow, so the last one tells.
  const last: unknown = Array.isArray(values) ? values.at(-1) : undefined
  if (last instanceof Uint8Array && last.byteOffset + last.length > page.byteOffset + page.length) {
    throw new Error('a value ends after its page')
  }
  return values
}

function valuesOf(
  { values: page, encoding }: PageParts,
  leaf: LeafShape,
  count: number,
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
    case 'DELTA_BINARY_PACKED': {
      const values = leaf.physical === 'INT32' ? new Int32Array(count) : new BigInt64Array(count)
      deltaBinaryUnpack(reader, count, values)
      return values
    }
    case 'DELTA_LENGTH_BYTE_ARRAY':
    case 'DELTA_BYTE_ARRAY': {
      const values = new Array<Uint8Array>(count)
      if (encoding === 'DELTA_BYTE_ARRAY') deltaByteArray(reader, count, values)
      else deltaLengthByteArray(reader, count, values)
      return values
    }
    case 'BYTE_STREAM_SPLIT':
      return byteStreamSplit(reader, count, leaf.physical as ParquetType, leaf.typeLength)
  }
  throw new Error(`${leaf.physical} encoded as ${encoding}`)
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

/** The levels of all pages behind one another. Arrays are made when the first page needs them. */
class Levels {
  readonly #leaf: LeafShape
  readonly #length: number
  #definition: Uint8Array | undefined
  #repetition: Uint8Array | undefined
  entries = 0

  constructor(leaf: LeafShape, length: number) {
    this.#leaf = leaf
    this.#length = length
    if (length > MAX_ENTRIES) throw new Error(`a column chunk of ${length} values`)
  }

  /** @returns how many of the page's entries have a value. */
  add({ entries: count, levels, repetition, definition }: PageParts): number {
    const start = this.entries
    this.entries += count
    const { maxDefinition, maxRepetition } = this.#leaf
    if (maxRepetition > 0) {
      this.#repetition ??= new Uint8Array(this.#length)
      const page = this.#repetition.subarray(start, this.entries)
      decodeHybrid(levels, ...repetition, widthOf(maxRepetition), page)
      if (!page.every((level) => level <= maxRepetition)) throw new Error('a repetition level beyond the schema')
    }
    if (maxDefinition === 0) return count
    const page = new Uint8Array(count)
    decodeHybrid(levels, ...definition, widthOf(maxDefinition), page)
    let present = 0
    for (let index = 0; index < count; index++) {
      const level = page[index]!
      if (level === maxDefinition) present++
      else if (level > maxDefinition) throw new Error('a definition level beyond the schema')
    }
    if (present < count) this.#definition ??= new Uint8Array(this.#length).fill(maxDefinition, 0, start)
    this.#definition?.set(page, start)
    return present
  }

  done(pages: readonly DecodedValues[]): LeafColumn {
    return { entries: this.entries, definition: this.#definition, repetition: this.#repetition, pages }
  }
}

/** Arrow's offsets reach no further. */
const MAX_ENTRIES = 0x7fff_ffff
const widthOf = (level: number): number => 32 - Math.clz32(level)

const viewOf = (bytes: Uint8Array): DataView<ArrayBuffer> =>
  new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)

/** The page's size is the exact output size: zlib's default chunk would grow the output step by step. */
const sized = (length: number): { chunkSize: number; maxOutputLength: number } => ({
  chunkSize: Math.min(Math.max(64, length + 64), 1 << 24),
  maxOutputLength: length + 64,
})
const COMPRESSORS: Compressors = {
  ZSTD: (input, length) => zstdDecompressSync(input, sized(length)),
  GZIP: (input, length) => gunzipSync(input, sized(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, sized(length)),
  LZ4_RAW: lz4Block,
  LZ4: lz4Hadoop,
  // hyparquet's own goes round for ever on a literal whose four bytes of length are negative
  SNAPPY: snappyDecompress,
}
