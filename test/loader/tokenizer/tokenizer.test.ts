import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadTokenizer, type Tokenizer } from '../../../loader/tokenizer/tokenizer.ts'
import { trainTokenizer } from '../../../loader/tokenizer/train.ts'
import { articles, NASTY, text, utf8 } from './support.ts'

let tokenizer: Tokenizer
let oracle: HuggingFace

beforeAll(async () => {
  tokenizer = await trainTokenizer([...articles(60, 200), ...NASTY], { vocabSize: 900 })
  oracle = new HuggingFace(JSON.parse(JSON.stringify(tokenizer)) as object, {})
})

const oracleIds = (value: string): number[] => oracle.encode(value, { add_special_tokens: false }).ids

describe('encoding', () => {
  test.each(NASTY)('gives the ids that @huggingface/tokenizers gives: %j', (value) => {
    expect([...tokenizer.encode(value)]).toEqual(oracleIds(value))
  })

  test('gives the ids that @huggingface/tokenizers gives, for every text', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect([...tokenizer.encode(value)]).toEqual(oracleIds(value))
      }),
      { numRuns: 500 },
    )
  })

  test('articles are shorter in tokens than in bytes, and come back', () => {
    for (const value of articles(5, 300)) {
      const ids = tokenizer.encode(value)
      expect(ids.length).toBeLessThan(utf8(value).length / 2)
      expect([...ids]).toEqual(oracleIds(value))
      expect(tokenizer.decode(ids)).toBe(value)
    }
  })

  test('every text comes back from its ids, and its bytes give the same ids', () => {
    fc.assert(
      fc.property(text, (value) => {
        const ids = tokenizer.encode(value)
        expect(tokenizer.decode(ids)).toBe(value)
        expect(tokenizer.encode(utf8(value))).toEqual(ids)
      }),
    )
  })

  test('bytes that are no UTF-8 are encoded, each text with as many ids as bytes at most', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const ids = tokenizer.encode(bytes)
        expect(ids.length).toBeLessThanOrEqual(bytes.length)
        expect(tokenizer.decode(ids)).toBe(Buffer.from(bytes).toString('utf8'))
      }),
    )
  })

  test('an unpaired surrogate is U+FFFD, as everywhere', () => {
    expect(tokenizer.encode('a\ud800b')).toEqual(tokenizer.encode('a\ufffdb'))
  })

  test('the name of a special token in a text is plain characters', () => {
    const ids = tokenizer.encode('<pad><bos> <eos>')
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(tokenizer.specialTokens.length)
    expect(tokenizer.decode(ids)).toBe('<pad><bos> <eos>')
  })

  test('a text is cut where there is no more room, and nothing is written beyond', () => {
    const value = utf8(articles(1, 100)[0]!)
    const whole = tokenizer.encode(value)
    fc.assert(
      fc.property(fc.nat({ max: whole.length + 3 }), fc.nat({ max: 5 }), (max, at) => {
        const out = new Int32Array(whole.length + 10).fill(-1)
        const count = tokenizer.encodeInto(value, out, at, max)
        expect(count).toBe(Math.min(max, whole.length))
        expect(out.subarray(at, at + count)).toEqual(whole.subarray(0, count))
        expect(out.subarray(at + count).every((id) => id === -1)).toBe(true)
      }),
    )
    const short = new Int32Array(3)
    expect(tokenizer.encodeInto(value, short, 1, 100)).toBe(2)
  })

  test('ids do not depend on what was encoded before: the cache forgets without a trace', async () => {
    const value = articles(1, 50)[0]!
    const before = tokenizer.encode(value)
    // more different words than the cache holds
    const letters = (n: number): string =>
      [...n.toString(26)].map((digit) => 'abcdefghijklmnopqrstuvwxyz'[parseInt(digit, 26)]!).join('')
    for (let n = 0; n < 140_000; n += 1000) {
      tokenizer.encode(Array.from({ length: 1000 }, (_, index) => ` ${letters(n + index)}`).join(''))
    }
    expect(tokenizer.encode(value)).toEqual(before)
  })
})

