/**
 * Sorted runs on the local disk: packed batches one after another in a file. Where each one lies is kept in memory: a run lives no longer than its process.
 */
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../../errors.ts'
import { packBatch, unpackBatch } from '../../sort/packed-batch.ts'

interface Chunk {
  readonly start: number
  readonly lengthBytes: number
  readonly rawBytes: number
}

export interface SpilledRun {
  readonly path: string
  readonly chunks: readonly Chunk[]
}

export interface SpillFolder {
  /** Writes the batches as one run. */
  write(batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>): Promise<SpilledRun>
  /** The batches of a run; its file is removed when they were read to the end. */
  read(run: SpilledRun): AsyncGenerator<RecordBatch, void, undefined>
  /** Removes the folder with everything in it. */
  remove(): Promise<void>
}

/**
 * @param path of a folder that does not exist; it is made when the first run is written.
 * @throws {FirnError} from `write`: `FIRN_SPILL_FAILED` (unavailable), e.g. when the disk is full.
 */
export function openSpillFolder(path: string): SpillFolder {
  let runs = 0
  let isMade = false
  return {
    async write(batches) {
      try {
        if (!isMade) await mkdir(path, { recursive: true })
        isMade = true
        return await writeRun(join(path, `run-${runs++}`), batches)
      } catch (cause) {
        if (FirnError.is(cause) || (cause as { code?: string }).code === undefined) throw cause
        throw new FirnError('unavailable', 'FIRN_SPILL_FAILED', `sorted runs cannot be written to ${path}`, {
          cause,
          help: 'Give spillFolder a folder on a disk with room for the uncompressed rows of the largest group.',
        })
      }
    },
    read: readRun,
    remove: async () => {
      if (isMade) await rm(path, { recursive: true, force: true })
    },
  }
}

async function writeRun(
  path: string,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
): Promise<SpilledRun> {
  const file = await open(path, 'wx')
  try {
    const chunks: Chunk[] = []
    let start = 0
    for await (const batch of batches) {
      const { bytes, rawBytes } = packBatch(batch)
      await file.writeFile(bytes)
      chunks.push({ start, lengthBytes: bytes.length, rawBytes })
      start += bytes.length
    }
    return { path, chunks }
  } finally {
    await file.close()
  }
}

async function* readRun({ path, chunks }: SpilledRun): AsyncGenerator<RecordBatch, void, undefined> {
  const file = await open(path, 'r')
  try {
    for (const { start, lengthBytes, rawBytes } of chunks) {
      const bytes = Buffer.allocUnsafeSlow(lengthBytes)
      const { bytesRead } = await file.read(bytes, 0, lengthBytes, start)
      if (bytesRead !== lengthBytes) {
        throw new FirnError('failed', 'FIRN_SPILL_FAILED', `${path}: expected ${lengthBytes} bytes, got ${bytesRead}`)
      }
      yield* unpackBatch(bytes, rawBytes)
    }
  } finally {
    await file.close()
  }
  await rm(path, { force: true })
}
