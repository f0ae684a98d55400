/** Texts to learn from and texts to trip over. */
import fc from 'fast-check'

const SYLLABLES = ['ba', 'ce', 'di', 'fo', 'gu', 'la', 'me', 'ni', 'po', 'ru', 'sta', 'tre', 'ing', 'er', 'on', 'qua']
const JOINTS = [' ', ' ', ' ', ' ', ', ', '. ', ' – “', '” ', "'s ", '\n\n', ' 2026 ', ' żółw ', ' 東京 ', ' 🙂 ']

/** `count` texts of `words` words each, the same every time; some words are frequent, most are rare. */
export function articles(count: number, words: number): string[] {
  let state = 1
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor(((state >>> 8) / 2 ** 24) ** 2 * limit)
  }
  const word = (): string => Array.from({ length: 1 + random(3) }, () => SYLLABLES[random(SYLLABLES.length)]!).join('')
  const vocabulary = Array.from({ length: 900 }, word)
  return Array.from({ length: count }, () =>
    Array.from({ length: words }, () => vocabulary[random(900)]! + JOINTS[random(JOINTS.length)]!).join(''),
  )
}

export const NASTY: readonly string[] = [
  '',
  ' ',
  '  ',
  "it's 'quoted' isn''t ' a",
  'tabs\tand\r\nlines\n\n\nand   runs    of spaces ',
  `${' '.repeat(16)}x${' '.repeat(17)}y${' '.repeat(18)}\n${' '.repeat(40)}`,
  '12345678901234567890 3.14 007',
  'a'.repeat(500),
  '東'.repeat(100),
  `${'-'.repeat(80)}\n${'='.repeat(33)}`,
  '日本語のテキスト、です。「はい」',
  'שלום עליכם! مرحبا بالعالم \u202Bright\u202C',
  'e\u0301a\u0308\u0328 ẞ ﬁ Ǆ İ ı',
  '👩‍👩‍👧‍👦 ❤️ 🇵🇱 🏳️‍🌈 👍🏽',
  '\u0000\u0001\u001f\u007f\u0080\u0085\u00a0\u00ad\u2028\u2029\u200b\ufeff\ufffd\uffff',
  '\u{10000}\u{1efff}\u{1f000}\u{1ffff}\u{20000}\u{10ffff}',
  'µ ª º ¿qué? «oui» 10€ ½ x² × ÷',
  'https://example.org/a?b=c&d=%20#e user@example.org #tag',
  '<pa d> <|x|> [CLS]',
]

const piece: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...NASTY, ...SYLLABLES, ...JOINTS, ' ', "'", '\n', '7'),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
)

/** Well-formed text of everything that is awkward. */
export const text: fc.Arbitrary<string> = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))

export const utf8 = (value: string): Uint8Array => Buffer.from(value, 'utf8')
