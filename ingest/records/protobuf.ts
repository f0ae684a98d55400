/**
 * The fields of a protobuf message one after the other, without copying and without a schema: what opening an
 * aggregate needs, no more. Reads nothing outside its range, whatever the bytes.
 */

const VARINT = 0
const FIXED_64 = 1
const BYTES = 2
const START_GROUP = 3
const END_GROUP = 4
const FIXED_32 = 5

const MAX_VARINT_BYTES = 10
const MAX_TAG = 2 ** 32
/** As deep as Google's readers go. */
const MAX_GROUP_DEPTH = 100
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * ```ts
 * while (reader.next()) if (reader.isVarint(1)) use(reader.value)
 * if (reader.broken) …
 * ```
 */
export class ProtobufReader {
  /** Number of the current field. */
  field = 0
  wireType: number = VARINT
  /** Of a varint field; loses digits over 2^53. */
  value = 0
  /** Of a length-delimited field: where its bytes lie. */
  start = 0
  end = 0
  /** The message ended in the middle of a field, or holds what no field can be. */
  broken = false
  readonly #bytes: Uint8Array
  readonly #limit: number
  #at: number

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.byteLength) {
    this.#bytes = bytes
    this.#at = start
    this.#limit = end
  }

  /** On to the next field. False at the end of the message, and when it is broken. Fields of groups are left out. */
  next(): boolean {
    for (let depth = 0; !this.broken && this.#at < this.#limit; ) {
      const tag = this.#varint()
      if (this.broken || tag >= MAX_TAG || tag < 8) return this.#fail()
      this.field = Math.floor(tag / 8)
      this.wireType = tag % 8
      if (this.wireType === START_GROUP) {
        if (++depth > MAX_GROUP_DEPTH) return this.#fail()
      } else if (this.wireType === END_GROUP) {
        if (--depth < 0) return this.#fail()
      } else if (!this.#content()) return this.#fail()
      else if (depth === 0) return true
      if (depth > 0 && this.#at >= this.#limit) return this.#fail()
    }
    return false
  }

  isVarint(field: number): boolean {
    return this.field === field && this.wireType === VARINT
  }

  isBytes(field: number): boolean {
    return this.field === field && this.wireType === BYTES
  }

  /** The current length-delimited field as text; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    return UTF8.decode(this.#bytes.subarray(this.start, this.end))
  }

  #content(): boolean {
    switch (this.wireType) {
      case VARINT:
        this.value = this.#varint()
        return !this.broken
      case FIXED_64:
        return this.#skip(8)
      case FIXED_32:
        return this.#skip(4)
      case BYTES: {
        const length = this.#varint()
        if (this.broken) return false
        this.start = this.#at
        if (!this.#skip(length)) return false
        this.end = this.#at
        return true
      }
      default:
        return false
    }
  }

  #skip(bytes: number): boolean {
    if (bytes > this.#limit - this.#at) return false
    this.#at += bytes
    return true
  }

  /** Without bit operations, which end at 32 bits. */
  #varint(): number {
    let value = 0
    let factor = 1
    for (let index = 0; index < MAX_VARINT_BYTES && this.#at < this.#limit; index++) {
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
    this.broken = true
    return 0
  }

  #fail(): boolean {
    this.broken = true
    return false
  }
}
