/**
 * Object storage as firn needs it: whole-object puts, range reads, one conditional primitive.
 * No rename, no append, no directories. `test/contract/object-store.ts` is the behaviour every adapter must
 * show; an adapter is done when that suite passes.
 */
import { FirnError } from '../errors.ts'
import { isOutsideKey } from './keys.ts'
import { outsideTable } from './store-errors.ts'

export interface AbortableOptions {
  readonly signal?: AbortSignal | undefined
}

/** Bytes `[start, end)`; an `end` past the object is clamped. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface PutOptions extends AbortableOptions {
  /** `'*'`: create only. */
  readonly ifNoneMatch?: '*'
  /** Replace only the object that has this ETag. An absent object counts as a lost race. */
  readonly ifMatch?: string
}

export interface DeleteOptions extends AbortableOptions {
  /** Remove only the object that has this ETag. An absent object is no error here either: it is gone, as asked. */
  readonly ifMatch?: string | undefined
}

export interface GetOptions extends AbortableOptions {
  readonly range?: ByteRange
  /** Memory that the answer may be made in, of at least its length; an adapter that cannot do that ignores it. */
  readonly into?: Uint8Array | undefined
}

export interface ListOptions extends AbortableOptions {
  /** Only keys after this one, in UTF-8 byte order (exclusive). */
  readonly startAfter?: string
}

export interface StoredObject {
  readonly bytes: Uint8Array
  readonly etag: string
}

export interface ObjectInfo {
  /** Relative to the store's `url`. */
  readonly key: string
  readonly sizeBytes: number
  readonly etag: string
  readonly lastModifiedMillis: number
}

export interface ObjectStore {
  /** Absolute URL of the store's root without a trailing slash: `s3://bucket/prefix`, `file:///dir`, `memory://name`. */
  readonly url: string

  /**
   * Write `body` to `key` in one atomic put; visible to every reader when it resolves.
   * @returns ETag of the new object.
   * @throws {FirnError} `FIRN_PRECONDITION_FAILED` (conflict) when `ifNoneMatch` or `ifMatch` does not hold. It is
   *   also what a retried put gets when its own first attempt took effect: read back before deciding.
   * @throws {FirnError} `FIRN_STORE_UNAVAILABLE` (unavailable): the put may or may not have taken effect.
   */
  put(key: string, body: Uint8Array, options?: PutOptions): Promise<{ readonly etag: string }>

  /** @throws {FirnError} `FIRN_OBJECT_NOT_FOUND` (not-found); `FIRN_STORE_UNAVAILABLE`. */
  get(key: string, options?: GetOptions): Promise<StoredObject>

  /** The object's size and ETag without its bytes; `undefined` when there is none. */
  head(key: string, options?: AbortableOptions): Promise<ObjectInfo | undefined>

  /** Objects whose key starts with `prefix`, in UTF-8 byte order; a page is fetched only when the caller pulls it. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>

  /**
   * Remove `key`; an absent object is no error, so that a repeated delete is none either.
   * @throws {FirnError} `FIRN_PRECONDITION_FAILED` (conflict) when the object's ETag is not `ifMatch`. Some S3 servers
   *   ignore the condition; there it is compared right before, and a replacement in that instant is not noticed.
   */
  delete(key: string, options?: DeleteOptions): Promise<void>
}

/** The store seen from a folder below its root: keys and `url` are relative to `prefix`. `''` is the store itself. */
export function subStore(store: ObjectStore, prefix: string): ObjectStore {
  const root = prefix.replace(/\/+$/, '')
  if (root === '') return store
  const at = (key: string): string => {
    // Behind the prefix it would look like any other bad key.
    if (isOutsideKey(key)) throw outsideTable(key, `${store.url}/${root}`)
    return `${root}/${key}`
  }
  const local = (info: ObjectInfo): ObjectInfo => ({ ...info, key: info.key.slice(root.length + 1) })
  return {
    url: `${store.url}/${root}`,
    put: async (key, body, options) => store.put(at(key), body, options),
    get: async (key, options) => store.get(at(key), options),
    head: async (key, options) => {
      const info = await store.head(at(key), options)
      return info && local(info)
    },
    list: async function* (listPrefix, options) {
      const { startAfter, ...rest } = options ?? {}
      const shifted = startAfter === undefined ? rest : { ...rest, startAfter: `${root}/${startAfter}` }
      for await (const info of store.list(`${root}/${listPrefix}`, shifted)) yield local(info)
    },
    delete: async (key, options) => store.delete(at(key), options),
  }
}

/** The bytes of `key`, or `undefined` when there is no such object. Other failures throw. */
export async function getIfExists(
  store: ObjectStore,
  key: string,
  options?: GetOptions,
): Promise<StoredObject | undefined> {
  try {
    return await store.get(key, options)
  } catch (error) {
    if (FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND')) return undefined
    throw error
  }
}

/**
 * Create `key`, and take an object that already holds these very bytes for success: a retried put is refused by its
 * own first attempt.
 * @throws {FirnError} `FIRN_PRECONDITION_FAILED` (conflict) when the key holds something else.
 */
export async function putOnce(
  store: ObjectStore,
  key: string,
  body: Uint8Array,
  options: AbortableOptions = {},
): Promise<void> {
  try {
    await store.put(key, body, { ifNoneMatch: '*', signal: options.signal })
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
    const existing = await getIfExists(store, key, options)
    if (existing === undefined || Buffer.compare(existing.bytes, body) !== 0) throw error
  }
}
