import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { type Fault, type FaultyStoreOptions, faultyStore, type StoreOperation } from '../../../table/io/faulty.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { failureOf, keysOf, text, utf8 } from '../../contract/object-store.ts'
import { freshStore, testClock } from '../support.ts'

const unavailable = { kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE', retryable: true }

function opened(options: Partial<FaultyStoreOptions>) {
  const within = freshStore()
  const clock = testClock(1)
  return { within, clock, store: faultyStore(within, { seed: 1, clock, ...options }) }
}
const always = (operation: StoreOperation, fault: Fault): Partial<FaultyStoreOptions> => ({
  rates: { [operation]: { [fault]: 1 } },
})
const holds = async (store: ObjectStore, key: string): Promise<string | undefined> =>
  (await store.head(key)) && text((await store.get(key)).bytes)

describe('a write', () => {
  test.each(['refused', 'throttled'] as const)('that is %s has no effect', async (fault) => {
    const { within, store } = opened(always('put', fault))
    expect(await failureOf(store.put('k', utf8('x')))).toMatchObject(unavailable)
    expect(await holds(within, 'k')).toBeUndefined()
    expect(store.struck[fault]).toBe(1)
  })

  test('whose answer is lost took effect, and is refused by itself when it is repeated', async () => {
    const { within, store } = opened(always('put', 'answerLost'))
    expect(await failureOf(store.put('k', utf8('x'), { ifNoneMatch: '*' }))).toMatchObject(unavailable)
    expect(await holds(within, 'k')).toBe('x')
    expect((await failureOf(within.put('k', utf8('x'), { ifNoneMatch: '*' }))).code).toBe('FIRN_PRECONDITION_FAILED')
  })

  test('whose answer is lost keeps its condition: an object of somebody else stays', async () => {
    const { within, store } = opened(always('put', 'answerLost'))
    await within.put('k', utf8('theirs'))
    expect(await failureOf(store.put('k', utf8('ours'), { ifNoneMatch: '*' }))).toMatchObject(unavailable)
    expect(await holds(within, 'k')).toBe('theirs')
  })

  test('that times out takes the whole time-out, and took effect in about half of the cases', async () => {
    const { within, store, clock } = opened({ ...always('put', 'timedOut'), timeoutMillis: 5_000 })
    for (let i = 0; i < 40; i++) {
      const before = clock.monotonicMillis()
      await failureOf(store.put(`k${i}`, utf8('x')))
      expect(clock.monotonicMillis() - before).toBeGreaterThanOrEqual(5_000)
    }
    const effective = (await keysOf(within, '')).length
    expect(effective).toBeGreaterThan(8)
    expect(effective).toBeLessThan(32)
  })

  test('that comes late has the bytes and the condition of its call', async () => {
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const { within, store } = opened({ ...always('put', 'late'), clock: { ...testClock(1), sleep: () => gate } })
    const body = utf8('first')
    await failureOf(store.put('free', body, { ifNoneMatch: '*' }))
    await failureOf(store.put('taken', body, { ifNoneMatch: '*' }))
    body.fill(0)
    expect(await holds(within, 'free')).toBeUndefined()
    await within.put('taken', utf8('theirs'))
    open()
    await store.settled()
    expect(await holds(within, 'free')).toBe('first')
    expect(await holds(within, 'taken')).toBe('theirs')
  })

  test('a delete can be late, and lose its answer', async () => {
    const { within, store } = opened({ rates: { delete: { late: 0.5, answerLost: 0.5 } } })
    for (let i = 0; i < 20; i++) await within.put(`k${i}`, utf8('x'))
    for (let i = 0; i < 20; i++) await failureOf(store.delete(`k${i}`))
    expect(store.struck.late).toBeGreaterThan(0)
    expect(store.struck.answerLost).toBeGreaterThan(0)
    await store.settled()
    expect(await keysOf(within, '')).toEqual([])
  })
})

describe('a read', () => {
  test.each(['refused', 'throttled', 'timedOut', 'reset'] as const)('can be %s', async (fault) => {
    const { within, store } = opened(always('get', fault))
    await within.put('k', utf8('x'))
    expect(await failureOf(store.get('k'))).toMatchObject(unavailable)
    expect(await store.head('k')).toMatchObject({ sizeBytes: 1 })
  })

  test('a listing breaks off in the middle, and never ends as if it were whole', async () => {
    const { within, store } = opened(always('list', 'reset'))
    const all = Array.from({ length: 20 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    for (const key of all) await within.put(key, utf8('x'))
    for (let run = 0; run < 10; run++) {
      const seen: string[] = []
      const failure = await failureOf(
        (async () => {
          for await (const { key } of store.list('')) seen.push(key)
        })(),
      )
      expect(failure).toMatchObject(unavailable)
      expect(seen).toEqual(all.slice(0, seen.length))
    }
    expect(await failureOf(keysOf(store, 'none/'))).toMatchObject(unavailable)
  })
})

test('one seed and one order of calls give one sequence of answers and times; another seed another', async () => {
  const rate = { refused: 0.1, throttled: 0.1, answerLost: 0.1, timedOut: 0.1 }
  const rates = { put: { ...rate, late: 0.1 }, get: { ...rate, reset: 0.1 }, head: rate, list: rate, delete: rate }
  const run = async (seed: number): Promise<string> => {
    const { store, clock } = opened({ seed, rates, latencyMillis: [1, 50] })
    const story: unknown[] = []
    for (let i = 0; i < 60; i++) {
      const call = [
        () => store.put(`k${i % 7}`, utf8(`${i}`)),
        () => store.get(`k${i % 7}`),
        () => store.head(`k${i % 5}`),
        () => keysOf(store, ''),
        () => store.delete(`k${i % 3}`),
      ][i % 5]!
      const answer = await call().catch((error: unknown) => FirnError.is(error) && error.message)
      story.push([JSON.stringify(answer)?.replace(/"lastModifiedMillis":\d+/, ''), clock.monotonicMillis()])
    }
    return JSON.stringify(story).replaceAll(store.url, '')
  }
  expect(await run(7)).toBe(await run(7))
  expect(await run(7)).not.toBe(await run(8))
})

test('faults strike about as often as the rates say (property)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.constantFrom(0.1, 0.3, 0.6), async (seed, refused) => {
      const { store } = opened({ seed, rates: { head: { refused, throttled: 0.2 } } })
      for (let i = 0; i < 400; i++) await store.head('k').catch(() => {})
      expect(Math.abs(store.struck.refused / 400 - refused)).toBeLessThan(0.12)
      expect(Math.abs(store.struck.throttled / 400 - 0.2)).toBeLessThan(0.12)
    }),
    { numRuns: 25, seed: 1 },
  )
})

