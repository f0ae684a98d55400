/** LZ4 as Parquet pages use it. Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */

/**
 * One LZ4 block (`LZ4_RAW`).
 * @throws {Error} when it is damaged or does not come to `length` bytes.
 */
export function lz4Block(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length)
  const written = decodeBlock(input, output, 0)
  if (written !== length) throw new Error(`an LZ4 block of ${written} bytes, expected ${length}`)
  return output
}

/**
 * The deprecated codec `LZ4`: Hadoop wraps blocks in frames of two big-endian lengths, other writers wrote a bare block.
 * @throws {Error} when it is neither.
 */
export function lz4Hadoop(input: Uint8Array, length: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const output = new Uint8Array(length)
  let read = 0
  let written = 0
  try {
    while (read < input.length) {
      const [size, packed] = [view.getUint32(read), view.getUint32(read + 4)]
      if (read + 8 + packed > input.length) throw new Error('an LZ4 frame ends after its page')
      const end = decodeBlock(input.subarray(read + 8, read + 8 + packed), output, written)
      if (end !== written + size) throw new Error('an LZ4 frame of another size')
      written = end
      read += 8 + packed
    }
    if (written === length) return output
  } catch {
    // Not framed: the block below says whether it is LZ4 at all.
  }
  return lz4Block(input, length)
}

/** @returns the end of what was written. */
function decodeBlock(input: Uint8Array, output: Uint8Array, start: number): number {
  let read = 0
  let written = start
  /** A length of 15 in the token goes on in bytes of 255. */
  const more = (length: number): number => {
    let total = length
    for (let byte = 255; length === 15 && byte === 255; total += byte) {
      if (read >= input.length) throw new Error('an LZ4 block is cut short')
      byte = input[read++]!
    }
    return total
  }
  while (read < input.length) {
    const token = input[read++]!
    const literals = more(token >> 4)
    if (read + literals > input.length || written + literals > output.length) {
      throw new Error('an LZ4 block has more literals than room')
    }
    output.set(input.subarray(read, read + literals), written)
    read += literals
    written += literals
    // The last sequence has literals alone.
    if (read >= input.length) break
    const distance = input[read]! | (input[read + 1]! << 8)
    read += 2
    const length = more(token & 15) + 4
    if (distance === 0 || written - distance < start || written + length > output.length) {
      throw new Error('an LZ4 block copies from or to outside of it')
    }
    // Byte by byte: a copy may overlap what it writes.
    for (let index = 0; index < length; index++, written++) output[written] = output[written - distance]!
  }
  return written
}
