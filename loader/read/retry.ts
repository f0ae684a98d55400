/** Reads that are tried again while the store is not available or answers with fewer bytes than it was asked for. */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { ByteRange, ObjectStore } from '../../table/index.ts'
import { randomOf } from '../order/random.ts'
import { withGet } from './counters.ts'

export interface RetryPolicy {
  /** Tries of one request, the first included. */
  readonly attempts: number
  readonly clock: Clock
  readonly onRetry: () => void
}

const BASE_MILLIS = 100
const CAP_MILLIS = 10_000

/**
 * `base`, whose reads come again after a pause. What is still short at the last try is handed on as it is: the file may
 * really end there, which its reader finds out.
 */
export function retryingStore(base: ObjectStore, { attempts, clock, onRetry }: RetryPolicy): ObjectStore {
  return withGet(base, async (key, options = {}) => {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await base.get(key, options)
        if (attempt >= attempts || !isShort(answer.bytes, options.range)) return answer
      } catch (error) {
        if (attempt >= attempts || !FirnError.is(error) || error.kind !== 'unavailable') throw error
      }
      onRetry()
      await clock.sleep(pauseMillis(`${base.url}/${key}/${options.range?.start}`, attempt), options.signal)
    }
  })
}

const isShort = (bytes: Uint8Array, range: ByteRange | undefined): boolean =>
  range !== undefined && bytes.byteLength < range.end - range.start

/** Doubles with every try; half of it is drawn from the key, so that readers of different bytes come at different times. */
export function pauseMillis(key: string, attempt: number): number {
  const most = Math.min(CAP_MILLIS, BASE_MILLIS * 2 ** (attempt - 1))
  return most / 2 + ((randomOf(`${key}/${attempt}`)() / 0x1_0000_0000) * most) / 2
}
