/**
 * A digest of rows that does not depend on their order: each row gets a 128-bit hash over the typed values of all its
 * columns, and the hashes are added modulo 2^128. Equal digests and row counts mean that a rewrite lost, doubled and
 * changed no row; swapping values between rows changes it, since every row is mixed before it is added.
 *
 * It finds accidents, not forgeries: the hash is not cryptographic. Field ids are hashed with the values, so a value
 * that moved to another column is noticed, and so is null in place of empty.
 */
import { type Data, DataType, type RecordBatch } from 'apache-arrow'
import { FIELD_ID_KEY } from '../../format/arrow-schema.ts'
import { isValidAt } from '../../format/arrow-values.ts'

/** Four 32-bit lanes a value. */
type Lanes = Int32Array<ArrayBuffer>

export interface ContentDigest {
  readonly rows: number
  /** 32 hexadecimal digits. */
  readonly hash: string
}

export interface DigestCollector {
  add(batch: RecordBatch): void
  /** Of everything added so far. */
  digest(): ContentDigest
}

export function collectDigest(): DigestCollector {
  let rows = 0
  // a sum per lane: carries from one to the next are resolved when the digest is printed
  const sums = [0n, 0n, 0n, 0n]
  return {
    add(batch) {
      rows += batch.numRows
      const state = new Int32Array(batch.numRows * 4)
      batch.schema.fields.forEach((field, index) => {
        addColumn(state, batch.data.children[index] as Data, Number(field.metadata.get(FIELD_ID_KEY) ?? index + 1))
      })
      for (let start = 0; start < batch.numRows; start += EXACT_ROWS) {
        const totals = [0, 0, 0, 0]
        for (let row = start; row < Math.min(start + EXACT_ROWS, batch.numRows); row++) {
          mixLanes(state, row)
          for (let lane = 0; lane < 4; lane++) totals[lane] = totals[lane]! + (state[row * 4 + lane]! >>> 0)
        }
        for (let lane = 0; lane < 4; lane++) sums[lane] = sums[lane]! + BigInt(totals[lane]!)
      }
    },
    digest() {
      const total = sums.reduce((sum, lane, index) => sum + (lane << BigInt(32 * index)), 0n)
      return { rows, hash: BigInt.asUintN(128, total).toString(16).padStart(32, '0') }
    },
  }
}

export const sameContent = (a: ContentDigest, b: ContentDigest): boolean => a.rows === b.rows && a.hash === b.hash

/** So many 32-bit numbers add up exactly in a double. */
const EXACT_ROWS = 2 ** 20
const NULL_MARK = 0x6e756c6c

/** Adds the hash of each of the column's values to the state of its row. */
function addColumn(state: Lanes, data: Data, id: number): void {
  const hashes = hashColumn(data, id)
  for (let index = 0; index < state.length; index++) state[index] = (state[index]! + hashes[index]!) | 0
}

/** The hash of each value of a column or of a child of one. */
function hashColumn(data: Data, id: number): Lanes {
  const hashes = new Int32Array(data.length * 4)
  const { type } = data
  if (DataType.isStruct(type)) {
    type.children.forEach((field, index) => {
      addColumn(hashes, data.children[index] as Data, Number(field.metadata.get(FIELD_ID_KEY) ?? id * 31 + index))
    })
    for (let row = 0; row < data.length; row++) mixLanes(hashes, row)
  } else if (DataType.isList(type) || DataType.isMap(type)) hashLists(hashes, data, id)
  else if (DataType.isUtf8(type) || DataType.isBinary(type)) hashBytes(hashes, data, id)
  else hashFixed(hashes, data, id)
  if (data.nullCount > 0) hashNulls(hashes, data, id)
  return hashes
}

/** What lies under a null is no value: it must not count. */
function hashNulls(hashes: Lanes, data: Data, id: number): void {
  for (let row = 0; row < data.length; row++) {
    if (isValidAt(data, row)) continue
    hashes[row * 4] = NULL_MARK
    hashes[row * 4 + 1] = id
    hashes[row * 4 + 2] = 0
    hashes[row * 4 + 3] = 0
    mixLanes(hashes, row)
  }
}

function hashLists(hashes: Lanes, data: Data, id: number): void {
  const offsets = data.valueOffsets as Int32Array
  const first = offsets[0]!
  const child = data.children[0] as Data
  const elements = hashColumn(child.slice(first, offsets[data.length]! - first) as Data, id * 31 + 1)
  for (let row = 0; row < data.length; row++) {
    const start = offsets[row]! - first
    const end = offsets[row + 1]! - first
    hashes[row * 4] = id
    hashes[row * 4 + 1] = end - start
    mixLanes(hashes, row)
    for (let element = start; element < end; element++) {
      // mixed after each element: the order within a list counts
      for (let lane = 0; lane < 4; lane++)
        hashes[row * 4 + lane] = hashes[row * 4 + lane]! ^ elements[element * 4 + lane]!
      mixLanes(hashes, row)
    }
  }
}

