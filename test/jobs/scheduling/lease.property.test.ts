/**
 * Leases under everything that may happen to processes and stores: pauses, deaths, refusals, lost answers, writes that
 * take effect late. Held by the rule that no clock is compared with another's.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { acquireLease, type Lease } from '../../../jobs/scheduling/lease.ts'
import { newRunId, newUuid, randomFraction, systemClock } from '../../../table/clock.ts'
import { type FaultRates, faultyStore } from '../../../table/io/faulty.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import { createWorld, type Process, type World, worldStart } from './world.ts'

const TTL = 30_000
const SLOT = '2026-03-01T12:00:00.000Z'
const HOUR = 3_600_000
/** A machine that does much else takes its time. */
const TIMEOUT = { timeout: 180_000 }

interface Life {
  /** Work under the lease each time, ms. */
  readonly workMillis: number
  readonly pauses: readonly { readonly atMillis: number; readonly forMillis: number }[]
  readonly diesAtMillis: number | undefined
}

const life = fc.record<Life>({
  workMillis: fc.integer({ min: 0, max: 4 * TTL }),
  pauses: fc.array(
    fc.record({ atMillis: fc.integer({ min: 0, max: HOUR / 3 }), forMillis: fc.integer({ min: 1, max: 3 * TTL }) }),
    { maxLength: 4 },
  ),
  diesAtMillis: fc.option(fc.integer({ min: 0, max: HOUR / 3 }), { nil: undefined }),
})

const put: FaultRates = { refused: 0.05, throttled: 0.02, answerLost: 0.08, timedOut: 0.04, late: 0.06 }
const get: FaultRates = { refused: 0.05, answerLost: 0.05, timedOut: 0.03 }

/** Pauses and the death of a process, as timers of the world. */
function live(world: World, process: Process, each: Life, at: Process): void {
  const after = (millis: number, happen: () => void): void => void at.clock.sleep(millis).then(happen)
  for (const { atMillis, forMillis } of each.pauses) {
    after(atMillis, () => process.stopUntil(world.nowMillis() + forMillis))
  }
  if (each.diesAtMillis !== undefined) after(each.diesAtMillis, () => process.kill())
}

interface Setting {
  readonly world: World
  readonly held: Set<Lease>
  enter(each: Life | undefined, seed: number, rates: boolean): Entered
}
interface Entered {
  readonly process: Process
  acquire(unlessDone?: string): ReturnType<typeof acquireLease>
}

function setting(seed: number): Setting {
  const world = createWorld()
  const fate = world.process(0)
  const memory = openMemoryStore(newUuid(systemClock), {})
  const held = new Set<Lease>()
  return {
    world,
    held,
    enter: (each, number, faults) => {
      const process = world.process(number)
      if (each !== undefined) live(world, process, each, fate)
      const { clock } = process
      // one answer in eight is slow
      const slow = (): number => (randomFraction(clock) < 0.125 ? randomFraction(clock) * TTL * 0.9 : 0)
      const reached = faults ? process.reach(memory, slow) : process.reach(memory)
      const store = faults
        ? faultyStore(reached, {
            seed: seed * 31 + number,
            clock,
            rates: { put, get },
            latencyMillis: [1, 400],
            timeoutMillis: 45_000,
            lateMillis: 90_000,
          })
        : reached
      const owner = `p${number}`
      return {
        process,
        acquire: async (unlessDone) => {
          const name = 'compact.n.t'
          const runId = newRunId(clock)
          const got = await acquireLease({ store, clock, name, owner, runId, ttlMillis: TTL, unlessDone, wait: true })
          if (got.kind === 'held') held.add(got.lease)
          return got
        },
      }
    },
  }
}

const believers = (held: Set<Lease>): number => [...held].filter((lease) => lease.isHeld()).length

test(
  'whatever happens, at most one process believes that it holds a lease, and it is never stuck',
  TIMEOUT,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 2, maxLength: 4 }), fc.nat({ max: 1e6 }), async (lives, seed) => {
        const { world, held, enter } = setting(seed)
        let most = 0
        const everyStep = (): void => {
          most = Math.max(most, believers(held))
        }
        for (const [at, each] of lives.entries()) {
          const { process, acquire } = enter(each, at + 1, true)
          const workOn = async (): Promise<void> => {
            for (;;) {
              const got = await acquire().catch(() => undefined)
              if (got?.kind !== 'held') {
                await process.clock.sleep(1000)
                continue
              }
              await process.clock.sleep(each.workMillis, got.lease.signal).catch(() => {})
              await got.lease.release()
            }
          }
          void workOn()
        }
        await world.run({ done: () => most > 1, untilMillis: worldStart + HOUR / 2, everyStep })
        expect(most).toBeLessThanOrEqual(1)
        // one more, whose store is well: it waits for its turn, or for the time of a dead holder
        let got = false
        const late = enter(undefined, 9, false)
        void late.acquire().then(() => (got = true))
        await world.run({ done: () => got || most > 1, untilMillis: worldStart + 4 * HOUR, everyStep })
        expect([got, most]).toEqual([true, 1])
      }),
      { numRuns: 30 },
    )
  },
)

const schedulers = async (lives: readonly Life[], seed: number, faults: boolean): Promise<number> => {
  const { world, enter } = setting(seed)
  let [runs, over] = [0, 0]
  for (const [at, each] of lives.entries()) {
    const { process, acquire } = enter(each, at + 1, faults)
    const slot = async (): Promise<void> => {
      // their clocks differ by a second or so
      await process.clock.sleep(at * 700)
      for (;;) {
        const got = await acquire(SLOT).catch(() => undefined)
        if (got === undefined) continue
        if (got.kind === 'held') {
          const done = await process.clock.sleep(each.workMillis, got.lease.signal).then(
            () => true,
            () => false,
          )
          if (done) runs++
          await got.lease.release({ lastSlot: done ? SLOT : undefined })
          if (!done) continue // lost on the way: as a scheduler does, ask again
        }
        over++
        return
      }
    }
    void slot()
  }
  await world.run({ done: () => over === lives.length, untilMillis: worldStart + 8 * HOUR })
  return runs
}

test('a slot is done once by any number of schedulers of which none dies', TIMEOUT, async () => {
  const well = life.map(({ workMillis }): Life => ({ workMillis, pauses: [], diesAtMillis: undefined }))
  await fc.assert(
    fc.asyncProperty(fc.array(well, { minLength: 1, maxLength: 6 }), fc.nat({ max: 1e6 }), async (lives, seed) => {
      expect(await schedulers(lives, seed, false)).toBe(1)
    }),
    { numRuns: 30 },
  )
})

test('a slot is done at least once while one scheduler lives, whatever else happens', TIMEOUT, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 2, maxLength: 4 }), fc.nat({ max: 1e6 }), async (lives, seed) => {
      const [first, ...others] = lives
      const survivors = [...others, { ...first!, diesAtMillis: undefined }]
      expect(await schedulers(survivors, seed, true)).toBeGreaterThanOrEqual(1)
    }),
    { numRuns: 30 },
  )
})
