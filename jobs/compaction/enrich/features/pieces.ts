/** Lines and paragraphs of a text, one at a time, and how much of them is repeated. */
import { characterFlags, SPACE } from './characters.ts'
import { codePoints } from './scan.ts'

/**
 * Lines as editors count them: ended by LF, CR LF, CR, VT, FF, U+001C to U+001E, U+0085, U+2028 or U+2029; no line
 * after the last of these.
 */
export function* brokenLines(text: string): Generator<string, void, undefined> {
  let start = 0
  for (const { index, 0: mark } of text.matchAll(LINE_BREAK)) {
    yield text.slice(start, index)
    start = index + mark.length
  }
  if (start < text.length) yield text.slice(start)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they end lines
const LINE_BREAK = /\r\n|[\n\v\f\r\u001c-\u001e\u0085\u2028\u2029]/g

/** What lies between runs of at least `least` line feeds; an empty piece at either end counts. */
export function* betweenLineFeeds(text: string, least: 1 | 2): Generator<string, void, undefined> {
  let start = 0
  for (const { index, 0: mark } of text.matchAll(least === 1 ? /\n+/g : /\n{2,}/g)) {
    yield text.slice(start, index)
    start = index + mark.length
  }
  yield text.slice(start)
}

/** What lies between occurrences of `separator`; as `String.split`, but one piece at a time. */
export function* between(text: string, separator: string): Generator<string, void, undefined> {
  let start = 0
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, start)) {
    yield text.slice(start, at)
    start = at + separator.length
  }
  yield text.slice(start)
}

/** How often a piece was there before, and how long those repetitions are. */
export class Repetitions {
  readonly #seen: Set<string> = new Set()
  count = 0
  repeated = 0
  /** Code points of the repetitions. */
  repeatedLength = 0

  add(piece: string): void {
    this.count++
    const before = this.#seen.size
    this.#seen.add(piece)
    if (this.#seen.size > before) return
    this.repeated++
    this.repeatedLength += codePoints(piece)
  }
}

const isSpaceAt = (text: string, at: number): boolean => (characterFlags(text.charCodeAt(at)) & SPACE) !== 0

/** Place of the first character that is not White_Space; the length when there is none. */
export function firstNonSpace(text: string): number {
  let at = 0
  while (at < text.length && isSpaceAt(text, at)) at++
  return at
}

/** Place after the last character that is not White_Space; 0 when there is none. */
export function afterLastNonSpace(text: string): number {
  let at = text.length
  while (at > 0 && isSpaceAt(text, at - 1)) at--
  return at
}

export const isBlank = (text: string): boolean => firstNonSpace(text) === text.length

/** Occurrences that do not overlap. */
export function occurrences(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++
  return count
}
