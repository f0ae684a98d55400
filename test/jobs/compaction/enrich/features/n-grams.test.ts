import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  repeatedNGramLength,
  topNGramLength,
  wordRuns,
} from '../../../../../jobs/compaction/enrich/features/n-grams.ts'
import { scanText } from '../../../../../jobs/compaction/enrich/features/scan.ts'

const length = (text: string): number => [...text].length

/** Word for word from the definition. */
function topReference(words: readonly string[], n: number): number | undefined {
  const counts = new Map<string, number>()
  for (let at = 0; at + n <= words.length; at++) {
    const run = words.slice(at, at + n).join(' ')
    counts.set(run, (counts.get(run) ?? 0) + 1)
  }
  if (counts.size === 0) return undefined
  const most = Math.max(...counts.values())
  return length([...counts].find(([, count]) => count === most)![0]) * most
}

function repeatedReference(words: readonly string[], n: number): number {
  const seen = new Set<string>()
  let repeated = 0
  for (let at = 0; at + n <= words.length; ) {
    const run = words.slice(at, at + n).join('')
    if (seen.has(run)) {
      repeated += length(run)
      at += n
    } else {
      seen.add(run)
      at++
    }
  }
  return repeated
}

describe('runs of words', () => {
  it('are counted as the definitions say, for any words', () => {
    const words = fc.array(fc.constantFrom('a', 'b', 'ab', 'ba', '😀', '😀a', 'long'), { maxLength: 40 })
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 10 }), (list, n) => {
        const scan = scanText(list.join(' '))
        expect(topNGramLength(scan, wordRuns(scan, ' '), n)).toBe(topReference(list, n))
        expect(repeatedNGramLength(scan, wordRuns(scan, ''), n)).toBe(repeatedReference(list, n))
      }),
      { numRuns: 1000 },
    )
  })

  // a set of strings hashes all of such a length alike: a text of 10 MB took minutes
  it('are told apart when they are long and differ only at the end', () => {
    const words = Array.from({ length: 2000 }, (_, n) => `${'x'.repeat(1700)}${String(n).padStart(4, '0')}`)
    const scan = scanText([...words, ...words.slice(0, 10)].join(' '))
    expect(repeatedNGramLength(scan, wordRuns(scan, ''), 10)).toBe(10 * 1704)
    expect(topNGramLength(scan, wordRuns(scan, ' '), 4)).toBe(2 * (4 * 1704 + 3))
  })
})
