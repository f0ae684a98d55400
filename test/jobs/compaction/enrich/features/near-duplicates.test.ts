import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur3, simhash64, simhashDistance } from '../../../../../jobs/compaction/enrich/features/near-duplicates.ts'
import { articleAt } from '../../../../../jobs/demo/articles.ts'

const article = (index: number): string => articleAt({ seed: 3, index, newestMillis: 1_795_262_400_000 }).content

describe('simhash64', () => {
  // from Python: the definition over package mmh3 5.2
  it.each([
    ['', 0n],
    [' \n\u3000', 0n],
    ['a', 4333986431124561128n],
    ['abcdefgh', 5322635477697268410n],
    ['The quick brown fox jumps over the lazy dog', 8187739354634302509n],
    ['  THE quick\u3000\nbrown fox jumps over the lazy dog ', 8187739354634302509n],
    ['na na na na na na na na batman', -2428509021053313901n],
    ['今天很好。明天呢？ 😀😀 Ünïcödé İ', -2610722399617672262n],
  ])('of %j is %s for good', (text, expected) => {
    expect(simhash64(text)).toBe(expected)
  })

  it('is a signed number of 64 bits for any text, whatever came before', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 }).map((value) => value.toWellFormed())
    fc.assert(
      fc.property(text, text, (first, second) => {
        const hash = simhash64(first)
        expect(BigInt.asIntN(64, hash)).toBe(hash)
        simhash64(second)
        expect(simhash64(first)).toBe(hash)
      }),
    )
  })

  it('differs in few bits between near copies, and in about half of them between other texts', () => {
    const texts = Array.from({ length: 60 }, (_, index) => article(index))
    const hashes = texts.map(simhash64)
    const copies = texts.flatMap((text, index) => {
      const words = text.split(' ')
      return [0, 0.5, 0.99].map((place) =>
        simhashDistance(
          hashes[index]!,
          simhash64(words.toSpliced(Math.floor(words.length * place), 1, 'EDIT').join('  ')),
        ),
      )
    })
    const others = hashes.flatMap((hash, index) => hashes.slice(index + 1).map((other) => simhashDistance(hash, other)))
    const median = (distances: number[]): number => distances.sort((a, b) => a - b)[distances.length >> 1]!
    expect(median(copies)).toBeLessThanOrEqual(3)
    expect(median(others)).toBeGreaterThanOrEqual(28)
    // all articles have one small vocabulary, and still no two of them look like copies
    expect(Math.max(...copies)).toBeLessThan(Math.min(...others))
  })
})

describe('murmur3', () => {
  it.each([
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['a', 0, 1009084850],
    ['The quick brown fox jumps over the lazy dog', 0, 776992547],
  ])('of %j with seed %d is %d', (text, seed, expected) => {
    const bytes = Buffer.from(`..${text}..`)
    expect(murmur3(bytes, 2, bytes.length - 2, seed) | 0).toBe(expected | 0)
  })
})

describe('simhashDistance', () => {
  it('counts the bits that differ, the sign included', () => {
    expect([simhashDistance(0n, 0n), simhashDistance(-1n, 0n), simhashDistance(5n, 3n)]).toEqual([0, 64, 2])
    expect(simhashDistance(-(2n ** 63n), 2n ** 63n - 1n)).toBe(64)
  })
})
