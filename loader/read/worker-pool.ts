/**
 * Worker threads that decode units. They start with the first unit, hold the process only while somebody waits for
 * one, and end with `close()`.
 *
 * Replies travel over a port of their own, because a port can be emptied without returning to the event loop: training
 * keeps this thread busy for a step at a time and hardly lets the loop turn.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Schema as ArrowSchema } from 'apache-arrow'
import { errorFromWire, FirnError } from '../../table/errors.ts'
import { createArena, giveBack, giveBackAll, readMemory } from './arena.ts'
import { addCounters, noCounters } from './counters.ts'
import { type DecodedUnit, type Decoder, decoderClosed, type ReadCounters, type UnitRequest } from './decoder.ts'
import { earlyUnits } from './early-units.ts'
import type { DecoderOptions } from './inline-decoder.ts'
import { skippingDecoder } from './skip.ts'
import { unitReader } from './unit-reader.ts'
import { unitFromWire, type WorkerReply, type WorkerRequest } from './wire.ts'
import type { WorkerStart } from './worker.ts'
import { workerFlags } from './worker-flags.ts'

/** The sources run as they are in development (`.ts`) and compiled in the package (`.js`). */
const WORKER_URL: URL = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** Decoding makes few objects: without a limit, the room for them grows to three times that and is never used. */
const YOUNG_MB = 12

interface Waiting {
  readonly resolve: (unit: DecodedUnit) => void
  readonly reject: (error: unknown) => void
}

interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
  readonly waiting: Map<number, Waiting>
}

export interface WorkerDecoderOptions extends DecoderOptions {
  /** 1 or more. */
  readonly threads: number
  /** Of every segment: what `transformedSchema` says, where there is a transform. */
  readonly schema: ArrowSchema
  /** Decode in this thread until a worker is up; default `true`. */
  readonly early?: boolean
  /** Decoded bytes that all threads together may hold in memory that is used again. Default: none. */
  readonly arenaBytes?: number
}

/**
 * Footers for `unitRows`, and units until the first worker is up, are read in this thread, through `store`; workers open
 * the store themselves.
 *
 * `decode` also throws `FIRN_WORKER_CRASHED` (failed) when the thread died that had the unit; another one takes its
 * place for the units that follow.
 */
