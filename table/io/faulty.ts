/**
 * Bad weather on demand: a store around any other one that is slow, refuses, loses answers and breaks off, by a seed.
 * For simulations and for tests of whatever stands on an `ObjectStore`. At rates of zero it behaves as the store within.
 *
 * Faults come as the error that the S3 adapter gives for them, `FIRN_STORE_UNAVAILABLE`: what a caller cannot tell apart
 * on a network, it cannot tell apart here. One seed and one order of calls give one sequence of faults.
 */
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ListOptions, ObjectInfo, ObjectStore } from './object-store.ts'
import { storeUnavailable } from './store-errors.ts'

export type StoreOperation = 'put' | 'get' | 'head' | 'list' | 'delete'

/** How often each fault strikes, as fractions of the calls from 0 to 1. */
export interface FaultRates {
  /** 5xx; the request took no effect. */
  readonly refused?: number
  /** 503 SlowDown; the request took no effect. */
  readonly throttled?: number
  /** 5xx after the request took effect: only its answer is lost. */
  readonly answerLost?: number
  /** No answer for `timeoutMillis`; a write took effect in half of the cases. */
  readonly timedOut?: number
  /** A put or a delete fails, and takes effect up to `lateMillis` later, when its caller may have gone on. */
  readonly late?: number
  /** The connection breaks off while a get or a list is being read. */
  readonly reset?: number
}

export type Fault = keyof FaultRates

export interface StoreCall {
  readonly operation: StoreOperation
  /** Of a list: its prefix. */
  readonly key: string
  /** Number of this call among all calls of the store, from 1. */
  readonly index: number
}

export interface FaultyStoreOptions {
  /** 32 bits. */
  readonly seed: number
  /** Its sleeps are the latency; a virtual one makes them free. */
  readonly clock: Clock
  /** What is left out never strikes. */
  readonly rates?: Partial<Record<StoreOperation, FaultRates>>
  /** Every call takes a uniform time in `[min, max]` before it takes effect; default: none. */
  readonly latencyMillis?: readonly [min: number, max: number]
  /** Default: 60,000. */
  readonly timeoutMillis?: number
  /** Default: 30,000. */
  readonly lateMillis?: number
  /**
   * Where the process is to die: before the call takes effect, or right after. That call and every later one then
   * throw `FIRN_STORE_KILLED` (failed), as if nobody were there any more to make it.
   */
  readonly kill?: (call: StoreCall) => 'before' | 'after' | undefined
}

export interface FaultyStore extends ObjectStore {
  /** How often each fault has struck. */
  readonly struck: Readonly<Record<Fault, number>>
  /** Resolves when no late write is under way. */
  settled(): Promise<void>
}

const FAULTS = ['refused', 'throttled', 'answerLost', 'timedOut', 'late', 'reset'] as const
const WRITES: ReadonlySet<StoreOperation> = new Set(['put', 'delete'])
/** Objects that a listing shows at most before it breaks off. */
const RESET_WITHIN = 10

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) when rates are not fractions, or add up to more than 1. */
export function faultyStore(store: ObjectStore, options: FaultyStoreOptions): FaultyStore {
  for (const [operation, rates] of Object.entries(options.rates ?? {})) checkRates(operation, rates)
  return new FaultyObjectStore(store, options)
}

class FaultyObjectStore implements FaultyStore {
  readonly url: string
  readonly struck: Record<Fault, number> = { refused: 0, throttled: 0, answerLost: 0, timedOut: 0, late: 0, reset: 0 }
  readonly #store: ObjectStore
  readonly #options: FaultyStoreOptions
  readonly #random: () => number
  readonly #late = new Set<Promise<unknown>>()
  #calls = 0
  #killed = false

  constructor(store: ObjectStore, options: FaultyStoreOptions) {
    this.url = store.url
    this.#store = store
    this.#options = options
    this.#random = uniform(options.seed)
  }

