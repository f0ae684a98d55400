/**
 * Entry of a worker thread: requests for units in, decoded columns out. Started by worker-pool.ts only.
 * It runs until it is terminated.
 */
import { type MessagePort, workerData } from 'node:worker_threads'
import { systemClock } from '../../table/clock.ts'
import { errorToWire } from '../../table/errors.ts'
import { openStore } from '../../table/index.ts'
import type { ReadSetup } from '../source/plan.ts'
import { type ArenaParts, giveBack, giveBackAll, readMemory } from './arena.ts'
import { createGate } from './decoder.ts'
import { unitReader } from './unit-reader.ts'
import { unitToWire, type WorkerReply, type WorkerRequest } from './wire.ts'

export interface WorkerStart {
  readonly setup: ReadSetup
  readonly port: MessagePort
  /** Of all threads. */
  readonly arena: ArenaParts | undefined
}

/** Two, so that one can wait for the store while the other is decoded. */
const UNITS_AT_ONCE = 2

function serve({ setup, port, arena }: WorkerStart): void {
  const store = openStore(setup.storeUrl, { ...setup.storeOptions, clock: systemClock })
  const { signal } = new AbortController()
  const reader = unitReader({ setup, store, clock: systemClock, signal, memory: readMemory(arena) })
  const gate = createGate(UNITS_AT_ONCE)
  const running = new Map<number, AbortController>()
  port.on('message', (message: WorkerRequest) => {
    if (message.type === 'cancel') {
      running.get(message.id)?.abort()
      running.delete(message.id)
      return
    }
    const { id, request } = message
    const stop = new AbortController()
    running.set(id, stop)
    const decode = async (): Promise<void> => {
      if (stop.signal.aborted) return
      const unit = await reader.decode(request, stop.signal)
      if (stop.signal.aborted) {
        if (arena !== undefined) giveBackAll(unit.segments, (values) => giveBack(arena, values))
        return
      }
      const { wire, transfer } = unitToWire(unit)
      port.postMessage({ type: 'unit', id, unit: wire } satisfies WorkerReply, transfer)
    }
    gate(decode)
      .catch((error: unknown) => {
        if (stop.signal.aborted) return
        const reply = { type: 'error', id, error: errorToWire(error), counters: reader.takeCounters() } as const
        port.postMessage(reply satisfies WorkerReply)
      })
      .finally(() => running.delete(id))
  })
  port.postMessage({ type: 'ready' } satisfies WorkerReply)
}

serve(workerData as WorkerStart)
