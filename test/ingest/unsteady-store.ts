import { FirnError } from '../../table/errors.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'

/** `around` sees every operation before it runs, and may fail it before or after. */
export function unsteady(
  store: ObjectStore,
  around: <T>(operation: 'put' | 'get' | 'list' | 'head' | 'delete', run: () => Promise<T>) => Promise<T>,
): ObjectStore {
  return {
    url: store.url,
    put: (...args) => around('put', () => store.put(...args)),
    get: (...args) => around('get', () => store.get(...args)),
    head: (...args) => around('head', () => store.head(...args)),
    delete: (...args) => around('delete', () => store.delete(...args)),
    list: async function* (...args) {
      // The listing is taken at once: what comes later may be missing from it, as in a real page.
      const infos = await around('list', async () => {
        const page = []
        for await (const info of store.list(...args)) page.push(info)
        return page
      })
      yield* infos
    },
  }
}

export const unavailable = (): FirnError =>
  new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'injected: no answer')
