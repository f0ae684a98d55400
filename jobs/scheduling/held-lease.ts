/** A lease while it is ours: renewed in the background, lost for good, or released. */
import { type Clock, fullJitterMillis } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import type { Lease } from './lease.ts'
import { type LeaseDocument, parseLease, printLease, slotReached } from './lease-document.ts'
import { within } from './within.ts'

export interface Hold {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly name: string
  readonly key: string
  /** As it was written. */
  readonly document: LeaseDocument
  readonly etag: string
  /** Before the write was sent. */
  readonly renewedMonotonic: number
}

/** Renewals per time to live: two of them may fail before the lease is lost. */
const RENEWALS = 3
const RELEASE_TRIES = 5
const RETRY_BASE_MILLIS = 50

export class HeldLease implements Lease {
  readonly name: string
  readonly epoch: number
  readonly #hold: Hold
  readonly #lost = new AbortController()
  /** Ends the renewals. */
  readonly #ended = new AbortController()
  readonly #renewals: Promise<void>
  #document: LeaseDocument
  #etag: string
  #renewedMonotonic: number

  constructor(hold: Hold) {
    this.name = hold.name
    this.epoch = hold.document.epoch
    this.#hold = hold
    this.#document = hold.document
    this.#etag = hold.etag
    this.#renewedMonotonic = hold.renewedMonotonic
    this.#renewals = this.#renewOnAndOn().catch(() => {}) // ends only by abort
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  get lastSlot(): string | undefined {
    return this.#document.lastSlot
  }

  isHeld(): boolean {
    return !this.#lost.signal.aborted && !this.#ended.signal.aborted && this.#leftMillis() > 0
  }

  async release(options: AbortableOptions & { readonly lastSlot?: string | undefined } = {}): Promise<boolean> {
    await this.abandon()
    if (this.#lost.signal.aborted) return false
    const { clock } = this.#hold
    const { ttlMillis } = this.#document
    const signal = options.signal ?? new AbortController().signal
    for (let attempt = 0; attempt < RELEASE_TRIES; attempt++) {
      if (signal.aborted) return false
      const lastSlot = newest(this.#document.lastSlot, options.lastSlot)
      try {
        await within(clock, ttlMillis, signal, (limited) => this.#write({ released: true, lastSlot }, limited))
        return true
      } catch (error) {
        if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) {
          const state = await this.#lookAgain(signal).catch(() => 'ours' as const)
          if (state !== 'ours') return state === 'released'
        }
      }
      const pause = clock.sleep(fullJitterMillis(clock, attempt, RETRY_BASE_MILLIS, ttlMillis / RENEWALS), signal)
      await pause.catch(() => {})
    }
    return false
  }

  /** Renew no more. What the store has is left to run out. */
  async abandon(): Promise<void> {
    this.#ended.abort()
    await this.#renewals
  }

  #leftMillis(): number {
    return this.#renewedMonotonic + this.#document.ttlMillis - this.#hold.clock.monotonicMillis()
  }

  async #renewOnAndOn(): Promise<void> {
    const { clock } = this.#hold
    const ended = this.#ended.signal
    const intervalMillis = this.#document.ttlMillis / RENEWALS
    while (!ended.aborted && !this.#lost.signal.aborted) {
      const due = this.#renewedMonotonic + intervalMillis
      await clock.sleep(Math.max(0, due - clock.monotonicMillis()), ended)
      await this.#renew(intervalMillis)
    }
  }

  /** Returns renewed, or lost. A process that was stopped for long asks once: its lease may still be there. */
  async #renew(intervalMillis: number): Promise<void> {
    const { clock } = this.#hold
    const ended = this.#ended.signal
    for (let attempt = 0; !ended.aborted; attempt++) {
      const left = this.#leftMillis()
      try {
        const limit = left > 0 ? left : intervalMillis
        await within(clock, limit, ended, (limited) => this.#write({}, limited))
        return
      } catch (error) {
        if (ended.aborted) return
        const refused = FirnError.is(error, 'FIRN_PRECONDITION_FAILED')
        if (refused && (await this.#lookAgain(ended).catch(() => 'ours' as const)) !== 'ours') {
          this.#lose('another process has taken it over')
          return
        }
        const stillLeft = this.#leftMillis()
        if (stillLeft <= 0 && (attempt > 0 || !refused)) {
          this.#lose('it could not be renewed in time')
          return
        }
        const pause = fullJitterMillis(clock, attempt, RETRY_BASE_MILLIS, intervalMillis / RENEWALS)
        await clock.sleep(Math.max(0, Math.min(pause, stillLeft)), ended).catch(() => {})
      }
    }
  }

  /** The next state of the lease, on top of the one that we know. */
  async #write(change: Partial<LeaseDocument>, signal: AbortSignal): Promise<void> {
    const { store, key, clock } = this.#hold
    const sentMonotonic = clock.monotonicMillis()
    const next = { ...this.#document, ...change, counter: this.#document.counter + 1 }
    const { etag } = await store.put(key, printLease(next), { ifMatch: this.#etag, signal })
    signal.throwIfAborted() // an answer that nobody waits for any more
    this.#document = next
    this.#etag = etag
    this.#renewedMonotonic = sentMonotonic
  }

  /** After a refusal: it may have been an earlier write of ours, whose answer was lost, that came first. */
  async #lookAgain(signal: AbortSignal): Promise<'ours' | 'released' | 'gone'> {
    const { store, key, clock } = this.#hold
    const { owner, runId, epoch, ttlMillis } = this.#document
    const found = await within(clock, ttlMillis / RENEWALS, signal, (limited) =>
      getIfExists(store, key, { signal: limited }),
    )
    const seen = found && parseLease(found.bytes)
    if (found === undefined || seen?.owner !== owner || seen.runId !== runId || seen.epoch !== epoch) return 'gone'
    if (seen.released) return 'released'
    this.#document = seen
    this.#etag = found.etag
    return 'ours'
  }

  #lose(why: string): void {
    this.#lost.abort(
      new FirnError('conflict', 'FIRN_LEASE_LOST', `the lease ${this.name} was lost: ${why}`, {
        detail: { lease: this.name, epoch: this.epoch },
        help: 'nothing is wrong with the data: whoever has the lease now does the job; if it happens often, raise the lease time',
      }),
    )
  }
}

const newest = (a: string | undefined, b: string | undefined): string | undefined =>
  b === undefined || slotReached(a, b) ? a : b
