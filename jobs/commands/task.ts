/**
 * `firn task run FILE`: one task of a plan, its result as JSON on standard output: what executors run in processes of
 * their own, on this host or another one that sees the warehouse.
 */
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { errorToWire, FirnError } from '../../table/errors.ts'
import type { CompactionTask, TaskContext } from '../compaction/task.ts'
import type { CommandContext } from '../context.ts'
import type { TaskFailure, TaskOptionsMessage, TaskProgressMessage, TaskSuccess } from '../executors/processes.ts'
import { exitCodeOf } from '../exit.ts'
import { Interrupted } from '../signals.ts'

export function taskCommand(ctx: CommandContext): Command {
  const run = new Command('run')
    .description('run one task of a compaction; prints its result as JSON')
    .argument('<file>', 'the task, JSON')
    .option('--channel', 'the process that started this one says how stores are opened and hears of progress', false)
    .addHelpText('after', '\nExample:\n  $ firn task run task-0.json --warehouse s3://bucket/lake > result-0.json')
    .action((file: string, flags: { readonly channel: boolean }) => runTask(ctx, file, flags.channel))
  return new Command('task').description('parts of a run, for programs that spread it over processes').addCommand(run)
}

async function runTask(ctx: CommandContext, file: string, channel: boolean): Promise<void> {
  const parent = channel ? await parentOf() : undefined
  const { tallyStore } = await import('../telemetry/store-tally.ts')
  const tally = tallyStore()
  try {
    const { runCompactionTask } = await import('../compaction/task.ts')
    const [task, context] = [await readTask(file), await contextOf(ctx, parent)]
    const result = await withOutputAside(() => runCompactionTask(task, context))
    const success: TaskSuccess = { ...result, telemetry: tally.taken() }
    printDocument(ctx, success)
  } catch (error) {
    const failure: TaskFailure = { schema: 'firn.task-error/1', error: errorToWire(error), telemetry: tally.taken() }
    printDocument(ctx, failure)
    // a parent reports it itself
    if (parent === undefined) throw error
    ctx.fail(exitCodeOf(error))
  } finally {
    parent?.close()
    // else the exit code would be that of the signal
    if (parent !== undefined && ctx.signal.reason instanceof Interrupted) ctx.signal.reason.endedInOrder()
  }
}

/** JSON whatever the format of results is set to: programs read it. */
const printDocument = (ctx: CommandContext, document: TaskSuccess | TaskFailure): void =>
  ctx.print({ json: document, text: JSON.stringify(document) })

/** What the operator's module prints goes to standard error: standard output is the result's. */
async function withOutputAside<T>(work: () => Promise<T>): Promise<T> {
  const { stdout, stderr } = process
  const write = stdout.write
  stdout.write = stderr.write.bind(stderr)
  try {
    return await work()
  } finally {
    stdout.write = write
  }
}

async function readTask(file: string): Promise<CompactionTask> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as CompactionTask
  } catch (cause) {
    throw new FirnError('invalid', 'FIRN_TASK_UNSUPPORTED', `${file} is no task: it cannot be read as JSON`, {
      cause,
      help: 'give a file that an executor of firn wrote',
    })
  }
}

async function contextOf(ctx: CommandContext, parent: Parent | undefined): Promise<TaskContext> {
  const { openStore } = await import('../../table/io/open-store.ts')
  const { clock, config } = ctx
  const { storeOptions, tableStoreOptions } = parent?.options ?? { storeOptions: ctx.storeOptions }
  return {
    store: openStore(config.warehouse, { ...storeOptions, clock }),
    openTableStore: (location) => openStore(location, { ...storeOptions, ...tableStoreOptions, clock }),
    signal: parent?.signal ?? ctx.signal,
    ...(parent === undefined ? {} : { onProgress: parent.onProgress }),
  }
}

interface Parent {
  readonly options: TaskOptionsMessage
  /**
   * Aborts when the parent is gone: nobody would take the result. Not at a signal: terminals and service managers send
   * it to the parent as well, which may have to end a run in order.
   */
  readonly signal: AbortSignal
  readonly onProgress: NonNullable<TaskContext['onProgress']>
  close(): void
}

/**
 * The process that started this one, once it said how stores are opened.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) without a channel; `FIRN_TASK_CRASHED` (failed) when it is gone.
 */
async function parentOf(): Promise<Parent> {
  if (process.send === undefined) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', '--channel: no process with a channel started this one', {
      help: 'leave out --channel: stores are then opened as the settings say',
    })
  }
  const { thinned } = await import('../compaction/progress.ts')
  const gone = new AbortController()
  const leave = (): void => gone.abort(new FirnError('failed', 'FIRN_TASK_CRASHED', 'the process of the run is gone'))
  process.once('disconnect', leave)
  if (!process.connected) leave()
  const options = await new Promise<TaskOptionsMessage>((resolve, reject) => {
    process.once('message', (message) => resolve(message as TaskOptionsMessage))
    const isGone = (): void => reject(gone.signal.reason as Error)
    if (gone.signal.aborted) isGone()
    else gone.signal.addEventListener('abort', isGone, { once: true })
  })
  return {
    options,
    signal: gone.signal,
    onProgress: thinned((progress) => {
      const message: TaskProgressMessage = { progress }
      if (process.connected) process.send?.(message, () => {})
    }),
    close() {
      process.off('disconnect', leave)
      if (process.connected) process.disconnect?.()
    },
  }
}
