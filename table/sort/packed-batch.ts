/** A batch of a sorted run as it is spilled: an Arrow IPC stream, compressed as a whole with zstd at its fastest. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { type RecordBatch, RecordBatchReader, RecordBatchStreamWriter } from 'apache-arrow'

const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

export interface PackedBatch {
  readonly bytes: Buffer
  /** Before compression; unpacking needs it. */
  readonly rawBytes: number
}

/** On this thread: memory that other threads allocate is not given back between batches. */
export function packBatch(batch: RecordBatch): PackedBatch {
  const writer = new RecordBatchStreamWriter()
  writer.reset(undefined, batch.schema)
  writer.write(batch)
  writer.finish()
  const raw = writer.toUint8Array(true)
  return { bytes: zstdCompressSync(raw, FASTEST), rawBytes: raw.length }
}

export function* unpackBatch(bytes: Uint8Array, rawBytes: number): Generator<RecordBatch, void, undefined> {
  const raw = zstdDecompressSync(bytes, { chunkSize: Math.max(64, rawBytes) })
  for (const batch of RecordBatchReader.from(raw)) if (batch.numRows > 0) yield batch
}
