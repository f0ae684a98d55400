/** Several schedulers on one warehouse, and how they end: on virtual time, with the deaths and pauses of hosts. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { leaseKey } from '../../jobs/scheduling/lease-document.ts'
import { newUuid, systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { compact, createHost, done, type Host, land, maintain, TTL, type Work } from './scheduling/hosts.ts'
import { createWorld, type World, worldStart } from './scheduling/world.ts'

const STOP = new Error('stop')
const slotAt = (minute: number): EpochMillis => epochMillis(worldStart + minute * 60_000)

let world: World
let store: ObjectStore
beforeEach(() => {
  world = createWorld()
  store = openMemoryStore(newUuid(systemClock), {})
})

const pass = (millis: number): Promise<void> =>
  world.run({ done: () => false, untilMillis: world.nowMillis() + millis })
const tickAll = (hosts: readonly Host[], name: string, slot: EpochMillis): void => {
  for (const each of hosts) each.tick(name, slot)
}
const leaseOf = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(new TextDecoder().decode((await store.get(leaseKey(name))).bytes)) as Record<string, unknown>

/** The slots for which work was done to its end, in order; the catch-up is not among them. */
const slotsDone = (hosts: readonly Host[]): string[] =>
  hosts
    .flatMap(({ records }) => records)
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ lease }) => lease?.slot ?? '')
    .toSorted()

async function startAll(hosts: readonly Host[]): Promise<() => Promise<void>> {
  const over = hosts.map((each) => each.forever())
  await pass(1000)
  for (const each of hosts) each.records.length = 0
  return async () => {
    for (const each of hosts) each.stop.abort(STOP)
    await pass(60_000)
    await Promise.all(over)
  }
}

