/**
 * Objects in memory that can be copied in an instant, and a journal of what counts as history: versions of metadata,
 * JSON manifests and refused records, in the order in which they came to be, deleted ones too. The model is computed
 * from it, so nothing that maintenance removes can hide a mistake.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../../table/clock.ts'
import type { ObjectInfo, ObjectStore, PutOptions } from '../../../table/io/object-store.ts'
import { objectNotFound, preconditionFailed } from '../../../table/io/store-errors.ts'

interface Entry {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly lastModifiedMillis: number
}

export interface JournalEntry {
  readonly key: string
  readonly bytes: Uint8Array
}

const HISTORY = /^_manifests\/.*\.json$|^_quarantine\/|\/metadata\/v\d+\.metadata\.json$/

export class JournaledStore implements ObjectStore {
  /** The same for every copy: locations are written into metadata. */
  readonly url = 'memory://warehouse'
  readonly journal: JournalEntry[]
  readonly #entries: Map<string, Entry>
  readonly #clock: Pick<Clock, 'nowMillis'>
  readonly #digest = createHash('sha256')

  constructor(clock: Pick<Clock, 'nowMillis'>, from?: JournaledStore) {
    this.#clock = clock
    this.#entries = new Map(from?.entries())
    this.journal = [...(from?.journal ?? [])]
  }

  /** A store of its own with the same objects, ages and history. */
  copy(): JournaledStore {
    return new JournaledStore(this.#clock, this)
  }

  entries(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  /** Of every write so far, since this copy was made: one seed, one digest. Ends the store's use. */
  digest(): string {
    return this.#digest.digest('hex')
  }

  put = async (key: string, body: Uint8Array, options: PutOptions = {}): Promise<{ readonly etag: string }> => {
    options.signal?.throwIfAborted()
    const current = this.#entries.get(key)
    if (options.ifNoneMatch !== undefined && current !== undefined)
      throw preconditionFailed(this.url, key, 'If-None-Match: *')
    if (options.ifMatch !== undefined && current?.etag !== options.ifMatch)
      throw preconditionFailed(this.url, key, `If-Match: ${options.ifMatch}`)
    const bytes = Uint8Array.from(body)
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`
    this.#entries.set(key, { bytes, etag, lastModifiedMillis: this.#clock.nowMillis() })
    this.#digest.update(`put ${key} ${etag}\n`)
    if (HISTORY.test(key)) this.journal.push({ key, bytes })
    return { etag }
  }

  get: ObjectStore['get'] = async (key, { range, signal } = {}) => {
    signal?.throwIfAborted()
    const entry = this.#entries.get(key)
    if (entry === undefined) throw objectNotFound(this.url, key)
    const { bytes, etag } = entry
    return { bytes: range === undefined ? bytes.slice() : bytes.slice(range.start, range.end), etag }
  }

  head: ObjectStore['head'] = async (key, { signal } = {}) => {
    signal?.throwIfAborted()
    const entry = this.#entries.get(key)
    return entry && infoOf(key, entry)
  }

  delete: ObjectStore['delete'] = async (key, { signal, ifMatch } = {}) => {
    signal?.throwIfAborted()
    const current = this.#entries.get(key)
    if (ifMatch !== undefined && current !== undefined && current.etag !== ifMatch)
      throw preconditionFailed(this.url, key, `If-Match: ${ifMatch}`)
    this.#entries.delete(key)
    this.#digest.update(`delete ${key}\n`)
  }

  async *list(
    prefix: string,
    { startAfter, signal }: Parameters<ObjectStore['list']>[1] = {},
  ): AsyncGenerator<ObjectInfo, void, undefined> {
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix) && key > (startAfter ?? ''))
    for (const key of keys.sort()) {
      signal?.throwIfAborted()
      const entry = this.#entries.get(key)
      if (entry !== undefined) yield infoOf(key, entry)
    }
  }
}

const infoOf = (key: string, { bytes, etag, lastModifiedMillis }: Entry): ObjectInfo => ({
  key,
  sizeBytes: bytes.length,
  etag,
  lastModifiedMillis,
})
