/** What is measured while schedulers run, and what it must have been. */
import { readFileSync } from 'node:fs'

export interface Sample {
  /** Since the beginning. */
  readonly seconds: number
  /** Resident memory by scheduler, in MiB; `undefined` for one that is not running. */
  readonly rss: readonly (number | undefined)[]
  readonly produced: number
  readonly landed: number
  /** Rows of the table. */
  readonly compacted: number
  /** As `/metrics` tells it, of the scheduler that is behind most, in seconds. */
  readonly lagSeconds: number
  readonly oldestUnconsumedSeconds: number
}

export interface Limits {
  readonly perSecond: number
  /** How long a record may take to be landed, in seconds. */
  readonly landSeconds: number
  /** How long a record may take to be a row, in seconds. */
  readonly compactSeconds: number
  /** Of the last third's median memory to the second third's. */
  readonly rssRatio: number
}

/** In MiB, of a process of this machine; `undefined` when it is gone. */
export function rssOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return match === null ? undefined : Number(match[1]) / 1024
  } catch {
    return undefined
  }
}

/** Sum, or with `how` the most, of the values of a metric in a scrape; 0 when it has none. */
export function metricOf(scrape: string, name: string, how: 'sum' | 'max' = 'sum'): number {
  const values = [...scrape.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map((match) =>
    Number(match[1]),
  )
  return how === 'sum' ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Medians of the first scheduler's memory in the three thirds of the time. */
export function rssByThird(samples: readonly Sample[]): readonly [number, number, number] {
  const whole = samples.at(-1)?.seconds ?? 0
  const third = (index: number): number =>
    median(
      samples
        .filter(({ seconds }) => Math.min(2, Math.floor((3 * seconds) / Math.max(whole, 1))) === index)
        .flatMap(({ rss: [first] }) => (first === undefined ? [] : [first])),
    )
  return [third(0), third(1), third(2)]
}

/** Seconds by which `done` of the records were behind, at the most. */
export const mostBehind = (samples: readonly Sample[], perSecond: number, done: (sample: Sample) => number): number =>
  Math.max(0, ...samples.map((sample) => (sample.produced - done(sample)) / perSecond))

/** What was not as it must be, a sentence each. */
export function violations(samples: readonly Sample[], limits: Limits): readonly string[] {
  const { perSecond, landSeconds, compactSeconds, rssRatio } = limits
  const [, second, last] = rssByThird(samples)
  const found: string[] = []
  // negated: a memory that could not be measured must not pass
  if (!(last <= second * rssRatio)) {
    found.push(`memory grows: ${last.toFixed(0)} MiB in the last third, ${second.toFixed(0)} MiB in the one before`)
  }
  const land = mostBehind(samples, perSecond, ({ landed }) => landed)
  if (land > landSeconds) found.push(`landing was ${land.toFixed(0)} s behind, more than ${landSeconds} s`)
  const compact = mostBehind(samples, perSecond, ({ compacted }) => compacted)
  if (compact > compactSeconds) found.push(`rows were ${compact.toFixed(0)} s behind, more than ${compactSeconds} s`)
  const lag = Math.max(0, ...samples.map(({ lagSeconds }) => lagSeconds))
  if (lag > landSeconds) found.push(`firn_ingest_lag_seconds was ${lag.toFixed(0)}, more than ${landSeconds}`)
  return found
}

export interface Keys {
  readonly rows: number
  readonly missing: readonly string[]
  readonly twice: readonly string[]
  /** Keys that nobody produced. */
  readonly strange: readonly string[]
}

/** What rows with these keys lack of the keys from 0 to `count`. */
export function compareKeys(keys: Iterable<string>, count: number, keyOf: (index: number) => string): Keys {
  const wanted = new Set(Array.from({ length: count }, (_, index) => keyOf(index)))
  const seen = new Set<string>()
  const [twice, strange]: [string[], string[]] = [[], []]
  let rows = 0
  for (const key of keys) {
    rows++
    if (!wanted.has(key)) strange.push(key)
    if (seen.has(key)) twice.push(key)
    seen.add(key)
  }
  return { rows, missing: [...wanted].filter((key) => !seen.has(key)), twice, strange }
}