describe('tokens', () => {
  test('special tokens have the first ids and no text', () => {
    expect(['<pad>', '<bos>', '<eos>'].map((name) => tokenizer.idOf(name))).toEqual([0, 1, 2])
    expect(tokenizer.idOf('<unk>')).toBeUndefined()
    const ids = tokenizer.encode('a text')
    expect(tokenizer.decode([1, ...ids, 2, 0, 0])).toBe('a text')
  })

  test('an id of another vocabulary is refused', () => {
    expect(() => tokenizer.decode([tokenizer.vocabSize])).toThrow(expect.objectContaining({ code: 'FIRN_TOKEN_ID' }))
    expect(() => tokenizer.decode([-1])).toThrow(expect.objectContaining({ code: 'FIRN_TOKEN_ID' }))
  })
})

describe('loading', () => {
  test('a saved tokenizer is the same tokenizer, by path, by URL and by value', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'firn-tokenizer-'))
    try {
      const path = join(folder, 'tokenizer.json')
      await writeFile(path, JSON.stringify(tokenizer))
      const value = articles(1, 100)[0]!
      for (const source of [path, pathToFileURL(path), pathToFileURL(path).href, tokenizer.toJSON()]) {
        const loaded = await loadTokenizer(source)
        expect(loaded.vocabSize).toBe(tokenizer.vocabSize)
        expect(loaded.encode(value)).toEqual(tokenizer.encode(value))
        expect(loaded.toJSON()).toEqual(tokenizer.toJSON())
      }
      await writeFile(path, 'no json')
      await expect(loadTokenizer(path)).rejects.toMatchObject({ code: 'FIRN_TOKENIZER_INVALID' })
      await expect(loadTokenizer(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'FIRN_TOKENIZER_NOT_FOUND' })
      const signal = AbortSignal.abort(new Error('left'))
      await expect(loadTokenizer(path, { signal })).rejects.toThrow('left')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  type Json = { [key: string]: unknown } & {
    model: { [key: string]: unknown } & { vocab: Record<string, number>; merges: string[] }
  }
  const changes: readonly (readonly [string, (json: Json) => void])[] = [
    ['cuts words in another way', (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } })],
    [
      'cuts words by another pattern',
      (json) =>
        Object.assign((json['pre_tokenizer'] as { pretokenizers: object[] }).pretokenizers[0]!, {
          pattern: { Regex: 'a' },
        }),
    ],
    ['normalizes', (json) => Object.assign(json, { normalizer: { type: 'NFC' } })],
    ['adds tokens behind the text', (json) => Object.assign(json, { post_processor: { type: 'TemplateProcessing' } })],
    ['is WordPiece', (json) => Object.assign(json.model, { type: 'WordPiece' })],
    ['drops merges', (json) => Object.assign(json.model, { dropout: 0.1 })],
    ['ignores merges', (json) => Object.assign(json.model, { ignore_merges: true })],
    ['has no byte for a character', (json) => void delete json.model.vocab['a']],
    ['has a hole in its ids', (json) => Object.assign(json.model.vocab, { a: 100_000 })],
    ['has an id twice', (json) => Object.assign(json.model.vocab, { a: json.model.vocab['b'] })],
    [
      'has its bytes in another order',
      (json) => {
        const { vocab } = json.model
        ;[vocab['a'], vocab['b']] = [vocab['b']!, vocab['a']!]
      },
    ],
    ['merges what it does not know', (json) => void json.model.merges.push('a nothing')],
    ['merges three', (json) => void json.model.merges.push('a b c')],
    [
      'has a token that is no special one',
      (json) => Object.assign((json['added_tokens'] as object[])[0]!, { special: false }),
    ],
    ['has added tokens elsewhere', (json) => void (json['added_tokens'] as object[]).reverse()],
  ]
  test.each(changes)('refuses a file that %s', async (_what, change) => {
    const json = JSON.parse(JSON.stringify(tokenizer)) as Json
    change(json)
    await expect(loadTokenizer(json)).rejects.toMatchObject({ code: 'FIRN_TOKENIZER_INVALID', kind: 'invalid' })
  })

  test.each([null, 7, [], { model: null }])('refuses %j', async (json) => {
    await expect(loadTokenizer(json as never)).rejects.toMatchObject({ code: 'FIRN_TOKENIZER_INVALID' })
  })

  test('merges as pairs, as newer files have them, are read', async () => {
    const json = JSON.parse(JSON.stringify(tokenizer)) as Json
    Object.assign(json.model, { merges: json.model.merges.map((merge) => merge.split(' ')) })
    expect((await loadTokenizer(json)).toJSON()).toEqual(tokenizer.toJSON())
  })
})
