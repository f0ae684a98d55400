/**
 * A table's store that also reads objects of places outside of the table, for tables whose metadata names files of
 * other folders or buckets: after `add_files`, a change of `write.data.path`, or a shallow copy.
 */
import { normaliseLocation } from '../spec/location.ts'
import { isOutsideKey } from './keys.ts'
import type { ObjectStore } from './object-store.ts'
import { outsideTable } from './store-errors.ts'

/** URL of a folder -> store rooted there. */
export type AllowedLocations = Readonly<Record<string, ObjectStore>>

/**
 * `store`, with `get` and `head` of URLs below the keys of `allowed` answered by their stores, the longest key first.
 * Nothing is ever written, listed or deleted there: those objects may belong to another table.
 * @throws {FirnError} `FIRN_PATH_OUTSIDE_TABLE` (invalid), from every call with a URL that is not allowed.
 */
export function routedStore(store: ObjectStore, allowed: AllowedLocations): ObjectStore {
  if (Object.keys(allowed).length === 0) return store
  const places = Object.entries(allowed)
    .map(([url, place]) => ({ root: `${normaliseLocation(url)}/`, place }))
    .sort((a, b) => b.root.length - a.root.length)
  const find = (key: string): { readonly at: ObjectStore; readonly local: string } => {
    if (!isOutsideKey(key)) return { at: store, local: key }
    const found = places.find(({ root }) => key.startsWith(root))
    if (found === undefined) throw outsideTable(key, store.url)
    return { at: found.place, local: key.slice(found.root.length) }
  }
  return {
    url: store.url,
    put: (key, body, options) => store.put(key, body, options),
    get: async (key, options) => {
      const { at, local } = find(key)
      return at.get(local, options)
    },
    head: async (key, options) => {
      const { at, local } = find(key)
      const info = await at.head(local, options)
      return info && { ...info, key }
    },
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  }
}
