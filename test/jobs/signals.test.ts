import { expect, test } from 'vitest'
import { afterGrace, Interrupted, interruptible, lastSignal } from '../../jobs/signals.ts'
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

/** A process that signals can be sent to, and that notes its end. */
function fakeProcess() {
  const listeners = new Map<string, () => void>()
  const exits: number[] = []
  const target = {
    on: (name: string, listener: () => void) => listeners.set(name, listener),
    exit: (code: number) => void exits.push(code),
  }
  return { target, exits, send: (name: 'SIGINT' | 'SIGTERM') => listeners.get(name)!() }
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('the first %s asks to stop, the second ends the process with its code', (name, code) => {
  const { target, exits, send } = fakeProcess()
  const interrupt = interruptible(handClock().clock, target)
  expect([interrupt.signal.aborted, interrupt.exitCode]).toEqual([false, undefined])
  send(name)
  expect([interrupt.signal.aborted, interrupt.exitCode, exits]).toEqual([true, code, []])
  send(name)
  expect(exits).toEqual([code])
})

test('25 s after the first signal the process ends, whatever it is at', async () => {
  const { target, exits, send } = fakeProcess()
  const { clock, sleepers } = handClock()
  interruptible(clock, target)
  send('SIGTERM')
  expect([...sleepers.keys()]).toEqual([25_000])
  sleepers.get(25_000)!()
  await settled()
  expect(exits).toEqual([143])
})

test('when all is done, no timer keeps the process', async () => {
  const { target, exits, send } = fakeProcess()
  const { clock, sleepers } = handClock()
  const interrupt = interruptible(clock, target)
  send('SIGTERM')
  interrupt.done()
  await settled()
  expect([sleepers.size, exits]).toEqual([0, []])
})

test('a command that a signal ended in order has its own exit code', () => {
  const { target, exits, send } = fakeProcess()
  const interrupt = interruptible(handClock().clock, target)
  send('SIGTERM')
  const reason: unknown = interrupt.signal.reason
  if (!(reason instanceof Interrupted)) throw new Error('no reason')
  reason.endedInOrder()
  expect(interrupt.exitCode).toBeUndefined()
  send('SIGTERM')
  expect(exits, 'the second signal still ends the process').toEqual([143])
})

test.each(['before', 'after'])('what follows a signal after a grace has its reason: %s it began', async (when) => {
  const { clock, sleepers } = handClock()
  const first = new AbortController()
  if (when === 'before') first.abort(new Error('stop'))
  const { signal } = afterGrace(first.signal, 17_000, clock)
  first.abort(new Error('stop'))
  expect([[...sleepers.keys()], signal.aborted]).toEqual([[17_000], false])
  sleepers.get(17_000)!()
  await settled()
  expect(signal.reason).toMatchObject({ message: 'stop' })
})
