/**
 * Decoded rows that wait to be given out: pieces of a unit, in drawing order, each freed when its last row is copied.
 */
import type { Data, RecordBatch } from 'apache-arrow'

/** The buffers of a column, looked up once. */
export interface ColumnView {
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
}

/** The segments of one unit. Batches without rows are left out. */
export function segmentsOf(batches: readonly RecordBatch[]): Segment[] {
  const owners = new Map<ArrayBufferLike, number>()
  const buffersOf = batches.map((batch) => {
    const buffers = new Set<ArrayBufferLike>()
    for (const column of batch.data.children) addBuffers(column, buffers)
    for (const buffer of buffers) owners.set(buffer, (owners.get(buffer) ?? 0) + 1)
    return buffers
  })
  return batches.flatMap((batch, index) => {
    if (batch.numRows === 0) return []
    const buffers = [...buffersOf[index]!]
    const own = buffers.filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer)
    return {
      columns: batch.data.children.map((column) => viewOf(column)),
      rows: batch.numRows,
      left: batch.numRows,
      bytes: Math.ceil(buffers.reduce((sum, buffer) => sum + buffer.byteLength / owners.get(buffer)!, 0)),
      buffers: own.filter((buffer) => owners.get(buffer) === 1),
    }
  })
}

/**
 * Gives the memory back at once. Left to the garbage collector it would stay until the next full collection, which
 * does not hurry for bytes outside of its heap.
 */
export function releaseSegment(segment: Segment): void {
  for (const buffer of segment.buffers) if (!buffer.detached) buffer.transfer(0)
}

function viewOf(data: Data): ColumnView {
  const { nullCount } = data
  return {
    values: data.values as ArrayBufferView | undefined,
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