describe('two hosts', () => {
  test('do each slot once, whoever comes first', async () => {
    const work: Work = async (_job, _run, clock) => {
      await clock.sleep(20_000)
      return done
    }
    const hosts = [1, 2].map(() => createHost(world, store, [land('A')], work))
    const end = await startAll(hosts)
    await pass(60_000)
    for (const each of hosts) each.records.length = 0
    for (const minute of [5, 10, 15, 20]) {
      const [first, second] = minute % 2 === 0 ? hosts : hosts.toReversed()
      first!.tick('land A', slotAt(minute))
      await pass(900)
      second!.tick('land A', slotAt(minute))
      await pass(120_000)
    }
    expect(slotsDone(hosts)).toEqual([5, 10, 15, 20].map((minute) => new Date(slotAt(minute)).toISOString()))
    const skipped = hosts.flatMap(({ records }) => records).filter(({ outcome }) => outcome === 'skipped')
    expect(skipped.map((record) => record.skipped)).toEqual(['done', 'done', 'done', 'done'])
    await end()
  })

  test('a slot is taken over by the other when the one that does it dies', async () => {
    const work: Work = async (_job, { signal }, clock) => {
      await clock.sleep(10_000, signal)
      return done
    }
    const [dies, lives] = [1, 2].map(() => createHost(world, store, [compact('n.t')], work)) as [Host, Host]
    const end = await startAll([lives])
    void dies.forever()
    await pass(60_000)
    lives.records.length = 0
    tickAll([dies, lives], 'compact n.t', slotAt(7))
    await pass(1000)
    dies.kill()
    expect(lives.status().jobs[0]!.state).toBe('waiting')
    await pass(TTL)
    expect(lives.status().jobs[0]).toMatchObject({ state: 'running', lease: { state: 'ours' } })
    await pass(TTL)
    expect(slotsDone([lives])).toEqual([new Date(slotAt(7)).toISOString()])
    await end()
  })

  test('a tick while a host stands by for another is no overlap', async () => {
    const work: Work = async (_job, { signal }, clock) => {
      await clock.sleep(20 * 60_000, signal)
      return done
    }
    const [busy, idle] = [1, 2].map(() => createHost(world, store, [land('A')], work)) as [Host, Host]
    const end = await startAll([busy, idle])
    await pass(TTL)
    idle.tick('land A', slotAt(5))
    await pass(5 * 60_000)
    idle.tick('land A', slotAt(10))
    busy.tick('land A', slotAt(10))
    expect([idle, busy].map(({ records }) => records.map((record) => record.skipped))).toEqual([
      ['lease', 'lease'],
      ['overlap'],
    ])
    await end()
  })

  test('a run that lost its lease is told to end, is recorded as such, and notes no slot', async () => {
    let reason: unknown
    const [slow, other] = [true, false].map((waits) =>
      createHost(world, store, [compact('n.t')], async (_job, { signal }) => {
        if (!waits) return done
        await slow!.options.clock.sleep(3_600_000, signal).catch((error: unknown) => {
          reason = error
          throw error
        })
        return done
      }),
    )
    const first = slow!.once()
    first.catch(() => {})
    await pass(1000)
    slow!.stopUntil(world.nowMillis() + 5 * TTL)
    const second = other!.once()
    await pass(10 * TTL)
    expect(other!.outcomes()).toEqual(['n.t: ok'])
    expect(reason).toMatchObject({ code: 'FIRN_LEASE_LOST' })
    expect(slow!.records).toMatchObject([
      { outcome: 'interrupted', error: { code: 'FIRN_LEASE_LOST' }, lease: { lost: true, epoch: 1 } },
    ])
    expect(await first).toMatchObject([{ code: 'FIRN_LEASE_LOST' }])
    expect(await second).toEqual([])
  })

  test('a slot whose run lost its lease to nobody, while the store was away, is done by the same host', async () => {
    let away = false
    const shaky: ObjectStore = {
      ...store,
      list: (prefix, options) => store.list(prefix, options),
      get: (key, options) => store.get(key, options),
      put: async (key, body, options) => {
        if (away) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'away')
        return await store.put(key, body, options)
      },
    }
    const one = createHost(world, shaky, [land('A')], async (_job, { signal }, clock) => {
      await clock.sleep(3 * TTL, signal)
      return done
    })
    const end = await startAll([one])
    await pass(4 * TTL)
    one.tick('land A', slotAt(5))
    await pass(TTL / 2)
    away = true
    await pass(TTL)
    away = false
    await pass(10 * TTL)
    expect(one.outcomes()).toEqual(['A: ok', 'A: interrupted', 'A: ok'])
    expect(await leaseOf('land.A')).toMatchObject({ released: true, last_slot: new Date(slotAt(5)).toISOString() })
    await end()
  })

  test.each([
    ['the store was away', new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'away'), 2],
    ['too much was bad', new FirnError('failed', 'FIRN_TOO_MANY_BAD_RECORDS', 'bad'), 1],
    ['of a fault in the program', new TypeError('no'), 1],
  ])('a slot whose run failed because %s is tried by one host, or by each', async (_why, failure, tries) => {
    let fails = false
    const hosts = [1, 2].map(() =>
      createHost(world, store, [land('A')], async () => {
        if (fails) throw failure
        return done
      }),
    )
    const end = await startAll(hosts)
    await pass(TTL)
    for (const each of hosts) each.records.length = 0
    fails = true
    tickAll(hosts, 'land A', slotAt(5))
    await pass(TTL)
    expect(hosts.flatMap((each) => each.outcomes())).toEqual(Array.from({ length: tries }, () => 'A: failed'))
    await end()
  })

  test('every slot is done at least once while one host lives, and once when none dies or stops', {
    timeout: 180_000,
  }, async () => {
    const fate = fc.record({
      workMillis: fc.integer({ min: 0, max: 200_000 }),
      diesAfterMillis: fc.option(fc.integer({ min: 0, max: 1_500_000 }), { nil: undefined }),
      pause: fc.option(fc.tuple(fc.integer({ min: 0, max: 1_500_000 }), fc.integer({ min: 1, max: 400_000 })), {
        nil: undefined,
      }),
    })
    const delays = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 3, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { minLength: 2, maxLength: 3 }), delays, async (fates, late) => {
        world = createWorld()
        store = openMemoryStore(newUuid(systemClock), {})
        const begun = world.nowMillis()
        // the last one lives, and is never stopped
        const all = [...fates, { workMillis: 10_000, diesAfterMillis: undefined, pause: undefined }]
        const hosts: Host[] = all.map((each) => {
          const host: Host = createHost(world, store, [maintain('n.t')], async (_job, { signal }) => {
            await host.options.clock.sleep(each.workMillis, signal)
            return done
          })
          return host
        })
        const time = world.process(99).clock
        for (const [at, each] of all.entries()) {
          void hosts[at]!.forever()
          if (each.diesAfterMillis !== undefined) void time.sleep(each.diesAfterMillis).then(hosts[at]!.kill)
          if (each.pause === undefined) continue
          const [atMillis, forMillis] = each.pause
          void time.sleep(atMillis).then(() => hosts[at]!.stopUntil(world.nowMillis() + forMillis))
        }
        // a tick is skipped while a host is at work on the slot before, or stands by for it: the last one finds all idle
        const slots = [5, 10, 15, 20, 75].map(slotAt)
        for (const slot of slots) {
          for (const [at, host] of hosts.entries()) {
            void host.options.clock
              .sleep(slot - begun + late[at % late.length]!)
              .then(() => host.tick('maintain n.t', slot))
          }
        }
        await pass(3 * 3_600_000)
        const counted = slotsDone(hosts).filter((slot) => slot >= new Date(slots[0]!).toISOString())
        // a slot is done by itself, or made needless by a later one that was
        const last = new Date(slots.at(-1)!).toISOString()
        expect(counted).toContain(last)
        const isQuiet = all.every(({ diesAfterMillis, pause }) => diesAfterMillis === undefined && pause === undefined)
        if (isQuiet) expect(counted).toEqual([...new Set(counted)])
        expect(await leaseOf('maintain.n.t')).toMatchObject({ released: true, last_slot: last })
      }),
      { numRuns: 25 },
    )
  })
})

