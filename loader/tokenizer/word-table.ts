/**
 * Words by their bytes, numbered in order of arrival. A text is millions of short slices of one array: as strings they
 * would cost a decode and an object each.
 */

/** Open addressing with linear probing; the slots are at least twice the words. */
export class WordTable {
  /** Words so far; they have the numbers below. */
  size = 0
  #slots: Int32Array
  #hashes: Int32Array
  /** Word `n` is `#bytes[#starts[n] .. #starts[n + 1])`. */
  #starts: Int32Array
  #bytes: Uint8Array

  constructor() {
    this.#slots = new Int32Array(1 << 12).fill(-1)
    this.#hashes = new Int32Array(1 << 11)
    this.#starts = new Int32Array((1 << 11) + 1)
    this.#bytes = new Uint8Array(1 << 14)
  }

  /** Bytes of all words. */
  get byteLength(): number {
    return this.#starts[this.size]!
  }

  /** Number of the word `bytes[at .. end)`; -1 when it is not here. `hash` as `hashOf` has it. */
  find(bytes: Uint8Array, at: number, end: number, hash: number): number {
    const slots = this.#slots
    const hashes = this.#hashes
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const word = slots[slot]!
      if (word < 0) return -1
      if (hashes[word] === hash && this.#equals(word, bytes, at, end)) return word
    }
  }

  /** Adds a word that is not here, and returns its number: `size` as it was. */
  add(bytes: Uint8Array, at: number, end: number, hash: number): number {
    const word = this.size
    if (word === this.#hashes.length) this.#grow()
    const start = this.#starts[word]!
    const stop = start + end - at
    if (stop > this.#bytes.length) {
      const more = new Uint8Array(Math.max(stop, this.#bytes.length * 2))
      more.set(this.#bytes)
      this.#bytes = more
    }
    for (let from = at, to = start; from < end; from++, to++) this.#bytes[to] = bytes[from]!
    this.#starts[word + 1] = stop
    this.#hashes[word] = hash
    this.#place(word)
    this.size = word + 1
    return word
  }

  /** A view of the bytes of word `word`, good until a word is added. */
  bytesOf(word: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[word]!, this.#starts[word + 1]!)
  }

  #equals(word: number, bytes: Uint8Array, at: number, end: number): boolean {
    const own = this.#bytes
    let from = this.#starts[word]!
    if (this.#starts[word + 1]! - from !== end - at) return false
    for (; at < end; at++, from++) if (own[from] !== bytes[at]) return false
    return true
  }

  #grow(): void {
    const words = this.#hashes.length * 2
    const hashes = new Int32Array(words)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const starts = new Int32Array(words + 1)
    starts.set(this.#starts)
    this.#starts = starts
    this.#slots = new Int32Array(words * 2).fill(-1)
    for (let word = 0; word < this.size; word++) this.#place(word)
  }

  #place(word: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hashes[word]! & mask
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = word
  }
}

/** Of the bytes `[at, end)`: FNV-1a, with its high bits folded into the low ones, which choose the slot. */
export function hashOf(bytes: Uint8Array, at: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return hash ^ (hash >>> 15)
}
