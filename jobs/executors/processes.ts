/**
 * Tasks as processes of their own: `firn task run FILE`, the same command that a cluster would run. The task is in the
 * file; how stores are opened, which may hold credentials, goes over the channel to the child and is in no file, no
 * argument and no variable.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorFromWire, FirnError, type WireError } from '../../table/errors.ts'
import type { StoreOptions } from '../../table/io/open-store.ts'
import type { CompactionTaskResult, TaskProgress } from '../compaction/task.ts'
import { type TaskTelemetry, tellTaskTelemetry } from '../telemetry/store-tally.ts'
import { crashed, type Executor, type RunOptions, runInLanes } from './executor.ts'

export interface ProcessExecutorOptions {
  /** URL of the warehouse; processes open it themselves. */
  readonly warehouse: string
  readonly storeOptions?: Omit<StoreOptions, 'clock'> | undefined
  /** Processes at a time. Default 1. */
  readonly maxProcesses?: number | undefined
  /** The program and its first arguments. Default: this very command line. */
  readonly command?: readonly [string, ...string[]] | undefined
  /** Where the standard error of tasks goes. Default: that of this process. */
  readonly stderr?: NodeJS.WritableStream | undefined
}

/** The first message to a task's process. */
export interface TaskOptionsMessage {
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  readonly tableStoreOptions?: Omit<StoreOptions, 'clock'> | undefined
}

/** What a task's process reports while it runs. */
export interface TaskProgressMessage {
  readonly progress: TaskProgress
}

/** What a task prints that failed. */
export interface TaskFailure {
  readonly schema: 'firn.task-error/1'
  readonly error: WireError
  readonly telemetry?: TaskTelemetry
}

/** What a task prints that succeeded. */
export type TaskSuccess = CompactionTaskResult & { readonly telemetry?: TaskTelemetry }

/** The sources run as they are in development (`.ts`) and compiled in the package (`.js`). */
const BIN: string = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../bin.ts' : '../bin.js', import.meta.url))

/**
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). From `run`: what the task threw; `FIRN_TASK_CRASHED` (failed)
 *   with the last line of its standard error when it ended without a result.
 */
export function processExecutor(options: ProcessExecutorOptions): Executor {
  const { maxProcesses = 1, warehouse } = options
  if (!Number.isInteger(maxProcesses) || maxProcesses < 1 || maxProcesses > 64) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `maxProcesses must be 1 to 64, got ${maxProcesses}`)
  }
  if (warehouse.startsWith('memory:')) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `other processes cannot see the warehouse ${warehouse}`)
  }
  return {
    run: async (tasks, runOptions = {}) => {
      runOptions.signal?.throwIfAborted()
      const folder = await mkdtemp(join(tmpdir(), 'firn-tasks-')).catch(noFolder)
      try {
        let files = 0
        return await runInLanes(tasks, maxProcesses, runOptions, async (task, { signal, onProgress }) => {
          const file = join(folder, `${files++}.json`)
          await writeFile(file, JSON.stringify(task)).catch(noFolder)
          return await runProcess(file, options, { ...runOptions, signal, onProgress })
        })
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}

/** Of containers whose root is read-only, mostly. */
function noFolder(cause: unknown): never {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
  throw new FirnError('invalid', 'FIRN_SPILL_FAILED', `cannot write task files below ${tmpdir()} (${code})`, {
    cause,
    detail: { folder: tmpdir() },
    help: 'let TMPDIR name a folder with room that this user may write to, or use --executor threads',
  })
}

function runProcess(
  file: string,
  options: ProcessExecutorOptions,
  { signal, onProgress, tableStoreOptions }: RunOptions,
): Promise<CompactionTaskResult> {
  const [program, ...first] = options.command ?? [process.execPath, BIN]
  const args = [...first, 'task', 'run', file, '--channel', '--warehouse', options.warehouse, '--output', 'jsonl']
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    // nothing of a task needs an orderly end: what it left in the exchange is removed by the coordinator
    const abort = (): void => void child.kill('SIGKILL')
    signal?.addEventListener('abort', abort, { once: true })
    const output = collect(child, options.stderr ?? process.stderr)
    child.on('message', (message) => onProgress?.((message as TaskProgressMessage).progress))
    let spawnError: Error | undefined
    child.on('error', (error) => {
      spawnError = error
    })
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', abort)
      if (signal?.aborted === true) reject(signal.reason as Error)
      else if (spawnError !== undefined) reject(crashed(spawnError.message, spawnError))
      else settle(output(), code, killedBy, resolve, reject)
    })
    const message: TaskOptionsMessage = { storeOptions: options.storeOptions ?? {}, tableStoreOptions }
    // one that is dead already is reported by its end; without file descriptors there is no channel either
    child.send?.(message, () => {})
  })
}

interface Output {
  readonly stdout: string
  readonly lastLine: string
}

function collect(child: ChildProcess, stderr: NodeJS.WritableStream): () => Output {
  const parts: Buffer[] = []
  let tail = ''
  child.stdout?.on('data', (part: Buffer) => parts.push(part))
  child.stderr?.on('data', (part: Buffer) => {
    stderr.write(part)
    tail = `${tail}${part.toString('utf8')}`.slice(-4096)
  })
  return () => ({ stdout: Buffer.concat(parts).toString('utf8'), lastLine: tail.trimEnd().split('\n').at(-1) ?? '' })
}

function settle(
  { stdout, lastLine }: Output,
  code: number | null,
  killedBy: NodeJS.Signals | null,
  resolve: (result: CompactionTaskResult) => void,
  reject: (error: Error) => void,
): void {
  const document = documentOf(stdout)
  tellTaskTelemetry(document?.telemetry)
  if (document?.schema === 'firn.task-error/1') reject(errorFromWire(document.error))
  else if (document?.schema === 'firn.compaction-result/1' && code === 0) {
    const { telemetry: _told, ...result } = document
    resolve(result)
  } else {
    const how = killedBy === null ? `it ended with code ${code} before its result` : `it was ended by ${killedBy}`
    reject(crashed(lastLine === '' ? how : `${how}: ${lastLine}`))
  }
}

const SCHEMAS: ReadonlySet<unknown> = new Set(['firn.compaction-result/1', 'firn.task-error/1'])

/** The last line that is one: timers of the operator's module may print after it. */
function documentOf(text: string): TaskSuccess | TaskFailure | undefined {
  for (const line of text.split('\n').reverse()) {
    try {
      const document = JSON.parse(line) as TaskSuccess | TaskFailure | null
      if (SCHEMAS.has(document?.schema)) return document!
    } catch {
      // what a module printed, or a result that is cut
    }
  }
  return undefined
}
