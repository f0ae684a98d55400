import './synchronous-zlib.ts'
import { describe, expect, test } from 'vitest'
import { trimmer } from './actors.ts'
import { noConfirmation, noSecondLook, plainPut, trustedHint } from './naive.ts'
import type { Violation } from './observer.ts'
import { type SimulationOptions, simulate } from './simulate.ts'

const FOUR_BY_TEN = { writers: 4, commits: 10 }

describe('writers, a rewriter, expiry, trimming, readers, in bad weather, with stalls and crashes', () => {
  test.each([1, 5, 8, 14])('seed %i: every row is there once, and everybody was told the truth', async (seed) => {
    const result = await simulate({ seed, ...FOUR_BY_TEN })
    expect(result.findings).toEqual([])
    expect(result.versions).toBeGreaterThan(30)
  })

  test('seed 2 with eight writers', async () => {
    expect((await simulate({ seed: 2, writers: 8, commits: 8 })).findings).toEqual([])
  })

  test('versions get into gaps, and commits are refused: the weather is bad enough to mean something', async () => {
    const results = await Promise.resolve(['busy', 'slow'] as const).then(async (paces) => {
      const all = []
      for (const pace of paces) all.push(await simulate({ seed: 8, ...FOUR_BY_TEN, pace, helpers: hasty }))
      return all
    })
    expect(results.flatMap(({ findings }) => findings)).toEqual([])
    expect(results.reduce((sum, { zombies }) => sum + zombies, 0)).toBeGreaterThan(0)
  })

  test('one seed gives one history, to the last byte of the last request; another seed another', async () => {
    const run = async (seed: number) => (await simulate({ seed, ...FOUR_BY_TEN })).digest
    const first = await run(3)
    expect(await run(3)).toBe(first)
    expect(await run(4)).not.toBe(first)
  })
})

/** Removes metadata long before any writer gives up: what is left is the look after each commit. */
const hasty = [trimmer('trimmer', 2, 1, 400)]

describe('the same simulation sees what is wrong with', () => {
  async function violations(options: Omit<SimulationOptions, 'seed' | 'writers' | 'commits'>): Promise<Set<Violation>> {
    const found = new Set<Violation>()
    for (const seed of [1, 2, 4]) {
      const result = await simulate({ seed, ...FOUR_BY_TEN, pace: 'busy', maxVirtualMillis: 300_000, ...options })
      for (const { violation } of result.findings) found.add(violation)
    }
    return found
  }

  test('a plain PUT in place of a conditional one: commits overwrite each other', async () => {
    expect(await violations({ protocol: plainPut })).toContain('lost-row')
  })

  test('a base found by trusting the hint: commits go into gaps, or get nowhere', async () => {
    const found = await violations({ protocol: trustedHint })
    expect(found).toContain('lost-row')
    expect(found).toContain('stuck')
  })

  test('a stale hint alone wedges every writer, without any trimming', async () => {
    expect(await violations({ protocol: trustedHint, helpers: [] })).toContain('stuck')
  })

  test('no look for the own commit after an unknown outcome or a refusal: rows are doubled', async () => {
    expect(await violations({ protocol: noSecondLook, helpers: [] })).toContain('doubled-row')
  })

  test('no look for newer versions after a success: rows are lost in gaps', async () => {
    expect(await violations({ protocol: noConfirmation })).toContain('lost-row')
  })
})