  put: ObjectStore['put'] = (key, body, options = {}) => {
    // A late write must not change with the caller's array.
    const bytes = this.#options.rates?.put === undefined ? body : body.slice()
    return this.#request('put', key, options, (abort) => this.#store.put(key, bytes, { ...options, ...abort }))
  }
  get: ObjectStore['get'] = (key, options = {}) =>
    this.#request('get', key, options, (abort) => this.#store.get(key, { ...options, ...abort }))
  head: ObjectStore['head'] = (key, options = {}) =>
    this.#request('head', key, options, (abort) => this.#store.head(key, { ...options, ...abort }))
  delete: ObjectStore['delete'] = (key, options = {}) =>
    this.#request('delete', key, options, (abort) => this.#store.delete(key, { ...options, ...abort }))

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    const { dies, fault } = await this.#begin('list', prefix, options)
    if (fault !== undefined && fault !== 'reset') await this.#fail(fault, 'list', prefix, options)
    let left = fault === 'reset' ? Math.floor(this.#random() * RESET_WITHIN) : Number.POSITIVE_INFINITY
    for await (const info of this.#store.list(prefix, options)) {
      if (left-- <= 0) break
      yield info
    }
    if (fault === 'reset') await this.#fail(fault, 'list', prefix, options)
    if (dies === 'after') throw this.#die('list', prefix)
  }

  async settled(): Promise<void> {
    while (this.#late.size > 0) await Promise.all(this.#late)
  }

  async #request<T>(
    operation: StoreOperation,
    key: string,
    options: AbortableOptions,
    send: (abort: AbortableOptions) => Promise<T>,
  ): Promise<T> {
    const { dies, fault } = await this.#begin(operation, key, options)
    if (fault === undefined) {
      const answer = await send({ signal: options.signal })
      if (dies === 'after') throw this.#die(operation, key)
      return answer
    }
    if (fault === 'late') this.#later(send)
    const effective = fault === 'answerLost' || (fault === 'timedOut' && this.#random() < 0.5)
    // Whatever it would have answered, a refusal included, is lost.
    if (effective) await send({}).catch(() => {})
    if (dies === 'after') throw this.#die(operation, key)
    return this.#fail(fault, operation, key, options)
  }

  /** The draws of one call, made at its beginning so that their order is that of the calls; then its latency. */
  async #begin(
    operation: StoreOperation,
    key: string,
    { signal }: AbortableOptions,
  ): Promise<{ readonly dies: 'after' | undefined; readonly fault: Fault | undefined }> {
    signal?.throwIfAborted()
    const { clock, kill, latencyMillis } = this.#options
    const dies = kill?.({ operation, key, index: ++this.#calls })
    if (this.#killed || dies === 'before') throw this.#die(operation, key)
    const fault = this.#draw(operation)
    if (latencyMillis !== undefined) {
      const [min, max] = latencyMillis
      await clock.sleep(min + this.#random() * (max - min), signal)
      if (this.#killed) throw this.#die(operation, key)
    }
    return { dies, fault }
  }

  #draw(operation: StoreOperation): Fault | undefined {
    const rates = this.#options.rates?.[operation]
    if (rates === undefined) return undefined
    let drawn = this.#random()
    for (const fault of FAULTS) {
      const rate = rates[fault] ?? 0
      if (drawn < rate) return fault
      drawn -= rate
    }
    return undefined
  }

  async #fail(fault: Fault, operation: StoreOperation, key: string, { signal }: AbortableOptions): Promise<never> {
    this.struck[fault]++
    const { clock, timeoutMillis = 60_000 } = this.#options
    if (fault === 'timedOut') await clock.sleep(timeoutMillis, signal)
    throw storeUnavailable(this.url, `The ${operation} of ${key}`, new Error(`injected fault: ${fault}`))
  }

  #later(send: (abort: AbortableOptions) => Promise<unknown>): void {
    const { clock, lateMillis = 30_000 } = this.#options
    const work = clock
      .sleep(this.#random() * lateMillis)
      .then(() => send({}))
      .catch(() => {})
      .finally(() => this.#late.delete(work))
    this.#late.add(work)
  }

  #die(operation: StoreOperation, key: string): FirnError {
    this.#killed = true
    return new FirnError('failed', 'FIRN_STORE_KILLED', `killed at the ${operation} of ${key} in ${this.url}`)
  }
}

function checkRates(operation: string, rates: FaultRates): void {
  const fail = (why: string): never => {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `fault rates of ${operation}: ${why}`, {
      help: 'Give fractions from 0 to 1 that add up to at most 1.',
    })
  }
  const wanted = FAULTS.map((fault) => rates[fault] ?? 0)
  if (!wanted.every((rate) => rate >= 0 && rate <= 1)) fail('a rate is not between 0 and 1')
  if (wanted.reduce((sum, rate) => sum + rate, 0) > 1 + 1e-9) fail('they add up to more than 1')
  if ((rates.late ?? 0) > 0 && !WRITES.has(operation as StoreOperation)) fail('only a write can take effect late')
  if ((rates.reset ?? 0) > 0 && operation !== 'get' && operation !== 'list') fail('only get and list have a body')
}

/** Uniform in [0, 1): mulberry32. */
function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
