/**
 * Inflates a file or object of any size, block by block. The streams of node:zlib end where they stop to understand
 * their input and say nothing of what follows: whole records would be left out without a word.
 */
import { pipeline, Readable } from 'node:stream'
import { createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import type { Compression } from './inflate.ts'

const BLOCK_BYTES = 1024 * 1024

/**
 * @param from the compressed bytes from an offset on; nothing at their end. Asked again for what follows the end of
 *   the last gzip member or zstd frame.
 * @returns blocks of at most 1 MiB, then throws an `Error` when anything but the zeros that may pad gzip follows.
 */
export async function* inflateBlocks(
  from: (offset: number) => AsyncIterable<Uint8Array> | readonly Uint8Array[],
  compression: Compression,
): AsyncGenerator<Buffer, void, undefined> {
  const engine = inflater(compression)
  // An error of either ends both, and is thrown where the blocks are pulled; so does leaving the loop.
  yield* pipeline(Readable.from(from(0)), engine, () => {}) as AsyncIterable<Buffer>
  const end = engine.bytesWritten
  for await (const rest of from(end)) {
    if (compression === 'gzip' && rest.every((byte) => byte === 0)) continue
    throw new Error(`it ends at byte ${end}, and other bytes follow`)
  }
}

function inflater(compression: Compression): ReturnType<typeof createGunzip | typeof createZstdDecompress> {
  const options = { chunkSize: BLOCK_BYTES }
  if (compression === 'gzip') return createGunzip(options)
  return compression === 'zlib' ? createInflate(options) : createZstdDecompress(options)
}
