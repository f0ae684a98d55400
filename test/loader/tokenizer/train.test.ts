import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WordCounter } from '../../../loader/tokenizer/count.ts'
import { learnMerges } from '../../../loader/tokenizer/learn.ts'
import { trainTokenizer } from '../../../loader/tokenizer/train.ts'
import { ALPHABET, spell, unspell } from '../../../loader/tokenizer/vocabulary.ts'
import { articles, NASTY, text, utf8 } from './support.ts'

const mergesOf = (tokenizer: { toJSON(): object }): string[] =>
  (tokenizer.toJSON() as { model: { merges: string[] } }).model.merges

/** The textbook: count every pair anew before every merge. */
function slowMerges(words: ReadonlyMap<string, number>, count: number, minFrequency: number): string[] {
  const order = new Map(ALPHABET.map((byte, id) => [spell(Uint8Array.of(byte)), id]))
  const split = [...words].map(([word, times]) => ({ symbols: [...spell(utf8(word))], times }))
  const merges: string[] = []
  const made = new Set<string>()
  while (made.size < count) {
    const pairs = new Map<string, number>()
    for (const { symbols, times } of split) {
      for (let at = 0; at + 1 < symbols.length; at++) {
        const pair = `${symbols[at]} ${symbols[at + 1]}`
        pairs.set(pair, (pairs.get(pair) ?? 0) + times)
      }
    }
    const ids = (pair: string): number[] => pair.split(' ').map((token) => order.get(token)!)
    const best = [...pairs].sort(([a, left], [b, right]) => {
      const [aLeft, aRight] = ids(a) as [number, number]
      const [bLeft, bRight] = ids(b) as [number, number]
      return right - left || aLeft - bLeft || aRight - bRight
    })[0]
    if (best === undefined || best[1] < minFrequency) break
    const [left, right] = best[0].split(' ') as [string, string]
    merges.push(best[0])
    if (!order.has(left + right)) order.set(left + right, order.size)
    made.add(left + right)
    for (const { symbols } of split) {
      for (let at = 0; at + 1 < symbols.length; at++) {
        if (symbols[at] === left && symbols[at + 1] === right) symbols.splice(at, 2, left + right)
      }
    }
  }
  return merges
}

