/**
 * How often each word occurs in a stream of texts, in bounded memory: where the table is full, the rarest words go,
 * which are the last that a vocabulary would be made of.
 */
import { hashOf, WordTable } from './word-table.ts'
import { wordEnd } from './words.ts'

export interface WordLimits {
  readonly words: number
  readonly bytes: number
}

/** About 60 MB while counting, and up to 400 MB while merging. English news of 100 MB hold some 200,000 words. */
const LIMITS: WordLimits = { words: 1 << 19, bytes: 1 << 24 }

export class WordCounter {
  #words = new WordTable()
  #counts = new Float64Array(1 << 11)
  readonly #limits: WordLimits

  constructor(limits: WordLimits = LIMITS) {
    this.#limits = limits
  }

  get size(): number {
    return this.#words.size
  }

  add(text: Uint8Array): void {
    for (let from = 0; from < text.length; ) {
      const end = wordEnd(text, from, text.length)
      this.#count(text, from, end, 1)
      from = end
    }
    // between texts only, so that a text counts as a whole
    if (this.#words.size > this.#limits.words || this.#words.byteLength > this.#limits.bytes) this.#prune()
  }

  /** A view of the bytes of word `word`; below `size`. */
  bytesOf(word: number): Uint8Array {
    return this.#words.bytesOf(word)
  }

  countOf(word: number): number {
    return this.#counts[word]!
  }

  #count(bytes: Uint8Array, from: number, end: number, times: number): void {
    const hash = hashOf(bytes, from, end)
    let word = this.#words.find(bytes, from, end, hash)
    if (word < 0) {
      word = this.#words.add(bytes, from, end, hash)
      if (word === this.#counts.length) {
        const more = new Float64Array(word * 2)
        more.set(this.#counts)
        this.#counts = more
      }
      this.#counts[word] = 0
    }
    this.#counts[word] = this.#counts[word]! + times
  }

  /** Leaves the most frequent words, at most half of what the limits allow; of the words at the border none. */
  #prune(): void {
    const words = this.#words
    const counts = this.#counts
    const byCount = Array.from({ length: words.size }, (_, word) => word).sort((a, b) => counts[b]! - counts[a]!)
    let kept = 0
    for (let bytes = 0; kept < byCount.length && kept <= this.#limits.words / 2; kept++) {
      bytes += words.bytesOf(byCount[kept]!).length
      if (bytes > this.#limits.bytes / 2) break
    }
    const border = kept < byCount.length ? counts[byCount[kept]!]! : 0
    this.#words = new WordTable()
    this.#counts = new Float64Array(1 << 11)
    for (let word = 0; word < words.size; word++) {
      if (counts[word]! <= border) continue
      const bytes = words.bytesOf(word)
      this.#count(bytes, 0, bytes.length, counts[word]!)
    }
  }
}
