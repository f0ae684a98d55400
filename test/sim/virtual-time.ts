/**
 * Time that only passes when everybody waits for it. Actors run one after the other between their sleeps; the next
 * one to wake is the one whose sleep ends first, so one seed gives one interleaving, at the speed of the processor.
 *
 * Whatever an actor awaits besides a sleep must come to an end by microtasks, immediates or local files: nothing may
 * hang on other threads, sockets or real timers, whose order the machine decides.
 */
import type { Clock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'
import { seedOf, uniform } from './random.ts'

export interface VirtualTime {
  /** Milliseconds since the start. */
  now(): number
  /** A clock with randomness of its own, `skewMillis` ahead of the others' wall time. */
  clock(name: string, skewMillis?: number): Clock
  /**
   * Run all actors to their end, and what they left asleep too.
   * @throws the first error of an actor; an error when somebody waits for what never comes, or after `maxMillis`.
   */
  run(actors: readonly (() => Promise<void>)[], maxMillis?: number): Promise<void>
}

interface Sleep {
  readonly at: number
  /** Sleeps of one instant end in the order in which they began. */
  readonly order: number
  readonly wake: () => void
}

const START_MILLIS = Date.parse('2026-03-01T12:00:00Z')
const YEAR_MILLIS = 366 * 86_400_000

export function virtualTime(seed: number): VirtualTime {
  const asleep: Sleep[] = []
  let now = 0
  let begun = 0
  const sleep = (millis: number, signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const abort = (): void => reject(signal?.reason as Error)
      if (signal?.aborted === true) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      const wake = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      push(asleep, { at: now + Math.max(0, millis), order: begun++, wake })
    })
  return {
    now: () => now,
    clock: (name, skewMillis = 0) => {
      const random = uniform(seedOf(seed, name))
      return {
        nowMillis: () => epochMillis(Math.floor(START_MILLIS + now + skewMillis)),
        monotonicMillis: () => now,
        randomBytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(random() * 256)),
        sleep: (millis, signal) => sleep(millis, signal),
      }
    },
    run: async (actors, maxMillis = YEAR_MILLIS) => {
      let running = actors.length
      let failure: { readonly error: unknown } | undefined
      for (const actor of actors) {
        void actor()
          .catch((error: unknown) => {
            failure ??= { error }
          })
          .finally(() => running--)
      }
      for (;;) {
        await quiet()
        if (failure !== undefined) throw failure.error
        const next = pop(asleep)
        if (next === undefined) {
          if (running === 0) return
          throw new Error(`${running} of ${actors.length} actors wait for something that is not virtual time`)
        }
        if (next.at > maxMillis) throw new Error(`still running after ${maxMillis} virtual milliseconds`)
        now = next.at
        next.wake()
      }
    },
  }
}

/**
 * Until nothing more happens of itself. Microtasks are done before an immediate runs; immediates may beget others, and
 * so may a file that one actor reads while all others wait.
 */
async function quiet(): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve))
  while (process.getActiveResourcesInfo().some((name) => AT_WORK.test(name)))
}

const AT_WORK = /^(Immediate|FSReq|FileHandleCloseReq)/

const isBefore = (a: Sleep, b: Sleep): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** `heap` is a binary heap, the first to wake at 0. */
function push(heap: Sleep[], sleep: Sleep): void {
  let at = heap.push(sleep) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(sleep, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = sleep
}

function pop(heap: Sleep[]): Sleep | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return first
}
