/**
 * Mean of one integer column (the word count): over all rows, per hour and per day of the event time, in UTC.
 * The state is a sum and a count per hour, as plain JSON: states of tasks merge, days follow from hours.
 */

/** `[count, sum]`; sums stay exact integers far beyond any table (2^53 words). */
export type CountAndSum = readonly [count: number, sum: number]

export interface AveragesState {
  readonly all: CountAndSum
  /** By hours since the epoch. */
  readonly hours: Readonly<Record<string, CountAndSum>>
  /** Rows without event time: in `all`, in no hour. */
  readonly withoutEventTime: CountAndSum
}

/** As commands print it; times are starts, in UTC. */
export interface Averages {
  /** Mean over all rows; null when there are none. */
  readonly run: number | null
  readonly articles: number
  readonly hourly: readonly { readonly hour: string; readonly average_word_count: number; readonly articles: number }[]
  readonly daily: readonly { readonly day: string; readonly average_word_count: number; readonly articles: number }[]
  readonly without_event_time: { readonly articles: number; readonly average_word_count: number | null }
}

const HOUR_MICROS = 3_600_000_000n
const HOUR_MILLIS = 3_600_000

/** Collects values row by row. */
export class AveragesBuilder {
  #count = 0
  #sum = 0
  #withoutCount = 0
  #withoutSum = 0
  readonly #hours = new Map<number, [number, number]>()

  /** @param eventMicros microseconds since the epoch, null without event time. */
  add(value: number, eventMicros: bigint | null): void {
    this.#count++
    this.#sum += value
    if (eventMicros === null) {
      this.#withoutCount++
      this.#withoutSum += value
      return
    }
    const hour = hourOf(eventMicros)
    const entry = this.#hours.get(hour)
    if (entry === undefined) this.#hours.set(hour, [1, value])
    else {
      entry[0]++
      entry[1] += value
    }
  }

  state(): AveragesState {
    const hours = [...this.#hours].sort(([a], [b]) => a - b)
    return {
      all: [this.#count, this.#sum],
      hours: Object.fromEntries(hours),
      withoutEventTime: [this.#withoutCount, this.#withoutSum],
    }
  }
}

/** Floors, also before 1970. */
function hourOf(micros: bigint): number {
  const hour = Number(micros / HOUR_MICROS)
  return micros < 0n && micros % HOUR_MICROS !== 0n ? hour - 1 : hour
}

export const NO_AVERAGES: AveragesState = { all: [0, 0], hours: {}, withoutEventTime: [0, 0] }

/** The state over the rows of both. */
export function mergeAverages(a: AveragesState, b: AveragesState): AveragesState {
  const hours: Record<string, CountAndSum> = { ...a.hours }
  for (const [hour, entry] of Object.entries(b.hours)) hours[hour] = plus(hours[hour] ?? [0, 0], entry)
  return { all: plus(a.all, b.all), hours, withoutEventTime: plus(a.withoutEventTime, b.withoutEventTime) }
}

const plus = (a: CountAndSum, b: CountAndSum): CountAndSum => [a[0] + b[0], a[1] + b[1]]
const mean = ([count, sum]: CountAndSum): number => sum / count
const meanOrNull = (entry: CountAndSum): number | null => (entry[0] === 0 ? null : mean(entry))

/** Hours and days that have rows, oldest first. */
export function averagesOf(state: AveragesState): Averages {
  const hours = Object.entries(state.hours)
    .map(([hour, entry]) => [Number(hour), entry] as const)
    .sort(([a], [b]) => a - b)
  const days = new Map<number, CountAndSum>()
  for (const [hour, entry] of hours) {
    const day = Math.floor(hour / 24)
    days.set(day, plus(days.get(day) ?? [0, 0], entry))
  }
  return {
    run: meanOrNull(state.all),
    articles: state.all[0],
    hourly: hours.map(([hour, entry]) => ({
      hour: isoHour(hour),
      average_word_count: mean(entry),
      articles: entry[0],
    })),
    daily: [...days].map(([day, entry]) => ({
      day: isoHour(day * 24).replace(/T.*$/, ''),
      average_word_count: mean(entry),
      articles: entry[0],
    })),
    without_event_time: {
      articles: state.withoutEventTime[0],
      average_word_count: meanOrNull(state.withoutEventTime),
    },
  }
}

/** `2026-11-21T13:00:00Z`. */
const isoHour = (hour: number): string => new Date(hour * HOUR_MILLIS).toISOString().replace('.000Z', 'Z')
