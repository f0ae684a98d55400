/** The soak must be able to fail: each of its limits, broken alone, is named. */
import { describe, expect, test } from 'vitest'
import { compareKeys, metricOf, rssByThird, rssOf, type Sample, violations } from './samples.ts'

const LIMITS = { perSecond: 100, landSeconds: 30, compactSeconds: 150, rssRatio: 1.15 }

/** Five minutes in which all is well, but for what `change` says. */
const samplesWith = (change: (seconds: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 60 }, (_, index) => {
    const seconds = (index + 1) * 5
    const produced = seconds * 100
    const behind = { landed: produced - 500, compacted: Math.max(0, produced - 3000) }
    const well = { seconds, rss: [300], produced, ...behind, lagSeconds: 1, oldestUnconsumedSeconds: 20 }
    return { ...well, ...change(seconds) }
  })

test('all well', () => {
  expect(
    violations(
      samplesWith(() => ({})),
      LIMITS,
    ),
  ).toEqual([])
})

describe('broken', () => {
  test.each<[string, (seconds: number) => Partial<Sample>, string]>([
    ['memory that grows', (seconds) => ({ rss: [200 + seconds] }), 'memory grows'],
    ['memory that nobody measured', () => ({ rss: [undefined] }), 'memory grows'],
    ['landing that stands still', (seconds) => (seconds > 200 ? { landed: 20_000 } : {}), 'landing was'],
    ['compaction that stands still', (seconds) => (seconds > 100 ? { compacted: 10_000 } : {}), 'rows were'],
    ['a lag that is told of', (seconds) => (seconds === 100 ? { lagSeconds: 31 } : {}), 'firn_ingest_lag_seconds'],
  ])('%s', (_what, change, message) => {
    expect(violations(samplesWith(change), LIMITS)).toEqual([expect.stringContaining(message)])
  })
})

test('memory by thirds is that of the first scheduler', () => {
  expect(rssByThird(samplesWith((seconds) => ({ rss: [Math.ceil(seconds / 100), 999] })))).toEqual([1, 2, 3])
})

test('keys that are missing, doubled and unknown are told apart', () => {
  const keyOf = (index: number): string => `k${index}`
  expect(compareKeys(['k0', 'k2', 'k2', 'x'], 4, keyOf)).toEqual({
    rows: 4,
    missing: ['k1', 'k3'],
    twice: ['k2'],
    strange: ['x'],
  })
})

test('a metric is added up over its labels, and is 0 before it exists', () => {
  const scrape = '# TYPE a counter\na{stream="S"} 3\na{stream="T",outcome="landed"} 4\nab 5\n'
  expect([metricOf(scrape, 'a'), metricOf(scrape, 'a', 'max'), metricOf(scrape, 'ab'), metricOf(scrape, 'c')]).toEqual([
    7, 4, 5, 0,
  ])
})

test('memory of a process that is gone is unknown', () => {
  expect(rssOf(undefined)).toBeUndefined()
  expect(rssOf(2 ** 30)).toBeUndefined()
})
