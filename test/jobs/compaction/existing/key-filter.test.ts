/** A filter may pass keys that are not in it, and must never hold back one that is. */
import { describe, expect, test } from 'vitest'
import { keyDigest } from '../../../../jobs/compaction/exchange/key-entries.ts'
import { KeyFilter } from '../../../../jobs/compaction/existing/key-filter.ts'

const digest = (n: number): Buffer => keyDigest(Buffer.from(`key-${n}`))
const wordsOf = (n: number): Uint32Array => Uint32Array.from([0, 4, 8, 12], (at) => digest(n).readUInt32BE(at))

function filterOf(count: number, maxBytes: number): KeyFilter {
  const filter = new KeyFilter(count, maxBytes)
  for (let n = 0; n < count; n++) filter.add(wordsOf(n), 0)
  return filter
}

describe('a filter of keys', () => {
  test('has every key that was added, and few others', () => {
    const filter = filterOf(5000, 1e6)
    for (let n = 0; n < 5000; n++) expect(filter.mayHave(digest(n))).toBe(true)
    const others = Array.from({ length: 10_000 }, (_, n) => filter.mayHave(digest(1e6 + n))).filter(Boolean).length
    expect(others).toBeLessThan(150)
  })

  test('has them also when it is too small for them', () => {
    const filter = filterOf(5000, 16)
    for (let n = 0; n < 5000; n++) expect(filter.mayHave(digest(n))).toBe(true)
  })
})
