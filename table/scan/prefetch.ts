/**
 * Ordered look-ahead over slow reads.
 *
 * At most `depth` reads are in flight and results come out in input order. Leaving the loop early (break, throw, abort)
 * cancels what still runs, so memory is about `depth` results whatever the table's size.
 */
import { FirnError } from '../errors.ts'

/**
 * @param options.depth 1 to 64.
 * @throws {FirnError} `FIRN_INVALID_OPTION`. @throws the first `read` failure, at its item's turn; `signal.reason`.
 */
export async function* prefetch<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  read: (item: T, signal: AbortSignal) => Promise<R>,
  options: { readonly depth: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<R, void, undefined> {
  const { depth, signal } = options
  if (!Number.isInteger(depth) || depth < 1 || depth > 64) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `prefetch depth: expected 1 to 64, got ${depth}`)
  }
  const stop = new AbortController()
  const linked = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const inFlight: Promise<R>[] = []
  try {
    for await (const item of items) {
      linked.throwIfAborted()
      const pending = read(item, linked)
      pending.catch(() => {}) // reported at its turn below, not as an unhandled rejection
      inFlight.push(pending)
      if (inFlight.length >= depth) yield await (inFlight.shift() as Promise<R>)
    }
    for (const pending of inFlight) yield await pending
  } finally {
    stop.abort()
  }
}
