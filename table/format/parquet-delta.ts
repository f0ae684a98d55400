/**
 * Parquet's delta encodings. What they claim leads neither out of the page nor to more memory than the page may stand
 * for.
 * Format: https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC
 */
import { isPlausibleSize } from './parquet-page.ts'

interface Reader {
  readonly bytes: Uint8Array
  offset: number
}

const readerOf = (bytes: Uint8Array): Reader => ({ bytes, offset: 0 })

/** Writers make blocks of 128 values. */
const MAX_BLOCK_VALUES = 1 << 16

/** `count` numbers of 32 or 64 bits. @throws {Error} when the page is damaged. */
export function deltaNumbers(page: Uint8Array, count: number, is64: boolean): Int32Array | BigInt64Array {
  const values = is64 ? new BigInt64Array(count) : new Int32Array(count)
  unpack(readerOf(page), count, values)
  return values
}

function unpack(reader: Reader, count: number, values: Int32Array | BigInt64Array): void {
  const block = unsigned(reader)
  const miniblocks = unsigned(reader)
  const total = unsigned(reader)
  const perMiniblock = block / miniblocks
  if (block > MAX_BLOCK_VALUES || !(perMiniblock >= 8) || perMiniblock % 8 !== 0) {
    throw new Error(`delta blocks of ${block} values in ${miniblocks} parts`)
  }
  if (total !== count) throw new Error(`${total} delta values, expected ${count}`)
  const first = zigzag(reader)
  const sums = values instanceof Int32Array ? sums32(values, first) : sums64(values, first)
  for (let filled = 1; filled < count; ) {
    const add = sums(zigzag(reader))
    const widths = reader.bytes.subarray(reader.offset, reader.offset + miniblocks)
    reader.offset += miniblocks
    for (const width of widths) {
      if (filled >= count) break
      const wanted = Math.min(perMiniblock, count - filled)
      // The last part may be cut behind the last value that counts.
      if (width > 64 || (reader.bytes.length - reader.offset) * 8 < wanted * width) {
        throw new Error('delta values end early')
      }
      for (let index = 0; index < wanted; index++) {
        const bit = index * width
        const low = bitsAt(reader.bytes, reader.offset, bit, Math.min(width, 32))
        add(filled++, low, width > 32 ? bitsAt(reader.bytes, reader.offset, bit + 32, width - 32) : 0)
      }
      reader.offset += (perMiniblock * width) / 8
    }
    if (widths.length < miniblocks) throw new Error('delta values end early')
  }
}

/** Adds a delta of 64 bits, in two halves, and the block's least to the value before. Sums wrap, as the format wants. */
type Add = (index: number, low: number, high: number) => void

function sums32(values: Int32Array, first: bigint): (least: bigint) => Add {
  if (values.length > 0) values[0] = Number(BigInt.asIntN(32, first))
  return (least) => {
    const least32 = Number(BigInt.asIntN(32, least))
    return (index, low) => {
      values[index] = values[index - 1]! + least32 + low
    }
  }
}

function sums64(values: BigInt64Array, first: bigint): (least: bigint) => Add {
  if (values.length > 0) values[0] = first
  return (least) => (index, low, high) => {
    const delta = high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low)
    values[index] = values[index - 1]! + least + delta
  }
}

/** `width` bits, 32 at most, lowest first, from bit `bit` behind byte `start`. What lies behind the bytes is zero. */
function bitsAt(bytes: Uint8Array, start: number, bit: number, width: number): number {
  const at = start + (bit >> 3)
  const shift = bit & 7
  let value = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> shift
  if (shift + width > 32) value |= bytes[at + 4]! << (32 - shift)
  return width === 32 ? value >>> 0 : value & ((1 << width) - 1)
}

function unsigned(reader: Reader): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = next(reader)
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return value
  }
  throw new Error('a number without end')
}

function zigzag(reader: Reader): bigint {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = next(reader)
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
  }
  throw new Error('a number without end')
}

function next(reader: Reader): number {
  const byte = reader.bytes[reader.offset++]
  if (byte === undefined) throw new Error('delta values end early')
  return byte
}

/** Fills `lengths` of the byte strings of a page; returns where their bytes begin. @throws {Error} as above. */
export function deltaLengths(page: Uint8Array, lengths: Int32Array): number {
  const reader = readerOf(page)
  unpack(reader, lengths.length, lengths)
  return reader.offset
}

/** `count` byte strings: lengths first, then all bytes. @throws {Error} when the page is damaged. */
export function deltaLengthStrings(page: Uint8Array, count: number): Uint8Array[] {
  const lengths = new Int32Array(count)
  return suffixes(page, deltaLengths(page, lengths), lengths)
}

/** `count` byte strings, each beginning with so many bytes of the one before. @throws {Error} as above. */
export function deltaStrings(page: Uint8Array, count: number): Uint8Array[] {
  const reader = readerOf(page)
  const [prefixes, lengths] = [new Int32Array(count), new Int32Array(count)]
  unpack(reader, count, prefixes)
  unpack(reader, count, lengths)
  const values = suffixes(page, reader.offset, lengths)
  let last = new Uint8Array(0)
  let total = 0
  for (let index = 0; index < count; index++) {
    const [prefix, suffix] = [prefixes[index]!, values[index]!]
    if (prefix < 0 || prefix > last.length) throw new Error(`a value takes ${prefix} of ${last.length} bytes over`)
    total += prefix + suffix.length
    if (!isPlausibleSize(total, page.length)) throw new Error(`values of ${total} bytes in a page of ${page.length}`)
    if (prefix > 0) {
      const value = new Uint8Array(prefix + suffix.length)
      value.set(last.subarray(0, prefix))
      value.set(suffix, prefix)
      values[index] = value
    }
    last = values[index] as Uint8Array<ArrayBuffer>
  }
  return values
}

function suffixes(page: Uint8Array, start: number, lengths: Int32Array): Uint8Array[] {
  let at = start
  return Array.from(lengths, (length) => {
    if (length < 0 || length > page.length - at) throw new Error('a value ends after its page')
    at += length
    return page.subarray(at - length, at)
  })
}
