/** Whether a run changed the warehouse: what tells a run that failed from a request that was wrong from the start. */
import type { ObjectStore } from '../table/io/object-store.ts'

const changes = new WeakMap<ObjectStore, { count: number }>()

/** `base`, with its puts and deletes counted. */
export function countChanges(base: ObjectStore): ObjectStore {
  const counter = { count: 0 }
  const store: ObjectStore = {
    url: base.url,
    put: async (key, body, options) => {
      const put = await base.put(key, body, options)
      counter.count++
      return put
    },
    get: (key, options) => base.get(key, options),
    head: (key, options) => base.head(key, options),
    list: (prefix, options) => base.list(prefix, options),
    delete: async (key, options) => {
      await base.delete(key, options)
      counter.count++
    },
  }
  changes.set(store, counter)
  return store
}

/** How often `store` was changed through `countChanges`; 0 for a store that nobody counts. */
export const changesOf = (store: ObjectStore): number => changes.get(store)?.count ?? 0
