/** Texts of every kind that the rules and statistics look at, out of nothing: equal seeds give equal texts. */
import { articleAt } from '../../jobs/demo/articles.ts'

const SYLLABLES = 'ka lo mi ne ru ta ve so pi du fa ge ho ji be zu'.split(' ')
const STOP_WORDS = ['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']
/** Assigned since long, so that every Unicode version in use knows them. */
const RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x1b],
  [0x20, 0x17f],
  [0x1c4, 0x1cc],
  [0x2b0, 0x2ff],
  [0x391, 0x3a1],
  [0x3a3, 0x3ff],
  [0x400, 0x52f],
  [0x5d0, 0x5ea],
  [0x61b, 0x66f],
  [0x904, 0x970],
  [0xe01, 0xe3a],
  [0x1369, 0x137c],
  [0x1680, 0x169c],
  [0x1f88, 0x1faf],
  [0x2000, 0x205f],
  [0x2070, 0x2071],
  [0x2074, 0x208e],
  [0x2150, 0x2188],
  [0x2460, 0x24ff],
  [0x2776, 0x2793],
  [0x3000, 0x303f],
  [0x3041, 0x3096],
  [0x4e00, 0x4e80],
  [0xac00, 0xac40],
  [0xff01, 0xffbe],
  [0x10400, 0x1044f],
  [0x1d400, 0x1d454],
  [0x1d7ce, 0x1d7ff],
  [0x1f600, 0x1f640],
]
const BREAKS = ['\n', '\n\n', '\n\n\n', '\r\n', '\r', '\v', '\f', '\u0085', '\u2028', '\u2029']

export interface FeatureText {
  readonly kind: string
  readonly text: string
}

export function featureTexts(count: number, seed: number): readonly FeatureText[] {
  const kinds = Object.keys(MAKERS)
  const texts = Array.from({ length: count - 1 }, (_, index): FeatureText => {
    const kind = kinds[index % kinds.length]!
    return { kind, text: MAKERS[kind]!(dice(seed * 1_000_003 + index), index).toWellFormed() }
  })
  return [...texts, { kind: 'long', text: words(dice(seed), 100_050).join(' ') }]
}

/** Whole numbers in [0, limit). */
type Dice = (limit: number) => number

function dice(seed: number): Dice {
  let state = seed >>> 0
  return (limit) => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }
}

const pick = <T>(roll: Dice, list: readonly T[]): T => list[roll(list.length)]!
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** Rarely the same word twice, one stop word in six. */
function words(roll: Dice, count: number): string[] {
  return times(count, () =>
    roll(6) === 0 ? pick(roll, STOP_WORDS) : times(1 + roll(4), () => pick(roll, SYLLABLES)).join(''),
  )
}

function article(roll: Dice, index: number): string {
  return articleAt({ seed: roll(1000), index, newestMillis: 1_795_262_400_000 }).content
}

/** Sentences in lines and paragraphs, which pass. */
function prose(roll: Dice): string {
  return times(3 + roll(8), () => `${words(roll, 12 + roll(30)).join(' ')}.`).join(pick(roll, ['\n', '\n\n', ' ']))
}

/** Some of the pieces more than once, in any order. */
function repeated(roll: Dice, pieces: readonly string[], separator: string): string {
  const few = pieces.slice(0, 1 + roll(3))
  const all = [...pieces, ...times(roll(8), () => pick(roll, few))]
  for (let at = all.length - 1; at > 0; at--) {
    const other = roll(at + 1)
    ;[all[at], all[other]] = [all[other]!, all[at]!]
  }
  return all.join(separator)
}

