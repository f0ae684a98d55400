/** How batches reach their consumer. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { epochOf, expectedRows, numbersIn, ROW_BYTES, rowsIn, type World } from './support.ts'

const WORLD: World = { sizes: [16, 16, 16], blockBytes: 1e9 }
const turns = async (count = 50): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}

describe('next()', () => {
  it('gives a batch that is ready with a promise that is resolved: the event loop need not turn', async () => {
    const { iterator } = epochOf(WORLD, { size: 4, depth: 4 })
    await iterator.next()
    await turns()
    for (let batch = 0; batch < 8; batch++) {
      let value: unknown
      void iterator.next().then((result) => {
        value = result.value
      })
      await Promise.resolve() // one microtask: the callback of a resolved promise
      expect(value).toBeDefined()
    }
  })

  it('lets the next batch be made while its consumer waits for something else', async () => {
    const world: World = { sizes: [64], blockBytes: 1e9, isShuffled: false, segmentRows: 4 }
    const { iterator, budget } = epochOf(world, { size: 4, depth: 2 })
    await iterator.next()
    const before = budget.residentBytes
    await iterator.next()
    expect(budget.residentBytes).toBe(before)
    await setImmediate()
    // a batch more is made, and its segment freed
    expect(budget.residentBytes).toBeLessThan(before)
  })

  it('may be called again before it is answered, and after the end', async () => {
    const { iterator } = epochOf(WORLD, { size: 16, depth: 1 })
    const results = await Promise.all(Array.from({ length: 6 }, () => iterator.next()))
    const rows = results.flatMap<number | string>((result) =>
      result.done === true ? ['done'] : numbersIn(result.value),
    )
    expect(rows).toEqual([...expectedRows(WORLD), 'done', 'done', 'done'])
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  it('ends with the reason of a signal, at once, with batches ready and while waiting', async () => {
    const reason = new Error('enough')
    const ready = new AbortController()
    const { iterator } = epochOf(WORLD, { size: 4, depth: 4, signal: ready.signal })
    await iterator.next()
    ready.abort(reason)
    await expect(iterator.next()).rejects.toBe(reason)
    expect((await iterator.next()).done).toBe(true)

    const waiting = new AbortController()
    const slow = { ...WORLD, arrives: () => new Promise<void>(() => {}) }
    const { iterator: hanging } = epochOf(slow, { signal: waiting.signal })
    const first = hanging.next()
    await turns()
    waiting.abort(reason)
    await expect(first).rejects.toBe(reason)

    const { iterator: late, asked } = epochOf(WORLD, { signal: AbortSignal.abort(reason) })
    await expect(late.next()).rejects.toBe(reason)
    expect(asked).toEqual([])
  })

  it('waits for what has to be ready before the first batch, while reading has begun', async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { iterator } = epochOf(WORLD, { ready: promise })
    let came = false
    const first = iterator.next().then(() => {
      came = true
    })
    await turns()
    expect(came).toBe(false)
    resolve()
    await first
    expect(came).toBe(true)

    reject(new Error('settled already'))
    const { iterator: failing } = epochOf(WORLD, { ready: Promise.reject(new Error('no tag')) })
    await expect(failing.next()).rejects.toThrow('no tag')
  })
})

describe('the state', () => {
  it('counts delivered batches, not those that were made ahead', async () => {
    const { iterator, progress } = epochOf(WORLD, { size: 4, depth: 8 })
    expect(progress().batches).toBe(0)
    await iterator.next()
    await turns()
    expect(progress().batches).toBe(1)
    await Promise.all([iterator.next(), iterator.next()])
    expect(progress().batches).toBe(3)
  })

  it('is over with the last batch where the number of batches is known, else with the end', async () => {
    const world = { ...WORLD, isLive: (n: number) => n < 20_000 }
    const known = epochOf(world, { size: 16, lastBatch: 2 })
    const unknown = epochOf({ ...world, sizes: [16, 16, 16] }, { size: 16 })
    for (const { iterator } of [known, unknown]) {
      await iterator.next()
      await iterator.next()
    }
    expect(known.progress().ended).toBe(true)
    await unknown.iterator.next()
    expect(unknown.progress().ended).toBe(true)
  })

  it('stays where it was when the iteration is left', async () => {
    const { iterator, progress } = epochOf(WORLD, { size: 4, depth: 8 })
    await iterator.next()
    const before = progress()
    await iterator.return()
    expect(progress()).toEqual(before)
    expect((await iterator.next()).done).toBe(true)
    expect((await iterator.return()).done).toBe(true)
  })
})

it.each([400, 150, 1000])('a batch of many blocks (%i rows, 4 a block) does not hold on to them', async (size) => {
  const sizes = Array<number>(100).fill(4)
  const world: World = { sizes, blockBytes: 4 * ROW_BYTES, segmentRows: 4 }
  const limitBytes = 4 * ROW_BYTES * 8
  const { iterator, budget } = epochOf(world, { size, limitBytes })
  expect((await rowsIn(iterator)).flat()).toEqual(expectedRows(world))
  expect(budget.peakBytes).toBeLessThanOrEqual(limitBytes)
})
