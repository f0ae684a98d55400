/**
 * Column statistics of a manifest entry, left in the bytes that they came in. A plan over many files looks at few of
 * them, and a Map for each would take more memory than all else together.
 *
 * The bytes were walked through once when the entry was read, so that nothing here meets a value that is cut.
 */
import { AvroCursor } from '../format/avro-cursor.ts'

/** How the values of a map are told from the bytes. */
export type StatReader<V> = (cursor: AvroCursor) => V

export const readCount: StatReader<number> = (cursor) => cursor.number()

/** A copy: a view would keep the whole block alive, and move with it to another thread. */
export const readBytes: StatReader<Uint8Array> = (cursor) => {
  const view = cursor.take(cursor.length())
  const copy = new Uint8Array(view.length)
  copy.set(view)
  return copy
}

const NO_STATS: ReadonlyMap<number, unknown> = new Map()
export const noStats = <V>(): ReadonlyMap<number, V> => NO_STATS as ReadonlyMap<number, V>

/** An Avro array of (key, value) pairs, decoded when asked. */
export class LazyStats<V> implements ReadonlyMap<number, V> {
  readonly #bytes: Buffer
  readonly #start: number
  readonly #read: StatReader<V>

  constructor(bytes: Buffer, start: number, read: StatReader<V>) {
    this.#bytes = bytes
    this.#start = start
    this.#read = read
  }

  get [Symbol.toStringTag](): string {
    return 'Map'
  }

  get size(): number {
    return this.#decode().size
  }

  get(key: number): V | undefined {
    return this.#decode().get(key)
  }

  has(key: number): boolean {
    return this.#decode().has(key)
  }

  forEach(visit: (value: V, key: number, map: ReadonlyMap<number, V>) => void, self?: unknown): void {
    for (const [key, value] of this.#decode()) visit.call(self, value, key, this)
  }

  entries(): MapIterator<[number, V]> {
    return this.#decode().entries()
  }

  keys(): MapIterator<number> {
    return this.#decode().keys()
  }

  values(): MapIterator<V> {
    return this.#decode().values()
  }

  [Symbol.iterator](): MapIterator<[number, V]> {
    return this.#decode().entries()
  }

  #decode(): Map<number, V> {
    const cursor = new AvroCursor(this.#bytes, this.#start)
    const all = new Map<number, V>()
    for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
      for (let index = 0; index < count; index++) all.set(cursor.number(), this.#read(cursor))
    }
    return all
  }
}
