/** Which formats a command's result can be printed in, known before it does anything. */
import type { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { OutputFormat } from '../config.ts'

const DOCUMENT: readonly OutputFormat[] = ['table', 'json', 'jsonl']
const printable = new WeakMap<Command, readonly OutputFormat[]>()

/** `command` prints rows of one shape: csv too. Every other command prints one document. */
export function printsRows(command: Command): Command {
  printable.set(command, [...DOCUMENT, 'csv'])
  return command
}

/** `command` prints rows of a table: csv, and Arrow as they are. */
export function printsBatches(command: Command): Command {
  printable.set(command, [...DOCUMENT, 'csv', 'arrow'])
  return command
}

/** `config show`, without the name of the program. */
const fullName = (command: Command): string => {
  const { parent } = command
  return parent?.parent == null ? command.name() : `${fullName(parent)} ${command.name()}`
}

/**
 * Before the work: a run that committed and then could not say so would look like one that failed.
 * @throws {FirnError} `FIRN_USAGE`.
 */
export function checkFormat(command: Command, output: OutputFormat): void {
  const formats = printable.get(command) ?? DOCUMENT
  if (formats.includes(output)) return
  const last = formats.at(-1)
  throw new FirnError('invalid', 'FIRN_USAGE', `${fullName(command)} does not print ${output}`, {
    help: `use --output ${formats.slice(0, -1).join(', ')} or ${last} (also set by FIRN_OUTPUT and by "output" in firn.config.json)`,
  })
}
