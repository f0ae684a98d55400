/** Who turns units into Arrow columns in drawing order: this thread (inline-decoder.ts) or workers (worker-pool.ts). */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import type { FileRef } from '../source/plan.ts'

/** The row groups of `file` that begin in its bytes [start, end). */
export interface UnitSpan {
  readonly file: FileRef
  readonly start: number
  readonly end: number
}

export interface UnitRequest extends UnitSpan {
  /** Of `rowOrder`; `undefined`: rows as they stand. */
  readonly key: string | undefined
}

/** What reading took. Sums over all units are exact, with `takeCounters`; footers and delete files count for the unit that comes out next. */
export interface ReadCounters {
  /** Requests to the store, failed ones included. */
  readonly requests: number
  readonly bytesRead: number
  readonly cacheHits: number
  readonly cacheMisses: number
  /** Entries that the cache could not take: the disk is full or read-only. */
  readonly cacheFailures: number
  /** Requests and whole units that were tried again. */
  readonly retries: number
  readonly rowGroups: number
}

export interface DecodedUnit {
  /** Physical rows of the unit: deleted ones and those that the filter leaves out are counted. */
  readonly rows: number
  /** Which draws are live, ascending; `undefined`: all. */
  readonly draws: Uint32Array | undefined
  /** The live rows in drawing order, at most `SEGMENT_ROWS` each, with buffers of their own. */
  readonly segments: readonly RecordBatch[]
  /** Takes back values that are shared memory, once each, when nobody looks at them any more. */
  readonly giveBack?: (values: Uint8Array) => void
  readonly counters: ReadCounters
  /** Set when the unit is damaged and the policy is to go on without it: no row of it is here. */
  readonly skipped?: { readonly rows: number; readonly error: FirnError }
}

/** Rows of a segment at most: memory is given back segment by segment. */
export const SEGMENT_ROWS = 256

export interface Decoder {
  /**
   * Physical rows of a unit, by the footer of its file. When that is damaged and the policy is to skip, the manifest's
   * count for the first unit of the file, which stands for all of it, and 0 for its other units.
   * @throws {FirnError} as `decode`.
   */
  unitRows(unit: UnitSpan, signal: AbortSignal): Promise<number>
  /**
   * Calls are begun in their order, a few at a time.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT`, `FIRN_ROW_COUNT_MISMATCH`, `FIRN_DELETES_CORRUPT` (corrupt), unless
   *   such units are skipped; `FIRN_STORE_UNAVAILABLE` (unavailable) when retries are used up; `FIRN_TRANSFORM_FAILED`,
   *   `FIRN_WORKER_CRASHED` (failed); `FIRN_DATASET_CLOSED` (invalid); `signal.reason` on abort.
   */
  decode(request: UnitRequest, signal: AbortSignal): Promise<DecodedUnit>
  /** Take over what is finished already, without waiting for a turn of the event loop. */
  collect(): void
  /** What was counted and came out with no unit: what failed took requests too. */
  takeCounters(): ReadCounters
  /** Ends everything; what is not finished fails. Resolves when no thread is left. */
  close(): Promise<void>
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
