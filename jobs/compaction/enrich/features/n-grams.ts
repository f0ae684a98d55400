/** How much of a text its repeated runs of words make up. */
import type { ScannedText } from './scan.ts'

/**
 * Texts of more words get no n-gram signals. Those that pass have at most 100,000 words that are more than symbols,
 * which are 80 % of their words at least: none of them is affected.
 */
export const MAX_N_GRAM_WORDS = 200_000

/** Odd, so that powers have an inverse modulo 2^32. */
const BASE = 0x9e3779b1 | 0
const BASE_INVERSE = inverseOf(BASE)

/**
 * The runs of words of a text, each found again without cutting it out: runs of any length are hashed by the
 * difference of two sums that are made once, and compared letter by letter where hashes are equal. A set of strings
 * would hash each run anew, and all long strings of one length alike, which a hostile text could use.
 */
export interface WordRuns {
  /** Forget the runs that were added. */
  clear(): void
  /** The first word of the run of `n` words that is equal and was added before; -1 when there is none: now it is. */
  addOrFind(first: number, n: number): number
}

/** @param separator what stands after each word when runs are compared; with none, runs are equal across word ends. */
export function wordRuns(scan: ScannedText, separator: '' | ' '): WordRuns {
  const { text, starts } = joinWords(scan, separator)
  const { sums, inverses } = prefixSums(text, starts)
  const slots = 2 ** Math.ceil(Math.log2(2 * scan.wordCount + 2))
  /** First word of the run in the slot, counted from 1. */
  const table = new Int32Array(slots)
  const hashes = new Int32Array(slots)
  const isSame = (a: number, b: number, n: number): boolean => {
    const [startA, startB, length] = [starts[a]!, starts[b]!, starts[a + n]! - starts[a]!]
    if (starts[b + n]! - startB !== length) return false
    for (let at = 0; at < length; at++) if (text.charCodeAt(startA + at) !== text.charCodeAt(startB + at)) return false
    return true
  }
  return {
    clear: () => void table.fill(0),
    addOrFind(first, n) {
      const hash = mixed(Math.imul(sums[first + n]! - sums[first]!, inverses[first]!))
      let slot = hash & (slots - 1)
      for (; table[slot] !== 0; slot = (slot + 1) & (slots - 1)) {
        const other = table[slot]! - 1
        if (hashes[slot] === hash && isSame(other, first, n)) return other
      }
      table[slot] = first + 1
      hashes[slot] = hash
      return -1
    },
  }
}

/**
 * Code points of the most frequent run of `n` words, one space between words, times its occurrences. Of equally
 * frequent runs the first one counts; `undefined` when the text has fewer words.
 * @param spaced runs with a space as separator.
 */
export function topNGramLength(scan: ScannedText, spaced: WordRuns, n: number): number | undefined {
  const runs = scan.wordCount - n + 1
  if (runs < 1) return undefined
  spaced.clear()
  const counts = new Int32Array(runs)
  for (let first = 0; first < runs; first++) {
    const before = spaced.addOrFind(first, n)
    counts[before < 0 ? first : before]!++
  }
  let top = 0
  for (let first = 1; first < runs; first++) if (counts[first]! > counts[top]!) top = first
  return (lengthOfRun(scan, top, n) + n - 1) * counts[top]!
}

/**
 * Code points of the runs of `n` words that were there before, read from left to right: a repeated run is counted and
 * skipped as a whole. Runs are equal when their letters are, wherever the words begin.
 * @param joined runs without a separator.
 */
export function repeatedNGramLength(scan: ScannedText, joined: WordRuns, n: number): number {
  joined.clear()
  let length = 0
  let first = 0
  while (first < scan.wordCount - n + 1) {
    if (joined.addOrFind(first, n) < 0) {
      first++
      continue
    }
    length += lengthOfRun(scan, first, n)
    first += n
  }
  return length
}

/** Every word with the separator behind it; the places of the words, and of the end. */
function joinWords(
  { text, starts, ends, wordCount }: ScannedText,
  separator: '' | ' ',
): { readonly text: string; readonly starts: Int32Array } {
  const places = new Int32Array(wordCount + 1)
  const words: string[] = new Array(wordCount)
  for (let word = 0; word < wordCount; word++) {
    words[word] = text.slice(starts[word]!, ends[word]!)
    places[word + 1] = places[word]! + ends[word]! - starts[word]! + separator.length
  }
  return { text: words.join(separator) + separator, starts: places }
}

/**
 * At each place: the sum of all characters before it, each times a power of the base that grows with its own place;
 * and what takes a difference of two sums back to where every run begins with the same power.
 */
function prefixSums(text: string, starts: Int32Array): { readonly sums: Int32Array; readonly inverses: Int32Array } {
  const sums = new Int32Array(starts.length)
  const inverses = new Int32Array(starts.length)
  let [sum, power, inverse, at] = [0, 1, 1, 0]
  for (let word = 0; word < starts.length; word++) {
    for (const end = starts[word]!; at < end; at++) {
      sum = (sum + Math.imul(text.charCodeAt(at) + 1, power)) | 0
      power = Math.imul(power, BASE)
      inverse = Math.imul(inverse, BASE_INVERSE)
    }
    sums[word] = sum
    inverses[word] = inverse
  }
  return { sums, inverses }
}

/** Modulo 2^32; each step doubles the bits that are right. */
function inverseOf(odd: number): number {
  let inverse = odd
  for (let step = 0; step < 5; step++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse))
  return inverse
}

/** The low bits of a sum say little; the slot is taken from them. */
function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return twice ^ (twice >>> 16)
}

function lengthOfRun({ lengths }: ScannedText, first: number, n: number): number {
  let length = 0
  for (let word = first; word < first + n; word++) length += lengths[word]!
  return length
}
