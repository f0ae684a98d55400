import { type Clock, fullJitterMillis } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { AbortableOptions } from '../table/io/object-store.ts'

export interface RetryPolicy {
  readonly maxTries: number
  readonly baseMillis: number
  readonly capMillis: number
}

/** About 25 s on average before giving up: a throttled or briefly absent service has recovered by then. */
export const patientRetries: RetryPolicy = { maxTries: 10, baseMillis: 200, capMillis: 10_000 }
/** About 1 s: for the first call of a run, where a wrong endpoint should be reported soon. */
export const quickRetries: RetryPolicy = { maxTries: 4, baseMillis: 200, capMillis: 2_000 }

/** Repeat `attempt` with full-jitter pauses while Kinesis throttles or does not answer; other failures are thrown. */
export async function withRetries<T>(
  clock: Clock,
  policy: RetryPolicy,
  options: AbortableOptions & { readonly onThrottled?: (() => void) | undefined },
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      const throttled = FirnError.is(error, 'FIRN_STREAM_THROTTLED')
      if (throttled) options.onThrottled?.()
      const passing = throttled || FirnError.is(error, 'FIRN_STREAM_UNAVAILABLE')
      if (!passing || tries >= policy.maxTries) throw error
    }
    const { baseMillis, capMillis } = policy
    await clock.sleep(fullJitterMillis(clock, tries - 1, baseMillis, capMillis), options.signal)
  }
}
