import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CLOSING_MARKS,
  measureText,
  sha256Hex,
  TERMINATORS,
  WHITE_SPACE,
} from '../../../../jobs/compaction/enrich/features.ts'

function measured(text: string): { words: number; chars: number; sentences: number } {
  const padded = Buffer.from(`a. ${text}. b`)
  const out = { words: -1, chars: -1, sentences: -1 }
  measureText(padded, 3, padded.length - 3, out)
  return out
}

/** Word for word from the definitions, with regular expressions over the string. */
function reference(text: string): { words: number; chars: number; sentences: number } {
  const inClass = (characters: string): string => characters.replaceAll(/[\\\]^-]/g, '\\$&')
  const ends = new RegExp(`[${inClass(TERMINATORS)}]+[${inClass(CLOSING_MARKS)}]*(?=\\p{White_Space}|$)`, 'gu')
  let sentences = 0
  let rest = 0
  for (const match of text.matchAll(ends)) {
    sentences++
    rest = match.index + match[0].length
  }
  if (/\P{White_Space}/u.test(text.slice(rest))) sentences++
  return { words: text.match(/\P{White_Space}+/gu)?.length ?? 0, chars: [...text].length, sentences }
}

describe('measureText', () => {
  it.each([
    ['', 0, 0, 0],
    ['   \n\t', 0, 5, 0],
    ['one', 1, 3, 1],
    ['Hello, world.', 2, 13, 1],
    ['One. Two! Three? Four', 4, 21, 4],
    ['Wait... what?! Yes.', 3, 19, 3],
    ['He said "stop." Then (he left.) End', 7, 35, 3],
    ['Version 3.14 is out', 4, 19, 1],
    ['a\u0085b', 2, 3, 1],
    ['a\ufeffb', 1, 3, 1],
    ['a\u200bb', 1, 3, 1],
    ['a\u00a0b\u3000c\u2028d\u1680e\u205ff', 6, 11, 1],
    ['今天很好。\u3000明天呢？', 2, 10, 2],
    ['今天很好。明天呢？', 1, 9, 1],
    ['„Halt.“ Er ging…', 3, 16, 2],
    ['😀 😀😀.', 2, 5, 1],
    ['... !', 2, 5, 2],
    ['."! x', 2, 5, 2],
    ['x) y', 2, 4, 1],
  ])('%j has %d words, %d code points, %d sentences', (text, words, chars, sentences) => {
    expect(measured(text)).toEqual({ words, chars, sentences })
    expect(reference(text)).toEqual({ words, chars, sentences })
  })

  it('knows exactly the characters that Unicode calls White_Space', () => {
    const space = new Set(WHITE_SPACE)
    for (let codePoint = 0; codePoint < 0x110000; codePoint++) {
      if (codePoint >= 0xd800 && codePoint < 0xe000) continue
      const character = String.fromCodePoint(codePoint)
      if (/\p{White_Space}/u.test(character) !== space.has(character))
        expect(codePoint.toString(16)).toBe('White_Space')
      // the class of every single character, seen through the word count
      if ((measured(`a${character}b`).words === 2) !== space.has(character))
        expect(codePoint.toString(16)).toBe('a word break')
    }
  })

  it('agrees with the definitions on any text', () => {
    const marks = fc.constantFrom(
      ...WHITE_SPACE,
      ...TERMINATORS,
      ...CLOSING_MARKS,
      '\ufeff',
      '\u200b',
      '‚',
      'ア',
      '！',
      '﹖',
    )
    const character = fc.oneof(
      marks,
      marks,
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom('a', 'é', '今', '😀'),
    )
    fc.assert(
      fc.property(fc.array(character, { maxLength: 60 }), (parts) => {
        const text = parts.join('').toWellFormed()
        expect(measured(text)).toEqual(reference(text))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('sha256Hex', () => {
  it('is the digest of the bytes in lower-case hexadecimal', () => {
    expect(sha256Hex(Buffer.from('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    const bytes = Buffer.from('….xx').subarray(1, 5)
    expect(sha256Hex(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'))
  })
})
