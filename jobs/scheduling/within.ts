/** A request that must not outlast the time it is good for. */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

/**
 * The outcome of `work`, or after `millis` a refusal, whether or not `work` heeds the signal that it was given: it may
 * go on unseen, and take effect later.
 * @throws {FirnError} `FIRN_NO_ANSWER` (unavailable) after `millis`; `signal.reason` on abort; what `work` throws.
 */
export async function within<T>(
  clock: Clock,
  millis: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const over = new AbortController()
  const timer = clock.sleep(Math.max(0, millis), AbortSignal.any([signal, over.signal])).then((): never => {
    throw new FirnError('unavailable', 'FIRN_NO_ANSWER', `there was no answer within ${Math.round(millis)} ms`)
  })
  const request = work(AbortSignal.any([signal, over.signal]))
  request.catch(() => {}) // nobody listens any more when the time was up first
  try {
    return await Promise.race([request, timer])
  } finally {
    over.abort()
  }
}
