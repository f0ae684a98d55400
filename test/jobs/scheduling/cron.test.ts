import fc from 'fast-check'
import { createTask } from 'node-cron'
import { expect, test } from 'vitest'
import { checkedCron, previousSlot } from '../../../jobs/scheduling/cron.ts'
import { epochMillis } from '../../../table/ids.ts'

const at = (text: string) => epochMillis(Date.parse(text))

test.each([
  ['*/5 * * * *', '2026-03-01T12:04:59.999Z', '2026-03-01T12:00:00.000Z'],
  ['*/5 * * * *', '2026-03-01T12:05:00.000Z', '2026-03-01T12:05:00.000Z'],
  ['7 * * * *', '2026-03-01T00:06:59.000Z', '2026-02-28T23:07:00.000Z'],
  ['23 3 * * *', '2026-01-01T03:22:00.000Z', '2025-12-31T03:23:00.000Z'],
  ['0 0 1 1 *', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'],
  ['0 0 29 2 *', '2026-03-01T00:00:00.000Z', '2024-02-29T00:00:00.000Z'],
  ['*/20 * * * * *', '2026-03-01T12:00:45.500Z', '2026-03-01T12:00:40.000Z'],
  ['30 6 * * 1', '2026-03-01T12:00:00.000Z', '2026-02-23T06:30:00.000Z'],
])('the slot of %s at %s is %s', (cron, now, slot) => {
  expect(new Date(previousSlot(cron, at(now))!).toISOString()).toBe(slot)
})

test('a date that never comes is no schedule', () => {
  expect(() => checkedCron('land', '0 0 30 2 *')).toThrow(expect.objectContaining({ code: 'FIRN_CRON_INVALID' }))
})

test('no time between a slot and now is named by the schedule, whatever it is', () => {
  const field = (min: number, max: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min, max }).map(String),
      fc.integer({ min: 2, max: 20 }).map((step) => `*/${step}`),
      fc
        .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
        .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    )
  const cron = fc.tuple(field(0, 59), field(0, 23), fc.constant('*'), field(1, 12), field(0, 6)).map((f) => f.join(' '))
  fc.assert(
    fc.property(cron, fc.integer({ min: 0, max: 365 * 1440 }), (expression, minute) => {
      const now = at('2026-01-01T00:00:00Z') + minute * 60_000 + 12_345
      const slot = previousSlot(expression, epochMillis(now))!
      const task = createTask(expression, () => {}, { timezone: 'UTC' })
      expect(task.match(new Date(slot))).toBe(true)
      expect(slot).toBeLessThanOrEqual(now)
      for (let time = now - (now % 60_000), steps = 0; time > slot && steps < 2000; time -= 60_000, steps++) {
        expect(task.match(new Date(time)), new Date(time).toISOString()).toBe(false)
      }
    }),
    { numRuns: 50 },
  )
})
