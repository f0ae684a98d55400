import { expect, it } from 'vitest'
import { memoryBudget } from '../../../loader/batches/budget.ts'

it('reads ahead as far as it is told, and beyond it only what is waited for', () => {
  const budget = memoryBudget(1_000, 1, 400)
  budget.request(300)
  expect(budget.fits(100)).toBe(false)
  expect(budget.fitsBarely(600)).toBe(true)
  expect(budget.fitsBarely(800)).toBe(false)
})

it('reads as many units ahead when they turn out larger than estimated, within the limit', () => {
  const budget = memoryBudget(1_000, 1, 400)
  expect(budget.fits(240)).toBe(true)
  budget.request(100)
  budget.arrive(100, 200)
  expect(budget.fits(120)).toBe(true) // 200 there, twice 120, and the work of decoding: 512 of 800
  expect(budget.fits(400)).toBe(false)
})
