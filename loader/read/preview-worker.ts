/**
 * Entry of a worker thread: row groups in, decoded columns out. Started by worker-pool.ts only.
 * It runs until it is terminated.
 */
import { type MessagePort, workerData } from 'node:worker_threads'
import { systemClock } from '../../table/clock.ts'
import { errorToWire } from '../../table/errors.ts'
import { openStore, parseSchema } from '../../table/index.ts'
import { unitReader } from '../source/units.ts'
import { createGate } from './preview-decoder.ts'
import { batchToWire, type WorkerReply, type WorkerRequest, type WorkerSetup } from './preview-wire.ts'

/** Two, so that one can wait for the store while the other is decoded. */
const READS_AT_ONCE = 2

function serve(setup: WorkerSetup, port: MessagePort): void {
  const store = openStore(setup.storeUrl, { ...setup.storeOptions, clock: systemClock })
  const schema = parseSchema(setup.schema)
  const reader = unitReader(store, setup.location, schema, new AbortController().signal)
  const gate = createGate(READS_AT_ONCE)
  const running = new Map<number, AbortController>()
  port.on('message', (request: WorkerRequest) => {
    if (request.type === 'cancel') {
      running.get(request.id)?.abort()
      running.delete(request.id)
      return
    }
    const { id, file, rowGroup } = request
    const stop = new AbortController()
    running.set(id, stop)
    const decode = async (): Promise<void> => {
      if (stop.signal.aborted) return
      const { wire, transfer } = batchToWire(await reader.read(file, rowGroup, stop.signal))
      if (!stop.signal.aborted) port.postMessage({ id, ok: true, batch: wire } satisfies WorkerReply, transfer)
    }
    gate(decode)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) port.postMessage({ id, ok: false, error: errorToWire(error) } satisfies WorkerReply)
      })
      .finally(() => running.delete(id))
  })
}

const { setup, port } = workerData as { readonly setup: WorkerSetup; readonly port: MessagePort }
serve(setup, port)
