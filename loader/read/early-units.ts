/**
 * The first units of a dataset. A worker thread takes a few hundred milliseconds to load its modules; until one is up,
 * this thread decodes what is needed first, so that the first batch does not wait for that.
 */
import type { DecodedUnit, Decoder, UnitRequest } from './decoder.ts'

/** Units in this thread's hands: it must notice soon that workers are up. */
const READS_AT_ONCE = 2

export interface EarlyUnits {
  /** Until `handOver`: decodes it here, when its turn comes. */
  decode(request: UnitRequest, signal: AbortSignal): Promise<DecodedUnit>
  /** What still waits, and all that comes later, is for `decode`. */
  handOver(decode: Decoder['decode']): void
  /** Nobody will decode what waits. */
  fail(error: unknown): void
}

interface Waiting {
  readonly request: UnitRequest
  readonly signal: AbortSignal
  readonly resolve: (unit: DecodedUnit | Promise<DecodedUnit>) => void
  readonly reject: (error: unknown) => void
}

export function earlyUnits(decodeHere: Decoder['decode']): EarlyUnits {
  const queue: Waiting[] = []
  let running = 0
  let workers: Decoder['decode'] | undefined
  const serve = (): void => {
    while (workers === undefined && running < READS_AT_ONCE) {
      const next = queue.shift()
      if (next === undefined) return
      if (next.signal.aborted) continue
      running++
      const unit = decodeHere(next.request, next.signal).finally(() => {
        running--
        serve()
      })
      next.resolve(unit)
    }
  }
  return {
    decode: (request, signal) => {
      if (workers !== undefined) return workers(request, signal)
      return new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
        const settle = (): void => signal.removeEventListener('abort', abort)
        queue.push({
          request,
          signal,
          resolve: (unit) => {
            settle()
            resolve(unit)
          },
          reject: (error) => {
            settle()
            reject(error)
          },
        })
        serve()
      })
    },
    handOver(decode) {
      workers = decode
      for (const { request, signal, resolve } of queue.splice(0)) if (!signal.aborted) resolve(decode(request, signal))
    },
    fail(error) {
      for (const { reject } of queue.splice(0)) reject(error)
    },
  }
}
