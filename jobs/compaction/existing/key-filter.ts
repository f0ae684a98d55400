/**
 * A Bloom filter over the keys of a run: rows of the table whose keys it does not have need no comparison. What it has
 * by accident is compared in vain, nothing else.
 */

/** One in about 150 other keys passes. */
const BITS_PER_KEY = 12
const MIN_BITS = 1024
const MAX_BITS = 2 ** 32

export class KeyFilter {
  readonly #bits: Uint8Array
  readonly #count: number

  /** @param maxBytes of memory; where it is too small for the keys, more others pass. */
  constructor(keys: number, maxBytes: number) {
    const bits = Math.max(MIN_BITS, Math.min(keys * BITS_PER_KEY, maxBytes * 8, MAX_BITS))
    this.#bits = new Uint8Array(Math.ceil(bits / 8))
    this.#count = this.#bits.length * 8
  }

  /** @param words the four of a key's digest, at `at`. */
  add(words: Uint32Array, at: number): void {
    for (let index = 0; index < 4; index++) {
      const bit = words[at + index]! % this.#count
      this.#bits[Math.floor(bit / 8)]! |= 1 << (bit & 7)
    }
  }

  /** @param digest of a key, as `keyDigest` makes it. */
  mayHave(digest: Buffer): boolean {
    for (let index = 0; index < 4; index++) {
      const bit = digest.readUInt32BE(index * 4) % this.#count
      if ((this.#bits[Math.floor(bit / 8)]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}
