/**
 * Compressed bytes to plain ones, never more of them than the caller allows. The form is told by its first bytes only:
 * names and content types are wrong too often, and no JSON text begins like any of the three.
 */
import { constants, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'

export type Compression = 'gzip' | 'zlib' | 'zstd'

export type Inflated =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** `overflow`: there is more than `maxBytes`; else the bytes are damaged or cut. */
  | { readonly ok: false; readonly overflow: boolean; readonly message: string }

/** RFC 8878 asks every decoder for a window of 8 MiB; node allows 128 MiB, which a frame of ten bytes can ask for. */
const MIN_WINDOW_LOG = 23
const MAX_WINDOW_LOG = 27

/** @returns what `bytes` are compressed with, `undefined` when they are not. */
export function sniffCompression(bytes: Uint8Array): Compression | undefined {
  const [a, b] = bytes
  if (a === 0x1f && b === 0x8b) return 'gzip'
  if (a === 0x28 && b === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd) return 'zstd'
  // Method 8 in a window of 32 kB, and the check bits of the header: of the bytes after an "x" one in 31 has them.
  // 0x20 asks for a dictionary, which nobody could have
  if (a === 0x78 && b !== undefined && (0x7800 + b) % 31 === 0 && (b & 0x20) === 0) return 'zlib'
  return undefined
}

/**
 * All members of a gzip file and all frames of a zstd file count; anything else behind the end is refused, as is an
 * end that is missing. Takes about twice `maxBytes` at most, and the window of zstd (8 MiB, or `maxBytes`).
 */
export function inflate(bytes: Uint8Array, compression: Compression, maxBytes: number): Inflated {
  try {
    const { buffer, engine } = inflateAll(bytes, compression, Math.max(maxBytes, 1))
    if (buffer.byteLength > maxBytes) return overflow(maxBytes)
    // zlib stops at the end of what it understands, and does not mind what follows.
    const rest = bytes.subarray(engine.bytesWritten)
    const padding = compression === 'gzip' && rest.every((byte) => byte === 0)
    if (rest.byteLength > 0 && !padding) return broken(`${rest.byteLength} bytes follow its end`)
    return { ok: true, bytes: buffer }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ERR_BUFFER_TOO_LARGE' ? overflow(maxBytes) : broken(message)
  }
}

/** What `info: true` makes the functions of node:zlib return; their types do not know it. */
interface InflatedWithInfo {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

function inflateAll(bytes: Uint8Array, compression: Compression, maxOutputLength: number): InflatedWithInfo {
  const options = { maxOutputLength, info: true }
  if (compression === 'gzip') return gunzipSync(bytes, options) as unknown as InflatedWithInfo
  if (compression === 'zlib') return inflateSync(bytes, options) as unknown as InflatedWithInfo
  const windowLog = Math.min(Math.max(Math.ceil(Math.log2(maxOutputLength)), MIN_WINDOW_LOG), MAX_WINDOW_LOG)
  const params = { [constants.ZSTD_d_windowLogMax]: windowLog }
  return zstdDecompressSync(bytes, { ...options, params }) as unknown as InflatedWithInfo
}

const overflow = (maxBytes: number): Inflated => ({
  ok: false,
  overflow: true,
  message: `inflates to more than the ${maxBytes} bytes that are accepted`,
})

const broken = (message: string): Inflated => ({ ok: false, overflow: false, message })