const MAKERS: Readonly<Record<string, (roll: Dice, index: number) => string>> = {
  article,
  prose,
  'repeated lines': (roll) =>
    repeated(
      roll,
      times(4 + roll(12), () => words(roll, 4 + roll(16)).join(' ')),
      '\n',
    ),
  'repeated paragraphs': (roll) =>
    repeated(
      roll,
      times(3 + roll(6), () => prose(roll)),
      '\n\n',
    ),
  'repeated phrases': (roll) => {
    const text = words(roll, 80 + roll(200))
    const phrase = words(roll, 2 + roll(11)).join(' ')
    for (let n = roll(24); n > 0; n--) text.splice(roll(text.length), 0, phrase)
    return text.join(' ')
  },
  'a word again and again': (roll) => {
    const text = words(roll, 60 + roll(100))
    const pair = words(roll, 2 + roll(3)).join(' ')
    return text.map((word) => (roll(7) === 0 ? pair : word)).join(' ')
  },
  bullets: (roll) =>
    times(
      6 + roll(20),
      () => `${pick(roll, ['- ', '• ', '* ', ' -', roll(4) === 0 ? '' : '• '])}${words(roll, 3 + roll(9)).join(' ')}`,
    ).join('\n'),
  'only bullets': (roll) =>
    times(8 + roll(20), () => `${pick(roll, ['- ', '• '])}${words(roll, 6 + roll(9)).join(' ')}`).join('\n'),
  'short lines': (roll) => times(20 + roll(60), () => words(roll, 1 + roll(4)).join(' ')).join(pick(roll, BREAKS)),
  ellipses: (roll) =>
    times(
      6 + roll(10),
      () => `${words(roll, 8 + roll(14)).join(' ')}${pick(roll, ['...', '…', '... ', '....', '.'])}`,
    ).join('\n'),
  'ellipses within': (roll) =>
    words(roll, 60 + roll(60))
      .map((word) => (roll(6) === 0 ? `${word}${pick(roll, ['...', '…', '.....'])}` : word))
      .join(' '),
  hashes: (roll) =>
    words(roll, 60 + roll(60))
      .map((word) => (roll(1 + roll(12)) === 0 ? `#${word}` : word))
      .join(' '),
  code: (roll) =>
    times(
      10 + roll(30),
      () =>
        `${' '.repeat(2 * roll(4))}${pick(roll, ['if', 'for', 'const x =', 'return', '//'])} ${words(roll, 1 + roll(4)).join('_')}(${roll(100)}) {`,
    ).join('\n'),
  numbers: (roll) =>
    times(60 + roll(80), () => (roll(3) === 0 ? pick(roll, STOP_WORDS) : String(roll(100_000)))).join(' '),
  symbols: (roll) =>
    times(40 + roll(200), () => pick(roll, [...words(roll, 1), '---', '!', '。', '॥', '"', '~', '=>', '#', '؟'])).join(
      ' ',
    ),
  'long words': (roll) =>
    times(50 + roll(60), () => pick(roll, STOP_WORDS) + words(roll, 1 + roll(6)).join('')).join(' '),
  'tiny words': (roll) => times(60 + roll(60), () => pick(roll, ['a', 'I', 'be', 'to', 'of', 'x1', 'the'])).join(' '),
  'no stop words': (roll) =>
    times(60 + roll(90), () => times(2 + roll(3), () => pick(roll, SYLLABLES)).join('')).join(' '),
  cased: (roll) =>
    words(roll, 60 + roll(60))
      .map((word) =>
        pick(roll, [
          word,
          word.toUpperCase(),
          word[0]!.toUpperCase() + word.slice(1),
          `${word}'S`,
          `1${word}`,
          'ǅ',
          'ⅷ',
          'Ⓐ',
        ]),
      )
      .join(' '),
  cjk: (roll) =>
    times(30 + roll(300), () => String.fromCodePoint(pick(roll, [0x4e00, 0x3042, 0xac00]) + roll(80))).join('') +
    pick(roll, ['。', '！\n', '']),
  'cjk with spaces': (roll) =>
    times(60 + roll(90), () => times(1 + roll(5), () => String.fromCodePoint(0x4e00 + roll(200))).join('')).join(
      pick(roll, [' ', '\u3000']),
    ),
  'any characters': (roll) =>
    times(roll(400), () => {
      const [first, last] = pick(roll, RANGES)
      return String.fromCodePoint(first + roll(last - first + 1))
    }).join(''),
  'any characters among words': (roll) =>
    words(roll, 60 + roll(60))
      .map((word) => {
        const [first, last] = pick(roll, RANGES)
        return roll(3) === 0 ? word + String.fromCodePoint(first + roll(last - first + 1)) : word
      })
      .join(' '),
  'any line breaks': (roll) => times(4 + roll(20), () => words(roll, roll(20)).join(' ') + pick(roll, BREAKS)).join(''),
  blank: (roll) => times(roll(12), () => pick(roll, [...BREAKS, ' ', '\t', '\u3000'])).join(''),
  'long lines': (roll) => times(1 + roll(3), () => words(roll, 200 + roll(1200)).join(' ')).join('\n'),
}