export function workerDecoder(options: WorkerDecoderOptions): Decoder {
  const { threads, setup, store, schema, clock, onError, arenaBytes = 0 } = options
  const ending = new AbortController()
  // Nothing of a transform's input comes out, and its results are small.
  const arena = arenaBytes === 0 || setup.transform !== undefined ? undefined : createArena(arenaBytes)
  const giveBackHere = (values: Uint8Array): void => arena && giveBack(arena, values)
  const memory = readMemory(arena)
  const here = unitReader({ setup, store, clock, signal: ending.signal, memory })
  const pool = new Set<Thread>()
  let nextId = 0
  /** Of units that failed in a thread. */
  let failed: ReadCounters = noCounters()
  let closing: Promise<unknown> | undefined
  const early = earlyUnits(async (wanted, signal) => {
    const unit = await here.decode(wanted, AbortSignal.any([signal, ending.signal]))
    return { ...unit, giveBack: giveBackHere }
  })

  const receive = (thread: Thread, reply: WorkerReply): void => {
    if (reply.type === 'ready') {
      memory.forget()
      early.handOver(decodeThere)
      return
    }
    const waiting = thread.waiting.get(reply.id)
    if (waiting === undefined) {
      // cancelled meanwhile
      if (reply.type === 'unit') giveBackAll(unitFromWire(schema, reply.unit).segments, giveBackHere)
      return
    }
    settle(thread, reply.id)
    if (reply.type === 'unit') {
      const unit = unitFromWire(schema, reply.unit)
      const counters = addCounters(unit.counters, here.takeCounters())
      waiting.resolve({ ...unit, counters, giveBack: giveBackHere })
    } else {
      failed = addCounters(failed, reply.counters)
      waiting.reject(errorFromWire(reply.error))
    }
  }
  const drop = (thread: Thread, error: FirnError): void => {
    pool.delete(thread)
    thread.port.close()
    for (const [id, waiting] of thread.waiting) {
      settle(thread, id)
      waiting.reject(error)
    }
    if (pool.size === 0) early.fail(error)
  }
  const start = (): Thread => {
    const { port1: port, port2 } = new MessageChannel()
    const worker = startWorker({ setup, port: port2, arena })
    const thread: Thread = { worker, port, waiting: new Map() }
    pool.add(thread)
    port.on('message', (reply: WorkerReply) => receive(thread, reply))
    worker.once('error', (cause) => drop(thread, crashed(cause)))
    worker.once('exit', () => drop(thread, crashed(undefined)))
    hold(thread)
    return thread
  }
  const leastBusy = (): Thread => {
    if (pool.size < threads) return start()
    return [...pool].reduce((best, thread) => (thread.waiting.size < best.waiting.size ? thread : best))
  }
  const decodeThere: Decoder['decode'] = async (unit, signal) => {
    signal.throwIfAborted()
    if (closing !== undefined) throw decoderClosed()
    return request(leastBusy(), nextId++, unit, signal)
  }

  if (options.early === false) early.handOver(decodeThere)

  const decoder: Decoder = {
    unitRows: async (unit, signal) => {
      signal.throwIfAborted()
      ending.signal.throwIfAborted()
      return here.unitRows(unit, AbortSignal.any([signal, ending.signal]))
    },
    decode: async (unit, signal) => {
      signal.throwIfAborted()
      if (closing !== undefined) throw decoderClosed()
      if (pool.size < threads) start()
      return early.decode(unit, signal)
    },
    collect: () => {
      for (const thread of pool) {
        for (let next = receiveMessageOnPort(thread.port); next; next = receiveMessageOnPort(thread.port)) {
          receive(thread, next.message as WorkerReply)
        }
      }
    },
    takeCounters: () => {
      const taken = addCounters(failed, here.takeCounters())
      failed = noCounters()
      return taken
    },
    close: async () => {
      ending.abort(decoderClosed())
      // Who closes it again waits for the same threads.
      closing ??= Promise.all(
        [...pool].map((thread) => {
          drop(thread, decoderClosed())
          return thread.worker.terminate()
        }),
      )
      await closing
    },
  }
  return skippingDecoder(decoder, onError)
}

function startWorker(start: WorkerStart): Worker {
  const { port } = start
  try {
    return new Worker(WORKER_URL, {
      ...workerFlags(),
      ...(start.setup.transform === undefined ? { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } } : {}),
      workerData: start,
      transferList: [port],
    })
  } catch (cause) {
    port.close() // of both ends
    throw crashed(cause)
  }
}

function request(thread: Thread, id: number, wanted: UnitRequest, signal: AbortSignal): Promise<DecodedUnit> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      settle(thread, id)
      post(thread, { type: 'cancel', id })
      reject(signal.reason)
    }
    const done = <T>(finish: (value: T) => void): ((value: T) => void) => {
      return (value) => {
        signal.removeEventListener('abort', cancel)
        finish(value)
      }
    }
    signal.addEventListener('abort', cancel, { once: true })
    thread.waiting.set(id, { resolve: done(resolve), reject: done(reject) })
    hold(thread)
    post(thread, { type: 'decode', id, request: wanted })
  })
}

function settle(thread: Thread, id: number): void {
  thread.waiting.delete(id)
  if (thread.waiting.size === 0) hold(thread)
}

/** An idle thread does not keep the process alive. */
function hold({ worker, port, waiting }: Thread): void {
  if (waiting.size > 0) {
    worker.ref()
    port.ref()
  } else {
    worker.unref()
    port.unref()
  }
}

const post = (thread: Thread, request: WorkerRequest): void => thread.port.postMessage(request)

function crashed(cause: unknown): FirnError {
  const reason =
    cause === undefined ? 'it ended before its result' : cause instanceof Error ? cause.message : String(cause)
  return new FirnError('failed', 'FIRN_WORKER_CRASHED', `a worker thread of the loader died: ${reason}`, {
    cause,
    help: helpFor((cause as { readonly code?: unknown } | undefined)?.code),
  })
}

function helpFor(code: unknown): string {
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'Lower numWorkers, or read fewer columns.'
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return 'Keep firnlake external to the bundle, because its workers are files of their own, or set numWorkers: 0.'
  }
  return 'Read the epoch again; if it happens again, set numWorkers: 0 to decode in this thread.'
}
