/** Entry of a worker thread: one task, one reply, then the end. Started by executor.ts only. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../table/clock.ts'
import { errorToWire } from '../../table/errors.ts'
import { openStore } from '../../table/io/open-store.ts'
import { thinned } from '../compaction/progress.ts'
import { type CompactionTask, runCompactionTask } from '../compaction/task.ts'
import { tallyStore } from '../telemetry/store-tally.ts'
import type { WorkerInput, WorkerReply } from './executor.ts'

const tally = tallyStore()

async function reply(input: WorkerInput): Promise<WorkerReply> {
  try {
    const store = openStore(input.warehouse, { ...input.storeOptions, clock: systemClock })
    const openTableStore = (location: string): ReturnType<typeof openStore> =>
      openStore(location, { ...input.storeOptions, ...input.tableStoreOptions, clock: systemClock })
    const onProgress = thinned((progress) => send({ progress }))
    const task = JSON.parse(input.task) as CompactionTask
    const result = await runCompactionTask(task, { store, openTableStore, onProgress })
    return { ok: true, result: JSON.stringify(result), telemetry: tally.taken() }
  } catch (error) {
    return { ok: false, error: errorToWire(error), telemetry: tally.taken() }
  }
}

const send = (message: WorkerReply): void => parentPort?.postMessage(message)

send(await reply(workerData as WorkerInput))
