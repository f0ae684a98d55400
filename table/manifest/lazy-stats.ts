/**
 * Column statistics of a manifest entry, left in the bytes that they came in. A plan over many files looks at few of
 * them, and a Map for each would take more memory than all else together.
 *
 * The bytes were walked through once when the entry was read, so that nothing here meets a value that is cut.
 */
import type { LaterBytes } from '../format/avro-container.ts'
import { AvroCursor } from '../format/avro-cursor.ts'

/** A copy: a view would keep the whole block alive, and move with it to another thread. */
export function readBytes(cursor: AvroCursor): Uint8Array {
  const view = cursor.take(cursor.length())
  const copy = new Uint8Array(view.length)
  copy.set(view)
  return copy
}

export function skipBytes(cursor: AvroCursor): void {
  const length = cursor.length()
  cursor.position += length
}

const NO_STATS: ReadonlyMap<number, unknown> = new Map()
export const noStats = <V>(): ReadonlyMap<number, V> => NO_STATS as ReadonlyMap<number, V>

/** An Avro array of (key, value) pairs, decoded when asked. */
abstract class LazyStats<V> implements ReadonlyMap<number, V> {
  readonly #block: LaterBytes
  readonly #start: number

  constructor(block: LaterBytes, start: number) {
    this.#block = block
    this.#start = start
  }

  protected abstract read(cursor: AvroCursor): V
  protected abstract skip(cursor: AvroCursor): void

  get [Symbol.toStringTag](): string {
    return 'Map'
  }

  get size(): number {
    return this.#decode().size
  }

  /** Walks to the key without making a map: a filter asks every file of a plan for a column or two. */
  get(key: number): V | undefined {
    const cursor = new AvroCursor(this.#block.get(), this.#start)
    let found: V | undefined
    for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
      for (let index = 0; index < count; index++) {
        // As in a map, the last of equal keys stands.
        if (cursor.number() === key) found = this.read(cursor)
        else this.skip(cursor)
      }
    }
    return found
  }

  has(key: number): boolean {
    return this.get(key) !== undefined
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
    const cursor = new AvroCursor(this.#block.get(), this.#start)
    const all = new Map<number, V>()
    for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
      for (let index = 0; index < count; index++) all.set(cursor.number(), this.read(cursor))
    }
    return all
  }
}

export class LazyCounts extends LazyStats<number> {
  protected override read(cursor: AvroCursor): number {
    return cursor.number()
  }

  protected override skip(cursor: AvroCursor): void {
    cursor.skipNumber()
  }
}

export class LazyBounds extends LazyStats<Uint8Array> {
  protected override read(cursor: AvroCursor): Uint8Array {
    return readBytes(cursor)
  }

  protected override skip(cursor: AvroCursor): void {
    skipBytes(cursor)
  }
}
