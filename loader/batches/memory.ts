/** What of `memoryLimit` is left for decoded units, and whether a block fits. */
import { FirnError } from '../../table/errors.ts'
import { DEFAULT_BLOCK_BYTES, type ResolvedOptions } from '../options.ts'
import { SEQUENTIAL_PART } from '../order/blocks.ts'
import type { LoaderPlan } from '../source/plan.ts'

/**
 * Beside decoded units, whatever the table: code, footers, and batches that the consumer is done with, of which the
 * garbage collector lets up to 90 MB come together.
 */
const BASE_BYTES = 112 * 2 ** 20
/** A thread's heap, and two units in its hands: compressed, a column's pages, and what comes out. */
const THREAD_BYTES = 42 * 2 ** 20
/** Of the largest unit: what is needed while it is decoded, beside its decoded size. */
const DECODING = 0.6
/** Of the largest unit: more would be held, and no batch come sooner. */
const AHEAD = 2
/** A batch in the making, and one that the consumer holds. */
const BATCHES_AT_ONCE = 2
const SHORT_ROW_TOKENS = 64

interface MemoryUse {
  readonly memoryLimit: number
  /** Estimated decoded bytes of each unit. */
  readonly unitBytes: readonly number[]
  /** Estimated, of the whole table. */
  readonly rows: number
  readonly batchRows: number
  readonly prefetchBatches: number
  readonly numWorkers: number
  /** What a block may hold, unless it is a single unit. */
  readonly blockBytes: number
}

export interface MemoryPlan {
  /** For decoded units, here and on their way. */
  readonly budgetBytes: number
  /** Of the budget, as far as reading goes ahead: a block, and what is needed to fill the next one while it drains. */
  readonly aheadBytes: number
  readonly reserveBytes: number
  /** Of the largest block, decoded. */
  readonly blockBytes: number
  /** The least that `memoryLimit` may be. */
  readonly neededBytes: number
}

/** As `planMemory`, of a dataset. */
export function planMemoryOf(plan: LoaderPlan, options: ResolvedOptions): MemoryPlan {
  const { batch, shuffle, memoryLimitBytes, prefetchBatches, numWorkers } = options
  return planMemory({
    memoryLimit: memoryLimitBytes,
    unitBytes: plan.units.map(({ bytes }) => bytes),
    rows: plan.files.reduce((sum, { recordCount }) => sum + recordCount, 0),
    // of a token budget only the tokens are known
    batchRows: batch.kind === 'rows' ? batch.size : Math.ceil(batch.maxTokens / SHORT_ROW_TOKENS),
    prefetchBatches,
    numWorkers,
    blockBytes: shuffle?.blockBytes ?? DEFAULT_BLOCK_BYTES / SEQUENTIAL_PART,
  })
}

/** @throws {FirnError} `FIRN_MEMORY_LIMIT` (invalid) when a block does not fit, naming the limit that would do. */
function planMemory(use: MemoryUse): MemoryPlan {
  let total = 0
  let largest = 0
  for (const bytes of use.unitBytes) {
    total += bytes
    largest = Math.max(largest, bytes)
  }
  const batchBytes = use.rows === 0 ? 0 : Math.min(total, (total / use.rows) * use.batchRows)
  const reserveBytes = Math.ceil(
    BASE_BYTES + THREAD_BYTES * use.numWorkers + batchBytes * (use.prefetchBatches + BATCHES_AT_ONCE),
  )
  const blockBytes = Math.min(total, Math.max(use.blockBytes, largest))
  const neededBytes = Math.ceil(blockBytes + largest * DECODING + reserveBytes)
  if (neededBytes > use.memoryLimit) throw memoryLimitError(neededBytes, use.memoryLimit, 'a block of the shuffle')
  const budgetBytes = use.memoryLimit - reserveBytes
  const aheadBytes = Math.min(budgetBytes, Math.ceil(blockBytes + largest * AHEAD))
  return { budgetBytes, aheadBytes, reserveBytes, blockBytes, neededBytes }
}

/** @param limitBytes `memoryLimit`, as it is set. */
export function memoryLimitError(neededBytes: number, limitBytes: number, why: string): FirnError {
  const [needed, limit] = [megabytes(neededBytes), megabytes(limitBytes)]
  return new FirnError('invalid', 'FIRN_MEMORY_LIMIT', `${why}: ${needed} MB needed, memoryLimit is ${limit} MB`, {
    detail: { neededBytes, limitBytes },
    help: `Set memoryLimit: '${needed}MB' or more, or a smaller shuffle.blockBytes, which makes another order.`,
  })
}

/** Rounded up, so that what an error asks for is enough. */
const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6)
