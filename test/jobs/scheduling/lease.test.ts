/** Leases over every kind of store, on virtual time. */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type S3Server, startS3Server } from '../../../jobs/demo/s3-server.ts'
import { type Acquisition, acquireLease, type Lease, type LeaseOptions } from '../../../jobs/scheduling/lease.ts'
import { leaseKey } from '../../../jobs/scheduling/lease-document.ts'
import { newUuid, systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { runId } from '../../../table/ids.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { createWorld, type Process, type World, worldStart } from './world.ts'

process.env['AWS_ACCESS_KEY_ID'] = 'test'
process.env['AWS_SECRET_ACCESS_KEY'] = 'test'

const dir = join(tmpdir(), `firn-lease-${newUuid(systemClock)}`)
let server: S3Server
beforeAll(async () => {
  server = await startS3Server({ buckets: ['my-bucket'] })
})
afterAll(async () => {
  await server.close()
  await rm(dir, { recursive: true, force: true })
})

const stores: readonly (readonly [string, () => ObjectStore])[] = [
  ['memory', () => openMemoryStore(newUuid(systemClock), {})],
  ['files', () => openStore(pathToFileURL(join(dir, newUuid(systemClock))).href, {})],
  [
    'the embedded S3',
    () => openStore(`s3://my-bucket/${newUuid(systemClock)}`, { s3: { endpoint: server.url, region: 'us-east-1' } }),
  ],
]

const TTL = 60_000
const KEY = leaseKey('land.S')
let processes = 0

describe.each(stores)('a lease in %s', (_kind, open) => {
  let store: ObjectStore
  let world: World
  beforeEach(() => {
    store = open()
    world = createWorld()
  })

  interface Actor extends Process {
    acquire(more?: Partial<LeaseOptions>): { outcome: Acquisition | undefined; failed: unknown }
  }

  function actor(owner: string): Actor {
    const each = world.process(++processes)
    const common = { store: each.reach(store), clock: each.clock, name: 'land.S', owner, ttlMillis: TTL, wait: true }
    return {
      ...each,
      acquire: (more) => {
        const state: { outcome: Acquisition | undefined; failed: unknown } = { outcome: undefined, failed: undefined }
        acquireLease({ ...common, runId: runId(`${owner}-${++processes}`), ...more }).then(
          (outcome) => (state.outcome = outcome),
          (error: unknown) => (state.failed = error),
        )
        return state
      },
    }
  }

  const pass = (millis: number): Promise<void> =>
    world.run({ done: () => false, untilMillis: world.nowMillis() + millis })
  const document = async (): Promise<Record<string, unknown>> =>
    JSON.parse(new TextDecoder().decode((await store.get(KEY)).bytes)) as Record<string, unknown>
  const leaseOf = ({ outcome }: { outcome: Acquisition | undefined }): Lease => {
    if (outcome?.kind !== 'held') throw new Error(`not held: ${JSON.stringify(outcome)}`)
    return outcome.lease
  }

  test('is renewed as long as its holder lives, and nobody else gets it', async () => {
    const [a, b] = [actor('a'), actor('b')]
    const held = a.acquire()
    await pass(10)
    const waiting = b.acquire()
    const told: unknown[] = []
    const asking = b.acquire({ wait: false, onWait: ({ owner, leftMillis }) => told.push([owner, leftMillis]) })
    await pass(10 * TTL)
    expect(told).toEqual([['a', TTL]])
    expect(leaseOf(held).isHeld()).toBe(true)
    expect(waiting.outcome).toBeUndefined()
    expect(asking.outcome).toMatchObject({ kind: 'busy', owner: 'a', epoch: 1 })
    expect(await document()).toMatchObject({ schema: 'firn.lease/1', owner: 'a', epoch: 1, released: false })
    expect((await document())['counter']).toBeGreaterThan(25)
    await leaseOf(held).release()
  })

  test('that was released is free at once, and keeps the slot that was done', async () => {
    const [a, b, c] = [actor('a'), actor('b'), actor('c')]
    const held = a.acquire()
    await pass(10)
    expect(await leaseOf(held).release({ lastSlot: '2026-03-01T12:00:00.000Z' })).toBe(true)
    expect(leaseOf(held).isHeld()).toBe(false)
    const [same, next] = [
      b.acquire({ unlessDone: '2026-03-01T12:00:00.000Z' }),
      c.acquire({ unlessDone: '2026-03-01T12:05:00.000Z', wait: false }),
    ]
    await pass(10)
    expect(same.outcome).toEqual({ kind: 'done', lastSlot: '2026-03-01T12:00:00.000Z' })
    expect(leaseOf(next)).toMatchObject({ epoch: 2, lastSlot: '2026-03-01T12:00:00.000Z' })
    await leaseOf(next).release({ lastSlot: '2026-03-01T11:00:00.000Z' })
    expect(await document()).toMatchObject({ released: true, last_slot: '2026-03-01T12:00:00.000Z' })
  })

  test.each([true, false])('of a dead holder is taken over after its time (waits: %s)', async (wait) => {
    const [a, b] = [actor('a'), actor('b')]
    a.acquire()
    await pass(TTL / 2)
    a.kill()
    const before = world.nowMillis()
    const next = b.acquire({ wait })
    await world.run({ done: () => next.outcome !== undefined, untilMillis: before + 10 * TTL })
    expect(leaseOf(next)).toMatchObject({ epoch: 2 })
    expect(world.nowMillis() - before).toBe(TTL)
    await leaseOf(next).release()
  })

  test('a holder that was stopped for long notices that it has lost, and changes nothing', async () => {
    const [a, b] = [actor('a'), actor('b')]
    const held = a.acquire()
    await pass(10)
    a.stopUntil(world.nowMillis() + 5 * TTL)
    const next = b.acquire()
    await pass(2 * TTL)
    expect([leaseOf(held).isHeld(), leaseOf(next).isHeld()]).toEqual([false, true])
    await pass(4 * TTL)
    expect(leaseOf(held).signal.reason).toMatchObject({ kind: 'conflict', code: 'FIRN_LEASE_LOST' })
    expect(await leaseOf(held).release({ lastSlot: '2026-03-01T12:00:00.000Z' })).toBe(false)
    expect(await document()).toMatchObject({ owner: 'b', epoch: 2, released: false, last_slot: null })
    expect(leaseOf(next).isHeld()).toBe(true)
    await leaseOf(next).release()
  })

  test('a holder that was stopped, and that nobody replaced, goes on', async () => {
    const a = actor('a')
    const held = a.acquire()
    await pass(10)
    a.stopUntil(world.nowMillis() + 5 * TTL)
    await pass(2 * TTL)
    expect(leaseOf(held).isHeld()).toBe(false)
    await pass(4 * TTL)
    expect([leaseOf(held).isHeld(), leaseOf(held).signal.aborted]).toEqual([true, false])
    await leaseOf(held).release()
  })

  test.each(['2036-03-01T12:00:00.000Z', '2026-99-99T99:99:99.999Z'])(
    'whose slot %s was noted by a wrong clock keeps nobody from the job, and notes the right slot next',
    async (noted) => {
      const [a, b, c] = [actor('a'), actor('b'), actor('c')]
      const slot = new Date(worldStart - 60_000).toISOString()
      const held = a.acquire()
      await pass(10)
      await leaseOf(held).release({ lastSlot: noted })
      const next = b.acquire({ unlessDone: slot })
      await pass(10)
      await leaseOf(next).release({ lastSlot: slot })
      expect(await document()).toMatchObject({ released: true, last_slot: slot })
      const same = c.acquire({ unlessDone: slot })
      await pass(10)
      expect(same.outcome).toEqual({ kind: 'done', lastSlot: slot })
    },
  )

  test('that nobody can read is waited for, then overwritten', async () => {
    await store.put(KEY, new TextEncoder().encode('{"schema": "firn.lease/1", "owner": 7'))
    const next = actor('a').acquire()
    await pass(TTL - 1)
    expect(next.outcome).toBeUndefined()
    await pass(10)
    await leaseOf(next).release()
  })

  test('whose object somebody deleted is lost to its holder', async () => {
    const a = actor('a')
    const held = a.acquire()
    await pass(10)
    await store.delete(KEY)
    await pass(TTL)
    expect(leaseOf(held).signal.reason).toMatchObject({ code: 'FIRN_LEASE_LOST' })
  })

  test('of 16 that ask at once one gets it', async () => {
    const asked = Array.from({ length: 16 }, (_, at) => actor(`p${at}`).acquire({ wait: false }))
    await pass(3 * TTL)
    const held = asked.filter(({ outcome }) => outcome?.kind === 'held')
    expect(held).toHaveLength(1)
    expect(asked.filter(({ outcome }) => outcome?.kind === 'busy')).toHaveLength(15)
    await leaseOf(held[0]!).release()
  })

  test('whose grant got lost on its way back is held without another wait', async () => {
    const a = actor('a')
    let lost = 0
    const through = a.reach(store)
    const forgetful: ObjectStore = {
      ...through,
      put: async (key, body, options) => {
        const put = await through.put(key, body, options)
        if (lost++ === 0) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
        return put
      },
    }
    const before = world.nowMillis()
    const held = a.acquire({ store: forgetful })
    await world.run({ done: () => held.outcome !== undefined, untilMillis: before + 10 * TTL })
    expect(leaseOf(held)).toMatchObject({ epoch: 1 })
    expect(world.nowMillis() - before).toBeLessThan(TTL / 4)
    await leaseOf(held).release()
  })

  test('counts from before a write was sent, however long its answer took', async () => {
    const a = actor('a')
    let answerMillis = 0
    const held = a.acquire({ store: a.reach(store, () => answerMillis) })
    const before = world.nowMillis()
    const passUntil = (millis: number): Promise<void> => pass(before + millis - world.nowMillis())
    await passUntil(10)
    answerMillis = TTL / 2 // the renewal is sent after a third of the time
    await passUntil(TTL)
    a.stopUntil(before + 100 * TTL)
    await passUntil((TTL * 4) / 3 - 10)
    expect(leaseOf(held).isHeld()).toBe(true)
    await passUntil((TTL * 4) / 3 + 10)
    expect(leaseOf(held).isHeld()).toBe(false)
    a.kill()
  })

  test('that is called off while its grant is on its way is given back', async () => {
    const calledOff = new AbortController()
    const put: ObjectStore['put'] = async (key, body, options) => {
      calledOff.abort(new Error('a signal'))
      return await store.put(key, body, options)
    }
    const only = { get: store.get.bind(store), put } as unknown as ObjectStore
    const asked = { store: only, clock: systemClock, name: 'land.S', owner: 'a', ttlMillis: TTL, wait: true }
    await expect(
      acquireLease({ ...asked, runId: runId('0123456789abcdef'), signal: calledOff.signal }),
    ).rejects.toThrow('a signal')
    expect(await document()).toMatchObject({ owner: 'a', released: true, last_slot: null })
  })

  test('asking can be called off', async () => {
    const held = actor('a').acquire()
    await pass(10)
    const stop = new AbortController()
    const waiting = actor('b').acquire({ signal: stop.signal })
    await pass(TTL)
    stop.abort(new Error('called off'))
    await pass(10)
    expect(waiting.failed).toMatchObject({ message: 'called off' })
    await leaseOf(held).release()
  })
})

test('a holder whose store does not answer any more stops believing after its time', async () => {
  const world = createWorld()
  const a = world.process(++processes)
  const memory = openMemoryStore(newUuid(systemClock), {})
  let hangs = false
  const store: ObjectStore = {
    ...memory,
    get: (key, options) => memory.get(key, options),
    put: (key, body, options) => (hangs ? new Promise(() => {}) : memory.put(key, body, options)),
  }
  const common = { store, clock: a.clock, name: 'land.S', owner: 'a', runId: runId('r'), ttlMillis: TTL, wait: true }
  const held = await acquireLease(common)
  if (held.kind !== 'held') throw new Error(held.kind)
  hangs = true
  await world.run({ done: () => held.lease.signal.aborted, untilMillis: worldStart + 10 * TTL })
  expect(held.lease.signal.reason).toMatchObject({ code: 'FIRN_LEASE_LOST' })
  expect(world.nowMillis() - worldStart).toBe(TTL)
})

test('a store that cannot be reached, or refuses, is an error after a few tries', async () => {
  const world = createWorld()
  const { clock } = world.process(++processes)
  const common = { clock, name: 'land.S', owner: 'a', runId: runId('r'), ttlMillis: TTL, wait: true }
  const hung = { ...openMemoryStore(newUuid(systemClock), {}), get: () => new Promise<never>(() => {}) }
  let failed: unknown
  acquireLease({ ...common, store: hung }).catch((error: unknown) => (failed = error))
  await world.run({ done: () => failed !== undefined, untilMillis: worldStart + 100 * TTL })
  expect(failed).toMatchObject({ kind: 'unavailable', code: 'FIRN_NO_ANSWER' })
})
