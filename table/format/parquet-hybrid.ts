/**
 * Parquet's hybrid of run lengths and packed bits: levels, dictionary indexes, booleans. Never more than was asked for
 * comes out, whatever lengths damaged bytes claim.
 * Format: https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
 */

/** Dictionaries of more entries are not written by anybody. */
const MAX_WIDTH = 24

/**
 * Fills `output` from bytes `[start, end)`.
 * @param width bits of a value. @throws {Error} when the bytes end early.
 */
export function decodeHybrid(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  output: Uint8Array | Int32Array,
): void {
  if (width > MAX_WIDTH) throw new Error(`values of ${width} bits`)
  // No bits: every value is zero, and the output is that already.
  if (width === 0) return
  let at = start
  let filled = 0
  const next = (): number => {
    if (at >= end) throw new Error('a run of levels or indexes ends early')
    return bytes[at++]!
  }
  while (filled < output.length) {
    let header = 0
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
      if (shift > 28) throw new Error('a run without end')
      byte = next()
      header += (byte & 0x7f) * 2 ** shift
    }
    const size = Math.floor(header / 2)
    if (header % 2 === 0) {
      let value = 0
      for (let shift = 0; shift < width; shift += 8) value |= next() << shift
      const runEnd = Math.min(filled + size, output.length)
      output.fill(value, filled, runEnd)
      filled = runEnd
    } else {
      const runEnd = Math.min(filled + size * 8, output.length)
      const packedEnd = at + size * width
      unpack(bytes, at, Math.min(packedEnd, end), width, output, filled, runEnd)
      filled = runEnd
      at = packedEnd
    }
  }
}

function unpack(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  output: Uint8Array | Int32Array,
  from: number,
  to: number,
): void {
  // The last group may be cut behind the last value that counts.
  if ((end - start) * 8 < (to - from) * width) throw new Error('packed values end early')
  const mask = 2 ** width - 1
  let at = start
  let bits = 0
  let held = 0
  for (let index = from; index < to; index++) {
    while (held < width) {
      bits |= bytes[at++]! << held
      held += 8
    }
    output[index] = bits & mask
    bits >>>= width
    held -= width
  }
}