describe('training', () => {
  test('learns the merges that counting everything anew would learn', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 9 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(letters, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        async (words, minFrequency) => {
          const counts = new Map<string, number>()
          for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
          const tokenizer = await trainTokenizer(words, { vocabSize: 256 + 12, specialTokens: [], minFrequency })
          expect(mergesOf(tokenizer)).toEqual(slowMerges(counts, 12, minFrequency))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('a vocabulary is a value: one set of texts, one vocabulary, for every version to come', async () => {
    const tokenizer = await trainTokenizer([...articles(60, 200), ...NASTY], { vocabSize: 700 })
    expect(tokenizer.vocabSize).toBe(700)
    const digest = createHash('sha256').update(JSON.stringify(tokenizer)).digest('hex').slice(0, 16)
    expect(digest).toBe('842a654c6840911e')
  })

  test('texts, their bytes, a stream of them and another order of them give the same vocabulary', async () => {
    const texts = [...articles(10, 100), ...NASTY]
    const expected = mergesOf(await trainTokenizer(texts, { vocabSize: 500 }))
    async function* stream(): AsyncGenerator<Uint8Array> {
      for (const value of texts) yield utf8(value)
    }
    expect(mergesOf(await trainTokenizer(stream(), { vocabSize: 500 }))).toEqual(expected)
    expect(mergesOf(await trainTokenizer(texts.toReversed(), { vocabSize: 500 }))).toEqual(expected)
  })

  test('few texts give few tokens: no pair below minFrequency is merged', async () => {
    expect((await trainTokenizer([], { vocabSize: 1000 })).vocabSize).toBe(259)
    expect(mergesOf(await trainTokenizer(['ab ab', 'xy'], { vocabSize: 1000, minFrequency: 2 }))).toEqual(['a b'])
    expect(mergesOf(await trainTokenizer(['ab xy'], { vocabSize: 1000, minFrequency: 1 }))).toHaveLength(3)
  })

  test('reading stops with the text that reaches maxBytes', async () => {
    let read = 0
    function* texts(): Generator<string> {
      for (const value of ['abab', 'abab', 'cdcd']) {
        read++
        yield value
      }
    }
    await trainTokenizer(texts(), { vocabSize: 300, maxBytes: 5 })
    expect(read).toBe(2)
  })

  test('no merge makes a special token', async () => {
    const tokenizer = await trainTokenizer(['theme theme the the the'], {
      vocabSize: 300,
      specialTokens: ['the', '<pad>'],
    })
    expect(tokenizer.idOf('the')).toBe(0)
    expect(mergesOf(tokenizer)).not.toContain('th e')
    expect(tokenizer.decode(tokenizer.encode('theme the'))).toBe('theme the')
  })

  test('stops with its signal, while reading and while merging', async () => {
    const reading = new AbortController()
    function* texts(): Generator<string> {
      yield 'a'
      reading.abort(new Error('enough'))
      yield 'b'
    }
    await expect(trainTokenizer(texts(), { vocabSize: 300, signal: reading.signal })).rejects.toThrow('enough')
    const counter = new WordCounter()
    for (const value of articles(5, 300)) counter.add(utf8(value))
    const merging = new AbortController()
    const learning = learnMerges(counter, {
      specialTokens: [],
      vocabSize: 5000,
      minFrequency: 1,
      signal: merging.signal,
    })
    setImmediate(() => merging.abort(new Error('enough')))
    await expect(learning).rejects.toThrow('enough')
  })

  test.each([
    [{ vocabSize: 258 }],
    [{ vocabSize: 2 ** 18 + 1 }],
    [{ vocabSize: 1000, minFrequency: 0 }],
    [{ vocabSize: 1000, maxBytes: 0.5 }],
    [{ vocabSize: 1000, specialTokens: ['x', 'x'] }],
    [{ vocabSize: 1000, specialTokens: [''] }],
    [{ vocabSize: 1000, specialTokens: ['a'] }],
  ])('refuses %j', async (options) => {
    await expect(trainTokenizer([], options)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})

describe('counting', () => {
  test('counts each word of all texts', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), (texts) => {
        const counter = new WordCounter()
        for (const value of texts) counter.add(utf8(value))
        let bytes = 0
        const seen = new Set<string>()
        for (let word = 0; word < counter.size; word++) {
          seen.add(Buffer.from(counter.bytesOf(word)).toString('hex'))
          bytes += counter.bytesOf(word).length * counter.countOf(word)
        }
        expect(seen.size).toBe(counter.size)
        expect(bytes).toBe(texts.reduce((sum, value) => sum + utf8(value).length, 0))
      }),
    )
  })

  test('a full table forgets its rarest words and keeps the frequent ones', () => {
    const counter = new WordCounter({ words: 100, bytes: 1 << 20 })
    for (let n = 0; n < 1000; n++)
      counter.add(utf8(`often${n % 2 === 0 ? ' also' : ''} x${n.toString(36).replaceAll(/\d/g, 'q')}z`))
    expect(counter.size).toBeLessThanOrEqual(101)
    const counts = new Map(
      Array.from({ length: counter.size }, (_, word) => [
        String(Buffer.from(counter.bytesOf(word))),
        counter.countOf(word),
      ]),
    )
    expect(counts.get('often')).toBe(1000)
    expect(counts.get(' also')).toBe(500)
  })

  test('long words count by their bytes', () => {
    const counter = new WordCounter({ words: 1 << 20, bytes: 1000 })
    for (let n = 0; n < 100; n++)
      counter.add(utf8(`${'ab'.repeat(10)}${String.fromCharCode(97 + (n % 26), 97 + Math.floor(n / 26))}`))
    expect(counter.size).toBeLessThan(60)
  })
})

test('bytes are spelled with one character each, and back', () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  expect(new Set(spell(all)).size).toBe(256)
  expect(unspell(spell(all))).toEqual(all)
  expect(spell(utf8(' the\n'))).toBe('ĠtheĊ')
  expect(unspell('a b')).toBeUndefined()
})
