/**
 * What kind of character a code point is, for the feature groups.
 *
 * White space, line breaks, punctuation, sentence ends and the digits beyond the decimal ones are fixed lists: a newer
 * Unicode version must not change stored numbers. Letters, case and decimal digits are Unicode properties (`\p{L}`,
 * `\p{Uppercase}`, `\p{Lowercase}`, `\p{Lt}`, `\p{Nd}`) of the Unicode version that Node has: they differ between
 * versions for code points that the older one does not assign, and for a handful whose case was corrected.
 */
import { WHITE_SPACE } from '../features.ts'

export const SPACE = 1
export const LETTER = 2
export const DIGIT = 4
export const UPPER = 8
export const LOWER = 16
/** Titlecase letters such as `ǅ`. */
export const TITLE = 32
/** In the list of punctuation and control characters. */
export const PUNCTUATION = 64
/** Punctuation, or ends a sentence in some script. A word of nothing else is a symbol, not a word. */
export const SYMBOL = 128
const KNOWN = 256

/** ASCII, general and CJK punctuation, and the control characters but for tab and line feed. */
export const PUNCTUATION_RANGES =
  '0-8 b-1f 21-2f 3a-40 5b-60 7b-9f ab b4 bb 2013-2014 2019 201c-201e 2026 2236 2501 25ba 3001-3002 3008-300d 3010-3011 ff01 ff05 ff08-ff09 ff0c ff0e ff11 ff1a-ff1b ff1f ff5e'
/** Marks that end sentences, over all scripts. */
export const SENTENCE_END_RANGES =
  '21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88'
/** Characters of Numeric_Type=Digit that are not decimal: superscripts, circled digits … Unicode adds no more to them. */
export const OTHER_DIGIT_RANGES =
  'b2-b3 b9 1369-1371 19da 2070 2074-2079 2080-2089 2460-2468 2474-247c 2488-2490 24ea 24f5-24fd 24ff 2776-277e 2780-2788 278a-2792 10a40-10a43 10e60-10e68 11052-1105a 1f100-1f10a'

/** Flags by code point, filled when a code point is met first: few of a million are. */
const FLAGS = new Uint16Array(0x110000)

/** @returns the sum of the flags above that `codePoint` has. */
export function characterFlags(codePoint: number): number {
  const flags = FLAGS[codePoint]!
  return flags === 0 ? classify(codePoint) : flags
}

const PROPERTIES: readonly (readonly [RegExp, number])[] = [
  [/\p{L}/u, LETTER],
  [/\p{Nd}/u, DIGIT],
  [/\p{Uppercase}/u, UPPER],
  [/\p{Lowercase}/u, LOWER],
  [/\p{Lt}/u, TITLE],
]

const LISTS: readonly (readonly [ReadonlySet<number>, number])[] = [
  [new Set([...WHITE_SPACE].map((character) => character.codePointAt(0)!)), SPACE],
  [codePointsOf(OTHER_DIGIT_RANGES), DIGIT],
  [codePointsOf(PUNCTUATION_RANGES), PUNCTUATION | SYMBOL],
  [codePointsOf(SENTENCE_END_RANGES), SYMBOL],
]

function classify(codePoint: number): number {
  const character = String.fromCodePoint(codePoint)
  let flags = KNOWN
  for (const [property, flag] of PROPERTIES) if (property.test(character)) flags |= flag
  for (const [list, flag] of LISTS) if (list.has(codePoint)) flags |= flag
  FLAGS[codePoint] = flags
  return flags
}

function codePointsOf(ranges: string): ReadonlySet<number> {
  const points = new Set<number>()
  for (const range of ranges.split(' ')) {
    const [first, last = first] = range.split('-').map((hex) => Number.parseInt(hex, 16)) as [number, number?]
    for (let point = first; point <= last; point++) points.add(point)
  }
  return points
}
