/** One process of the simulation: its clock, and its way to the store through a bad network and a client that retries. */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type FaultyStoreOptions, faultyStore } from '../../table/io/faulty.ts'
import type { ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { uniform } from './random.ts'

export interface Weather {
  readonly rates: NonNullable<FaultyStoreOptions['rates']>
  readonly latencyMillis: readonly [number, number]
  /** Attempts of the client per request, the first included. */
  readonly attempts: number
  /** Fraction of the puts of a metadata file before which the process stands still. */
  readonly stallRate: number
  readonly stallMillis: number
  /** Fraction of the requests at which the process dies. */
  readonly killRate: number
}

export function processStore(store: ObjectStore, clock: Clock, seed: number, weather: Weather): ObjectStore {
  const random = uniform(seed ^ 0x5bd1e995)
  const faulty = faultyStore(store, {
    seed,
    clock,
    rates: weather.rates,
    latencyMillis: weather.latencyMillis,
    timeoutMillis: 20_000,
    lateMillis: 60_000,
    kill: () => (random() >= weather.killRate ? undefined : random() < 0.5 ? 'before' : 'after'),
  })
  return stalling(retrying(faulty, clock, weather.attempts), clock, random, weather)
}

/** Repeats what failed without an answer, as an S3 client does: a conditional put may then be refused by itself. */
function retrying(store: ObjectStore, clock: Clock, attempts: number): ObjectStore {
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt >= attempts || !FirnError.is(error, 'FIRN_STORE_UNAVAILABLE')) throw error
        await clock.sleep(50 * 2 ** attempt)
      }
    }
  }
  return {
    url: store.url,
    put: (key, body, options) => again(() => store.put(key, body, options)),
    get: (key, options) => again(() => store.get(key, options)),
    head: (key, options) => again(() => store.head(key, options)),
    delete: (key, options) => again(() => store.delete(key, options)),
    list: async function* (prefix, options = {}) {
      // One page, as all of these listings are: it comes whole or not at all.
      const page = await again(async () => {
        const infos: ObjectInfo[] = []
        for await (const info of store.list(prefix, options)) infos.push(info)
        return infos
      })
      yield* page
    },
  }
}

/** A process that is paged out, suspended or throttled right when it is about to commit. */
function stalling(store: ObjectStore, clock: Clock, random: () => number, weather: Weather): ObjectStore {
  return {
    ...store,
    put: async (key, body, options) => {
      if (/\/?metadata\/v\d+\.metadata\.json$/.test(key) && random() < weather.stallRate) {
        await clock.sleep(random() * weather.stallMillis)
      }
      return store.put(key, body, options)
    },
  }
}
