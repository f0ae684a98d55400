/**
 * Thrift's compact protocol, reading only, as Parquet's footers and page headers use it. Nothing is allocated by what a
 * length or a count claims, and nothing nests or goes on without end: the bytes may come from anyone.
 * Format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

/** Fields of a structure by number: `field_1`, …. Integers of 64 bits are bigint, binaries views of the bytes. */
export type ThriftStruct = { readonly [field: `field_${number}`]: unknown }

/** Parquet's own structures nest six deep. */
const MAX_DEPTH = 32
/** Bytes of an integer of 64 bits. */
const MAX_VARINT_BYTES = 10

const TYPE = { true: 1, false: 2, byte: 3, i16: 4, i32: 5, i64: 6, double: 7, binary: 8, list: 9, struct: 12 } as const

/** @returns `end`: where the structure ends. @throws {Error} when the bytes end early or are no compact Thrift. */
export function readThriftStruct(
  bytes: Uint8Array,
  offset: number,
): { readonly value: ThriftStruct; readonly end: number } {
  const reader = new ThriftReader(bytes, offset)
  const value = reader.struct(0)
  return { value, end: reader.offset }
}

class ThriftReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  offset: number

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
  }

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw new Error(`structures nested deeper than ${MAX_DEPTH}`)
    const value: { [field: `field_${number}`]: unknown } = {}
    let field = 0
    for (let header = this.#byte(); header !== 0; header = this.#byte()) {
      field = header >> 4 === 0 ? this.#int() : field + (header >> 4)
      const type = header & 15
      value[`field_${field}`] = type === TYPE.true ? true : type === TYPE.false ? false : this.#element(type, depth)
    }
    return value
  }

  #element(type: number, depth: number): unknown {
    switch (type) {
      // In a list a boolean is a byte.
      case TYPE.true:
      case TYPE.false:
        return this.#byte() === 1
      case TYPE.byte:
        return (this.#byte() << 24) >> 24
      case TYPE.i16:
      case TYPE.i32:
        return this.#int()
      case TYPE.i64:
        return this.#long()
      case TYPE.double: {
        const value = this.#view.getFloat64(this.offset, true)
        this.offset += 8
        return value
      }
      case TYPE.binary:
        return this.#binary()
      case TYPE.list:
        return this.#list(depth + 1)
      case TYPE.struct:
        return this.struct(depth + 1)
      default:
        throw new Error(`a Thrift value of the type ${type}`)
    }
  }

  #list(depth: number): readonly unknown[] {
    if (depth > MAX_DEPTH) throw new Error(`lists nested deeper than ${MAX_DEPTH}`)
    const header = this.#byte()
    const count = header >> 4 === 15 ? this.#unsigned() : header >> 4
    const left = this.#bytes.length - this.offset
    if (count > left) throw new Error(`a list of ${count} items in ${left} bytes`)
    const values: unknown[] = []
    for (let index = 0; index < count; index++) values.push(this.#element(header & 15, depth))
    return values
  }

  #binary(): Uint8Array {
    const length = this.#unsigned()
    const start = this.offset
    if (length > this.#bytes.length - start) {
      throw new Error(`a value of ${length} bytes where ${this.#bytes.length - start} are left`)
    }
    this.offset += length
    return this.#bytes.subarray(start, this.offset)
  }

  /** Zigzag, of which the lower 32 bits are kept. */
  #int(): number {
    let value = 0
    for (let shift = 0, count = 1; ; shift += 7, count++) {
      const byte = this.#byte()
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
      if (count === MAX_VARINT_BYTES) throw new Error('a number without end')
    }
  }

  /** A length or count, at least 2^32 for any that no value here has. */
  #unsigned(): number {
    let value = 0
    for (let shift = 0; shift < 7 * MAX_VARINT_BYTES; shift += 7) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new Error('a number without end')
  }

  #long(): bigint {
    let value = 0n
    for (let count = 0; count < MAX_VARINT_BYTES; count++) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << BigInt(7 * count)
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new Error('a number without end')
  }

  #byte(): number {
    const byte = this.#bytes[this.offset++]
    if (byte === undefined) throw new Error('a structure is cut short')
    return byte
  }
}
