/**
 * Objects in this process's memory. Stores opened under one name share their objects, so that a test's writer and
 * reader can open the same URL; nothing is shared with other processes or worker threads.
 */
import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import { assertKey, assertRange, clampRange, compareKeys } from './keys.ts'
import type {
  AbortableOptions,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredObject,
} from './object-store.ts'
import { assertOneCondition, objectNotFound, preconditionFailed } from './store-errors.ts'

interface Entry {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly lastModifiedMillis: number
}

const registry = new Map<string, Map<string, Entry>>()

/** The store `memory://<name>`; it lives until `dropMemoryStore(name)` or the end of the process. */
export function openMemoryStore(name: string, options: { readonly clock?: Clock } = {}): ObjectStore {
  let entries = registry.get(name)
  if (entries === undefined) {
    entries = new Map()
    registry.set(name, entries)
  }
  return new MemoryObjectStore(`memory://${name}`, entries, options.clock ?? systemClock)
}

/** Forget the objects of `memory://<name>`. Stores that are still open keep theirs, apart from later ones. */
export function dropMemoryStore(name: string): void {
  registry.delete(name)
}

class MemoryObjectStore implements ObjectStore {
  readonly url: string
  readonly #entries: Map<string, Entry>
  readonly #clock: Clock

  constructor(url: string, entries: Map<string, Entry>, clock: Clock) {
    this.url = url
    this.#entries = entries
    this.#clock = clock
  }

  // Check and set happen without an `await` between them: that is what makes the conditions atomic here.
  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<{ readonly etag: string }> {
    assertKey(key, this.url)
    assertOneCondition(key, options)
    options.signal?.throwIfAborted()
    const current = this.#entries.get(key)
    if (options.ifNoneMatch !== undefined && current !== undefined) {
      throw preconditionFailed(this.url, key, 'If-None-Match: *')
    }
    if (options.ifMatch !== undefined && current?.etag !== options.ifMatch) {
      throw preconditionFailed(this.url, key, `If-Match: ${options.ifMatch}`)
    }
    const bytes = Uint8Array.from(body)
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`
    this.#entries.set(key, { bytes, etag, lastModifiedMillis: this.#clock.nowMillis() })
    return { etag }
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    assertKey(key, this.url)
    if (options.range !== undefined) assertRange(options.range, key)
    options.signal?.throwIfAborted()
    const entry = this.#entries.get(key)
    if (entry === undefined) throw objectNotFound(this.url, key)
    const { start, end } = clampRange(options.range, entry.bytes.length)
    return { bytes: entry.bytes.slice(start, end), etag: entry.etag }
  }

  async head(key: string, options: AbortableOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, this.url)
    options.signal?.throwIfAborted()
    const entry = this.#entries.get(key)
    return entry && describe(key, entry)
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    const { startAfter, signal } = options
    signal?.throwIfAborted()
    const keys = [...this.#entries.keys()]
      .filter((key) => key.startsWith(prefix) && (startAfter === undefined || compareKeys(key, startAfter) > 0))
      .sort(compareKeys)
    for (const key of keys) {
      signal?.throwIfAborted()
      const entry = this.#entries.get(key)
      if (entry !== undefined) yield describe(key, entry)
    }
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, this.url)
    options.signal?.throwIfAborted()
    const current = this.#entries.get(key)
    if (options.ifMatch !== undefined && current !== undefined && current.etag !== options.ifMatch) {
      throw preconditionFailed(this.url, key, `If-Match: ${options.ifMatch}`)
    }
    this.#entries.delete(key)
  }
}

const describe = (key: string, entry: Entry): ObjectInfo => ({
  key,
  sizeBytes: entry.bytes.length,
  etag: entry.etag,
  lastModifiedMillis: entry.lastModifiedMillis,
})
