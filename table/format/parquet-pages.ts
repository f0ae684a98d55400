/**
 * Column chunks of Parquet as pages: headers checked, bytes decompressed, levels decoded. How values are encoded is
 * for others; whatever they make of a page, it went through the same checks here.
 * Format: https://parquet.apache.org/docs/file-format/
 */
import { brotliDecompressSync, crc32, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { lz4Block, lz4Hadoop } from './lz4.ts'
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
  /** Takes every page that was decompressed. */
  readonly inflated?: Uint8Array[]
}

/** The levels of every entry of a column chunk. */
export interface ChunkLevels {
  readonly entries: number
  /** `undefined`: every entry has a value. */
  readonly definition: Uint8Array | undefined
  /** `undefined`: every entry starts a row. */
  readonly repetition: Uint8Array | undefined
}

/** Takes the values of a column chunk, page by page. */
export interface ValueSink {
  /** @param count values of the dictionary that later pages refer to. */
  dictionary(page: Uint8Array, count: number): void
  /** @param definition level of every entry of the page; `undefined` when all of them have a value. */
  values(page: ValuePage, definition: Uint8Array | undefined): void
}

export interface ValuePage {
  readonly encoding: string
  readonly bytes: Uint8Array
  /** Values, nulls left out. */
  readonly count: number
}

/**
 * @param bytes the whole column chunk, dictionary page first.
 * @throws {Error} when they are damaged, or encoded or compressed in a way that is not read; callers name the object.
 */
export function readPages(bytes: Uint8Array, leaf: LeafShape, chunk: ChunkShape, sink: ValueSink): ChunkLevels {
  const levels = new Levels(leaf, chunk.numValues)
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
    if (header.kind === 'dictionary') {
      // Nobody writes a value into it that no row has; those without a row would take memory for nothing.
      if (header.count > chunk.numValues)
        throw new Error(`a dictionary of ${header.count} values for ${chunk.numValues}`)
      sink.dictionary(inflate(compressed, header.fullSize, chunk), header.count)
    } else if (header.kind === 'data') {
      if (header.count > chunk.numValues - levels.entries) {
        throw new Error(`a page of ${header.count} values where ${chunk.numValues - levels.entries} are left`)
      }
      const page = pageParts(compressed, header, leaf, chunk)
      const { present, definition } = levels.add(page)
      sink.values({ encoding: page.encoding, bytes: page.values, count: present }, definition)
    }
  }
  return levels.done()
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
    const values = apart.isCompressed ? inflate(rest, fullSize - end, chunk) : rest
    return {
      entries,
      encoding,
      levels: compressed,
      repetition: [0, repetitionEnd],
      definition: [repetitionEnd, end],
      values,
    }
  }
  const page = inflate(compressed, fullSize, chunk)
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

function inflate(bytes: Uint8Array, length: number, { codec, inflated }: ChunkShape): Uint8Array {
  // Some writers leave a page of no values without even an empty frame.
  if (length === 0) return EMPTY
  const decompress = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined
  if (decompress === undefined) throw new Error(`compressed with ${codec}`)
  const page = decompress(bytes, length)
  if (page.length !== length) throw new Error(`a page of ${page.length} bytes, expected ${length}`)
  // What is not compressed is a view of bytes that others look at.
  if (codec !== 'UNCOMPRESSED') inflated?.push(page)
  return page
}
const EMPTY = new Uint8Array(0)

/**
 * Gives the memory of `ChunkShape.inflated` back at once, not when the collector runs. Nothing may look at the pages any
 * more.
 */
export function releasePages(pages: readonly Uint8Array[]): void {
  for (const page of pages) {
    const { buffer, byteOffset, length } = page
    const isAlone = byteOffset === 0 && length > Buffer.poolSize && buffer.byteLength <= length + SLACK_BYTES
    if (isAlone && buffer instanceof ArrayBuffer) buffer.transfer(0)
  }
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

  /** @returns how many of the page's entries have a value, and which when not all of them. */
  add({ entries: count, levels, repetition, definition }: PageParts): {
    readonly present: number
    readonly definition: Uint8Array | undefined
  } {
    const start = this.entries
    this.entries += count
    const { maxDefinition, maxRepetition } = this.#leaf
    if (maxRepetition > 0) {
      this.#repetition ??= new Uint8Array(this.#length)
      const page = this.#repetition.subarray(start, this.entries)
      decodeHybrid(levels, ...repetition, widthOf(maxRepetition), page)
      if (!page.every((level) => level <= maxRepetition)) throw new Error('a repetition level beyond the schema')
    }
    if (maxDefinition === 0) return { present: count, definition: undefined }
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
    return { present, definition: present < count ? page : undefined }
  }

  done(): ChunkLevels {
    return { entries: this.entries, definition: this.#definition, repetition: this.#repetition }
  }
}

/** Arrow's offsets reach no further. */
const MAX_ENTRIES = 0x7fff_ffff
const widthOf = (level: number): number => 32 - Math.clz32(level)

export const viewOf = (bytes: Uint8Array): DataView<ArrayBuffer> =>
  new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)

const SLACK_BYTES = 64

/** The page's size is the exact output size: zlib's default chunk would grow the output step by step. */
const sized = (length: number): { chunkSize: number; maxOutputLength: number } => ({
  chunkSize: Math.min(length + SLACK_BYTES, 1 << 24),
  maxOutputLength: length + SLACK_BYTES,
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
