/** A store that counts what is asked of it. */
import type { ObjectStore } from '../../table/index.ts'

export interface StoreCounts {
  get: number
  head: number
  put: number
  list: number
  delete: number
  bytesRead: number
  bytesWritten: number
}

export const noCounts = (): StoreCounts => ({
  get: 0,
  head: 0,
  put: 0,
  list: 0,
  delete: 0,
  bytesRead: 0,
  bytesWritten: 0,
})

export function countingStore(store: ObjectStore): { readonly store: ObjectStore; take(): StoreCounts } {
  let counts = noCounts()
  const counting: ObjectStore = {
    url: store.url,
    put: async (key, body, options) => {
      counts.put++
      counts.bytesWritten += body.length
      return await store.put(key, body, options)
    },
    get: async (key, options) => {
      counts.get++
      const object = await store.get(key, options)
      counts.bytesRead += object.bytes.length
      return object
    },
    head: async (key, options) => {
      counts.head++
      return await store.head(key, options)
    },
    list: (prefix, options) => {
      counts.list++
      return store.list(prefix, options)
    },
    delete: async (key, options) => {
      counts.delete++
      await store.delete(key, options)
    },
  }
  const take = (): StoreCounts => {
    const taken = counts
    counts = noCounts()
    return taken
  }
  return { store: counting, take }
}