test('a run whose end cannot be told gives its lease back, is logged, and the next tick tries again', async () => {
  let runs = 0
  const endless: Record<string, unknown> = {}
  endless['self'] = endless
  const one = createHost(world, store, [land('S')], async () => (++runs === 1 ? { ...done, json: endless } : done))
  const forever = one.forever()
  await pass(1000)
  expect(await leaseOf('land.S')).toMatchObject({ released: true, last_slot: null })
  expect(one.lines.join('')).toContain('the run failed')
  one.tick('land S', slotAt(5))
  await pass(1000)
  expect(one.outcomes()).toEqual(['S: ok'])
  one.stop.abort(STOP)
  await pass(1000)
  await forever
})

describe('the end at a signal', () => {
  const jobs = [compact('n.t')]

  test('idle, there is nothing to wait for', async () => {
    const one = createHost(world, store, jobs, async () => done)
    const forever = one.forever()
    await pass(1000)
    const before = world.nowMillis()
    one.stop.abort(STOP)
    expect(await forever).toEqual({ interrupted: false })
    expect(world.nowMillis()).toBe(before)
    expect(one.status()).toMatchObject({ state: 'stopping', jobs: [{ next_run_at: null }] })
  })

  test('a run that comes to a safe point was not cut short; nothing is begun any more', async () => {
    const one = createHost(world, store, [compact('n.t'), maintain('n.t')], async (_job, { signal }) => {
      await one.options.clock.sleep(3_600_000, signal).catch(() => {})
      await one.options.clock.sleep(8_000) // writes what it has
      return done
    })
    const forever = one.forever()
    await pass(1000)
    one.stop.abort(STOP)
    await pass(8_000)
    expect(await forever).toEqual({ interrupted: false })
    expect(one.outcomes()).toEqual(['n.t: ok'])
    expect(await leaseOf('compact.n.t')).toMatchObject({ released: true, last_slot: '2026-03-01T11:07:00.000Z' })
  })

  test('a landing that ended at a safe point with more to read notes no slot: a host that stands by goes on with it', async () => {
    const one = createHost(world, store, [land('S')], async (_job, { signal }) => {
      await one.options.clock.sleep(3_600_000, signal).catch(() => {})
      return { ...done, isCut: true }
    })
    const forever = one.forever()
    await pass(1000)
    one.stop.abort(STOP)
    await pass(1000)
    expect(await forever).toEqual({ interrupted: false })
    expect(one.outcomes()).toEqual(['S: ok'])
    expect(await leaseOf('land.S')).toMatchObject({ released: true, last_slot: null })
  })

  test('a run that heeds the signal is recorded as interrupted, and its lease is free without its slot', async () => {
    const one = createHost(world, store, jobs, async (_job, { signal }) => {
      await one.options.clock.sleep(3_600_000, signal)
      return done
    })
    const forever = one.forever()
    await pass(1000)
    one.stop.abort(STOP)
    await pass(1000)
    expect(await forever).toEqual({ interrupted: true })
    expect(one.records).toMatchObject([{ outcome: 'interrupted', lease: { lost: false } }])
    expect(await leaseOf('compact.n.t')).toMatchObject({ released: true, last_slot: null })
  })

  test('what has begun to commit gets its time, and no more: all is over before 25 s', async () => {
    const one = createHost(world, store, jobs, async (_job, { last }) => {
      await one.options.clock.sleep(3_600_000, last)
      return done
    })
    const forever = one.forever()
    await pass(1000)
    one.stop.abort(STOP)
    const before = world.nowMillis()
    let over = false
    void forever.then(() => (over = true))
    await world.run({ done: () => over, untilMillis: before + 60_000 })
    expect(await forever).toEqual({ interrupted: true })
    expect(world.nowMillis() - before).toBe(17_000)
    expect(await leaseOf('compact.n.t')).toMatchObject({ released: true })
  })

  test('also with a store that does not answer any more', async () => {
    let hangs = false
    const hung: ObjectStore = {
      ...store,
      get: (key, options) => store.get(key, options),
      put: (key, body, options) => {
        if (!hangs) return store.put(key, body, options)
        const { promise, reject } = Promise.withResolvers<never>()
        options?.signal?.addEventListener('abort', () => reject(options.signal!.reason as Error))
        return promise
      },
    }
    const one = createHost(world, hung, jobs, async (_job, { last }) => {
      await one.options.clock.sleep(3_600_000, last)
      return done
    })
    // the world waits for requests that are under way: not for those that hang
    const direct = { ...one.options, store: hung }
    const { runForever } = await import('../../jobs/schedule.ts')
    let over = false
    const forever = runForever(direct).finally(() => (over = true))
    await pass(1000)
    hangs = true
    one.stop.abort(STOP)
    const before = world.nowMillis()
    await world.run({ done: () => over, untilMillis: before + 60_000 })
    expect(await forever).toEqual({ interrupted: true })
    expect(world.nowMillis() - before).toBeLessThan(25_000)
  })

  test('a host that stands by for another goes at once', async () => {
    const busy = createHost(world, store, jobs, async () => new Promise(() => {}))
    void busy.forever()
    await pass(1000)
    const one = createHost(world, store, jobs, async () => done)
    const forever = one.forever()
    await pass(60_000)
    one.tick('compact n.t', slotAt(7))
    await pass(60_000)
    one.stop.abort(STOP)
    expect(await forever).toEqual({ interrupted: false })
  })
})
