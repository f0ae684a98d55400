import { expect, test } from 'vitest'
import { lastSignal } from '../../jobs/signals.ts'
import { type Clock, systemClock } from '../../table/clock.ts'

/** A clock whose sleepers are woken by hand. */
function handClock(): { clock: Clock; sleepers: Map<number, () => void> } {
  const sleepers = new Map<number, () => void>()
  const sleep = (millis: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      sleepers.set(millis, resolve)
      signal?.addEventListener('abort', () => {
        sleepers.delete(millis)
        reject(signal.reason as Error)
      })
    })
  return { clock: { ...systemClock, sleep }, sleepers }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('last words have their whole time while nobody interrupts', async () => {
  const { clock, sleepers } = handClock()
  const { signal } = lastSignal(new AbortController().signal, 10_000, clock)
  expect([...sleepers.keys()]).toEqual([10_000])
  sleepers.get(10_000)!()
  await settled()
  expect(signal.aborted).toBe(true)
})

test.each(['before', 'after'])('after an interruption they have 2.5 s: %s they began', async (when) => {
  const { clock, sleepers } = handClock()
  const interrupt = new AbortController()
  if (when === 'before') interrupt.abort()
  const { signal } = lastSignal(interrupt.signal, 10_000, clock)
  interrupt.abort()
  expect([...sleepers.keys()].toSorted()).toEqual([10_000, 2500])
  expect(signal.aborted, 'the interruption itself does not end them').toBe(false)
  sleepers.get(2500)!()
  await settled()
  expect(signal.aborted).toBe(true)
})

test('released, they leave no timer and no listener behind', async () => {
  const { clock, sleepers } = handClock()
  const interrupt = new AbortController()
  const { signal, release } = lastSignal(interrupt.signal, 10_000, clock)
  release()
  interrupt.abort()
  await settled()
  expect([sleepers.size, signal.aborted]).toEqual([0, false])
})
