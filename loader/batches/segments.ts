/**
 * Decoded rows that wait to be given out: pieces of a unit, in drawing order, each freed when its last row is copied.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { giveBackAll } from '../read/arena.ts'
import type { DecodedUnit } from '../read/decoder.ts'

/** The buffers of a column, looked up once. */
export interface ColumnView {
  /** Of texts and binaries: a `Buffer`, which copies from any memory at the same speed, and without a view for every value. */
  readonly values: ArrayBufferView | undefined
  readonly offsets: Int32Array | undefined
  /** Undefined: no nulls. */
  readonly bitmap: Uint8Array | undefined
  /** Of the first row, in bits: what bitmaps and booleans start with. */
  readonly firstBit: number
  /** Elements of the typed array that make one value. */
  readonly stride: number
  /** Of a struct its fields, of a list its elements, of a map its entries. */
  readonly children: readonly ColumnView[]
}

export interface Segment {
  readonly columns: readonly ColumnView[]
  readonly rows: number
  readonly bytes: number
  /** Rows that are not yet given out. */
  left: number
  /** Of this segment alone. */
  readonly buffers: readonly ArrayBuffer[]
  /** Gives back its shared values. */
  readonly giveBack: (() => void) | undefined
}

/** The segments of one unit. Batches without rows are left out. @param giveBack takes values that are shared memory. */
export function segmentsOf(batches: readonly RecordBatch[], giveBack?: DecodedUnit['giveBack']): Segment[] {
  const owners = new Map<ArrayBufferLike, number>()
  const buffersOf = batches.map((batch) => {
    const buffers = new Set<ArrayBufferLike>()
    for (const column of batch.data.children) addBuffers(column, buffers)
    for (const buffer of buffers) owners.set(buffer, (owners.get(buffer) ?? 0) + 1)
    return buffers
  })
  return batches.flatMap((batch, index) => {
    if (batch.numRows === 0) return []
    const shared = sharedBytes([batch])
    const buffers = [...buffersOf[index]!]
    const own = buffers.filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer)
    return {
      columns: batch.data.children.map((column) => viewOf(column)),
      rows: batch.numRows,
      left: batch.numRows,
      bytes: Math.ceil(own.reduce((sum, buffer) => sum + buffer.byteLength / owners.get(buffer)!, shared)),
      buffers: own.filter((buffer) => owners.get(buffer) === 1),
      giveBack: giveBack && shared > 0 ? () => giveBackAll([batch], giveBack) : undefined,
    }
  })
}

/**
 * Gives the memory back at once. Left to the garbage collector it would stay until the next full collection, which
 * does not hurry for bytes outside of its heap.
 */
export function releaseSegment(segment: Segment): void {
  for (const buffer of segment.buffers) if (!buffer.detached) buffer.transfer(0)
  segment.giveBack?.()
}

function sharedBytes(batches: readonly RecordBatch[]): number {
  let bytes = 0
  giveBackAll(batches, (values) => {
    bytes += values.byteLength
  })
  return bytes
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)

function viewOf(data: Data): ColumnView {
  const { nullCount } = data
  const isBytes = data.valueOffsets !== undefined && data.values instanceof Uint8Array
  return {
    values: isBytes ? bufferOf(data.values as Uint8Array) : (data.values as ArrayBufferView | undefined),
    offsets: data.valueOffsets as Int32Array | undefined,
    bitmap: nullCount === 0 ? undefined : data.nullBitmap,
    firstBit: data.offset,
    stride: data.stride,
    children: data.children.map((child) => viewOf(child as Data)),
  }
}

function addBuffers(data: Data, buffers: Set<ArrayBufferLike>): void {
  for (const part of [data.values, data.valueOffsets, data.nullBitmap] as (ArrayBufferView | undefined)[]) {
    if (part !== undefined && part !== null && part.byteLength > 0) buffers.add(part.buffer)
  }
  for (const child of data.children) addBuffers(child as Data, buffers)
}
