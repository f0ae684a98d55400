import './synchronous-zlib.ts'
import { describe, expect, test } from 'vitest'
import { trimmer } from './actors.ts'
import { forgottenTries, noConfirmation, noSecondLook, plainPut, trustedHint } from './naive.ts'
import type { Violation } from './observer.ts'
import { type SimulationOptions, simulate } from './simulate.ts'

const FOUR_BY_TEN = { writers: 4, commits: 10 }

describe('writers, a rewriter, expiry, trimming, readers, in bad weather, with stalls and crashes', () => {
  test.each([1, 8, 14, 22])('seed %i: every row is there once, and everybody was told the truth', async (seed) => {
    const result = await simulate({ seed, ...FOUR_BY_TEN })
    expect(result.findings).toEqual([])
    expect(result.versions).toBeGreaterThan(30)
  })

  test('seed 2 with eight writers', async () => {
    expect((await simulate({ seed: 2, writers: 8, commits: 8 })).findings).toEqual([])
  })

  test.each(['busy', 'slow'] as const)('metadata removed long before anybody gives up, at a %s pace', async (pace) => {
    const result = await simulate({ seed: 8, ...FOUR_BY_TEN, pace, helpers: [hasty] })
    expect(result.findings).toEqual([])
    // Otherwise the weather was too good to mean anything.
    expect(result.zombies).toBeGreaterThan(0)
  })

  test('requests that take effect after their writers gave up', async () => {
    const result = await simulate({ seed: 1, ...FOUR_BY_TEN, ...LATE })
    expect(result.findings).toEqual([])
    expect(result.refused).toBeGreaterThan(0)
  })

  test('one seed gives one history, to the last byte of the last request; another seed another', async () => {
    const run = async (seed: number) => (await simulate({ seed, ...FOUR_BY_TEN })).digest
    const first = await run(3)
    expect(await run(3)).toBe(first)
    expect(await run(4)).not.toBe(first)
  })
})

/** Leaves a stalled writer nothing but the look after its commit. */
const hasty = trimmer('trimmer', 2, 1, 400)

/** Few tries, and many that come late: whoever tells too early what became of one is found out. */
const LATE: Partial<SimulationOptions> = {
  pace: 'busy',
  helpers: [],
  weather: { attempts: 1, killRate: 0, stallRate: 0, rates: { put: { late: 0.25, answerLost: 0.1 } } },
  properties: { 'commit.retry.num-retries': '1' },
}

describe('the same simulation sees what is wrong with', () => {
  async function violations(options: Partial<SimulationOptions>, seeds = [2, 4]): Promise<Set<Violation>> {
    const found = new Set<Violation>()
    for (const seed of seeds) {
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

  test('a request without an answer that is taken for lost: a refused row comes back', async () => {
    const late = { ...LATE, maxVirtualMillis: 3_600_000 }
    expect(await violations({ ...late, protocol: forgottenTries }, [1, 3])).toContain('resurrected-row')
  })

  test('no look for newer versions after a success: rows are lost in gaps', async () => {
    expect(await violations({ protocol: noConfirmation })).toContain('lost-row')
  })
})
