/** Which files may hold a key of a run, by their bounds. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyMarks, pointsOf } from '../../../../jobs/compaction/existing/key-marks.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'ÿ', '\u{1f600}'), maxLength: 3 })
const file = fc
  .tuple(text, text)
  .map(([a, b]): [string, string] => (Buffer.compare(bytes(a), bytes(b)) <= 0 ? [a, b] : [b, a]))

const marksOf = (points: readonly Uint8Array[], keys: readonly string[]): KeyMarks => {
  const marks = new KeyMarks(points)
  for (const key of keys) marks.add(bytes(key))
  return marks
}

describe('marks of keys between the bounds of files', () => {
  it('name exactly the files whose range has a key', () => {
    fc.assert(
      fc.property(fc.array(file, { maxLength: 8 }), fc.array(text, { maxLength: 5 }), (files, keys) => {
        const marks = marksOf(pointsOf(files.flat().map(bytes), 1000), keys)
        for (const [lower, upper] of files) {
          const isWithin = (key: string): boolean =>
            Buffer.compare(bytes(lower), bytes(key)) <= 0 && Buffer.compare(bytes(key), bytes(upper)) <= 0
          expect(marks.hasBetween(bytes(lower), bytes(upper))).toBe(keys.some(isWithin))
        }
      }),
    )
  })

  it('never miss one where bounds are too many to note them all', () => {
    fc.assert(
      fc.property(
        fc.array(file, { minLength: 1, maxLength: 8 }),
        fc.array(text, { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        (files, keys, max) => {
          const points = pointsOf(files.flat().map(bytes), max)
          expect(points.length).toBeLessThanOrEqual(max)
          const marks = marksOf(points, keys)
          for (const [lower, upper] of files) {
            const hits = keys.filter(
              (key) => Buffer.compare(bytes(lower), bytes(key)) <= 0 && Buffer.compare(bytes(key), bytes(upper)) <= 0,
            )
            if (hits.length > 0) expect(marks.hasBetween(bytes(lower), bytes(upper))).toBe(true)
          }
        },
      ),
    )
  })

  it('are those of all tasks together, through text', () => {
    const points = pointsOf(['b', 'd', 'f', 'h'].map(bytes), 1000)
    const merged = new KeyMarks(points)
    merged.merge(marksOf(points, ['c']).print())
    merged.merge(marksOf(points, ['h']).print())
    const isMarked = (lower: string, upper: string): boolean => merged.hasBetween(bytes(lower), bytes(upper))
    expect([isMarked('b', 'd'), isMarked('d', 'f'), isMarked('f', 'h'), isMarked('b', 'b')]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })
})
