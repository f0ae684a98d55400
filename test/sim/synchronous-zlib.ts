/**
 * Import this before anything that compresses: `node:zlib` without its thread pool. When a block comes back from
 * another thread is decided by the machine; a simulation that is to repeat itself cannot wait for that.
 */
import { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'

type Callback = (error: Error | null, result?: Buffer) => void
type OneShot = (data: Buffer, ...rest: unknown[]) => void

const functions = zlib as unknown as Record<string, OneShot>
for (const name of ['inflateRaw', 'deflateRaw', 'inflate', 'deflate', 'gunzip', 'gzip', 'zstdDecompress']) {
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
syncBuiltinESMExports()
