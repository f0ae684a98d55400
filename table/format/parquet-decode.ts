/**
 * Column chunks of Parquet: pages to values and levels, before anything is assembled of them. What the values mean is
 * decided elsewhere. Encodings that take more than a few lines are hyparquet's; no other file imports it.
 * Format: https://parquet.apache.org/docs/file-format/
 */
import { brotliDecompressSync, crc32, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { byteStreamSplit } from 'hyparquet/src/encoding.js'
import { readPlain } from 'hyparquet/src/plain.js'
import type { DecodedArray, ParquetType } from 'hyparquet/src/types.js'
import type { DecodedValues } from './arrow-columns.ts'
import { lz4Block, lz4Hadoop } from './lz4.ts'
import { deltaLengthStrings, deltaNumbers, deltaStrings } from './parquet-delta.ts'
import { decodeHybrid } from './parquet-hybrid.ts'
import { isPlausibleSize, type PageHeader, readPageHeader } from './parquet-page.ts'
import { snappyDecompress } from './snappy.ts'

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
  const levels = new Levels(leaf, chunk.numValues)
  const pages: DecodedValues[] = []
  let dictionary: DecodedArray | undefined
  let at = 0
  let fullBytes = 0
  while (levels.entries < chunk.numValues) {
    const header = readPageHeader(bytes, at)
    at = header.end
    fullBytes += header.fullSize
    if (fullBytes > chunk.uncompressedBytes) throw new Error('pages are larger than their chunk')
    // Pages of one chunk are held together: four times what one alone may claim.
    if (!isPlausibleSize(fullBytes / 4, bytes.length))
      throw new Error(`${fullBytes} bytes in a chunk of ${bytes.length}`)
    const compressed = bytes.subarray(header.start, header.end)
    if (header.checksum !== undefined && crc32(compressed) !== header.checksum) {
      throw new Error('a page fails its checksum')
    }
    if (header.kind === 'dictionary') dictionary = dictionaryOf(compressed, header, leaf, chunk)
    else if (header.kind === 'data') {
      if (header.count > chunk.numValues - levels.entries) {
        throw new Error(`a page of ${header.count} values where ${chunk.numValues - levels.entries} are left`)
      }
      const page = pageParts(compressed, header, leaf, chunk)
      const present = levels.add(page)
      const values = valuesOf(page, leaf, present, dictionary)
      if (values.length !== present) throw new Error(`a page has ${values.length} of ${present} values`)
      pages.push(values)
    }
  }
  return levels.done(pages)
}

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
  const { count: entries, encoding, fullSize, levels: apart } = header
  if (apart !== undefined) {
    const repetitionEnd = apart.repetition
    const end = repetitionEnd + apart.definition
    if (end > compressed.length || end > fullSize) throw new Error('the levels of a page end after it')
    const rest = compressed.subarray(end)
    const values = apart.isCompressed ? inflate(rest, fullSize - end, chunk.codec) : rest
    return {
      entries,
      encoding,
      levels: compressed,
      repetition: [0, repetitionEnd],
      definition: [repetitionEnd, end],
      values,
    }
  }
  const page = inflate(compressed, fullSize, chunk.codec)
  const view = viewOf(page)
  let at = 0
  const levels = (max: number, coding: string | undefined): readonly [number, number] => {
    if (max === 0) return [at, at]
    if (coding !== 'RLE') throw new Error(`levels encoded as ${String(coding)}`)
    const start = at + 4
    at = start + view.getUint32(at, true)
    if (at > page.length) throw new Error('the levels of a page end after it')
    return [start, at]
  }
  const repetition = levels(leaf.maxRepetition, header.repetitionEncoding)
  const definition = levels(leaf.maxDefinition, header.definitionEncoding)
  return { entries, encoding, levels: page, repetition, definition, values: page.subarray(at) }
}

function inflate(bytes: Uint8Array, length: number, codec: string): Uint8Array {
  // Some writers leave a page of no values without even an empty frame.
  if (length === 0) return EMPTY
  const decompress = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined
  if (decompress === undefined) throw new Error(`compressed with ${codec}`)
  const page = decompress(bytes, length)
  if (page.length !== length) throw new Error(`a page of ${page.length} bytes, expected ${length}`)
  return page
}
const EMPTY = new Uint8Array(0)

function dictionaryOf(compressed: Uint8Array, header: PageHeader, leaf: LeafShape, chunk: ChunkShape): DecodedArray {
  const { count, fullSize } = header
  // Nobody writes a value into it that no row has; those without a row would take memory for nothing.
  if (count > chunk.numValues) throw new Error(`a dictionary of ${count} values for ${chunk.numValues}`)
  return plainValues(inflate(compressed, fullSize, chunk.codec), leaf, count)
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

function plainValues(page: Uint8Array, { physical, typeLength }: LeafShape, count: number): DecodedArray {
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
    case 'DELTA_BINARY_PACKED':
      return deltaNumbers(page, count, leaf.physical !== 'INT32')
    case 'DELTA_LENGTH_BYTE_ARRAY':
      return deltaLengthStrings(page, count)
    case 'DELTA_BYTE_ARRAY':
      return deltaStrings(page, count)
    case 'BYTE_STREAM_SPLIT': {
      const width = PLAIN_WIDTHS[leaf.physical] ?? leaf.typeLength ?? 0
      if (!(width > 0) || count * width > page.length) throw new Error(`${count} values in ${page.length} bytes`)
      return byteStreamSplit(reader, count, leaf.physical as ParquetType, leaf.typeLength)
    }
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
const CODECS: Readonly<Record<string, (input: Uint8Array, length: number) => Uint8Array>> = {
  UNCOMPRESSED: (input) => input,
  SNAPPY: snappyDecompress,
  ZSTD: (input, length) => zstdDecompressSync(input, sized(length)),
  GZIP: (input, length) => gunzipSync(input, sized(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, sized(length)),
  LZ4_RAW: lz4Block,
  LZ4: lz4Hadoop,
}
