/** Steps of the file adapter that are about the file system rather than about objects. */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, mkdir, open, stat, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { GetOptions } from './object-store.ts'

/** Bytes between two looks at the abort signal. */
export const CHUNK_BYTES: number = 8 * 1024 * 1024

/** Give `temporary` a modification time behind that of `current`, also on file systems that keep whole seconds. */
export async function makeLater(temporary: string, current: BigIntStats | undefined): Promise<BigIntStats> {
  let stats = await stat(temporary, { bigint: true })
  for (let stepMillis = 1n; current !== undefined && stats.mtimeNs <= current.mtimeNs; stepMillis *= 10n) {
    const seconds = Number(current.mtimeMs + stepMillis) / 1000
    await utimes(temporary, seconds, seconds)
    stats = await stat(temporary, { bigint: true })
  }
  return stats
}

/** Bytes `[start, end)` of a file that has them. */
export async function readFully(
  file: FileHandle,
  start: number,
  end: number,
  { signal, into }: Pick<GetOptions, 'signal' | 'into'>,
): Promise<Uint8Array> {
  const length = end - start
  const bytes = into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length)
  let done = 0
  while (done < bytes.length) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(bytes, done, Math.min(CHUNK_BYTES, bytes.length - done), start + done)
    if (bytesRead === 0) throw new Error(`the file ended at ${start + done}, expected ${end} bytes`)
    done += bytesRead
  }
  return bytes
}

/** `mkdir -p` whose new directories survive a power failure. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let at = folder; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at))
}

/** Make the names in `folder` survive a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Gone again, with what was in it; or a platform that cannot sync directories (Windows).
    if (code !== 'ENOENT' && code !== 'EPERM' && code !== 'EISDIR' && code !== 'EINVAL') throw error
  } finally {
    await handle?.close()
  }
}
