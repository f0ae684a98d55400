/**
 * A share of the hostile input that `npm run test:fuzz` gives: every bomb, and some hundred seeded damages. A damaged
 * table gives its rows or a typed error that names an object; what no reader can notice is counted, not hidden.
 */
import { expect, test } from 'vitest'
import { BOMBS } from './bombs.ts'
import { fuzz } from './fuzz.ts'

test('no bomb takes time or memory by what it claims, and each is named', { timeout: 300_000 }, async () => {
  const { findings, reports } = await fuzz({ cases: BOMBS.length, seed: 1 })
  expect(findings).toEqual([])
  expect(reports.length).toBe(BOMBS.length)
})

test('damaged objects give the right rows or a typed error that names one', { timeout: 300_000 }, async () => {
  const { counts, findings } = await fuzz({ cases: 500, seed: 2, first: BOMBS.length })
  expect(findings).toEqual([])
  // Most damage is noticed; a fuzzer that damages nothing would find nothing either.
  expect(counts.get('corrupt')).toBeGreaterThan(250)
  expect(counts.get('same rows')).toBeGreaterThan(20)
})
