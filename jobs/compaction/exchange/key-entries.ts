/**
 * The keys of a run's rows, as entries of 32-bit words, little-endian: 128 bits of the key's SHA-256, the order of the
 * record, where its row lies. One object per sorted run, its entries by the first byte of the hash, so that a task
 * reads its share of the buckets from each object by one range.
 */
import { hash } from 'node:crypto'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { Exchange } from './exchange.ts'

export const BUCKETS = 256
/** hash (4), arrival (2), object, record, run, row, range and length of the origin: then the origin's bytes. */
export const ENTRY_WORDS = 11
const READ_BYTES = 4 * 1024 * 1024
/** So that times before 1970 have words in order as well. */
const ARRIVAL_SHIFT = 2 ** 52

export interface KeyObject {
  readonly key: string
  /** Bytes before the entries of each bucket, and at the end. */
  readonly offsets: readonly number[]
}

export interface KeyRow {
  /** UTF-8. */
  readonly key: Uint8Array
  readonly arrivalMillis: number
  /** Number of the input object, and of the record in it. */
  readonly object: number
  readonly record: number
  /** Comes before object and record where those are not the order of records. */
  readonly origin: string | undefined
  readonly range: number
  /** Number of the row in its run and range. */
  readonly row: number
  /** Default: that of the entries. */
  readonly run?: number
}

/** 128 bits of its SHA-256. */
export const keyDigest = (key: Uint8Array): Buffer => hash('sha256', key, 'buffer')

/** Entries of one run. */
export class KeyEntries {
  readonly #run: number
  #words: Uint32Array<ArrayBuffer> = new Uint32Array(1024 * ENTRY_WORDS)
  #length = 0
  readonly #bucketWords = new Float64Array(BUCKETS)

  constructor(run: number) {
    this.#run = run
  }

  add({ key, arrivalMillis, object, record, origin, range, row, run = this.#run }: KeyRow): void {
    const tie = origin === undefined ? undefined : Buffer.from(origin)
    const size = ENTRY_WORDS + (tie === undefined ? 0 : (tie.length + 3) >> 2)
    const at = this.#room(size)
    const words = this.#words
    const digest = keyDigest(key)
    for (let index = 0; index < 4; index++) words[at + index] = digest.readUInt32BE(index * 4)
    const arrival = arrivalMillis + ARRIVAL_SHIFT
    words[at + 4] = Math.floor(arrival / 2 ** 32)
    words[at + 5] = arrival % 2 ** 32
    words[at + 6] = object
    words[at + 7] = record
    words[at + 8] = run
    words[at + 9] = row
    words[at + 10] = (range << 16) | (tie?.length ?? 0)
    if (tie !== undefined) new Uint8Array(words.buffer, (at + ENTRY_WORDS) * 4).set(tie)
    this.#bucketWords[digest[0]!]! += size
  }

  #room(words: number): number {
    const at = this.#length
    if (at + words > this.#words.length) {
      const grown = new Uint32Array(Math.max(at + words, Math.ceil(this.#words.length * 1.5)))
      grown.set(this.#words)
      this.#words = grown
    }
    this.#length += words
    return at
  }

  async write(exchange: Exchange, key: string, options: AbortableOptions): Promise<KeyObject> {
    const offsets: number[] = [0]
    for (const words of this.#bucketWords) offsets.push(offsets.at(-1)! + words * 4)
    const next = offsets.map((bytes) => bytes / 4)
    const sorted = new Uint32Array(this.#length)
    const words = this.#words
    for (let at = 0; at < this.#length; ) {
      const size = entryWords(words, at)
      const bucket = words[at]! >>> 24
      sorted.set(words.subarray(at, at + size), next[bucket]!)
      next[bucket]! += size
      at += size
    }
    await exchange.put(key, new Uint8Array(sorted.buffer), options)
    return { key, offsets }
  }
}

export const originBytes = (words: Uint32Array, at: number): number => words[at + 10]! & 0xffff

/** Words of the entry at `at`. */
export const entryWords = (words: Uint32Array, at: number): number => ENTRY_WORDS + ((originBytes(words, at) + 3) >> 2)

/** Every entry of buckets `[from, to)`, many at a time, each whole. */
export async function* readEntries(
  exchange: Exchange,
  object: KeyObject,
  [from, to]: readonly [number, number],
  options: AbortableOptions,
): AsyncGenerator<Uint32Array, void, undefined> {
  const end = object.offsets[to]!
  let left = new Uint32Array(0)
  for (let start = object.offsets[from]!; start < end; start += READ_BYTES) {
    options.signal?.throwIfAborted()
    const bytes = await exchange.get(object.key, { start, end: Math.min(end, start + READ_BYTES) }, options)
    const words = new Uint32Array(left.length + bytes.byteLength / 4)
    words.set(left)
    new Uint8Array(words.buffer, left.length * 4).set(bytes)
    let at = 0
    while (at + ENTRY_WORDS <= words.length && at + entryWords(words, at) <= words.length) at += entryWords(words, at)
    yield words.subarray(0, at)
    left = words.slice(at)
  }
}
