/** Ctrl-C: the first signal asks the command to stop in order, the second ends the process at once. */
import { type Clock, systemClock } from '../table/clock.ts'

export interface Interrupt {
  readonly signal: AbortSignal
  /** 130 after SIGINT, 143 after SIGTERM; `undefined` without a signal, and when the command ended in order all the same. */
  readonly exitCode: number | undefined
  /** Nothing is left to be ended: no timer keeps the process. */
  done(): void
}

/** Why the signal aborted. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  #inOrder = false

  /** To be called by a command that a signal is the way to end, and that cut nothing short: its own exit code counts. */
  endedInOrder(): void {
    this.#inOrder = true
  }

  get isInOrder(): boolean {
    return this.#inOrder
  }
}

/** What `interruptible` needs of a process. */
export interface SignalledProcess {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
  exit(code: number): void
}

/** Kubernetes kills 30 s after its SIGTERM: nothing may be left to that. */
const EXIT_AFTER_MILLIS = 25_000

/** After 25 s, or at the second signal, the process ends wherever it is: what is stored is whole at every moment. */
export function interruptible(clock: Clock = systemClock, target: SignalledProcess = process): Interrupt {
  const controller = new AbortController()
  const ended = new AbortController()
  const reason = new Interrupted('interrupted by a signal')
  let exitCode: number | undefined
  const handle = (code: number) => () => {
    if (exitCode !== undefined) {
      target.exit(code)
      return
    }
    exitCode = code
    clock.sleep(EXIT_AFTER_MILLIS, ended.signal).then(
      () => target.exit(code),
      () => {}, // done in time
    )
    controller.abort(reason)
  }
  target.on('SIGINT', handle(130))
  target.on('SIGTERM', handle(143))
  return {
    signal: controller.signal,
    get exitCode() {
      return reason.isInOrder ? undefined : exitCode
    },
    done: () => ended.abort(),
  }
}

/**
 * What follows `signal` after `graceMillis`, with the same reason: for work that is ended at a safe point, and then cut
 * short. `release` when done, so that no timer keeps the process.
 */
export function afterGrace(
  signal: AbortSignal,
  graceMillis: number,
  clock: Clock,
): { readonly signal: AbortSignal; release(): void } {
  const hard = new AbortController()
  const released = new AbortController()
  const begin = (): void => {
    clock.sleep(graceMillis, released.signal).then(
      () => hard.abort(signal.reason),
      () => {}, // released
    )
  }
  if (signal.aborted) begin()
  else signal.addEventListener('abort', begin, { once: true, signal: released.signal })
  return { signal: hard.signal, release: () => released.abort() }
}

/** How long tidying up may take after an interruption: container runtimes kill after 10 s. */
const AFTER_INTERRUPTION_MILLIS = 2500

/**
 * For what has to be done even after `signal` aborted (a run record, a scratch object): aborts after `wholeMillis`, and
 * no later than 2.5 s after `signal`. `release` when done, so that no timer keeps the process.
 */
export function lastSignal(
  signal: AbortSignal | undefined,
  wholeMillis: number,
  clock: Clock,
): { readonly signal: AbortSignal; release(): void } {
  const expired = new AbortController()
  const released = new AbortController()
  const expireAfter = (millis: number): void => {
    clock.sleep(millis, released.signal).then(
      () => expired.abort(new DOMException('there was no answer in time', 'TimeoutError')),
      () => {}, // released
    )
  }
  const hurry = (): void => expireAfter(AFTER_INTERRUPTION_MILLIS)
  expireAfter(wholeMillis)
  if (signal?.aborted) hurry()
  else signal?.addEventListener('abort', hurry, { once: true, signal: released.signal })
  return { signal: expired.signal, release: () => released.abort() }
}
