import { FirnError } from '../table/errors.ts'
import type { AbortableOptions } from '../table/io/object-store.ts'

/**
 * Run `work` on every item, at most `concurrency` at a time, in order of start. The first failure cancels the others
 * and is thrown once all have stopped, so that nothing runs on behind the caller's back.
 * @throws {FirnError} `FIRN_INVALID_OPTION` when `concurrency` is not an integer in 1..64.
 */
export async function forEachBounded<T>(
  items: readonly T[],
  options: AbortableOptions & { concurrency: number },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { concurrency, signal } = options
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `concurrency must be an integer in 1..64, got ${concurrency}`)
  }
  const stop = new AbortController()
  const linked = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const failures: unknown[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++] as T
      try {
        linked.throwIfAborted()
        await work(item, linked)
      } catch (error) {
        failures.push(error)
        stop.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
}
