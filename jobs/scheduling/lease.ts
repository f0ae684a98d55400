/**
 * Leases: who runs a job now, agreed on by conditional writes of one object. They only save work: two holders at once
 * (a process that was stopped and woke up later) do no harm, because landing and commits are exclusive by themselves.
 *
 * No clock is compared with another's. A lease has run out when its observer has seen the same counter for the time
 * that the lease itself names, by the observer's own monotonic clock. A holder counts from the moment before it sent a
 * write that went through, which is earlier than anybody can have seen it, so that it stops believing first.
 */
import { type Clock, fullJitterMillis } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { RunId } from '../../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore, type StoredObject } from '../../table/io/object-store.ts'
import { lastSignal } from '../signals.ts'
import { HeldLease } from './held-lease.ts'
import { type LeaseDocument, leaseKey, parseLease, printLease, slotReached } from './lease-document.ts'
import { within } from './within.ts'

export interface LeaseOptions extends AbortableOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  /** What the lease is for, e.g. `land.MyStream`. */
  readonly name: string
  /** This process. */
  readonly owner: string
  /** This hold; of no other. */
  readonly runId: RunId
  readonly ttlMillis: number
  /** Nothing to do when this slot, or a later one, is noted as done. */
  readonly unlessDone?: string | undefined
  /**
   * True: while somebody who lives holds the lease, wait until it is released, or was not renewed for its time. Else
   * give up as soon as the holder is seen to live.
   */
  readonly wait: boolean
  /** Called once, before the first wait: somebody who may be dead has it. `leftMillis`: until it is ours if so. */
  readonly onWait?: ((holder: { readonly owner: string; readonly leftMillis: number }) => void) | undefined
}

/** A lease that is ours. */
export interface Lease {
  readonly name: string
  readonly epoch: number
  /** Newest slot that is noted as done. */
  readonly lastSlot: string | undefined
  /** Aborts with `FIRN_LEASE_LOST` (conflict) once the lease is somebody else's, or could not be renewed in time. */
  readonly signal: AbortSignal
  /** Whether nobody else can hold it, as far as this process knows without asking. */
  isHeld(): boolean
  /**
   * Give it up, and note `lastSlot` as done. Never throws: a lease that cannot be released runs out by itself.
   * @returns whether the store has it as released.
   */
  release(options?: AbortableOptions & { readonly lastSlot?: string | undefined }): Promise<boolean>
}

export type Acquisition =
  | { readonly kind: 'held'; readonly lease: Lease }
  /** Somebody who lives has it. */
  | { readonly kind: 'busy'; readonly owner: string; readonly runId: string; readonly epoch: number }
  | { readonly kind: 'done'; readonly lastSlot: string }

const MAX_FAILURES = 6
const RETRY_BASE_MILLIS = 100
const RETRY_CAP_MILLIS = 5000

/**
 * Take the lease when it is free, released or has run out.
 * @throws {FirnError} `FIRN_STORE_UNAVAILABLE`, `FIRN_NO_ANSWER` (unavailable) and `FIRN_PRECONDITION_FAILED` (conflict)
 *   after several tries; what else the store throws at once. On abort `signal.reason`.
 */
export async function acquireLease(options: LeaseOptions): Promise<Acquisition> {
  const { clock, store, ttlMillis } = options
  const signal = options.signal ?? new AbortController().signal
  const key = leaseKey(options.name)
  const watch: Watch = { identity: undefined, sinceMonotonic: 0, moved: false }
  let told = false
  for (let failures = 0; ; ) {
    signal.throwIfAborted()
    try {
      const found = await within(clock, ttlMillis, signal, (limited) => getIfExists(store, key, { signal: limited }))
      const verdict = judge(found, watch, options)
      if (verdict.kind === 'busy' || verdict.kind === 'done') return verdict
      failures = 0
      if (verdict.kind === 'wait') {
        if (!told) options.onWait?.(verdict)
        told = true
        await clock.sleep(verdict.millis, signal)
      } else {
        const lease = await take(options, key, found, verdict.document, signal)
        if (lease.isHeld()) return { kind: 'held', lease }
        // the answer came too late to be believed: our own hold is renewed by the next look
        await lease.abandon()
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!isPassing(error) || ++failures > MAX_FAILURES) throw error
      await clock.sleep(fullJitterMillis(clock, failures, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS), signal)
    }
  }
}

