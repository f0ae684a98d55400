/**
 * 64-bit Roaring bitmaps in their portable serialisation, read only: a map of 32-bit bitmaps by the upper half of
 * their values. Little-endian throughout. https://github.com/RoaringBitmap/RoaringFormatSpec
 */

/** Takes values in ascending order. @returns false to refuse them, which ends the reading. */
export interface RoaringSink {
  add(value: number): boolean
  /** @param end exclusive. */
  addRange(start: number, end: number): boolean
}

const COOKIE_NO_RUNS = 12_346
const COOKIE_WITH_RUNS = 12_347
/** With runs, a bitmap of fewer containers has no table of offsets. */
const OFFSETS_FROM = 4
const ARRAY_MAX = 4_096
const BITMAP_BYTES = 8_192
const TWO_32 = 2 ** 32

/**
 * Hands every value to `sink`. Nothing is allocated by what the bytes claim: counts are held against the bytes that
 * are left before anything is read.
 * @throws {Error} that says what is wrong; the caller names the object.
 */
export function readRoaring64(bytes: Uint8Array, sink: RoaringSink): void {
  const input = new Input(bytes)
  const bitmaps = input.u64()
  // Each takes its key and a cookie, at least.
  if (bitmaps > BigInt(Math.floor(input.left / 8))) throw new Error(`${bitmaps} bitmaps in ${input.left} bytes`)
  let last = -1
  for (let index = 0; index < Number(bitmaps); index++) {
    const key = input.u32()
    if (key <= last) throw new Error(`bitmap ${index} has key ${key} after ${last}`)
    last = key
    readBitmap(input, key * TWO_32, sink)
  }
  if (input.left > 0) throw new Error(`${input.left} bytes follow the last bitmap`)
}

interface ContainerHeader {
  readonly key: number
  readonly values: number
  readonly isRuns: boolean
}

function readBitmap(input: Input, base: number, sink: RoaringSink): void {
  let last = -1
  for (const header of readHeaders(input)) {
    if (header.key <= last) throw new Error(`container ${header.key} after ${last}`)
    last = header.key
    const start = base + header.key * 0x1_0000
    const read = header.isRuns ? readRuns : header.values <= ARRAY_MAX ? readArray : readBits
    const found = read(input, header.values, start, sink)
    if (found !== header.values) throw new Error(`a container of ${header.values} values has ${found}`)
  }
}

function readHeaders(input: Input): readonly ContainerHeader[] {
  const cookie = input.u32()
  const withRuns = (cookie & 0xffff) === COOKIE_WITH_RUNS
  if (!withRuns && cookie !== COOKIE_NO_RUNS) throw new Error(`unknown cookie ${cookie}`)
  const count = withRuns ? (cookie >>> 16) + 1 : input.u32()
  if (count > 0x1_0000 || count * 4 > input.left) throw new Error(`${count} containers in ${input.left} bytes`)
  const runs = withRuns ? input.take(Math.ceil(count / 8)) : undefined
  const headers = Array.from({ length: count }, (_, index): ContainerHeader => {
    const key = input.u16()
    const values = input.u16() + 1
    return { key, values, isRuns: runs !== undefined && (runs[index >> 3]! & (1 << (index & 7))) !== 0 }
  })
  // Containers follow one another, so their offsets tell nothing new.
  if (!withRuns || count >= OFFSETS_FROM) input.take(count * 4)
  return headers
}

function readArray(input: Input, count: number, start: number, sink: RoaringSink): number {
  let last = -1
  for (let index = 0; index < count; index++) {
    const value = input.u16()
    if (value <= last) throw new Error(`value ${value} after ${last}`)
    last = value
    if (!sink.add(start + value)) throw refused(start + value)
  }
  return count
}

function readBits(input: Input, _count: number, start: number, sink: RoaringSink): number {
  const bytes = input.take(BITMAP_BYTES)
  let found = 0
  for (let index = 0; index < BITMAP_BYTES; index++) {
    for (let bits = bytes[index]!; bits !== 0; bits &= bits - 1) {
      const value = start + index * 8 + (31 - Math.clz32(bits & -bits))
      if (!sink.add(value)) throw refused(value)
      found++
    }
  }
  return found
}

function readRuns(input: Input, _count: number, start: number, sink: RoaringSink): number {
  const runs = input.u16()
  let found = 0
  let last = -1
  for (let index = 0; index < runs; index++) {
    const from = input.u16()
    const end = from + input.u16() + 1
    if (from <= last || end > 0x1_0000) throw new Error(`run ${from} to ${end} after ${last}`)
    last = end - 1
    if (!sink.addRange(start + from, start + end)) throw refused(start + end - 1)
    found += end - from
  }
  return found
}

const refused = (value: number): Error => new Error(`value ${value} is out of range`)

class Input {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(length: number): Uint8Array {
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true)
  }

  #advance(length: number): number {
    if (length > this.left) throw new Error(`cut short at byte ${this.#bytes.length}`)
    const start = this.#at
    this.#at += length
    return start
  }
}
