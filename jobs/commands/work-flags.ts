/** Options of the commands that turn records into rows: memory, tasks, the user's module. */
import { type Command, Option } from 'commander'
import type { ExecutorKind } from '../executors/executor.ts'
import { sizeArgument } from '../sizes.ts'
import { integerArgument } from '../times.ts'

export interface WorkFlags {
  readonly memoryLimit?: number
  readonly tasks?: number
  readonly executor?: ExecutorKind
  readonly spillFolder?: string
  readonly enrichment?: string
}

export function addWorkOptions(command: Command): Command {
  return command
    .option('--memory-limit <size>', 'what a process of the run may take, about (default: 1GiB)', sizeArgument)
    .option('--tasks <count>', 'tasks that share the work, 1 to 64 (default: 1)', integerArgument(1, 64))
    .addOption(
      new Option('--executor <kind>', 'where tasks run (default: threads)').choices(['inline', 'threads', 'processes']),
    )
    .option(
      '--spill-folder <path>',
      "where rows go that memory does not hold (default: the machine's; _spill/ of the warehouse for several tasks)",
    )
    .option('--enrichment <file>', 'module that fills the columns which the dataset leaves to it')
}
