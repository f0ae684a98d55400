/** Who turns a unit into Arrow columns: this thread (here) or worker threads (worker-pool.ts). */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import type { Unit, UnitReader } from '../source/units.ts'

export interface Decoder {
  /**
   * The rows of `unit`. Calls are served in their order, a few at a time.
   * @throws {FirnError} as `UnitReader.read`; `signal.reason` on abort.
   */
  decode(unit: Unit, signal: AbortSignal): Promise<RecordBatch>
  /** Take over what is finished already, without waiting for a turn of the event loop. */
  collect(): void
  /** Ends everything; what is not finished fails. Resolves when no thread is left. */
  close(): Promise<void>
}

/** Units read at once in this thread: waiting for the store overlaps, decoding does not. */
const INLINE_READS = 4

export function inlineDecoder(reader: UnitReader): Decoder {
  const gate = createGate(INLINE_READS)
  let closed = false
  return {
    decode: (unit, signal) =>
      gate(() => {
        signal.throwIfAborted()
        if (closed) throw decoderClosed()
        return reader.read(unit.file, unit.rowGroup, signal)
      }),
    collect: () => {},
    close: async () => {
      closed = true
    },
  }
}

export const decoderClosed = (): FirnError =>
  new FirnError('invalid', 'FIRN_DATASET_CLOSED', 'the dataset was closed', { help: 'Open it again: openDataset(…)' })

/** Runs at most `width` calls at once, first come, first served. */
export function createGate(width: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (run) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
