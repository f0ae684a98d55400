/** Entry of a worker thread: one task, one reply, then the end. Started by executor.ts only. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../table/clock.ts'
import { errorToWire } from '../table/errors.ts'
import { openStore } from '../table/io/open-store.ts'
import { type CompactionTask, runCompactionTask } from './compaction/task.ts'
import type { WorkerInput, WorkerReply } from './executor.ts'

async function reply(input: WorkerInput): Promise<WorkerReply> {
  try {
    const store = openStore(input.warehouse, { ...input.storeOptions, clock: systemClock })
    const openTableStore = (location: string): ReturnType<typeof openStore> =>
      openStore(location, { ...input.storeOptions, ...input.tableStoreOptions, clock: systemClock })
    const result = await runCompactionTask(JSON.parse(input.task) as CompactionTask, { store, openTableStore })
    return { ok: true, result: JSON.stringify(result) }
  } catch (error) {
    return { ok: false, error: errorToWire(error) }
  }
}

parentPort?.postMessage(await reply(workerData as WorkerInput))
