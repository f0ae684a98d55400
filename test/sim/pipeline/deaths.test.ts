import '../synchronous-zlib.ts'
import { expect, test } from 'vitest'
import { deaths } from './deaths.ts'

test('death at calls of every kind of job: each record once, positions at the ends, nothing left behind', async () => {
  const { findings, deaths: died, callsOf, records } = await deaths({ seed: 2, stride: 19 })
  expect(findings).toEqual([])
  expect(died).toBeGreaterThan(40)
  expect(records).toBeGreaterThan(80)
  expect(Object.keys(callsOf).sort()).toEqual(
    ['compact', 'expire', 'land', 'orphans', 'prune', 'replay', 'reprocess', 'rewrite', 'rollback'].sort(),
  )
})

test('one seed gives one digest of all writes, another seed another', async () => {
  const run = async (seed: number) => (await deaths({ seed, kinds: ['rewrite'], stride: 12 })).digest
  const first = await run(3)
  expect(await run(3)).toBe(first)
  expect(await run(4)).not.toBe(first)
})
