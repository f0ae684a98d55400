import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_WORD_BYTES, WORD_PATTERN, wordEnd } from '../../../loader/tokenizer/words.ts'
import { NASTY, text, utf8 } from './support.ts'

function wordsOf(bytes: Uint8Array): Buffer[] {
  const words: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = wordEnd(bytes, at, bytes.length)
    words.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  return words
}

const byPattern = (value: string): string[] => value.match(new RegExp(WORD_PATTERN, 'gu')) ?? []

describe('words', () => {
  test.each(NASTY)('the walk over bytes cuts as the pattern does: %j', (value) => {
    expect(wordsOf(utf8(value)).map(String)).toEqual(byPattern(value))
  })

  test('the walk over bytes cuts every text as the pattern does', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(wordsOf(utf8(value)).map(String)).toEqual(byPattern(value))
      }),
      { numRuns: 2000 },
    )
  })

  test('every code point is in one class for both', () => {
    const different: string[] = []
    for (let point = 0; point <= 0x10ffff; point++) {
      if (point >= 0xd800 && point < 0xe000) continue
      const character = String.fromCodePoint(point)
      // a letter, a digit, a mark and a space before it tell the class
      const value = `a${character}7${character}!${character}  ${character}`
      const walked = wordsOf(utf8(value)).map(String)
      if (walked.join('|') !== byPattern(value).join('|')) different.push(point.toString(16))
    }
    expect(different).toEqual([])
  })

  test('what is no UTF-8 is cut too: every byte is in one word, and no word is long', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.array(fc.constantFrom(0x80, 0xbf, 0xc2, 0xe2, 0xf0, 0x20, 0x27, 0x61), { maxLength: 400 }),
        ),
        (values) => {
          const bytes = Uint8Array.from(values)
          const words = wordsOf(bytes)
          expect(Buffer.concat(words)).toEqual(Buffer.from(bytes))
          for (const word of words) expect(word.length).toBeLessThanOrEqual(MAX_WORD_BYTES)
        },
      ),
    )
  })

  test('words are those one would read', () => {
    expect(byPattern("The cat's 2026 plan – it isn't “new”.\n\nNext  one")).toEqual([
      'The',
      ' cat',
      "'s",
      ' 2026',
      ' plan',
      ' –',
      ' it',
      ' isn',
      "'t",
      ' “',
      'new',
      '”.',
      '\n',
      '\n',
      'Next',
      ' ',
      ' one',
    ])
  })
})
