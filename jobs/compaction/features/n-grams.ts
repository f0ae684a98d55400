/** How much of a text its repeated runs of words make up. */
import type { ScannedText } from './scan.ts'

/**
 * Texts of more words get no n-gram signals. Those that pass have at most 100,000 words that are more than symbols,
 * which are 80 % of their words at least: none of them is affected.
 */
export const MAX_N_GRAM_WORDS = 200_000

/** The words with nothing, or one space, between them, so that a run of words is one slice. */
export interface JoinedWords {
  readonly text: string
  /** Place of each word, in UTF-16 units, and of the end after the last one's separator. */
  readonly starts: Int32Array
}

export function joinWords({ text, starts, ends, wordCount }: ScannedText, separator: '' | ' '): JoinedWords {
  const places = new Int32Array(wordCount + 1)
  const words: string[] = new Array(wordCount)
  let at = 0
  for (let word = 0; word < wordCount; word++) {
    places[word] = at
    words[word] = text.slice(starts[word]!, ends[word]!)
    at += ends[word]! - starts[word]! + separator.length
  }
  places[wordCount] = at
  return { text: words.join(separator), starts: places }
}

/**
 * Code points of the most frequent run of `n` words, one space between words, times its occurrences. Of equally
 * frequent runs the first one counts; `undefined` when the text has fewer words.
 */
export function topNGramLength(scan: ScannedText, spaced: JoinedWords, n: number): number | undefined {
  const runs = scan.wordCount - n + 1
  if (runs < 1) return undefined
  const counts = new Map<string, { count: number; first: number }>()
  let top = { count: 0, first: -1 }
  for (let first = 0; first < runs; first++) {
    const run = spaced.text.slice(spaced.starts[first]!, spaced.starts[first + n]! - 1)
    const known = counts.get(run)
    if (known === undefined) counts.set(run, { count: 1, first })
    else known.count++
  }
  for (const entry of counts.values()) if (entry.count > top.count) top = entry
  return (lengthOfRun(scan, top.first, n) + n - 1) * top.count
}

/**
 * Code points of the runs of `n` words that were there before, read from left to right: a repeated run is counted and
 * skipped as a whole. Runs are equal when their letters are, wherever the words begin.
 */
export function repeatedNGramLength(scan: ScannedText, joined: JoinedWords, n: number): number {
  const seen = new Set<string>()
  let length = 0
  let first = 0
  while (first < scan.wordCount - n + 1) {
    const run = joined.text.slice(joined.starts[first]!, joined.starts[first + n]!)
    if (seen.has(run)) {
      length += lengthOfRun(scan, first, n)
      first += n
    } else {
      seen.add(run)
      first++
    }
  }
  return length
}

function lengthOfRun({ lengths }: ScannedText, first: number, n: number): number {
  let length = 0
  for (let word = first; word < first + n; word++) length += lengths[word]!
  return length
}
