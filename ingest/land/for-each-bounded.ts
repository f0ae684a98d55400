import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'

/**
 * What the failure of one item means for the others: nothing; that none is begun any more; that those which run are
 * cancelled too.
 */
export type Consequence = 'go-on' | 'begin-no-more' | 'stop'

export interface ForEachOptions<T> extends AbortableOptions {
  readonly concurrency: number
  readonly onFailure: (item: T, error: unknown) => Consequence
}

/**
 * Run `work` on items, at most `concurrency` at a time, in order of start. Failures go to `onFailure`, but for those of
 * items that were cancelled. Returns, or throws on abort, when nothing runs any more.
 * @throws `signal.reason` on abort; {FirnError} `FIRN_INVALID_OPTION` when `concurrency` is not an integer in 1..64.
 */
export async function forEachBounded<T>(
  items: readonly T[],
  options: ForEachOptions<T>,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { concurrency, signal, onFailure } = options
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `concurrency must be an integer in 1..64, got ${concurrency}`)
  }
  const stop = new AbortController()
  const linked = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let next = 0
  let beginning = true
  const worker = async (): Promise<void> => {
    while (beginning && next < items.length && !linked.aborted) {
      const item = items[next++] as T
      try {
        await work(item, linked)
      } catch (error) {
        if (linked.aborted) return
        const consequence = onFailure(item, error)
        if (consequence !== 'go-on') beginning = false
        if (consequence === 'stop') stop.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
  signal?.throwIfAborted()
}
