/** One iteration over an epoch: its order, its memory, its reads, put together. */
import type { Schema as ArrowSchema } from 'apache-arrow'
import { DEFAULT_BLOCK_BYTES, type ResolvedOptions } from '../options.ts'
import { blockV1, type EpochBlocks, sequentialBlocks } from '../order/blocks.ts'
import type { DecodedUnit, Decoder } from '../read/decoder.ts'
import type { LoaderPlan } from '../source/plan.ts'
import { type MemoryBudget, memoryBudget } from './budget.ts'
import type { EpochRun } from './epoch-iterator.ts'
import { unitFeed } from './feed.ts'
import { gatherer } from './gather.ts'
import { lengthsOf } from './lengths.ts'
import type { BatchMaker, Position } from './made-batch.ts'
import type { MemoryPlan } from './memory.ts'
import { sizedBatches } from './sized-batches.ts'
import { tokenBatches } from './token-batches.ts'

export interface RunOptions {
  readonly plan: LoaderPlan
  readonly options: ResolvedOptions
  /** Of every batch. */
  readonly schema: ArrowSchema
  readonly memory: MemoryPlan
  readonly epoch: number
  readonly start: Position
  readonly decoder: Decoder
  readonly signal: AbortSignal
  readonly onChange: () => void
  readonly onDecoded: (unit: DecodedUnit) => void
}

/** Units that a thread has in its hands: one waits for the store while the other is decoded. */
const UNITS_PER_THREAD = 2
/** Decoding in this thread. */
const UNITS_INLINE = 4

export interface OpenedRun extends Omit<EpochRun, 'close' | 'ready'> {
  readonly budget: MemoryBudget
  /** Frees the memory and stops what is under way. */
  stop(): void
}

export function startRun(run: RunOptions): OpenedRun {
  const { plan, options, schema, memory, start, decoder } = run
  const stop = new AbortController()
  const blocks = blocksOf(plan, options, run.epoch)
  const { budgetBytes, aheadBytes } = memory
  const budget = memoryBudget(budgetBytes, options.numWorkers * UNITS_PER_THREAD || UNITS_INLINE, aheadBytes)
  const byTokens = options.batch.kind === 'tokens'
  const feed = unitFeed({
    blocks,
    unitBytes: plan.units.map(({ bytes }) => bytes),
    unitAt: (index) => {
      const unit = plan.units[index]!
      return { file: plan.files[unit.file]!, start: unit.start, end: unit.end }
    },
    decoder,
    budget,
    reserveBytes: memory.reserveBytes,
    // batches of a budget are planned from the beginning of their block
    start: byTokens ? { block: start.block, offset: 0 } : start,
    signal: AbortSignal.any([run.signal, stop.signal]),
    onChange: run.onChange,
    onDecoded: run.onDecoded,
  })
  const gather = gatherer(schema)
  const shared = { feed, blockCount: blocks.count, gather, shard: options.shard, start }
  const { batch, dropLast } = options
  const maker: BatchMaker =
    batch.kind === 'tokens'
      ? tokenBatches({ ...shared, batching: batch, lengthOf: lengthsOf(schema, batch.lengthColumn) })
      : sizedBatches({ ...shared, size: batch.size, dropLast })
  return {
    maker,
    budget,
    collect: () => decoder.collect(),
    stop() {
      stop.abort()
      feed.close()
    },
  }
}

export function blocksOf(plan: LoaderPlan, { shuffle }: ResolvedOptions, epoch: number): EpochBlocks {
  const unitBytes = plan.units.map(({ bytes }) => bytes)
  if (shuffle === undefined) return sequentialBlocks(unitBytes, DEFAULT_BLOCK_BYTES)
  const { tableUuid, snapshotId } = plan
  return blockV1(unitBytes, { tableUuid, snapshotId, seed: shuffle.seed, epoch }, shuffle.blockBytes)
}
