import '../synchronous-zlib.ts'
import { beforeAll, describe, expect, test } from 'vitest'
import { concurrent, warmUp } from './concurrent.ts'
import { failingSeed, SAFEGUARDS } from './safeguards.ts'

beforeAll(warmUp)

test('the whole pipeline at once, in bad weather, with deaths: each record once, nothing left behind', async () => {
  const { findings, runs, records } = await concurrent({ seed: 3 })
  expect(findings).toEqual([])
  expect(records).toBeGreaterThan(50)
  expect(Object.keys(runs).length).toBeGreaterThan(10)
})

test('one seed gives one history', async () => {
  const digest = async (seed: number) => (await concurrent({ seed })).digest
  const first = await digest(5)
  expect(await digest(5)).toBe(first)
})

describe('the simulation fails without the safeguard that', () => {
  test.each([...SAFEGUARDS])('$name', { timeout: 600_000 }, async (safeguard) => {
    expect(await failingSeed(safeguard, 20)).toBeDefined()
  })
})
