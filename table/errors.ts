/**
 * The one error class of the package. A caller decides by `kind` (what to do) or `code` (what happened),
 * never by `message`.
 */

/** What the caller can do about it. A new kind is an API change; new detail is not. */
export type ErrorKind =
  /** The request or the configuration is wrong; change it. Exit code 2. */
  | 'invalid'
  /** The named object does not exist. Exit code 2. */
  | 'not-found'
  /** Another writer won; the same call may succeed later. Exit code 3. */
  | 'conflict'
  /** The store or the stream did not answer; the same call may succeed later. Exit code 3. */
  | 'unavailable'
  /** A commit may or may not have happened; look before acting. Exit code 4. */
  | 'unknown-commit'
  /** Stored bytes are not what the format says; a human has to look. Exit code 1. */
  | 'corrupt'
  /** The work was refused on its merits, e.g. too many bad records. Exit code 1. */
  | 'failed'

export type ErrorCode = `FIRN_${string}`
export type ErrorDetail = Readonly<Record<string, string | number | boolean>>

export interface FirnErrorOptions {
  /** Ids, paths, sizes for the log line. JSON-safe; never secrets or row values. */
  readonly detail?: ErrorDetail
  /** The next step, in the imperative: a command to run or a setting to change. */
  readonly help?: string
  readonly cause?: unknown
}

const kFirnError: unique symbol = Symbol.for('firn.error') as never

/** The one public error. The brand survives two copies of this package in one process. */
export class FirnError extends Error {
  override readonly name = 'FirnError'
  readonly kind: ErrorKind
  readonly code: ErrorCode
  readonly detail: ErrorDetail
  readonly help: string | undefined

  constructor(kind: ErrorKind, code: ErrorCode, message: string, options: FirnErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.code = code
    this.detail = options.detail ?? {}
    this.help = options.help
    Object.defineProperty(this, kFirnError, { value: true })
  }

  /** True when the same call may succeed later, unchanged. `unknown-commit` is not: check the table first. */
  get retryable(): boolean {
    return this.kind === 'conflict' || this.kind === 'unavailable'
  }

  static is(error: unknown, code?: ErrorCode): error is FirnError {
    return (
      typeof error === 'object' &&
      error !== null &&
      kFirnError in error &&
      (code === undefined || (error as unknown as FirnError).code === code)
    )
  }
}

/** Closes an exhaustive `switch`: reaching it is a bug in this package. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}

/** An error as plain data, to cross threads and processes. */
export interface WireError {
  readonly message: string
  readonly stack: string | undefined
  readonly firn:
    | {
        readonly kind: ErrorKind
        readonly code: ErrorCode
        readonly detail: ErrorDetail
        readonly help: string | undefined
      }
    | undefined
  readonly cause?: WireError
}

/** Causes of causes that cross: chains are short, and one could run in a circle. */
const CROSSING_CAUSES = 4

export function errorToWire(error: unknown): WireError {
  return toWire(error, CROSSING_CAUSES)
}

function toWire(error: unknown, causes: number): WireError {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, firn: undefined }
  const { message, stack } = error
  const cause = error.cause === undefined || causes === 0 ? {} : { cause: toWire(error.cause, causes - 1) }
  if (!FirnError.is(error)) return { message, stack, firn: undefined, ...cause }
  const { kind, code, detail, help } = error
  return { message, stack, firn: { kind, code, detail, help }, ...cause }
}

/** The same kind of error, with the stacks of where it and its causes were thrown. */
export function errorFromWire({ message, stack, firn, cause: from }: WireError): Error {
  const cause = from === undefined ? {} : { cause: errorFromWire(from) }
  const options = firn && { detail: firn.detail, ...(firn.help === undefined ? {} : { help: firn.help }), ...cause }
  const error = firn === undefined ? new Error(message, cause) : new FirnError(firn.kind, firn.code, message, options)
  if (stack !== undefined) error.stack = stack
  return error
}
