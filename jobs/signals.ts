/** Ctrl-C: the first signal asks the command to stop in order, the second ends the process at once. */

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
