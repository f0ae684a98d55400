/**
 * Where tasks run. A task and its result are plain JSON, so the same task runs in this thread, in a worker thread, in
 * another process or on a cluster.
 */
import { Worker } from 'node:worker_threads'
import { errorFromWire, FirnError, type WireError } from '../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../table/io/object-store.ts'
import { openStore, type StoreOptions } from '../table/io/open-store.ts'
import {
  type CompactionTask,
  type CompactionTaskResult,
  runCompactionTask,
  type TaskProgress,
} from './compaction/task.ts'

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
    run: async (tasks, { signal, tableStoreOptions = {} } = {}) => {
      const openTableStore = (location: string): ObjectStore => openStore(location, tableStoreOptions)
      const results: CompactionTaskResult[] = []
      for (const task of tasks) {
        // through JSON, so that nothing but JSON can cross here either
        const copy = JSON.parse(JSON.stringify(task)) as CompactionTask
        const result = await runCompactionTask(copy, { store, openTableStore, signal })
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
    run: async (tasks, { signal, tableStoreOptions } = {}) => {
      const stop = new AbortController()
      const linked = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
      const results: CompactionTaskResult[] = new Array(tasks.length)
      let next = 0
      const lane = async (): Promise<void> => {
        for (let index = next++; index < tasks.length; index = next++) {
          results[index] = await runInWorker(tasks[index]!, options, tableStoreOptions, linked)
        }
      }
      try {
        await Promise.all(Array.from({ length: Math.min(maxWorkers, tasks.length) }, lane))
      } finally {
        stop.abort()
      }
      return results
    },
  }
}

/** Worker threads, unless the warehouse is in this thread's memory. */
export function executorFor(store: ObjectStore, storeOptions?: WorkerExecutorOptions['storeOptions']): Executor {
  if (store.url.startsWith('memory:')) return inlineExecutor(store)
  return workerExecutor({ warehouse: store.url, storeOptions })
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
  | { readonly ok: true; readonly result: string }
  | { readonly ok: false; readonly error: WireError }

/** The sources run as they are in development (`.ts`) and compiled in the package (`.js`). */
const WORKER_URL: URL = new URL(
  import.meta.url.endsWith('.ts') ? './task-worker.ts' : './task-worker.js',
  import.meta.url,
)

function runInWorker(
  task: CompactionTask,
  options: WorkerExecutorOptions,
  tableStoreOptions: RunOptions['tableStoreOptions'],
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
      resourceLimits: { maxOldGenerationSizeMb: options.maxHeapMebibytes ?? 4096 },
    })
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', abort)
      worker.removeAllListeners()
      worker.on('error', () => {}) // a late one of a worker that is being stopped
      // the result is complete: whatever the worker still holds open is not waited for
      void worker.terminate().then(finish, finish)
    }
    const abort = (): void => settle(() => reject(signal.reason as Error))
    signal.addEventListener('abort', abort, { once: true })
    worker.once('message', (reply: WorkerReply) =>
      settle(() =>
        reply.ok ? resolve(JSON.parse(reply.result) as CompactionTaskResult) : reject(errorFromWire(reply.error)),
      ),
    )
    worker.once('error', (cause: Error) => settle(() => reject(crashed(cause.message, cause))))
    worker.once('exit', (code) => settle(() => reject(crashed(`it ended with code ${code} before its result`))))
  })
}

const crashed = (what: string, cause?: unknown): FirnError =>
  new FirnError('failed', 'FIRN_TASK_CRASHED', `the worker of a task died: ${what}`, {
    cause,
    help: 'run the same command again; if it dies of memory, compact more often so that a run reads less',
  })
