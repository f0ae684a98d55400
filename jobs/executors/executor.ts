/**
 * Where tasks run. A task and its result are plain JSON, so the same task runs in this thread, in a worker thread, in
 * another process or on a cluster.
 */
import { Worker } from 'node:worker_threads'
import { errorFromWire, FirnError, type WireError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { openStore, type StoreOptions } from '../../table/io/open-store.ts'
import {
  type CompactionTask,
  type CompactionTaskResult,
  runCompactionTask,
  type TaskProgress,
} from '../compaction/task.ts'
import { type TaskTelemetry, tellTaskTelemetry } from '../telemetry/store-tally.ts'
import { processExecutor } from './processes.ts'

export interface Executor {
  /**
   * Run every task; results come in the order of the tasks. The first failure stops the others.
   * @throws {FirnError} of the task; `signal.reason` on abort; `FIRN_TASK_CRASHED` (failed) when a worker died.
   */
  run(tasks: readonly CompactionTask[], options?: RunOptions): Promise<readonly CompactionTaskResult[]>
  /** Tasks that run at once in one process and share its memory. Default 1. */
  readonly tasksPerProcess?: number | undefined
}

/** Absolute numbers over all tasks of one call of `run`. */
export type OnProgress = (progress: TaskProgress) => void

export interface RunOptions extends AbortableOptions {
  /** How to open the store of a table that lies outside of the warehouse; may hold credentials, so it is no part of a task. */
  readonly tableStoreOptions?: Omit<StoreOptions, 'clock'> | undefined
  readonly onProgress?: OnProgress | undefined
}

/** Runs tasks in this thread, one after the other. */
export function inlineExecutor(store: ObjectStore): Executor {
  return {
    run: async (tasks, { signal, tableStoreOptions = {}, onProgress } = {}) => {
      const openTableStore = (location: string): ObjectStore => openStore(location, tableStoreOptions)
      const results: CompactionTaskResult[] = []
      const progressOf = addedUp(onProgress)
      for (const [index, task] of tasks.entries()) {
        // through JSON, so that nothing but JSON can cross here either
        const copy = JSON.parse(JSON.stringify(task)) as CompactionTask
        const context = { store, openTableStore, signal, onProgress: progressOf(index) }
        const result = await runCompactionTask(copy, context)
        results.push(JSON.parse(JSON.stringify(result)) as CompactionTaskResult)
      }
      return results
    },
  }
}

export interface WorkerExecutorOptions {
  /** URL of the warehouse; workers open it themselves. */
  readonly warehouse: string
  readonly storeOptions?: Omit<StoreOptions, 'clock'> | undefined
  /** Tasks at a time. Default 1: a task uses one thread, and each holds its input in memory. */
  readonly maxWorkers?: number | undefined
  /** Heap of a worker in MiB; text is kept outside of it. Default 4096. */
  readonly maxHeapMebibytes?: number | undefined
}

/**
 * Runs each task in a worker thread of its own, so that the caller's event loop stays free and a task's memory is
 * given back at its end. Not for `memory:` warehouses: those live in one thread.
 * @throws {FirnError} `FIRN_INVALID_OPTION`.
 */
export function workerExecutor(options: WorkerExecutorOptions): Executor {
  const { maxWorkers = 1 } = options
  if (!Number.isInteger(maxWorkers) || maxWorkers < 1 || maxWorkers > 64) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `maxWorkers must be 1 to 64, got ${maxWorkers}`)
  }
  if (options.warehouse.startsWith('memory:')) {
    throw new FirnError(
      'invalid',
      'FIRN_INVALID_OPTION',
      `worker threads cannot see the warehouse ${options.warehouse}`,
    )
  }
  return {
    tasksPerProcess: maxWorkers,
    run: (tasks, runOptions = {}) =>
      runInLanes(tasks, maxWorkers, runOptions, (task, { signal, onProgress }) =>
        runInWorker(task, options, { ...runOptions, onProgress }, signal),
      ),
  }
}

/** How one task is run: its own signal and progress. */
export type RunOne = (
  task: CompactionTask,
  options: { readonly signal: AbortSignal; readonly onProgress: OnProgress | undefined },
) => Promise<CompactionTaskResult>

/** So many tasks at a time; the first failure stops the others. Results come in the order of the tasks. */
export async function runInLanes(
  tasks: readonly CompactionTask[],
  lanes: number,
  { signal, onProgress }: RunOptions,
  runOne: RunOne,
): Promise<readonly CompactionTaskResult[]> {
  const stop = new AbortController()
  const linked = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const results: CompactionTaskResult[] = new Array(tasks.length)
  const progressOf = addedUp(onProgress)
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const lane = async (): Promise<void> => {
    for (let index = next++; index < tasks.length && failure === undefined; index = next++) {
      try {
        results[index] = await runOne(tasks[index]!, { signal: linked, onProgress: progressOf(index) })
      } catch (error) {
        failure ??= { error }
        stop.abort()
      }
    }
  }
  // until the last one has ended: what they spilled is then removed
  await Promise.all(Array.from({ length: Math.min(lanes, tasks.length) }, lane))
  if (failure !== undefined) throw failure.error
  return results
}

