/** Reads the primitives of Avro's binary encoding from one block, and never past its end. */

/** Thrown inside the decoder only; who knows the object's name turns it into `FIRN_AVRO_CORRUPT`. */
export class AvroDecodeError extends Error {}

const TWO_32 = 0x1_0000_0000

/**
 * A position in `bytes`. Reads that hit the end may look at one byte that is not there, which reads as 0 and ends any
 * number; the check that follows then refuses, so that the loops need no check of their own.
 */
export class AvroCursor {
  readonly bytes: Buffer
  position: number
  /** The last `long`, two's complement: kept as halves because most longs fit a number and bigint costs. */
  #high = 0
  #low = 0

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  get remaining(): number {
    return this.bytes.length - this.position
  }

  /** @throws {AvroDecodeError} when what was read or skipped last goes past the end. */
  check(): void {
    if (this.position > this.bytes.length || this.position < 0) throw new AvroDecodeError('it ends inside a value')
  }

  /** An `int` or `long` as the nearest number. */
  number(): number {
    const { bytes } = this
    const first = bytes[this.position]!
    if (first < 0x80) {
      this.position++
      return (first >>> 1) ^ -(first & 1)
    }
    const second = bytes[this.position + 1]!
    if (second < 0x80) {
      this.position += 2
      const value = (first & 0x7f) | (second << 7)
      return (value >>> 1) ^ -(value & 1)
    }
    this.#long()
    return this.#high * TWO_32 + this.#low
  }

  long(): bigint {
    this.#long()
    return (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  #long(): void {
    const { bytes } = this
    const start = this.position
    let position = start
    const parts: [number, number, number] = [0, 0, 0]
    for (let part = 0, shift = 0; ; ) {
      const byte = bytes[position++]!
      parts[part]! |= (byte & 0x7f) << shift
      if ((byte & 0x80) === 0) break
      if (position - start === 10) throw new AvroDecodeError('a number is longer than ten bytes')
      shift += 7
      if (shift === 28) {
        part++
        shift = 0
      }
    }
    this.position = position
    this.check()
    const [low28, middle28, high] = parts
    const low = low28 | (middle28 << 28)
    const top = (middle28 >>> 4) | (high << 24)
    const sign = -(low & 1)
    this.#low = (((low >>> 1) | (top << 31)) ^ sign) >>> 0
    this.#high = (top >>> 1) ^ sign
  }

  skipNumber(): void {
    const { bytes } = this
    const start = this.position
    let position = start
    while ((bytes[position++]! & 0x80) !== 0) {
      if (position - start === 10) throw new AvroDecodeError('a number is longer than ten bytes')
    }
    this.position = position
  }

  /** A length that what is left can hold. */
  length(): number {
    const length = this.number()
    if (length < 0 || length > this.remaining) {
      throw new AvroDecodeError(`a value of ${length} bytes where ${this.remaining} are left`)
    }
    return length
  }

  /** A view of the next `length` bytes, which the caller has checked or checks. */
  take(length: number): Buffer {
    const start = this.position
    this.position += length
    this.check()
    return this.bytes.subarray(start, this.position)
  }

  skip(length: number): void {
    this.position += length
    this.check()
  }

  string(): string {
    const length = this.length()
    const start = this.position
    this.position += length
    return this.bytes.toString('utf8', start, start + length)
  }

  /**
   * How many items follow in an array or map; 0 at its end. Each item is taken to need a byte: an item of none, which
   * no format here has, would let a small file ask for endless work.
   */
  blockCount(): number {
    let count = this.number()
    if (count < 0) {
      count = -count
      // The block's size in bytes, for readers that skip it unseen. Here every item is looked at.
      this.skipNumber()
    }
    if (count > this.remaining) throw new AvroDecodeError(`${count} items where ${this.remaining} bytes are left`)
    return count
  }
}
