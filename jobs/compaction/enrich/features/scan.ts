/** One pass over a text: its length, its characters by kind, its words. What the groups share. */
import type { CellValue } from '../validate.ts'
import { characterFlags, DIGIT, LETTER, PUNCTUATION, SPACE, SYMBOL, UPPER } from './characters.ts'

/** What a group gives for a text, by name without the prefix; a name that is missing is null. */
export type GroupValues = Readonly<Record<string, CellValue>>

/**
 * Longer texts (UTF-16 units) are not measured by `quality` and `statistics`: a set of their lines, words or n-grams
 * could outgrow what a JavaScript set holds, 2^24 entries. Above the default size of a record.
 */
export const MAX_MEASURED_UNITS: number = 2 ** 24

/** Words: maximal runs of characters that are not White_Space, as `word_count` counts them. Lengths in code points. */
export interface ScannedText {
  readonly text: string
  /** Code points. */
  readonly length: number
  readonly spaces: number
  readonly digits: number
  readonly uppercase: number
  readonly punctuation: number
  /** Neither a letter nor a digit. */
  readonly others: number
  readonly wordCount: number
  /** Code points of all words. */
  readonly wordLength: number
  /** `[start, end)` of word `n` in UTF-16 units. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** Code points of word `n`. */
  readonly lengths: Int32Array
  /** Words of one letter at least. */
  readonly letterWords: number
  /** Words that have more than punctuation and sentence ends, and their code points. */
  readonly properWords: number
  readonly properWordLength: number
}

const FIRST_WORDS = 1024

/** @param text well-formed: what UTF-8 can hold. */
export function scanText(text: string): ScannedText {
  const words = new WordList()
  const units = text.length
  let [length, spaces, digits, uppercase, punctuation, others] = [0, 0, 0, 0, 0, 0]
  let [letterWords, properWords, properWordLength, wordLength] = [0, 0, 0, 0]
  let at = 0
  while (at < units) {
    const start = at
    const lengthBefore = length
    let inWord = 0
    let proper = false
    for (; at < units; at++) {
      let code = text.charCodeAt(at)
      if (code >= 0xd800 && code < 0xdc00) code = text.codePointAt(at)!
      const flags = characterFlags(code)
      if ((flags & SPACE) !== 0) break
      if (code > 0xffff) at++
      length++
      inWord |= flags
      if ((flags & SYMBOL) === 0) proper = true
      if ((flags & DIGIT) !== 0) digits++
      if ((flags & UPPER) !== 0) uppercase++
      if ((flags & PUNCTUATION) !== 0) punctuation++
      if ((flags & (LETTER | DIGIT)) === 0) others++
    }
    if (at > start) {
      const points = length - lengthBefore
      words.add(start, at, points)
      wordLength += points
      if ((inWord & LETTER) !== 0) letterWords++
      if (proper) {
        properWords++
        properWordLength += points
      }
    }
    if (at === units) break
    // white space, all of it in the basic plane
    if ((characterFlags(text.charCodeAt(at)) & PUNCTUATION) !== 0) punctuation++
    length++
    spaces++
    others++
    at++
  }
  const { count: wordCount, starts, ends, lengths } = words
  const characters = { length, spaces, digits, uppercase, punctuation, others }
  return {
    text,
    ...characters,
    wordCount,
    wordLength,
    starts,
    ends,
    lengths,
    letterWords,
    properWords,
    properWordLength,
  }
}

class WordList {
  count = 0
  starts: Int32Array<ArrayBuffer> = new Int32Array(FIRST_WORDS)
  ends: Int32Array<ArrayBuffer> = new Int32Array(FIRST_WORDS)
  lengths: Int32Array<ArrayBuffer> = new Int32Array(FIRST_WORDS)

  add(start: number, end: number, length: number): void {
    const index = this.count++
    if (index === this.starts.length) {
      this.starts = doubled(this.starts)
      this.ends = doubled(this.ends)
      this.lengths = doubled(this.lengths)
    }
    this.starts[index] = start
    this.ends[index] = end
    this.lengths[index] = length
  }
}

function doubled(old: Int32Array): Int32Array<ArrayBuffer> {
  const next = new Int32Array(old.length * 2)
  next.set(old)
  return next
}

/** Code points of a well-formed text. */
export function codePoints(text: string): number {
  let count = text.length
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xd800) count--
  return count
}

/** A share; 0 when there is nothing to divide by. */
export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
