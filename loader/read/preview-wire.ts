/** What crosses between this thread and the worker threads: columns as transferred buffers. */
import { type Schema as ArrowSchema, type Data, makeData, type RecordBatch } from 'apache-arrow'
import type { WireError } from '../../table/errors.ts'
import type { StoreOptions } from '../../table/index.ts'
import { batchOf } from '../batches/gather.ts'
import type { FileRef } from '../source/units.ts'

/** What a worker needs to open the table's folder again; plain data. */
export interface WorkerSetup {
  /** URL of the table's folder. */
  readonly storeUrl: string
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  /** The metadata's `location`. */
  readonly location: string
  /** `printSchema` of the columns that are read. */
  readonly schema: object
}

export type WorkerRequest =
  | { readonly type: 'decode'; readonly id: number; readonly file: FileRef; readonly rowGroup: number }
  | { readonly type: 'cancel'; readonly id: number }

export type WorkerReply =
  | { readonly id: number; readonly ok: true; readonly batch: WireBatch }
  | { readonly id: number; readonly ok: false; readonly error: WireError }

export interface WireBatch {
  readonly rows: number
  readonly columns: readonly WireColumn[]
}

interface WireColumn {
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | undefined
  readonly valueOffsets: Int32Array | undefined
  readonly values: ArrayBufferView
}

type Movable = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array

/**
 * The buffers of a batch as it was decoded (not of a slice), to be moved, not copied: the batch must not be used
 * afterwards.
 */
export function batchToWire(batch: RecordBatch): { readonly wire: WireBatch; readonly transfer: ArrayBuffer[] } {
  const buffers = new Set<ArrayBuffer>()
  const moved = <T extends Movable>(view: T): T => {
    // Of a buffer that others look into as well, only a copy can go.
    const own = view.byteLength === view.buffer.byteLength ? view : (view.slice() as T)
    buffers.add(own.buffer as ArrayBuffer)
    return own
  }
  const columns = batch.data.children.map((data: Data): WireColumn => {
    const { nullCount } = data
    return {
      nullCount,
      nullBitmap: nullCount === 0 ? undefined : moved(data.nullBitmap),
      valueOffsets: data.valueOffsets === undefined ? undefined : moved(data.valueOffsets as Int32Array),
      values: moved(data.values as Movable),
    }
  })
  return { wire: { rows: batch.numRows, columns }, transfer: [...buffers] }
}

/** Inverse of `batchToWire`, without a copy. */
export function batchFromWire(schema: ArrowSchema, { rows, columns }: WireBatch): RecordBatch {
  const children = columns.map(({ nullCount, nullBitmap, valueOffsets, values }, column): Data => {
    const validity = nullBitmap === undefined ? { nullCount } : { nullCount, nullBitmap }
    const offsets = valueOffsets === undefined ? {} : { valueOffsets }
    return makeData({ type: schema.fields[column]!.type, length: rows, data: values, ...offsets, ...validity } as never)
  })
  return batchOf(schema, children, rows)
}
