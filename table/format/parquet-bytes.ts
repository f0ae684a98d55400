/**
 * Columns of strings and binaries without an object per value: where each row's bytes are in the decompressed pages.
 * From there they are copied once, into the batch that they come out in.
 */
import { type Data, makeData } from 'apache-arrow'
import type { NestedField } from '../spec/types.ts'
import { type DecodedValues, MAX_OFFSET, tooLarge, Validity } from './arrow-columns.ts'
import { arrowType } from './arrow-schema.ts'
import { decodeValues, plainValues } from './parquet-decode.ts'
import { deltaLengths } from './parquet-delta.ts'
import { decodeHybrid } from './parquet-hybrid.ts'
import { type ChunkShape, type LeafShape, readPages, type ValuePage, type ValueSink } from './parquet-pages.ts'
import type { ReadMemory } from './read-memory.ts'

/** The value of row `i` is `lengths[i]` bytes from `starts[i]` of page `pageOf[i]`; a null has no bytes. */
export interface ByteColumn {
  readonly pages: readonly Uint8Array[]
  readonly pageOf: Int32Array
  readonly starts: Int32Array
  readonly lengths: Int32Array
  /** Level 0 is a null. `undefined`: there is none. */
  readonly definition: Uint8Array | undefined
}

/** Whether `decodeByteColumn` reads the leaf: one value or null a row. */
export const isByteLeaf = ({ physical, path }: LeafShape): boolean =>
  path.length === 1 && path[0] !== 'REPEATED' && (physical === 'BYTE_ARRAY' || physical === 'FIXED_LEN_BYTE_ARRAY')

/** @param bytes the whole column chunk. @throws {Error} for the same bytes as `decodeChunk`. */
export function decodeByteColumn(bytes: Uint8Array, leaf: LeafShape, chunk: ChunkShape): ByteColumn {
  const sink = new ByteSink(leaf, chunk.numValues)
  const { definition } = readPages(bytes, leaf, chunk, sink)
  return { pages: sink.pages, pageOf: sink.pageOf, starts: sink.starts, lengths: sink.lengths, definition }
}

class ByteSink implements ValueSink {
  readonly #leaf: LeafShape
  readonly pages: Uint8Array[] = []
  readonly pageOf: Int32Array
  readonly starts: Int32Array
  readonly lengths: Int32Array
  #dictionary: { readonly page: number; readonly starts: Int32Array; readonly lengths: Int32Array } | undefined
  /** Rows so far. */
  #rows = 0

  constructor(leaf: LeafShape, rows: number) {
    this.#leaf = leaf
    this.pageOf = new Int32Array(rows)
    this.starts = new Int32Array(rows)
    this.lengths = new Int32Array(rows)
  }

  dictionary(bytes: Uint8Array, count: number): void {
    const starts = new Int32Array(count)
    const lengths = new Int32Array(count)
    const page = this.#plain(bytes, starts, lengths)
    this.#dictionary = { page, starts, lengths }
  }

  values(page: ValuePage, definition: Uint8Array | undefined): void {
    const from = this.#rows
    const to = from + page.count
    const starts = this.starts.subarray(from, to)
    const lengths = this.lengths.subarray(from, to)
    if (page.count > 0) this.pageOf.fill(this.#locate(page, starts, lengths), from, to)
    this.#rows = from + (definition?.length ?? page.count)
    if (definition !== undefined) this.#spread(from, page.count, definition)
  }

  /** @returns the page that the values are in. */
  #locate(page: ValuePage, starts: Int32Array, lengths: Int32Array): number {
    switch (page.encoding) {
      case 'PLAIN':
        return this.#plain(page.bytes, starts, lengths)
      case 'PLAIN_DICTIONARY':
      case 'RLE_DICTIONARY':
        return this.#lookUp(page, starts, lengths)
      case 'DELTA_LENGTH_BYTE_ARRAY':
        if (this.#leaf.physical !== 'BYTE_ARRAY') break
        locateBehind(page.bytes, deltaLengths(page.bytes, lengths), starts, lengths)
        return this.pages.push(page.bytes) - 1
    }
    return this.#copied(decodeValues(page, this.#leaf, undefined), starts, lengths)
  }

  #plain(page: Uint8Array, starts: Int32Array, lengths: Int32Array): number {
    if (this.#leaf.physical !== 'BYTE_ARRAY') {
      return this.#copied(plainValues(page, this.#leaf, starts.length), starts, lengths)
    }
    locatePlain(page, starts, lengths)
    return this.pages.push(page) - 1
  }

