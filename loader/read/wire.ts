/** What crosses between this thread and the worker threads: columns as transferred buffers. */
import {
  type Schema as ArrowSchema,
  Data,
  type DataType,
  type Field,
  makeData,
  RecordBatch,
  Struct,
} from 'apache-arrow'
import type { WireError } from '../../table/errors.ts'
import { isShared } from './arena.ts'
import type { DecodedUnit, ReadCounters, UnitRequest } from './decoder.ts'

export type WorkerRequest =
  | { readonly type: 'decode'; readonly id: number; readonly request: UnitRequest }
  | { readonly type: 'cancel'; readonly id: number }

export type WorkerReply =
  /** Once, first of all. */
  | { readonly type: 'ready' }
  | { readonly type: 'unit'; readonly id: number; readonly unit: WireUnit }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError; readonly counters: ReadCounters }

export interface WireUnit {
  readonly rows: number
  readonly draws: Uint32Array | undefined
  readonly segments: readonly WireBatch[]
  readonly counters: ReadCounters
}

interface WireBatch {
  readonly rows: number
  readonly columns: readonly WireColumn[]
}

interface WireColumn {
  readonly length: number
  readonly offset: number
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | undefined
  readonly valueOffsets: Int32Array | undefined
  readonly values: Movable | undefined
  readonly children: readonly WireColumn[]
}

type Movable = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array

/** The unit's buffers, to be moved, not copied, unless they are shared: its batches must not be used afterwards. */
export function unitToWire(unit: DecodedUnit): { readonly wire: WireUnit; readonly transfer: ArrayBuffer[] } {
  const buffers = new Set<ArrayBuffer>()
  const moved = <T extends Movable>(view: T): T => {
    if (isShared(view)) return view
    // Of a buffer that others look into as well, only a copy can go.
    const own = view.byteLength === view.buffer.byteLength ? view : (view.slice() as T)
    buffers.add(own.buffer as ArrayBuffer)
    return own
  }
  const column = (data: Data): WireColumn => ({
    length: data.length,
    offset: data.offset,
    nullCount: data.nullCount,
    nullBitmap: data.nullCount === 0 || data.nullBitmap === undefined ? undefined : moved(data.nullBitmap),
    valueOffsets: data.valueOffsets === undefined ? undefined : moved(data.valueOffsets as Int32Array),
    values: data.values === undefined ? undefined : moved(data.values as Movable),
    children: data.children.map((child) => column(child as Data)),
  })
  const segments = unit.segments.map(
    (batch): WireBatch => ({ rows: batch.numRows, columns: batch.data.children.map((data) => column(data as Data)) }),
  )
  const draws = unit.draws === undefined ? undefined : moved(unit.draws)
  return { wire: { rows: unit.rows, draws, segments, counters: unit.counters }, transfer: [...buffers] }
}

/** Inverse of `unitToWire`, without a copy. @param schema of its segments. */
export function unitFromWire(schema: ArrowSchema, { segments, ...unit }: WireUnit): DecodedUnit {
  const type = new Struct(schema.fields)
  return {
    ...unit,
    segments: segments.map(({ rows, columns }) => {
      const children = columns.map((column, index) => dataOf(schema.fields[index]!.type, column))
      return new RecordBatch(schema, makeData({ type, length: rows, nullCount: 0, children }))
    }),
  }
}

function dataOf(type: DataType, column: WireColumn): Data {
  const { length, offset, nullCount, valueOffsets, values, nullBitmap } = column
  const types = (type.children ?? []) as Field[]
  const children = column.children.map((child, index) => dataOf(types[index]!.type, child))
  return new Data(type, offset, length, nullCount, [valueOffsets, values, nullBitmap] as never, children)
}
