/**
 * Text features, in one pass over the UTF-8 bytes.
 *
 * - `word_count`: maximal runs of characters that are not Unicode White_Space. U+0085 is White_Space and U+FEFF is
 *   not, unlike in JavaScript's `\s`; the ASCII-only `\s` of RE2 and Java differs too.
 * - `char_count`: code points.
 * - `sentence_count`: a run of `. ! ? … 。 ！ ？`, optionally followed by closing quotes or brackets, ends a sentence
 *   where White_Space or the end of the text follows. What is left after the last one counts if it is not blank.
 * - `content_sha256`: SHA-256 of the bytes, lower-case hexadecimal.
 *
 * Closing marks are a fixed list, not a Unicode category: a newer Unicode version must not change stored numbers. It
 * has `“ ‘ «` as well, which close quotations in German and Danish.
 *
 * The definitions bind stored data: jobs/verify recomputes them, other engines may too.
 */
import { hash } from 'node:crypto'

export interface TextFeatures {
  words: number
  chars: number
  sentences: number
}

/** Unicode White_Space above ASCII, terminators and closing marks; the byte classes below follow from these lists. */
export const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
export const TERMINATORS = '.!?…。！？'
export const CLOSING_MARKS = '"\')]}«»‘’“”‹›〉》」』】〕）］｝'

const OTHER = 0
const SPACE = 1
const TERMINATOR = 2
const CLOSING = 3
/** First byte of a character whose class the following bytes decide. */
const LEAD = 4
/** Second and later bytes of a character. */
const CONTINUATION = 5

/** Class by byte. */
const BYTE_CLASS = new Uint8Array(256)
/** Class by code point for the characters above ASCII that have one; all are below U+10000. */
const WIDE_CLASS = new Uint8Array(0x10000)

function mark(characters: string, characterClass: number): void {
  for (const character of characters) {
    const codePoint = character.codePointAt(0)!
    if (codePoint < 0x80) {
      BYTE_CLASS[codePoint] = characterClass
    } else {
      WIDE_CLASS[codePoint] = characterClass
      BYTE_CLASS[Buffer.from(character)[0]!] = LEAD
    }
  }
}
BYTE_CLASS.fill(CONTINUATION, 0x80, 0xc0)
mark(WHITE_SPACE, SPACE)
mark(TERMINATORS, TERMINATOR)
mark(CLOSING_MARKS, CLOSING)

/** Only white space since the last sentence ended. */
const BLANK = 0
/** Inside a sentence. */
const OPEN = 1
/** After terminators and closing marks: white space or the end would end the sentence. */
const ENDING = 2

/** Features of the valid UTF-8 in `bytes[start, end)`, written to `out`: no allocation per row. */
export function measureText(bytes: Uint8Array, start: number, end: number, out: TextFeatures): void {
  let words = 0
  let chars = 0
  let sentences = 0
  let inWord = false
  let state = BLANK
  for (let i = start; i < end; i++) {
    let characterClass = BYTE_CLASS[bytes[i]!]!
    if (characterClass === OTHER) {
      // most of any text: letters after letters
      const from = i
      while (i + 1 < end && BYTE_CLASS[bytes[i + 1]!] === OTHER) i++
      chars += i + 1 - from
      if (!inWord) words++
      inWord = true
      state = OPEN
      continue
    }
    if (characterClass === CONTINUATION) continue
    chars++
    if (characterClass === LEAD) characterClass = wideClass(bytes, i)
    if (characterClass === SPACE) {
      inWord = false
      if (state === ENDING) {
        sentences++
        state = BLANK
      }
      continue
    }
    if (!inWord) words++
    inWord = true
    if (characterClass === TERMINATOR) state = ENDING
    else if (characterClass === OTHER || state !== ENDING) state = OPEN
  }
  out.words = words
  out.chars = chars
  out.sentences = state === BLANK ? sentences : sentences + 1
}

/** Class of the two- or three-byte character at `at`. */
function wideClass(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!
  const second = bytes[at + 1]! & 0x3f
  if (lead < 0xe0) return WIDE_CLASS[((lead & 0x1f) << 6) | second]!
  return WIDE_CLASS[((lead & 0x0f) << 12) | (second << 6) | (bytes[at + 2]! & 0x3f)]!
}

/** @returns 64 lower-case hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
