import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LengthBatching, lengthBatches, paddedLength } from '../../../loader/order/lengths.ts'
import { randomOf } from '../../../loader/order/random.ts'

const OPTIONS: LengthBatching = { maxTokens: 100, bucketBoundaries: [10, 20, 40], padToMultipleOf: 1 }

const plain = (lengths: readonly number[], options: Partial<LengthBatching> = {}): number[][] =>
  lengthBatches(Int32Array.from(lengths), { ...OPTIONS, ...options }).map((batch) => [...batch])

const width = (lengths: readonly number[], batch: Uint32Array | readonly number[], multiple: number): number =>
  Math.max(...Array.from(batch, (row) => paddedLength(lengths[row]!, multiple)))

const lengthsArbitrary = fc.array(fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3000 })), {
  maxLength: 400,
})
const optionsArbitrary: fc.Arbitrary<LengthBatching> = fc.record({
  maxTokens: fc.integer({ min: 1, max: 5000 }),
  bucketBoundaries: fc
    .uniqueArray(fc.integer({ min: 1, max: 1500 }), { maxLength: 6 })
    .map((boundaries) => boundaries.toSorted((a, b) => a - b)),
  padToMultipleOf: fc.constantFrom(1, 8, 64),
})

/** Mostly short, some long: as articles are. */
function articles(count: number): number[] {
  const random = randomOf('articles')
  return Array.from({ length: count }, () => Math.floor(40 + 900 * (random() / 2 ** 32) ** 3))
}

/** Part of all padded tokens that is padding. */
function waste(lengths: readonly number[], batches: readonly Uint32Array[], multiple: number): number {
  let padded = 0
  for (const batch of batches) padded += batch.length * width(lengths, batch, multiple)
  return 1 - lengths.reduce((sum, length) => sum + length, 0) / padded
}

describe('lengthBatches', () => {
  it('has every row in one batch, within the budget unless it is alone', () => {
    fc.assert(
      fc.property(lengthsArbitrary, optionsArbitrary, (lengths, options) => {
        const batches = lengthBatches(Int32Array.from(lengths), options)
        const rows = batches.flatMap((batch) => [...batch])
        expect(rows.toSorted((a, b) => a - b)).toEqual(lengths.map((_, row) => row))
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0)
          expect([...batch]).toEqual([...batch.toSorted()])
          const tokens = batch.length * width(lengths, batch, options.padToMultipleOf)
          expect(batch.length === 1 || tokens <= options.maxTokens).toBe(true)
        }
      }),
    )
  })

  it('is the same every time', () => {
    fc.assert(
      fc.property(lengthsArbitrary, optionsArbitrary, (lengths, options) => {
        const rows = Int32Array.from(lengths)
        expect(lengthBatches(rows, options)).toEqual(lengthBatches(rows, options))
      }),
    )
  })

  it('gives batches out as they fill, each from one bucket, and what is left at the end from short to long', () => {
    // ten rows of 10 tokens fill a batch, and five of 20
    const lengths = [10, 20, 10, 20, 10, 20, 10, 20, 10, 20, 10, 10, 10, 10, 10, 40, 10, 10, 15]
    expect(plain(lengths)).toEqual([[1, 3, 5, 7, 9], [0, 2, 4, 6, 8, 10, 11, 12, 13, 14], [16, 17, 18], [15]])
  })

  it('pads a row by less than its bucket is wide, but for those at the end of the block', () => {
    const lengths = articles(5000)
    const options = { maxTokens: 8192, bucketBoundaries: [64, 128, 256, 512], padToMultipleOf: 8 }
    const lower = (length: number): number => Math.max(0, ...[64, 128, 256, 512].filter((bound) => bound < length))
    const batches = lengthBatches(Int32Array.from(lengths), options)
    const mixed = batches.filter((batch) => new Set(Array.from(batch, (row) => lower(lengths[row]!))).size > 1)
    // at most one batch of the end has rows of two neighbouring buckets, for each boundary between buckets
    expect(mixed.length).toBeLessThanOrEqual(options.bucketBoundaries.length)
    for (const batch of batches) {
      if (mixed.includes(batch)) continue
      for (const row of batch) expect(width(lengths, batch, 8) - lengths[row]!).toBeLessThan(512 + 8)
      const from = lower(lengths[batch[0]!]!)
      for (const row of batch) expect(lengths[row]).toBeGreaterThan(from)
    }
  })

  it('wastes far less than batches in drawing order do', () => {
    const lengths = articles(20_000)
    const bucketBoundaries = [64, 96, 128, 192, 256, 384, 512, 768]
    const bucketed = waste(
      lengths,
      lengthBatches(Int32Array.from(lengths), { maxTokens: 16_384, bucketBoundaries, padToMultipleOf: 8 }),
      8,
    )
    const unsorted = waste(
      lengths,
      lengthBatches(Int32Array.from(lengths), { maxTokens: 16_384, bucketBoundaries: [], padToMultipleOf: 8 }),
      8,
    )
    expect(bucketed).toBeLessThan(0.2)
    expect(unsorted).toBeGreaterThan(0.5)
  })

  it('makes buckets beyond the last boundary too, so that an outlier pads few rows', () => {
    const lengths = [41, 45, 4000, 50, 60, 79, 3000]
    expect(plain(lengths, { maxTokens: 100_000 })).toEqual([[0, 1, 2, 3, 4, 5, 6]])
    // with a budget that each bucket fills, the long ones are by themselves
    expect(plain([45, 4000, 50, 3000, 45, 3900, 50], { maxTokens: 8000 })).toEqual([[1, 3], [0, 2, 4, 6], [5]])
  })

  it('makes a row that alone exceeds the budget a batch of its own', () => {
    expect(plain([5, 500, 5])).toEqual([[1], [0, 2]])
    expect(plain([500, 600])).toEqual([[0], [1]])
    // padding counts: 97 tokens are 104 with padding
    expect(plain([97, 3], { padToMultipleOf: 8 })).toEqual([[0], [1]])
  })

  it('counts a row without tokens as one, so that no batch is without end', () => {
    expect(plain(new Array<number>(250).fill(0)).map((batch) => batch.length)).toEqual([100, 100, 50])
    expect(plain(new Array<number>(25).fill(0), { padToMultipleOf: 8 }).map((batch) => batch.length)).toEqual([
      12, 12, 1,
    ])
  })

  it('stays as it is (golden)', () => {
    const batches = plain(articles(5000), {
      maxTokens: 8192,
      bucketBoundaries: [64, 128, 256, 512],
      padToMultipleOf: 8,
    })
    expect(batches).toHaveLength(223)
    expect(crc32(batches.map((batch) => batch.join()).join(' '))).toBe(550110315)
  })

  it('has no batch without rows', () => {
    expect(plain([])).toEqual([])
  })
})
