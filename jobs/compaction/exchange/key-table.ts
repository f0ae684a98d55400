/** One entry per key: which record of each key stays. A hash table in flat memory, about 100 bytes a key. */
import { ENTRY_WORDS, originBytes } from './key-entries.ts'

/** Runs from here on are files of the table, whose rows were there before the run. */
export const FIRST_EXISTING_RUN: number = 2 ** 31

/** Told where the row of a record lies that another one of its key replaces. */
export type OnLoser = (range: number, run: number, row: number) => void

/** What a key takes when the table is as empty as it gets, a growth in progress included. */
export const KEY_BYTES = 300

export class KeyTable {
  readonly #keepsFirst: boolean
  readonly #onLoser: OnLoser
  #slots: Uint32Array<ArrayBuffer> = new Uint32Array(1024 * ENTRY_WORDS)
  /** A slot is taken when its bit is set: every word of an entry may be 0. */
  #taken: Uint8Array<ArrayBuffer> = new Uint8Array(1024)
  #origins = new Map<number, Buffer>()
  #size = 0

  constructor(keep: 'latest' | 'first', onLoser: OnLoser) {
    this.#keepsFirst = keep === 'first'
    this.#onLoser = onLoser
  }

  offer(words: Uint32Array, at: number): void {
    if (this.#size * 2 >= this.#taken.length) this.#grow()
    const slot = this.#find(words, at)
    const base = slot * ENTRY_WORDS
    if (this.#taken[slot] === 0) {
      this.#taken[slot] = 1
      this.#size++
      this.#place(slot, words, at)
      return
    }
    const replaces = this.#compare(slot, words, at) < 0 !== this.#keepsFirst
    if (!replaces) {
      this.#onLoser(words[at + 10]! >>> 16, words[at + 8]!, words[at + 9]!)
      return
    }
    const slots = this.#slots
    this.#onLoser(slots[base + 10]! >>> 16, slots[base + 8]!, slots[base + 9]!)
    this.#place(slot, words, at)
  }

  #place(slot: number, words: Uint32Array, at: number): void {
    this.#slots.set(words.subarray(at, at + ENTRY_WORDS), slot * ENTRY_WORDS)
    const length = originBytes(words, at)
    if (length > 0) this.#origins.set(slot, Buffer.from(originOf(words, at)))
  }

  #find(words: Uint32Array, at: number): number {
    const mask = this.#taken.length - 1
    const slots = this.#slots
    for (let slot = words[at + 3]! & mask; ; slot = (slot + 1) & mask) {
      if (this.#taken[slot] === 0) return slot
      const base = slot * ENTRY_WORDS
      if (
        slots[base + 3] === words[at + 3] &&
        slots[base + 2] === words[at + 2] &&
        slots[base + 1] === words[at + 1] &&
        slots[base] === words[at]
      ) {
        return slot
      }
    }
  }

  /** Order of the record in the slot and of the one at `at`; never 0. */
  #compare(slot: number, words: Uint32Array, at: number): number {
    const base = slot * ENTRY_WORDS
    const slots = this.#slots
    for (let index = 4; index < 6; index++) {
      const difference = slots[base + index]! - words[at + index]!
      if (difference !== 0) return difference
    }
    const origin = this.#origins.get(slot)
    if (origin !== undefined) {
      const difference = Buffer.compare(origin, originOf(words, at))
      if (difference !== 0) return difference
      // the same record once more: what is in the table stays there
      const isExisting = slots[base + 8]! >= FIRST_EXISTING_RUN
      if (isExisting !== words[at + 8]! >= FIRST_EXISTING_RUN) return isExisting === this.#keepsFirst ? -1 : 1
    }
    return slots[base + 6]! - words[at + 6]! || slots[base + 7]! - words[at + 7]!
  }

  #grow(): void {
    const [slots, taken, origins] = [this.#slots, this.#taken, this.#origins]
    this.#slots = new Uint32Array(slots.length * 2)
    this.#taken = new Uint8Array(taken.length * 2)
    this.#origins = new Map()
    for (let slot = 0; slot < taken.length; slot++) {
      if (taken[slot] === 0) continue
      const moved = this.#find(slots, slot * ENTRY_WORDS)
      this.#taken[moved] = 1
      this.#slots.set(slots.subarray(slot * ENTRY_WORDS, (slot + 1) * ENTRY_WORDS), moved * ENTRY_WORDS)
      const origin = origins.get(slot)
      if (origin !== undefined) this.#origins.set(moved, origin)
    }
  }
}

const originOf = (words: Uint32Array, at: number): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset + (at + ENTRY_WORDS) * 4, originBytes(words, at))
