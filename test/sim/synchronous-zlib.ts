/**
 * Import this before anything that compresses: `node:zlib` without its thread pool. When a block comes back from
 * another thread is decided by the machine; a simulation that is to repeat itself cannot wait for that.
 */
import { syncBuiltinESMExports } from 'node:module'
import { Transform, type TransformCallback } from 'node:stream'
import zlib from 'node:zlib'

type Callback = (error: Error | null, result?: Buffer) => void
type OneShot = (data: Buffer, ...rest: unknown[]) => void

const functions = zlib as unknown as Record<string, OneShot>
const ONE_SHOTS = ['inflateRaw', 'deflateRaw', 'inflate', 'deflate', 'gunzip', 'gzip', 'zstdDecompress', 'zstdCompress']
for (const name of ONE_SHOTS) {
  const once = functions[`${name}Sync`] as unknown as (data: Buffer, options?: object) => Buffer
  functions[name] = (data, ...rest) => {
    const callback = rest.at(-1) as Callback
    const options = rest.length > 1 ? (rest[0] as object) : undefined
    let result: Buffer
    try {
      result = once(data, options)
    } catch (error) {
      queueMicrotask(() => callback(error as Error))
      return
    }
    queueMicrotask(() => callback(null, result))
  }
}

/** All at once, when the input has ended. */
function createZstdDecompress(): Transform {
  const pieces: Buffer[] = []
  return new Transform({
    transform: (piece: Buffer, _encoding, done) => {
      pieces.push(piece)
      done()
    },
    flush: (done: TransformCallback) => {
      try {
        done(null, zlib.zstdDecompressSync(Buffer.concat(pieces)))
      } catch (error) {
        done(error as Error)
      }
    },
  })
}
Object.defineProperty(zlib, 'createZstdDecompress', { value: createZstdDecompress })
syncBuiltinESMExports()
