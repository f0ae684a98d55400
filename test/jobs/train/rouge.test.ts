import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { leadWords, meanRouge, rouge, rougeWords } from '../../../jobs/train/rouge.ts'

/** Candidate, reference, and F1 of rouge1, rouge2 and rougeL as rouge-score 0.1.2 gives them, without stemming. */
const KNOWN: readonly (readonly [string, string, number, number, number])[] = [
  ['the cat sat on the mat', 'the cat lay on a mat', 0.6666666666666666, 0.20000000000000004, 0.6666666666666666],
  ['Storm hits the coast, 3 dead', 'Coast hit by storm: three dead', 0.5, 0.0, 0.3333333333333333],
  ['', 'a title', 0.0, 0.0, 0],
  ['a', 'a', 1.0, 0.0, 1.0],
  ['police killed the gunman', 'the gunman police killed', 1.0, 0.6666666666666666, 0.5],
  ['a a a b', 'a b b b', 0.5, 0.3333333333333333, 0.5],
  ['U.S. rate-cut (again)!', 'US rate cut again', 0.6666666666666665, 0.5714285714285715, 0.6666666666666665],
  ['One.Two  three_four', 'one two three four', 1.0, 1.0, 1.0],
  ['x y z', 'z y x', 1.0, 0.0, 0.3333333333333333],
  ['!!!', 'a b', 0.0, 0.0, 0],
  ['c f c f f f e a d', 'f a b a', 0.30769230769230765, 0.0, 0.30769230769230765],
  ['d b d e a', 'a f b d', 0.6666666666666665, 0.28571428571428575, 0.4444444444444445],
  ['b d b a', 'e e d', 0.28571428571428575, 0.0, 0.28571428571428575],
  ['b a', 'b', 0.6666666666666666, 0.0, 0.6666666666666666],
  ['b b c', 'b e f f b b', 0.4444444444444444, 0.28571428571428575, 0.4444444444444444],
  ['d c a', 'd b b c a c', 0.6666666666666666, 0.28571428571428575, 0.6666666666666666],
  ['e e a e', 'a c c c d f', 0.2, 0.0, 0.2],
  ['b d d f b', 'c', 0.0, 0.0, 0.0],
  ['', 'd a e d c d', 0.0, 0.0, 0],
  ['a d a f b e b a b', 'c e c e c d a e', 0.35294117647058826, 0.13333333333333333, 0.35294117647058826],
  ['c a d a b', 'e e c b c c', 0.3636363636363636, 0.0, 0.3636363636363636],
  ['a c f c c b a f', 'f f c', 0.5454545454545454, 0.22222222222222224, 0.36363636363636365],
  ['b f a a e e d', 'b', 0.25, 0.0, 0.25],
  ['c c d f d b a f a', 'c b b f e b f d', 0.5882352941176471, 0.13333333333333333, 0.47058823529411764],
  ['b', 'c b a d c b d', 0.25, 0.0, 0.25],
  ['b e d d f f c d c', 'd d b a d', 0.5714285714285714, 0.16666666666666666, 0.42857142857142855],
  ['b f d c b a d c', 'e e c a c f e f a', 0.47058823529411764, 0.0, 0.35294117647058826],
  ['c e f f', 'd c f f c', 0.6666666666666665, 0.28571428571428575, 0.6666666666666665],
  ['f b e a d', 'c c f c d c e f f', 0.42857142857142855, 0.0, 0.2857142857142857],
  ['c c f c f', 'c b f d c c e', 0.6666666666666666, 0.2, 0.5],
]

describe('rouge', () => {
  test.each(KNOWN)('scores "%s" against "%s" as rouge-score does', (candidate, reference, one, two, longest) => {
    const scores = rouge(candidate, reference)
    expect(scores.rouge1).toBeCloseTo(one, 12)
    expect(scores.rouge2).toBeCloseTo(two, 12)
    expect(scores.rougeL).toBeCloseTo(longest, 12)
  })

  test('words of any script count, and combining marks belong to them', () => {
    expect(rougeWords('Łódź: ŻÓŁW, 東京2020 — नमस्ते')).toEqual(['łódź', 'żółw', '東京2020', 'नमस्ते'])
    expect(rouge('Żółw w Łodzi', 'żółw W ŁODZI!').rougeL).toBe(1)
  })

  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd', '.'), { maxLength: 12 }).map((words) => words.join(' '))
  test('is symmetric, from 0 to 1, and 1 for a text with words against itself', () => {
    fc.assert(
      fc.property(text, text, (left, right) => {
        const [there, back] = [rouge(left, right), rouge(right, left)]
        expect(there).toEqual(back)
        for (const score of Object.values(there)) expect(score >= 0 && score <= 1).toBe(true)
        // a common subsequence is made of common words
        expect(there.rougeL).toBeLessThanOrEqual(there.rouge1)
        if (rougeWords(left).length > 0) expect(rouge(left, left).rougeL).toBe(1)
      }),
    )
  })

  test('the mean of no pairs is zero', () => {
    expect(meanRouge([])).toEqual({ rouge1: 0, rouge2: 0, rougeL: 0 })
  })
})

test('lead words are the first ones, whatever separates them', () => {
  expect(leadWords('  One, two\n\nthree four', 3)).toBe('One, two three')
  expect(leadWords('one', 3)).toBe('one')
  expect(leadWords('', 3)).toBe('')
})
