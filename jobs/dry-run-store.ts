/**
 * A store that reads the real one and keeps writes to itself: `--dry-run` then runs the very code of the real run,
 * so that the two cannot drift apart.
 */
import { FirnError } from '../table/errors.ts'
import type { ObjectInfo, ObjectStore } from '../table/io/object-store.ts'

/**
 * `base` with an overlay of puts and deletes in memory. Bodies are kept until the overlay is dropped: memory grows
 * with what the run would have written.
 */
export function dryRunStore(base: ObjectStore): ObjectStore {
  const written = new Map<string, { bytes: Uint8Array; etag: string }>()
  const deleted = new Set<string>()
  let puts = 0
  const infoOf = (key: string, { bytes, etag }: { bytes: Uint8Array; etag: string }): ObjectInfo => ({
    key,
    sizeBytes: bytes.length,
    etag,
    lastModifiedMillis: 0,
  })
  const store: ObjectStore = {
    url: base.url,
    put: async (key, body, options = {}) => {
      const current = await store.head(key, { signal: options.signal })
      const refused =
        (options.ifNoneMatch === '*' && current !== undefined) ||
        (options.ifMatch !== undefined && options.ifMatch !== current?.etag)
      if (refused) {
        throw new FirnError('conflict', 'FIRN_PRECONDITION_FAILED', `${key} is not in the expected state (dry run)`)
      }
      const etag = `"dry-run-${++puts}"`
      written.set(key, { bytes: body.slice(), etag })
      deleted.delete(key)
      return { etag }
    },
    get: async (key, options = {}) => {
      const own = written.get(key)
      if (own !== undefined) {
        const bytes = options.range === undefined ? own.bytes : own.bytes.slice(options.range.start, options.range.end)
        return { bytes, etag: own.etag }
      }
      if (!deleted.has(key)) return await base.get(key, options)
      throw new FirnError('not-found', 'FIRN_OBJECT_NOT_FOUND', `there is no object ${key} (dry run)`)
    },
    head: async (key, options) => {
      const own = written.get(key)
      if (own !== undefined) return infoOf(key, own)
      return deleted.has(key) ? undefined : await base.head(key, options)
    },
    list: async function* (prefix, options = {}) {
      const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
      const { startAfter } = options
      const own = [...written.keys()]
        .filter((key) => key.startsWith(prefix) && (startAfter === undefined || byBytes(key, startAfter) > 0))
        .sort(byBytes)
      for await (const info of base.list(prefix, options)) {
        while (own.length > 0 && byBytes(own[0]!, info.key) < 0) yield infoOf(own[0]!, written.get(own.shift()!)!)
        if (own[0] === info.key) yield infoOf(info.key, written.get(own.shift()!)!)
        else if (!deleted.has(info.key)) yield info
      }
      for (const key of own) yield infoOf(key, written.get(key)!)
    },
    delete: async (key, options = {}) => {
      const current = options.ifMatch === undefined ? undefined : await store.head(key, { signal: options.signal })
      if (current !== undefined && current.etag !== options.ifMatch) {
        throw new FirnError('conflict', 'FIRN_PRECONDITION_FAILED', `${key} is not in the expected state (dry run)`)
      }
      written.delete(key)
      deleted.add(key)
    },
  }
  return store
}
