/**
 * How a text falls into words, before any vocabulary looks at it. Written twice: as the regular expression that other
 * programs find in `tokenizer.json`, and as a walk over UTF-8 bytes, which is what runs here. Tests hold them equal.
 *
 * The classes are ranges of code points and ask no Unicode table, so that every engine and every version of Unicode
 * cuts the same text in the same places. Runs have a longest length, so that no text makes one word expensive.
 *
 * - a letter: A-Z, a-z and whatever is none of the below
 * - a digit: 0-9
 * - white space: tab to carriage return, and space
 * - a mark: the rest of ASCII, U+0080-00BF, U+2000-2BFF (punctuation to arrows), U+3000-303F, U+FE00-FE3F and
 *   U+1F000-1FFFF (emoji)
 */

/** Code points of a run of letters, of digits, and of marks or white space. */
const LONGEST = { letters: 32, digits: 4, others: 16 } as const

const WIDE_MARKS = '\\u0080-\\u00BF\\u2000-\\u2BFF\\u3000-\\u303F\\uFE00-\\uFE3F\u{1F000}-\u{1FFFF}'
const LETTER = `[^\\x00-\\x40\\x5B-\\x60\\x7B-\\x7F${WIDE_MARKS}]`
const MARK = `[\\x00-\\x08\\x0E-\\x1F\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7F${WIDE_MARKS}]`
const SPACE = '[\\x09-\\x0D\\x20]'

/**
 * A word, in order of preference: letters with the space or apostrophe before them; digits, or marks, with the space
 * before them; white space without its last character when more follows, which belongs to the next word.
 * The part of regular expressions that Oniguruma and JavaScript read alike.
 */
export const WORD_PATTERN: string = [
  `[\\x20\\x27]?${LETTER}{1,${LONGEST.letters}}`,
  `\\x20?[0-9]{1,${LONGEST.digits}}`,
  `\\x20?${MARK}{1,${LONGEST.others}}`,
  `${SPACE}{1,${LONGEST.others}}(?![^\\x09-\\x0D\\x20])`,
  SPACE,
].join('|')

/** Bytes of the longest word: its letters at four bytes each, and the space before them. */
export const MAX_WORD_BYTES: number = LONGEST.letters * 4 + 1

const A_LETTER = 0
const A_DIGIT = 1
const A_MARK = 2
const A_SPACE = 3
/** The class of these leads depends on the byte that follows. */
const AN_E2 = 4
const AN_E3 = 5
const AN_EF = 6
const AN_F0 = 7

const CLASS: Uint8Array = new Uint8Array(256).map((_, byte) => {
  if (byte >= 0x80) {
    if (byte === 0xc2) return A_MARK
    return byte === 0xe2 ? AN_E2 : byte === 0xe3 ? AN_E3 : byte === 0xef ? AN_EF : byte === 0xf0 ? AN_F0 : A_LETTER
  }
  if ((byte >= 9 && byte <= 13) || byte === 32) return A_SPACE
  if (byte >= 48 && byte <= 57) return A_DIGIT
  return (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) ? A_LETTER : A_MARK
})

const LONGEST_OF: readonly number[] = [LONGEST.letters, LONGEST.digits, LONGEST.others, LONGEST.others]

/** The class of the code point at `at`, which is below `end`. */
function classAt(bytes: Uint8Array, at: number, end: number): number {
  const first = CLASS[bytes[at]!]!
  return first <= A_SPACE ? first : classOfWide(first, at + 1 < end ? bytes[at + 1]! : 0)
}

function classOfWide(lead: number, second: number): number {
  if (lead === AN_E2) return second >= 0x80 && second < 0xb0 ? A_MARK : A_LETTER
  if (lead === AN_E3) return second === 0x80 ? A_MARK : A_LETTER
  if (lead === AN_EF) return second === 0xb8 ? A_MARK : A_LETTER
  return second === 0x9f ? A_MARK : A_LETTER
}

/**
 * End of the word that starts at `at`, at most `end`; `at` is below `end`. Bytes that are not UTF-8 are taken as
 * letters: every byte is part of some word.
 */
export function wordEnd(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!
  const first = classAt(bytes, at, end)
  if (byte === 0x20) {
    if (at + 1 === end) return end
    const next = classAt(bytes, at + 1, end)
    return next === A_SPACE ? spacesEnd(bytes, at, end) : runEnd(bytes, at + 1, end, next)
  }
  if (byte === 0x27 && at + 1 < end && classAt(bytes, at + 1, end) === A_LETTER) {
    return runEnd(bytes, at + 1, end, A_LETTER)
  }
  return first === A_SPACE ? spacesEnd(bytes, at, end) : runEnd(bytes, at, end, first)
}

/** End of the run of code points of class `kind` that starts at `at` with one of them. */
function runEnd(bytes: Uint8Array, at: number, end: number, kind: number): number {
  let left = LONGEST_OF[kind]!
  while (left-- > 0 && at < end) {
    const byte = bytes[at]!
    const first = CLASS[byte]!
    if (byte < 0x80) {
      if (first !== kind) return at
      at++
    } else {
      if ((first <= A_SPACE ? first : classOfWide(first, at + 1 < end ? bytes[at + 1]! : 0)) !== kind) return at
      at = afterWide(bytes, at, end)
    }
  }
  return at
}

/** Behind the code point at `at`, as its first byte states its length; cut short where the bytes do not go on so. */
function afterWide(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!
  const limit = Math.min(end, at + (byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4))
  at++
  while (at < limit && (bytes[at]! & 0xc0) === 0x80) at++
  return at
}

function spacesEnd(bytes: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + LONGEST.others + 1)
  let stop = at
  while (stop < limit && CLASS[bytes[stop]!] === A_SPACE) stop++
  const run = stop - at
  if (run > LONGEST.others) return at + LONGEST.others
  return stop === end || run === 1 ? stop : stop - 1
}
