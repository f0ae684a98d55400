/**
 * Sorting more rows than memory holds: batches are collected until the budget is full, sorted by their keys, spilled
 * as a run; at the end all runs are merged. Rows of equal keys keep the order in which they came.
 */
import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions } from '../../io/object-store.ts'
import { mergeRuns } from '../../sort/merge.ts'
import { batchBytes, pickRows } from '../../sort/pick-rows.ts'
import { type KeyMaker, KeySet } from '../../sort/sort-key.ts'
import type { SpilledRun, SpillFolder } from './spill.ts'

/** What a sort may hold. */
export interface SortBudget {
  /** Rows and their keys while runs are made. */
  readonly runBytes: number
  /** Rows and keys of one input that may stay in memory while the output is written. */
  readonly residentBytes: number
  /** One batch of a run while it is merged; every run has one in memory. */
  readonly chunkBytes: number
  /** Runs merged at once; more are merged in several passes. */
  readonly fanIn: number
}

export interface SortOptions extends AbortableOptions {
  readonly keys: KeyMaker
  readonly spill: SpillFolder
  readonly budget: SortBudget
  /** Rows of an output batch. */
  readonly batchRows: number
}

/** Key words, row numbers and what sorting them needs, for one row. */
const ROW_OVERHEAD_BYTES = 64
/** Sorting copies row numbers to the JavaScript heap, which is far smaller than the memory for buffers. */
const MAX_RUN_ROWS = 2_000_000

/** Batches in sort order. Nothing comes out before all of `input` was read. */
export async function* sortBatches(
  input: AsyncIterable<RecordBatch>,
  options: SortOptions,
): AsyncGenerator<RecordBatch, void, undefined> {
  const { spill, budget, signal } = options
  const runs: SpilledRun[] = []
  const collected = new CollectedRun(options.keys)
  for await (const batch of input) {
    signal?.throwIfAborted()
    if (batch.numRows === 0) continue
    const full = collected.rows > 0 && collected.bytes + batchBytes(batch) > budget.runBytes
    if (full || collected.rows + batch.numRows > MAX_RUN_ROWS) await spillCollected()
    collected.add(batch)
  }
  if (runs.length === 0 && collected.bytes <= budget.residentBytes) {
    yield* abortable(collected.sorted(options.batchRows, Number.POSITIVE_INFINITY), signal)
    return
  }
  await spillCollected()
  yield* mergeAll(runs, options)

  async function spillCollected(): Promise<void> {
    if (collected.rows === 0) return
    runs.push(await spill.write(abortable(collected.sorted(options.batchRows, budget.chunkBytes), signal)))
    collected.clear()
  }
}

async function* abortable<T>(items: Iterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void, undefined> {
  for (const item of items) {
    signal?.throwIfAborted()
    yield item
  }
}

/** Batches as they came, until they are sorted. */
class CollectedRun {
  readonly #keys: KeyMaker
  readonly #keySet = new KeySet()
  readonly #batches: RecordBatch[] = []
  #batchBytes = 0

  constructor(keys: KeyMaker) {
    this.#keys = keys
  }

  get rows(): number {
    return this.#keySet.rows
  }

  get bytes(): number {
    return this.#batchBytes + this.#keySet.bytes + this.rows * ROW_OVERHEAD_BYTES
  }

  add(batch: RecordBatch): void {
    this.#keySet.add(this.#keys(batch), batch.numRows)
    this.#batches.push(batch)
    this.#batchBytes += batchBytes(batch)
  }

  /** In order, as batches of at most so many rows and about so many bytes. */
  *sorted(batchRows: number, batchMaxBytes: number): Generator<RecordBatch, void, undefined> {
    if (this.rows === 0) return
    const order = this.#keySet.sorted()
    const sources = new Int32Array(this.rows)
    const rows = new Int32Array(this.rows)
    let index = 0
    for (const [source, batch] of this.#batches.entries()) {
      for (let row = 0; row < batch.numRows; row++, index++) {
        sources[index] = source
        rows[index] = row
      }
    }
    const rowBytes = Math.max(1, this.#batchBytes / this.rows)
    const step = Math.max(1, Math.min(batchRows, Math.floor(batchMaxBytes / rowBytes)))
    for (let start = 0; start < order.length; start += step) {
      const part = order.subarray(start, start + step)
      yield pickRows(this.#batches, {
        sources: Int32Array.from(part, (at) => sources[at]!),
        rows: Int32Array.from(part, (at) => rows[at]!),
        count: part.length,
      })
    }
  }

  clear(): void {
    this.#keySet.clear()
    this.#batches.length = 0
    this.#batchBytes = 0
  }
}

async function* mergeAll(runs: SpilledRun[], options: SortOptions): AsyncGenerator<RecordBatch, void, undefined> {
  const { spill, budget, keys, batchRows, signal } = options
  yield* mergeRuns(runs, {
    keys,
    batchRows,
    signal,
    batchBytes: Number.POSITIVE_INFINITY,
    chunkBytes: budget.chunkBytes,
    fanIn: () => budget.fanIn,
    read: (run) => spill.read(run),
    write: (batches) => spill.write(batches),
  })
}