describe('kill', () => {
  test.each(['before', 'after'] as const)('%s the n-th call: nobody makes a call from then on', async (when) => {
    const { within, store } = opened({ kill: ({ index }) => (index === 2 ? when : undefined) })
    await store.put('a', utf8('1'))
    const killed = { kind: 'failed', code: 'FIRN_STORE_KILLED' }
    expect(await failureOf(store.put('b', utf8('2')))).toMatchObject(killed)
    for (const call of [
      store.put('c', utf8('3')),
      store.get('a'),
      store.head('a'),
      store.delete('a'),
      keysOf(store, ''),
    ])
      expect(await failureOf(call)).toMatchObject(killed)
    expect(await keysOf(within, '')).toEqual(when === 'before' ? ['a'] : ['a', 'b'])
  })

  test('can be told by operation and key', async () => {
    const { store } = opened({
      kill: ({ operation, key }) => (operation === 'list' && key === 'b/' ? 'after' : undefined),
    })
    await store.put('b/1', utf8('1'))
    expect(await keysOf(store, 'a/')).toEqual([])
    expect((await failureOf(keysOf(store, 'b/'))).code).toBe('FIRN_STORE_KILLED')
  })
})

test('an abort ends the latency, and nothing was written', async () => {
  const stop = new AbortController()
  const within = freshStore()
  const clock = { ...testClock(1), sleep: (_: number, signal?: AbortSignal) => never(signal) }
  const store = faultyStore(within, { seed: 1, clock, latencyMillis: [1, 2] })
  const put = store.put('k', utf8('x'), { signal: stop.signal })
  stop.abort(new Error('stop'))
  await expect(put).rejects.toThrow('stop')
  expect(await keysOf(within, '')).toEqual([])
})

const never = (signal?: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))

test.each([
  { put: { refused: 1.5 } },
  { put: { refused: -0.1 } },
  { put: { refused: 0.6, answerLost: 0.6 } },
  { get: { late: 0.1 } },
  { head: { reset: 0.1 } },
  { put: { refused: Number.NaN } },
])('rates that make no sense are refused: %j', (rates) => {
  expect(() => opened({ rates })).toThrow(expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }) as Error)
})
