/** What ends a landing run before it reached the tips: a budget that is used up, or a stop from outside. */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

/**
 * How much one run takes. It ends between two records, with everything taken in a chunk; the next run goes on. A run
 * takes at least one record, so that runs under any budget get on.
 */
export interface LandBudget {
  readonly maxRecords?: number
  /** Record data, uncompressed. */
  readonly maxBytes?: number
  /** From the run's start; looked at between pages, so a page under way may exceed it. */
  readonly maxMillis?: number
}

/** `tip`: every shard was read to the run's start. `stop`: the caller's `stop` signal ended reading. */
export type LandEnd = 'tip' | 'budget' | 'stop'

export class RunLimits {
  readonly #budget: LandBudget
  readonly #clock: Clock
  readonly #stop: AbortSignal | undefined
  readonly #startedMonotonic: number
  #records = 0
  #bytes = 0
  #refused = false
  #cut = false

  /** @throws {FirnError} `FIRN_INVALID_OPTION` for a budget that is not a number above 0. */
  constructor(budget: LandBudget, { clock, stop }: { clock: Clock; stop: AbortSignal | undefined }) {
    for (const [name, limit] of Object.entries(budget)) {
      if (limit === undefined || limit > 0) continue
      throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `budget ${name} must be above 0, got ${limit}`)
    }
    this.#budget = budget
    this.#clock = clock
    this.#stop = stop
    this.#startedMonotonic = clock.monotonicMillis()
  }

  /** Whether a record of that size may be gathered; counts it if so. */
  readonly admit = (bytes: number): boolean => {
    const { maxRecords = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY } = this.#budget
    const fits = this.#records === 0 || (this.#records < maxRecords && this.#bytes + bytes <= maxBytes)
    if (this.#refused || !fits) {
      // For good: a smaller record of another shard would otherwise slip in, and the run would not end.
      this.#refused = true
      return false
    }
    this.#records++
    this.#bytes += bytes
    return true
  }

  /** No further page should be read. */
  get over(): boolean {
    if (this.#refused || this.#stop?.aborted === true) return true
    const { maxMillis = Number.POSITIVE_INFINITY } = this.#budget
    return this.#clock.monotonicMillis() - this.#startedMonotonic >= maxMillis
  }

  /** What a source throws because of `stop`, and only that. */
  isStop(error: unknown): boolean {
    return this.#stop?.aborted === true && error === this.#stop.reason
  }

  /** Something was left for the next run. */
  cutShort(): void {
    this.#cut = true
  }

  get endedBy(): LandEnd {
    if (!this.#cut) return 'tip'
    return this.#stop?.aborted === true ? 'stop' : 'budget'
  }
}