function hashFixed(hashes: Lanes, data: Data, id: number): void {
  const { type, stride } = data
  if (DataType.isBool(type)) {
    for (let row = 0; row < data.length; row++) {
      const at = row + data.offset
      hashWords(hashes, row, id, 1, ((data.values as Uint8Array)[at >> 3]! >> (at & 7)) & 1, 0, 0, 0)
    }
    return
  }
  const values = data.values as Uint8Array
  const size = stride * values.BYTES_PER_ELEMENT
  if (DataType.isFloat(type)) {
    hashFloats(hashes, data, id)
    return
  }
  if (DataType.isFixedSizeBinary(type)) {
    hashFixedBytes(hashes, data, id, size)
    return
  }
  const words = new Int32Array(values.buffer, values.byteOffset, (data.length * size) >> 2)
  const width = size >> 2
  for (let row = 0; row < data.length; row++) {
    const at = row * width
    hashWords(
      hashes,
      row,
      id,
      size,
      words[at]!,
      width > 1 ? words[at + 1]! : 0,
      width > 2 ? words[at + 2]! : 0,
      width > 3 ? words[at + 3]! : 0,
    )
  }
}

/** Every NaN is one value: encoders may change its bits. */
function hashFloats(hashes: Lanes, data: Data, id: number): void {
  const values = data.values as Float64Array
  const float = new Float64Array(1)
  const words = new Int32Array(float.buffer)
  for (let row = 0; row < data.length; row++) {
    const value = values[row]!
    const isNan = Number.isNaN(value)
    float[0] = isNan ? 0 : value
    hashWords(hashes, row, id, isNan ? 3 : 8, words[0]!, words[1]!, 0, 0)
  }
}

function hashFixedBytes(hashes: Lanes, data: Data, id: number, size: number): void {
  const { buffer, byteOffset, byteLength } = data.values as Uint8Array
  const view = new DataView(buffer, byteOffset, byteLength)
  for (let row = 0; row < data.length; row++) hashRange(hashes, row, id, view, row * size, (row + 1) * size)
}

function hashBytes(hashes: Lanes, data: Data, id: number): void {
  const offsets = data.valueOffsets as Int32Array
  const { buffer, byteOffset, byteLength } = data.values as Uint8Array
  const view = new DataView(buffer, byteOffset, byteLength)
  for (let row = 0; row < data.length; row++) hashRange(hashes, row, id, view, offsets[row]!, offsets[row + 1]!)
}

function hashWords(
  out: Lanes,
  row: number,
  id: number,
  size: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  const at = row * 4
  out[at] = a ^ Math.imul(id, 0x9e3779b1)
  out[at + 1] = b ^ Math.imul(size + 1, 0x85ebca77)
  out[at + 2] = c ^ id
  out[at + 3] = d
  mixLanes(out, row)
}

/** Four independent lanes over 16 bytes at a time, then the rest. */
function hashRange(out: Lanes, row: number, id: number, view: DataView, start: number, end: number): void {
  let a = Math.imul(id, 0x9e3779b1)
  let b = end - start
  let c = 0x165667b1
  let d = id ^ 0x27d4eb2f
  let at = start
  for (; at + 16 <= end; at += 16) {
    a = step(a, view.getInt32(at, true), 0x239b961b)
    b = step(b ^ a, view.getInt32(at + 4, true), 0x2ab0e789)
    c = step(c ^ b, view.getInt32(at + 8, true), 0x38b34ae5)
    d = step(d ^ c, view.getInt32(at + 12, true), 0x21e39be9)
  }
  for (; at < end; at++) {
    a = step(a ^ d, view.getUint8(at) + 1, 0x239b961b)
    c = step(c ^ a, a, 0x38b34ae5)
  }
  out[row * 4] = a
  out[row * 4 + 1] = b
  out[row * 4 + 2] = c
  out[row * 4 + 3] = d
  mixLanes(out, row)
}

function step(state: number, word: number, factor: number): number {
  const mixed = Math.imul(word, factor)
  const next = state ^ Math.imul((mixed << 15) | (mixed >>> 17), 0xc2b2ae3d)
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0x561ccd1b) | 0
}

/** Lets every bit of the four lanes change every other: bijective, so nothing is lost. */
function mixLanes(lanes: Lanes, row: number): void {
  const at = row * 4
  let a = lanes[at]!
  let b = lanes[at + 1]!
  let c = lanes[at + 2]!
  let d = lanes[at + 3]!
  for (let round = 0; round < 2; round++) {
    a = finish(a + b + c + d + 0x52dce729)
    b = finish(b + a)
    c = finish(c + b)
    d = finish(d + c)
  }
  lanes[at] = a
  lanes[at + 1] = b
  lanes[at + 2] = c
  lanes[at + 3] = d
}

function finish(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
