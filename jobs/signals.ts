/** Ctrl-C: the first signal asks the command to stop in order, the second ends the process at once. */
import type { Clock } from '../table/clock.ts'

export interface Interrupt {
  readonly signal: AbortSignal
  /** 130 after SIGINT, 143 after SIGTERM, else undefined. */
  readonly exitCode: number | undefined
}

/** Why the signal aborted; `code` tells it from a failure. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

export function interruptible(): Interrupt {
  const controller = new AbortController()
  let exitCode: number | undefined
  const handle = (code: number) => () => {
    if (exitCode !== undefined) process.exit(code)
    exitCode = code
    controller.abort(new Interrupted('interrupted by a signal'))
  }
  process.on('SIGINT', handle(130))
  process.on('SIGTERM', handle(143))
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
  }
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
