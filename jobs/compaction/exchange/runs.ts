/**
 * Sorted runs of rows in an exchange: Arrow batches, each compressed by itself, some of them to an object, so that
 * a merge reads one batch at a time by its range.
 */
import type { RecordBatch } from 'apache-arrow'
import { batchBytes, packBatch, unpackBatch } from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { Exchange } from './exchange.ts'

/** An object is written when it has this size: what of a run is in memory besides its rows. */
const OBJECT_BYTES = 8 * 1024 * 1024

/** `[start, lengthBytes, rawBytes, rows]` */
export type Block = readonly [number, number, number, number]

export interface RunObject {
  readonly key: string
  readonly blocks: readonly Block[]
}

/** Plain JSON. */
export interface SpilledRun {
  /** Runs are numbered in the order of the input: rows that sort alike come in this order. -1: a merged one. */
  readonly number: number
  readonly rows: number
  /** Of the rows in memory, and of the largest block. */
  readonly bytes: number
  readonly maxBlockBytes: number
  readonly objects: readonly RunObject[]
}

export async function writeRun(
  exchange: Exchange,
  name: string,
  number: number,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
  options: AbortableOptions,
): Promise<SpilledRun> {
  const objects: RunObject[] = []
  let parts: Buffer[] = []
  let blocks: Block[] = []
  let size = 0
  let rows = 0
  let bytes = 0
  let maxBlockBytes = 0
  const flush = async (): Promise<void> => {
    if (parts.length === 0) return
    const key = `${name}-${objects.length}.blocks`
    await exchange.put(key, parts.length === 1 ? parts[0]! : Buffer.concat(parts, size), options)
    objects.push({ key, blocks })
    parts = []
    blocks = []
    size = 0
  }
  for await (const batch of batches) {
    options.signal?.throwIfAborted()
    const { bytes: packed, rawBytes } = packBatch(batch)
    blocks.push([size, packed.length, rawBytes, batch.numRows])
    parts.push(packed)
    size += packed.length
    rows += batch.numRows
    bytes += batchBytes(batch)
    maxBlockBytes = Math.max(maxBlockBytes, rawBytes)
    if (size >= OBJECT_BYTES) await flush()
  }
  await flush()
  return { number, rows, bytes, maxBlockBytes, objects }
}

/** Block after block. @param drop says which rows of a block are left out, by the number of its first row. */
export async function* readRun(
  exchange: Exchange,
  run: SpilledRun,
  drop: (batch: RecordBatch, firstRow: number) => RecordBatch,
  options: AbortableOptions,
): AsyncGenerator<RecordBatch, void, undefined> {
  let firstRow = 0
  for (const { key, blocks } of run.objects) {
    for (const [start, lengthBytes, rawBytes, rows] of blocks) {
      options.signal?.throwIfAborted()
      const packed = await exchange.get(key, { start, end: start + lengthBytes }, options)
      for (const batch of unpackBatch(packed, rawBytes)) yield drop(batch, firstRow)
      firstRow += rows
    }
  }
}
