/**
 * Snappy's raw format, decompressing only: manifests of foreign writers may use it. Every length and offset is checked
 * before it is used, for the bytes may come from anyone.
 */

/** Output per input byte that the format can reach: 64 bytes from a copy of two bytes and a tag. */
const MAX_RATIO = 64

/** @throws {Error} for bytes that are no complete snappy block. */
export function snappyDecompress(input: Uint8Array): Buffer {
  const { length, start } = preamble(input)
  const output = Buffer.allocUnsafe(length)
  let at = start
  let written = 0
  while (at < input.length) {
    const tag = input[at++]!
    if ((tag & 3) === 0) {
      const literal = literalLength(input, at, tag)
      at = literal.start
      if (literal.length > input.length - at || literal.length > length - written) throw new Error('a literal is cut')
      output.set(input.subarray(at, at + literal.length), written)
      at += literal.length
      written += literal.length
      continue
    }
    const offsetBytes = (tag & 3) === 3 ? 4 : tag & 3
    if (at + offsetBytes > input.length) throw new Error('a copy is cut')
    const size = offsetBytes === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const offset = littleEndian(input, at, offsetBytes) + (offsetBytes === 1 ? (tag >>> 5) * 256 : 0)
    at += offsetBytes
    if (offset === 0 || offset > written || size > length - written) throw new Error('a copy reaches outside')
    // Byte by byte where source and target overlap: that is how the format repeats.
    if (offset >= size) output.copyWithin(written, written - offset, written - offset + size)
    else for (let index = 0; index < size; index++) output[written + index] = output[written - offset + index]!
    written += size
  }
  if (written !== length) throw new Error(`${written} bytes instead of ${length}`)
  return output
}

function preamble(input: Uint8Array): { readonly length: number; readonly start: number } {
  let length = 0
  for (let start = 0; start < 5 && start < input.length; start++) {
    const byte = input[start]!
    length += (byte & 0x7f) * 2 ** (7 * start)
    if (byte >= 0x80) continue
    if (length > input.length * MAX_RATIO) throw new Error(`${length} bytes cannot come from ${input.length}`)
    return { length, start: start + 1 }
  }
  throw new Error('it has no length')
}

function literalLength(
  input: Uint8Array,
  at: number,
  tag: number,
): { readonly length: number; readonly start: number } {
  const short = tag >>> 2
  if (short < 60) return { length: short + 1, start: at }
  const bytes = short - 59
  if (at + bytes > input.length) throw new Error('a literal is cut')
  return { length: littleEndian(input, at, bytes) + 1, start: at + bytes }
}

function littleEndian(input: Uint8Array, at: number, bytes: number): number {
  let value = 0
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + input[at + index]!
  return value
}