  #lookUp({ bytes, count }: ValuePage, starts: Int32Array, lengths: Int32Array): number {
    const dictionary = this.#dictionary
    if (dictionary === undefined) throw new Error('a page refers to a dictionary that is not there')
    const indexes = new Int32Array(count)
    decodeHybrid(bytes, 1, bytes.length, bytes[0] ?? 0, indexes)
    const { length } = dictionary.starts
    for (let index = 0; index < count; index++) {
      const at = indexes[index]!
      if (at >= length) throw new Error('a value is not in the dictionary')
      starts[index] = dictionary.starts[at]!
      lengths[index] = dictionary.lengths[at]!
    }
    return dictionary.page
  }

  /** Values that are made rather than found, laid end to end. */
  #copied(decoded: DecodedValues, starts: Int32Array, lengths: Int32Array): number {
    const values = decoded as readonly Uint8Array[]
    let total = 0
    for (const value of values) total += value.length
    if (total > MAX_OFFSET) throw new Error('a page of over 2 GiB')
    const bytes = new Uint8Array(total)
    let at = 0
    for (let index = 0; index < values.length; index++) {
      const value = values[index]!
      bytes.set(value, at)
      starts[index] = at
      lengths[index] = value.length
      at += value.length
    }
    return this.pages.push(bytes) - 1
  }

  /** Moves `count` values, which begin at row `from`, to the rows that have one: from the last, so that none is lost. */
  #spread(from: number, count: number, definition: Uint8Array): void {
    let value = from + count
    for (let row = from + definition.length - 1; row >= from; row--) {
      const isNull = definition[row - from] === 0
      if (!isNull) value--
      this.pageOf[row] = isNull ? 0 : this.pageOf[value]!
      this.starts[row] = isNull ? 0 : this.starts[value]!
      this.lengths[row] = isNull ? 0 : this.lengths[value]!
    }
  }
}

/** Each value stands behind its length of four bytes. */
function locatePlain(page: Uint8Array, starts: Int32Array, lengths: Int32Array): void {
  const end = page.length
  let at = 0
  for (let index = 0; index < starts.length; index++) {
    if (at + 4 > end) throw new Error(`${starts.length} values in a page of ${end} bytes`)
    const length = (page[at]! | (page[at + 1]! << 8) | (page[at + 2]! << 16) | (page[at + 3]! << 24)) >>> 0
    at += 4
    if (length > end - at) throw new Error('a value ends after its page')
    starts[index] = at
    lengths[index] = length
    at += length
  }
}

/** Values lie end to end from `start` on. */
function locateBehind(page: Uint8Array, start: number, starts: Int32Array, lengths: Int32Array): void {
  let at = start
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index]!
    if (length < 0 || length > page.length - at) throw new Error('a value ends after its page')
    starts[index] = at
    at += length
  }
}

/** Below, a loop is faster than a call that copies memory. */
const LOOP_BYTES = 48

/**
 * Rows of the column, in buffers of their own, or of `memory`.
 * @param rows `undefined`: all, as they stand. Whole columns are looked at and never come out, so that nobody could give
 *   their memory back: it is not of `memory`.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (failed).
 */
export function takeByteRows(
  column: ByteColumn,
  field: NestedField,
  rows: Int32Array | undefined,
  memory?: ReadMemory | undefined,
): Data {
  const { pages, pageOf, starts, lengths } = column
  const length = rows?.length ?? lengths.length
  const valueOffsets = new Int32Array(length + 1)
  let total = 0
  for (let index = 0; index < length; index++) {
    total += lengths[rows === undefined ? index : rows[index]!]!
    if (total > MAX_OFFSET) throw tooLarge(field.name)
    valueOffsets[index + 1] = total
  }
  // Not cleared: every byte is written below.
  const lent = rows === undefined ? undefined : memory?.values(total)
  const data = lent ?? new Uint8Array(Buffer.allocUnsafeSlow(total).buffer)
  // Not `set`, which needs a view for each value, and copies byte by byte where memory is shared.
  const target = bufferOf(data)
  const sources = pages.map(bufferOf)
  for (let index = 0; index < length; index++) {
    const row = rows === undefined ? index : rows[index]!
    const page = sources[pageOf[row]!]!
    const start = starts[row]!
    const size = lengths[row]!
    const to = valueOffsets[index]!
    if (size > LOOP_BYTES) page.copy(target, to, start, start + size)
    else for (let byte = 0; byte < size; byte++) data[to + byte] = page[start + byte]!
  }
  return makeData({
    type: arrowType(field.type, field.name),
    length,
    ...takeNulls(column.definition, rows, length),
    valueOffsets,
    data,
  } as never)
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)

function takeNulls(
  definition: Uint8Array | undefined,
  rows: Int32Array | undefined,
  length: number,
): ReturnType<Validity['done']> {
  if (definition === undefined) return { nullCount: 0 }
  const validity = new Validity(length)
  for (let index = 0; index < length; index++) {
    if (definition[rows === undefined ? index : rows[index]!] === 0) validity.setNull(index)
  }
  return validity.done()
}
