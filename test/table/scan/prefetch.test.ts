import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { prefetch } from '../../../table/scan/prefetch.ts'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

test('results come in input order, with at most `depth` reads in flight', async () => {
  let running = 0
  let most = 0
  const read = async (item: number): Promise<number> => {
    most = Math.max(most, ++running)
    for (let turn = 0; turn <= (item * 7) % 5; turn++) await setImmediate()
    running--
    return item
  }
  const out: number[] = []
  for await (const item of prefetch(range(50), read, { depth: 4 })) out.push(item)
  expect(out).toEqual(range(50))
  expect(most).toBe(4)
})

test('leaving the loop early aborts what still runs', async () => {
  const signals: AbortSignal[] = []
  const read = async (item: number, signal: AbortSignal): Promise<number> => {
    signals.push(signal)
    return item
  }
  for await (const _item of prefetch(range(50), read, { depth: 3 })) break
  expect(signals.length).toBeLessThanOrEqual(4)
  expect(signals.every((signal) => signal.aborted)).toBe(true)
})

test('a failed read surfaces at its item’s turn, after the results before it', async () => {
  const out: number[] = []
  const read = async (item: number): Promise<number> => {
    if (item === 3) throw new Error('third')
    return item
  }
  await expect(
    (async () => {
      for await (const item of prefetch(range(10), read, { depth: 8 })) out.push(item)
    })(),
  ).rejects.toThrow('third')
  expect(out).toEqual([0, 1, 2])
})

test('an aborted signal stops it with its reason', async () => {
  const stop = new AbortController()
  const out: number[] = []
  await expect(
    (async () => {
      for await (const item of prefetch(range(10), async (item) => item, { depth: 1, signal: stop.signal })) {
        out.push(item)
        if (item === 2) stop.abort(new Error('enough'))
      }
    })(),
  ).rejects.toThrow('enough')
  expect(out).toEqual([0, 1, 2])
})

test.each([0, 65, 1.5])('a depth of %s is refused', async (depth) => {
  await expect(prefetch([1], async (item) => item, { depth }).next()).rejects.toMatchObject({
    code: 'FIRN_INVALID_OPTION',
  })
})
