/** Counts the worker threads of this process. */
import type { Worker } from 'node:worker_threads'

export interface WorkerCount {
  readonly started: number
  readonly alive: number
  stop(): void
}

export function countWorkers(): WorkerCount {
  let started = 0
  let alive = 0
  const watch = (worker: Worker): void => {
    started++
    alive++
    worker.once('exit', () => alive--)
  }
  process.on('worker', watch)
  return {
    get started() {
      return started
    },
    get alive() {
      return alive
    },
    stop: () => process.off('worker', watch),
  }
}
