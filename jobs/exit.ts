/** Errors to what a person reads on standard error, and to exit codes. */
import { CommanderError } from 'commander'
import { type ErrorKind, FirnError } from '../table/errors.ts'

const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  invalid: 2,
  'not-found': 2,
  conflict: 3,
  unavailable: 3,
  'unknown-commit': 4,
  corrupt: 1,
  failed: 1,
}

/**
 * Of errors whose kind does not say it: what was named is there, and an object that it leads to is not. Nothing that is
 * typed differently helps.
 */
const CODE_EXITS: Readonly<Record<string, number>> = { FIRN_OBJECT_NOT_FOUND: 1 }

/** The gravest first: only 3 may be answered by doing nothing, and 4 must never be hidden. */
const GRAVITY: readonly number[] = [4, 1, 2, 3]

/**
 * 1 failed, 2 usage or configuration, 3 try again later (another writer was faster, or a store does not answer), 4
 * commit state unknown. A scheduler may repeat 3 only. Of
 * several errors (`AggregateError`) the gravest counts: 4, 1, 2, 3.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof AggregateError) {
    return gravestOf((error.errors as unknown[]).map(exitCodeOf)) || 1
  }
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return FirnError.is(error) ? (CODE_EXITS[error.code] ?? EXIT_CODES[error.kind]) : 1
}

const UNKNOWN_COMMIT = EXIT_CODES['unknown-commit']

/** Of a command that a signal interrupted: `signalCode`, but for a commit that nobody can tell about. */
export const exitCodeAfter = (signalCode: number | undefined, exitCode: number): number =>
  exitCode === UNKNOWN_COMMIT ? exitCode : (signalCode ?? exitCode)

/**
 * What is said of a command that ended with `error` after a signal. The signal is the reason of whatever failed, and
 * says enough; that a commit may have taken effect has to be known all the same.
 */
export const describeInterruption = (error: unknown, verbose: boolean): string =>
  `interrupted\n${exitCodeOf(error) === UNKNOWN_COMMIT ? describeError(error, verbose) : ''}`

/** Of several exit codes; 0 when there is none other. */
export const gravestOf = (codes: readonly number[]): number => GRAVITY.find((code) => codes.includes(code)) ?? 0

/** What work throws of which several parts failed. */
export function combined(failures: readonly Error[]): Error | undefined {
  if (failures.length < 2) return failures[0]
  return new AggregateError(failures, failures.map(({ message }) => message).join('; '))
}

const KIND_HELP: Readonly<Partial<Record<ErrorKind, string>>> = {
  conflict: 'run the same command again: another writer was faster',
  unavailable: 'run the same command again later',
  'unknown-commit': 'run "firn verify" before anything else: the commit may have happened',
}

/** Where the library's next step is a call, or depends on the command: the same as a command. */
const CODE_HELP: Readonly<Record<string, string>> = {
  FIRN_REF_EXISTS:
    'give it another retention with --update; for another snapshot, choose another name or remove it first with --delete',
  FIRN_TOO_MANY_ORPHANS: 'look through the plan with --dry-run; if all of it is garbage, add --force',
  FIRN_OBJECT_NOT_FOUND: 'find out what is missing: firn verify <table>',
}

/** `error: …`, `help: …`, `code: …`, one line each, for every error; stacks of unexpected errors only when `verbose`. */
export function describeError(error: unknown, verbose: boolean): string {
  if (error instanceof AggregateError)
    return (error.errors as unknown[]).map((each) => describeError(each, verbose)).join('')
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '').trim()
    return lines(message, 'see firn --help, or firn <command> --help', 'FIRN_USAGE')
  }
  if (FirnError.is(error)) {
    const stack = verbose ? `${error.stack ?? ''}\n${causes(error)}` : ''
    return lines(error.message, CODE_HELP[error.code] ?? error.help ?? KIND_HELP[error.kind], error.code) + stack
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const stack = verbose && error instanceof Error ? `${error.stack ?? ''}\n${causes(error)}` : ''
  return (
    lines(message, verbose ? undefined : 'run again with -v to see where this comes from', 'FIRN_UNEXPECTED') + stack
  )
}

const lines = (message: string, help: string | undefined, code: string): string =>
  `error: ${message}\n${help === undefined ? '' : `help: ${help}\n`}code: ${code}\n`

function causes(error: Error): string {
  let text = ''
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    text += `caused by: ${cause.stack ?? cause.message}\n`
  return text
}
