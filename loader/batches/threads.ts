/** The decoder that the iterations of a dataset share: when its threads start and when they end. */
import type { Schema as ArrowSchema } from 'apache-arrow'
import type { Clock } from '../../table/clock.ts'
import type { ObjectStore } from '../../table/index.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Decoder } from '../read/decoder.ts'
import { inlineDecoder } from '../read/inline-decoder.ts'
import { workerDecoder } from '../read/worker-pool.ts'
import type { ReadSetup } from '../source/plan.ts'

export interface DecoderParts {
  readonly options: ResolvedOptions
  readonly setup: ReadSetup
  readonly store: ObjectStore
  /** Of what comes out. */
  readonly schema: ArrowSchema
  readonly clock: Clock
}

/** Worker threads, or this one. */
export function decoderMaker({ options, setup, store, schema, clock }: DecoderParts): () => Decoder {
  const { numWorkers: threads, onError, memoryLimitBytes } = options
  const shared = { setup, store, clock, onError }
  return () =>
    threads === 0 ? inlineDecoder(shared) : workerDecoder({ ...shared, threads, schema, arenaBytes: memoryLimitBytes })
}

export interface SharedDecoder {
  /** For one iteration; starts it where there is none. Give it back with `release`. */
  acquire(): Decoder
  /** @param isLeft the consumer left early and is likely done: threads that nobody else uses end. */
  release(isLeft: boolean): Promise<void>
  /** Ends it, whoever uses it. */
  close(): Promise<void>
}

/** A dataset that nobody closed and nobody can reach any more gives its threads back with its memory. */
const forgotten = new FinalizationRegistry<Decoder>((decoder) => void decoder.close())

/**
 * At the end of an epoch the next one is likely to follow: its threads stay.
 * @param owner when it is collected, the threads end. @param create must not hold on to it.
 */
export function sharedDecoder(owner: WeakKey, create: () => Decoder, signal: AbortSignal | undefined): SharedDecoder {
  const reference = new WeakRef(owner)
  let decoder: Decoder | undefined
  let users = 0
  let ending: Promise<unknown> = Promise.resolve()
  const close = async (): Promise<void> => {
    const closing = decoder
    if (closing !== undefined) {
      decoder = undefined
      forgotten.unregister(closing)
      ending = Promise.all([ending, closing.close()])
    }
    await ending // also of threads that end because an iteration was left
  }
  return {
    acquire() {
      users++
      if (decoder === undefined) {
        decoder = closingWith(signal, create())
        const alive = reference.deref()
        if (alive !== undefined) forgotten.register(alive, decoder, decoder)
      }
      return decoder
    },
    async release(isLeft) {
      users--
      if (users === 0 && isLeft) await close()
    },
    close,
  }
}

/**
 * The threads end with the signal. It often outlives many datasets: its listener knows the decoder only, which knows
 * no dataset, and goes when the decoder is closed.
 */
function closingWith(signal: AbortSignal | undefined, decoder: Decoder): Decoder {
  if (signal === undefined) return decoder
  const close = (): Promise<void> => {
    signal.removeEventListener('abort', close)
    return decoder.close()
  }
  signal.addEventListener('abort', close, { once: true })
  return { ...decoder, close }
}
