import fc from 'fast-check'
import { expect, test } from 'vitest'
import { virtualTime } from './virtual-time.ts'

test('sleeps end in the order of their times, ties in the order they began (property)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 60 }), async (delays) => {
      const time = virtualTime(1)
      const clock = time.clock('x')
      const woken: [number, number][] = []
      await time.run(
        delays.map((delay, i) => async () => {
          await clock.sleep(delay)
          expect(time.now()).toBe(delay)
          woken.push([delay, i])
        }),
      )
      expect(woken).toEqual([...woken].sort((a, b) => a[0] - b[0] || a[1] - b[1]))
      expect(woken).toHaveLength(delays.length)
    }),
    { numRuns: 50 },
  )
})

test('an actor comes to rest before time passes, also over immediates', async () => {
  const time = virtualTime(1)
  const clock = time.clock('x')
  const log: string[] = []
  await time.run([
    async () => {
      await clock.sleep(1)
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
      log.push(`worked at ${time.now()}`)
    },
    async () => {
      await clock.sleep(2)
      log.push(`woke at ${time.now()}`)
    },
  ])
  expect(log).toEqual(['worked at 1', 'woke at 2'])
})

test('clocks differ in wall time and randomness by their names, and repeat by the seed', () => {
  const [a, b] = [virtualTime(3).clock('a'), virtualTime(3).clock('b', 1_000)]
  expect(b.nowMillis() - a.nowMillis()).toBe(1_000)
  const bytes = a.randomBytes(16)
  expect(virtualTime(3).clock('a').randomBytes(16)).toEqual(bytes)
  expect(b.randomBytes(16)).not.toEqual(bytes)
  expect(virtualTime(4).clock('a').randomBytes(16)).not.toEqual(bytes)
})

test('an abort ends a sleep with its reason', async () => {
  const time = virtualTime(1)
  const stop = new AbortController()
  const clock = time.clock('x')
  await time.run([
    () => expect(clock.sleep(10, stop.signal)).rejects.toThrow('stop'),
    async () => {
      await clock.sleep(5)
      stop.abort(new Error('stop'))
    },
  ])
})

test('the error of an actor, a wait that never ends and endless time are reported', async () => {
  const failing = virtualTime(1)
  await expect(failing.run([() => Promise.reject(new Error('broken'))])).rejects.toThrow('broken')
  await expect(virtualTime(1).run([() => new Promise(() => {})])).rejects.toThrow('not virtual time')
  const endless = virtualTime(1)
  const forever = async (): Promise<void> => {
    for (;;) await endless.clock('x').sleep(1_000)
  }
  await expect(endless.run([forever], 10_000)).rejects.toThrow('still running')
})

test('what an actor left asleep comes to its end too', async () => {
  const time = virtualTime(1)
  let late = false
  await time.run([
    async () => {
      void time
        .clock('x')
        .sleep(1_000)
        .then(() => {
          late = true
        })
    },
  ])
  expect(late).toBe(true)
})
