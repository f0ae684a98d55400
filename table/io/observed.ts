/** A store that tells of every request on `firn:store`. */
import { type Clock, systemClock } from '../clock.ts'
import { type StoreOutcomeName, type StoreRequestName, storeChannel } from '../diagnostics.ts'
import { FirnError } from '../errors.ts'
import type { ObjectInfo, ObjectStore } from './object-store.ts'

/** `base`, told of on `firn:store`; while nobody listens, each call is handed on as it is. */
export function observedStore(base: ObjectStore, clock: Clock = systemClock): ObjectStore {
  const request = async <T>(
    op: StoreRequestName,
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
    bytesOf: (answer: T) => number,
  ): Promise<T> => {
    if (!storeChannel.hasSubscribers) return await call()
    const started = clock.monotonicMillis()
    const tell = (outcome: StoreOutcomeName, bytes: number): void =>
      storeChannel.publish({ op, outcome, bytes, durationMillis: clock.monotonicMillis() - started })
    let answer: T
    try {
      answer = await call()
    } catch (error) {
      tell(outcomeOf(error, signal), 0)
      throw error
    }
    tell('ok', bytesOf(answer))
    return answer
  }
  return {
    url: base.url,
    put: (key, body, options) =>
      request(
        'put',
        options?.signal,
        () => base.put(key, body, options),
        () => body.byteLength,
      ),
    get: (key, options) =>
      request(
        'get',
        options?.signal,
        () => base.get(key, options),
        ({ bytes }) => bytes.byteLength,
      ),
    head: (key, options) => request('head', options?.signal, () => base.head(key, options), nothing),
    list: (prefix, options) => {
      const listed = base.list(prefix, options)
      return storeChannel.hasSubscribers ? timedListing(listed, clock, options?.signal) : listed
    },
    delete: (key, options) => request('delete', options?.signal, () => base.delete(key, options), nothing),
  }
}

const nothing = (): number => 0

async function* timedListing(
  listed: AsyncIterable<ObjectInfo>,
  clock: Clock,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, undefined> {
  let outcome: StoreOutcomeName = 'ok'
  let waited = 0
  let since = clock.monotonicMillis()
  try {
    for await (const info of listed) {
      waited += clock.monotonicMillis() - since
      yield info
      since = clock.monotonicMillis()
    }
    waited += clock.monotonicMillis() - since
  } catch (error) {
    outcome = outcomeOf(error, signal)
    throw error
  } finally {
    storeChannel.publish({ op: 'list', outcome, bytes: 0, durationMillis: waited })
  }
}

function outcomeOf(error: unknown, signal: AbortSignal | undefined): StoreOutcomeName {
  if (signal?.aborted) return 'aborted'
  if (!FirnError.is(error)) return 'failed'
  if (error.kind === 'not-found') return 'not_found'
  return error.kind === 'conflict' ? 'conflict' : 'failed'
}
