/** Decodes in this thread: waiting for the store overlaps, decoding does not. */
import type { Clock } from '../../table/clock.ts'
import type { ObjectStore } from '../../table/index.ts'
import type { ReadSetup } from '../source/plan.ts'
import { createGate, type Decoder, decoderClosed } from './decoder.ts'
import { type OnError, skippingDecoder } from './skip.ts'
import { unitReader } from './unit-reader.ts'

export interface DecoderOptions {
  readonly setup: ReadSetup
  /** Rooted where `setup.storeUrl` is. */
  readonly store: ObjectStore
  readonly clock: Clock
  /** `skip`: units whose bytes are damaged come out empty. What is not available is an error in any case. */
  readonly onError: OnError
}

/** Units read at once. */
const INLINE_READS = 4

export function inlineDecoder({ setup, store, clock, onError }: DecoderOptions): Decoder {
  const closing = new AbortController()
  const reader = unitReader({ setup, store, clock, signal: closing.signal })
  const gate = createGate(INLINE_READS)
  const run = <T>(signal: AbortSignal, read: (either: AbortSignal) => Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    closing.signal.throwIfAborted()
    return read(AbortSignal.any([signal, closing.signal]))
  }
  const decoder: Decoder = {
    unitRows: async (unit, signal) => run(signal, (either) => reader.unitRows(unit, either)),
    decode: (request, signal) => gate(async () => run(signal, (either) => reader.decode(request, either))),
    collect: () => {},
    takeCounters: () => reader.takeCounters(),
    close: async () => closing.abort(decoderClosed()),
  }
  return skippingDecoder(decoder, onError)
}