/** Of what single tasks report, the sums over all of them. */
function addedUp(onProgress: OnProgress | undefined): (index: number) => OnProgress | undefined {
  if (onProgress === undefined) return () => undefined
  const latest = new Map<number, TaskProgress>()
  return (index) => (progress) => {
    latest.set(index, progress)
    let [records, bytes, rows] = [0, 0, 0]
    for (const each of latest.values()) {
      records += each.records
      bytes += each.bytes
      rows += each.rows
    }
    onProgress({ stage: progress.stage, records, bytes, rows })
  }
}

export type ExecutorKind = 'inline' | 'threads' | 'processes'

export interface ExecutorChoice {
  /** Default: threads, or inline for a warehouse in this thread's memory. */
  readonly kind?: ExecutorKind | undefined
  /** Tasks at a time. Default 1. */
  readonly tasks?: number | undefined
}

/** @throws {FirnError} `FIRN_INVALID_OPTION`. */
export function executorFor(
  store: ObjectStore,
  storeOptions?: WorkerExecutorOptions['storeOptions'],
  { kind, tasks = 1 }: ExecutorChoice = {},
): Executor {
  if (kind === 'inline' || (kind === undefined && store.url.startsWith('memory:'))) return inlineExecutor(store)
  const warehouse = store.url
  if (kind === 'processes') return processExecutor({ warehouse, storeOptions, maxProcesses: tasks })
  return workerExecutor({ warehouse, storeOptions, maxWorkers: tasks })
}

/** What the worker is given; JSON. */
export interface WorkerInput {
  readonly warehouse: string
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  readonly tableStoreOptions: Omit<StoreOptions, 'clock'> | undefined
  /** A `CompactionTask` as text. */
  readonly task: string
}

export type WorkerReply =
  | { readonly progress: TaskProgress }
  | { readonly ok: true; readonly result: string; readonly telemetry: TaskTelemetry }
  | { readonly ok: false; readonly error: WireError; readonly telemetry: TaskTelemetry }

/** The sources run as they are in development (`.ts`) and compiled in the package (`.js`). */
const WORKER_URL: URL = new URL(
  import.meta.url.endsWith('.ts') ? './task-worker.ts' : './task-worker.js',
  import.meta.url,
)

function runInWorker(
  task: CompactionTask,
  options: WorkerExecutorOptions,
  { tableStoreOptions, onProgress }: RunOptions,
  signal: AbortSignal,
): Promise<CompactionTaskResult> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const input: WorkerInput = {
      warehouse: options.warehouse,
      storeOptions: options.storeOptions ?? {},
      tableStoreOptions,
      task: JSON.stringify(task),
    }
    const worker = new Worker(WORKER_URL, {
      // `--input-type`, for scripts given as text, kills a thread that inherits it; the other flags cannot be handed on
      // by themselves, because `new Worker` refuses those of V8.
      ...(process.execArgv.some((flag) => /^--input[-_]type(=|$)/.test(flag)) ? { execArgv: [] } : {}),
      workerData: input,
      // what the operator's module prints must not get into the results of this process
      stdout: true,
      resourceLimits: { maxOldGenerationSizeMb: options.maxHeapMebibytes ?? 4096 },
    })
    worker.stdout.on('data', (part: Buffer) => process.stderr.write(part))
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', abort)
      worker.removeAllListeners()
      worker.on('error', () => {}) // a late one of a worker that is being stopped
      // the result is complete: whatever the worker still holds open is not waited for
      void worker.terminate().then(finish, finish)
    }
    const abort = (): void => settle(() => reject(signal.reason as Error))
    signal.addEventListener('abort', abort, { once: true })
    worker.on('message', (reply: WorkerReply) => {
      if ('progress' in reply) {
        onProgress?.(reply.progress)
        return
      }
      tellTaskTelemetry(reply.telemetry)
      if (reply.ok) settle(() => resolve(JSON.parse(reply.result) as CompactionTaskResult))
      else settle(() => reject(errorFromWire(reply.error)))
    })
    worker.once('error', (cause: Error) => settle(() => reject(crashed(cause.message, cause))))
    worker.once('exit', (code) => settle(() => reject(crashed(`it ended with code ${code} before its result`))))
  })
}

/** A task that ended without a result. */
export const crashed = (what: string, cause?: unknown): FirnError =>
  new FirnError('failed', 'FIRN_TASK_CRASHED', `the worker of a task died: ${what}`, {
    cause,
    help: 'run the same command again; if it dies of memory, give it a smaller --memory-limit',
  })
