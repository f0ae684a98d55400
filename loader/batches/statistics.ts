/** What a dataset has done so far, in numbers. */
import type { DecodedUnit, ReadCounters } from '../read/decoder.ts'
import type { MadeBatch } from './made-batch.ts'

/** Since the dataset was opened, over all iterations. Plain JSON. */
export interface DatasetStats extends ReadCounters {
  /** Delivered to this rank. */
  readonly batches: number
  readonly rows: number
  /** Iterations that came to their end. */
  readonly epochs: number
  /** How long the consumer waited for batches. */
  readonly waitMillis: number
  /** Of damaged row groups, with `onError: 'skip'`; counted each time they are read. */
  readonly rowsSkipped: number
  readonly unitsSkipped: number
  /** Why the last one was skipped. */
  readonly lastSkipped: string | undefined
  /** Decoded rows in memory: now, at most at a time in one iteration, and what an iteration may hold. */
  readonly residentBytes: number
  readonly peakResidentBytes: number
  readonly budgetBytes: number
  /** With token budgets: tokens of delivered rows, and what they take once padded. */
  readonly tokens: number
  readonly paddedTokens: number
  /** Part of the padded tokens that is padding; 0 without token budgets. */
  readonly paddingWaste: number
  /** Tag that keeps the snapshot from expiry; undefined: there is none. */
  readonly pinned: string | undefined
}

export interface Counters {
  delivered(made: MadeBatch, waitMillis: number): void
  decoded(unit: DecodedUnit): void
  read(counters: ReadCounters): void
  ended(): void
  values(): Omit<DatasetStats, 'residentBytes' | 'peakResidentBytes' | 'budgetBytes' | 'pinned'>
}

const READ = [
  'requests',
  'bytesRead',
  'cacheHits',
  'cacheMisses',
  'cacheFailures',
  'retries',
  'rowGroups',
] as const satisfies readonly (keyof ReadCounters)[]

export function createCounters(): Counters {
  const read = { requests: 0, bytesRead: 0, cacheHits: 0, cacheMisses: 0, cacheFailures: 0, retries: 0, rowGroups: 0 }
  const sums = {
    batches: 0,
    rows: 0,
    epochs: 0,
    waitMillis: 0,
    rowsSkipped: 0,
    unitsSkipped: 0,
    tokens: 0,
    paddedTokens: 0,
  }
  let lastSkipped: string | undefined
  const addRead = (counters: ReadCounters): void => {
    for (const name of READ) read[name] += counters[name]
  }
  return {
    delivered({ batch, tokens, paddedTokens }, waitMillis) {
      sums.batches++
      sums.rows += batch?.numRows ?? 0
      sums.waitMillis += waitMillis
      sums.tokens += tokens
      sums.paddedTokens += paddedTokens
    },
    decoded({ counters, skipped }) {
      addRead(counters)
      if (skipped === undefined) return
      sums.unitsSkipped++
      sums.rowsSkipped += skipped.rows
      lastSkipped = skipped.error.message
    },
    read: addRead,
    ended: () => void sums.epochs++,
    values() {
      const { tokens, paddedTokens } = sums
      const paddingWaste = paddedTokens === 0 ? 0 : 1 - tokens / paddedTokens
      return { ...read, ...sums, lastSkipped, paddingWaste }
    },
  }
}
