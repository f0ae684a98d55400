/** What reading takes, counted per thread and handed over with each unit. */
import type { ObjectStore } from '../../table/index.ts'
import type { ReadCounters } from './decoder.ts'

export type MutableCounters = { -readonly [K in keyof ReadCounters]: number }

export const noCounters = (): MutableCounters => ({
  requests: 0,
  bytesRead: 0,
  cacheHits: 0,
  cacheMisses: 0,
  cacheFailures: 0,
  retries: 0,
  rowGroups: 0,
})

/** What was counted since it was taken last. */
export function takeCounters(counters: MutableCounters): ReadCounters {
  const taken = { ...counters }
  Object.assign(counters, noCounters())
  return taken
}

export function addCounters(a: ReadCounters, b: ReadCounters): ReadCounters {
  const sum = { ...a } as MutableCounters
  for (const name of Object.keys(sum) as (keyof ReadCounters)[]) sum[name] += b[name]
  return sum
}

/** `base` with another `get`. */
export const withGet = (base: ObjectStore, get: ObjectStore['get']): ObjectStore => ({
  url: base.url,
  get,
  put: (key, body, options) => base.put(key, body, options),
  head: (key, options) => base.head(key, options),
  list: (prefix, options) => base.list(prefix, options),
  delete: (key, options) => base.delete(key, options),
})

export function countedStore(base: ObjectStore, counters: MutableCounters): ObjectStore {
  return withGet(base, async (key, options) => {
    counters.requests++
    const answer = await base.get(key, options)
    counters.bytesRead += answer.bytes.byteLength
    return answer
  })
}