async function take(
  options: LeaseOptions,
  key: string,
  found: StoredObject | undefined,
  document: LeaseDocument,
  signal: AbortSignal,
): Promise<HeldLease> {
  const { clock, store, ttlMillis, name } = options
  const renewedMonotonic = clock.monotonicMillis()
  const condition = found === undefined ? ({ ifNoneMatch: '*' } as const) : { ifMatch: found.etag }
  // Called off while the answer is on its way, it may be ours all the same: then it is given back, so that nobody has to
  // wait until it runs out.
  const last = lastSignal(signal, 2 * ttlMillis, clock)
  try {
    const { etag } = await within(clock, ttlMillis, last.signal, (limited) =>
      store.put(key, printLease(document), { ...condition, signal: limited }),
    )
    const lease = new HeldLease({ store, clock, name, key, document, etag, renewedMonotonic })
    if (signal.aborted) await lease.release({ signal: last.signal })
    signal.throwIfAborted()
    return lease
  } finally {
    last.release()
  }
}

/** What an observer has seen so far. */
interface Watch {
  identity: string | undefined
  sinceMonotonic: number
  /** The holder wrote while we watched. */
  moved: boolean
}

type Verdict =
  | Exclude<Acquisition, { readonly kind: 'held' }>
  | { readonly kind: 'take'; readonly document: LeaseDocument }
  | { readonly kind: 'wait'; readonly millis: number; readonly owner: string; readonly leftMillis: number }

/** What `found` means for us. Notes in `watch` what was seen. */
function judge(found: StoredObject | undefined, watch: Watch, options: LeaseOptions): Verdict {
  const { owner, runId, ttlMillis, unlessDone, wait, clock } = options
  const fresh = { owner, runId, ttlMillis, released: false } as const
  if (found === undefined) {
    return { kind: 'take', document: { ...fresh, epoch: 1, counter: 1, lastSlot: undefined } }
  }
  const seen = parseLease(found.bytes)
  const lastSlot = believedSlot(seen?.lastSlot, clock)
  const counted = { epoch: seen?.epoch ?? 0, counter: (seen?.counter ?? 0) + 1, lastSlot }
  // an earlier write of ours whose answer was lost
  if (seen?.owner === owner && seen.runId === runId && !seen.released) {
    return { kind: 'take', document: { ...fresh, ...counted } }
  }
  if (unlessDone !== undefined && lastSlot !== undefined && slotReached(lastSlot, unlessDone)) {
    return { kind: 'done', lastSlot }
  }
  const next: Verdict = { kind: 'take', document: { ...fresh, ...counted, epoch: counted.epoch + 1 } }
  if (seen?.released === true) return next
  const now = clock.monotonicMillis()
  if (watch.identity !== found.etag) {
    watch.moved = watch.identity !== undefined
    watch.identity = found.etag
    watch.sinceMonotonic = now
    if (watch.moved && !wait) {
      return { kind: 'busy', owner: seen?.owner ?? 'unknown', runId: seen?.runId ?? 'unknown', epoch: counted.epoch }
    }
  }
  const ttl = seen?.ttlMillis ?? ttlMillis
  const leftMillis = watch.sinceMonotonic + ttl - now
  if (leftMillis <= 0) return next
  return { kind: 'wait', millis: Math.min(leftMillis, ttl / 4), owner: seen?.owner ?? 'unknown', leftMillis }
}

/** How far a slot that is noted as done may be ahead of our clock. */
const MAX_AHEAD_MILLIS = 3_600_000

/**
 * A slot of the future was noted by a host whose clock was far ahead: believed, it would keep every host from the job
 * until that time comes. The next holder writes its own in its place.
 */
const believedSlot = (slot: string | undefined, clock: Clock): string | undefined =>
  slot !== undefined && Date.parse(slot) <= clock.nowMillis() + MAX_AHEAD_MILLIS ? slot : undefined

/** True when the same call may succeed in a moment. */
export const isPassing = (error: unknown): boolean => FirnError.is(error) && error.retryable
