/**
 * Thrift structures and column chunks of Parquet, decoded by hyparquet: pages to values and levels, before anything is
 * assembled of them. The only file that imports hyparquet; what the values mean is decided elsewhere.
 * Format: https://parquet.apache.org/docs/file-format/
 */
import { brotliDecompressSync, crc32, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parquetHeader } from 'hyparquet/src/column.js'
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js'
import { readPlain } from 'hyparquet/src/plain.js'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import type { ColumnDecoder, Compressors, DataPage, DecodedArray, PageHeader } from 'hyparquet/src/types.js'
import type { DecodedValues } from './arrow-columns.ts'
import { lz4Block, lz4Hadoop } from './lz4.ts'

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
  const decoder = decoderOf(leaf, chunk)
  const reader = { view: viewOf(bytes), offset: 0 }
  const levels = new Levels(leaf, chunk.numValues)
  const pages: DecodedValues[] = []
  let dictionary: DecodedArray | undefined
  while (levels.entries < chunk.numValues) {
    const header = parquetHeader(reader)
    const start = reader.offset
    reader.offset += header.compressed_page_size
    if (header.compressed_page_size < 0 || reader.offset > bytes.length) throw new Error('a page ends after its chunk')
    if (header.uncompressed_page_size > chunk.uncompressedBytes) throw new Error('a page is larger than its chunk')
    const compressed = bytes.subarray(start, reader.offset)
    if (header.crc !== undefined && crc32(compressed) !== header.crc >>> 0) throw new Error('a page fails its checksum')
    if (header.type === 'DICTIONARY_PAGE') dictionary = dictionaryOf(compressed, header, decoder, chunk)
    else if (header.type !== 'INDEX_PAGE') {
      const page = dataPageOf(compressed, header, decoder, chunk.numValues - levels.entries)
      const present = levels.add(page.definitionLevels, page.repetitionLevels, page.entries)
      if (page.dataPage.length !== present) throw new Error(`a page has ${page.dataPage.length} of ${present} values`)
      pages.push(page.byDictionary ? lookUp(page.dataPage, dictionary) : page.dataPage)
    }
  }
  return levels.done(pages)
}

function decoderOf(leaf: LeafShape, { codec }: ChunkShape): ColumnDecoder {
  // Annotations are left out: hyparquet would turn decimals into floats and timestamps into dates.
  const element = { name: '', type: leaf.physical, type_length: leaf.typeLength, repetition_type: leaf.path.at(-1) }
  const above = leaf.path.slice(0, -1).map((repetition) => ({ element: { name: '', repetition_type: repetition } }))
  const schemaPath = [{ element: { name: '' } }, ...above, { element }]
  return { type: leaf.physical, element, schemaPath, codec, compressors: COMPRESSORS } as unknown as ColumnDecoder
}

function dictionaryOf(
  compressed: Uint8Array,
  header: PageHeader,
  { type, element, codec }: ColumnDecoder,
  chunk: ChunkShape,
): DecodedArray {
  const count = header.dictionary_page_header?.num_values ?? -1
  if (count < 0 || count > chunk.uncompressedBytes) throw new Error(`a dictionary of ${count} values`)
  const page = decompressPage(compressed, header.uncompressed_page_size, codec, COMPRESSORS)
  const values = readPlain({ view: viewOf(page), offset: 0 }, type, count, element.type_length)
  checkWithin(values, page)
  return values
}

interface DecodedPage extends DataPage {
  readonly entries: number
  readonly byDictionary: boolean
}

function dataPageOf(compressed: Uint8Array, header: PageHeader, decoder: ColumnDecoder, left: number): DecodedPage {
  const { data_page_header: v1, data_page_header_v2: v2 } = header
  const entries = (v1 ?? v2)?.num_values ?? -1
  if (entries < 0 || entries > left) throw new Error(`a page of ${entries} values where ${left} are left`)
  const byDictionary = (v1 ?? v2)?.encoding.endsWith('_DICTIONARY') === true
  if (v2 !== undefined) return { ...readDataPageV2(compressed, header, decoder), entries, byDictionary }
  const page = decompressPage(compressed, header.uncompressed_page_size, decoder.codec, COMPRESSORS)
  const decoded = readDataPage(page, v1!, decoder)
  if (!byDictionary) checkWithin(decoded.dataPage, page)
  return { ...decoded, entries, byDictionary }
}

/** Byte strings are views that damaged lengths can lead out of their page; they grow, so the last one tells. */
function checkWithin(values: DecodedArray, page: Uint8Array): void {
  const last: unknown = Array.isArray(values) ? values.at(-1) : undefined
  if (!(last instanceof Uint8Array) || last.buffer !== page.buffer) return
  if (last.byteOffset + last.length > page.byteOffset + page.length) throw new Error('a value ends after its page')
}

function lookUp(indexes: DecodedArray, dictionary: DecodedArray | undefined): DecodedValues {
  if (dictionary === undefined && indexes.length > 0) throw new Error('a page refers to a dictionary that is not there')
  const values = new ((dictionary ?? []).constructor as ArrayConstructor)(indexes.length)
  for (let index = 0; index < indexes.length; index++) {
    const at = indexes[index] as number
    if (at >= dictionary!.length) throw new Error('a value is not in the dictionary')
    values[index] = dictionary![at]
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
    if (leaf.maxRepetition > 0) this.#repetition = new Uint8Array(length)
  }

  /** @returns how many of the page's entries have a value. */
  add(definition: ArrayLike<number> | undefined, repetition: ArrayLike<number>, count: number): number {
    const start = this.entries
    this.entries += count
    if (this.#repetition !== undefined && repetition.length > 0) this.#repetition.set(repetition, start)
    if (definition === undefined || definition.length === 0) {
      this.#definition?.fill(this.#leaf.maxDefinition, start, start + count)
      return count
    }
    let present = 0
    for (let index = 0; index < count; index++) if (definition[index] === this.#leaf.maxDefinition) present++
    if (present < count) this.#definition ??= new Uint8Array(this.#length).fill(this.#leaf.maxDefinition, 0, start)
    this.#definition?.set(definition, start)
    return present
  }

  done(pages: readonly DecodedValues[]): LeafColumn {
    return { entries: this.entries, definition: this.#definition, repetition: this.#repetition, pages }
  }
}

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
}
