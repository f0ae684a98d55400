/**
 * Sorting more rows than memory holds: batches are collected until the budget is full, sorted by their keys, spilled
 * as a run; at the end all runs are merged. Rows of equal keys keep the order in which they came.
 */
import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions } from '../../io/object-store.ts'
import { batchBytes, pickRows } from './pick-rows.ts'
import { type KeyMaker, KeySet } from './sort-key.ts'
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
  const { spill, budget } = options
  let level = runs
  while (level.length > budget.fanIn) {
    const next: SpilledRun[] = []
    // neighbours stay neighbours, so that rows of equal keys keep their order
    for (let start = 0; start < level.length; start += budget.fanIn) {
      const part = level.slice(start, start + budget.fanIn)
      if (part.length === 1) next.push(part[0]!)
      else next.push(await spill.write(merge(part, options, budget.chunkBytes)))
    }
    level = next
  }
  yield* merge(level, options, Number.POSITIVE_INFINITY)
}

/** One run being merged: its batch in memory and the row that is next. */
interface Cursor {
  readonly batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly run: number
  readonly keys: KeySet
  batch: RecordBatch
  row: number
  /** Number of its batch among those that the output batch picks from; -1: none yet. */
  source: number
}

async function* merge(
  runs: readonly SpilledRun[],
  options: SortOptions,
  batchMaxBytes: number,
): AsyncGenerator<RecordBatch, void, undefined> {
  const { signal, spill } = options
  const opened: AsyncGenerator<RecordBatch, void, undefined>[] = []
  try {
    const heap: Cursor[] = []
    for (const [run, spilled] of runs.entries()) {
      const batches = spill.read(spilled)
      opened.push(batches)
      const first = await batches.next()
      if (first.done === true) continue
      const keys = new KeySet()
      keys.add(options.keys(first.value), first.value.numRows)
      heap.push({ batches, run, keys, batch: first.value, row: 0, source: -1 })
    }
    for (let index = (heap.length >> 1) - 1; index >= 0; index--) sink(heap, index)
    const output = new MergedBatch(options.batchRows, batchMaxBytes)
    while (heap.length > 0) {
      const top = heap[0]!
      output.take(top)
      if (output.full) {
        signal?.throwIfAborted()
        yield output.flush(heap)
      }
      if (++top.row === top.batch.numRows && !(await advance(top, options.keys))) {
        heap[0] = heap.at(-1)!
        heap.pop()
      }
      sink(heap, 0)
    }
    if (output.rows > 0) yield output.flush(heap)
  } finally {
    for (const batches of opened) await batches.return()
  }
}

async function advance(cursor: Cursor, keys: KeyMaker): Promise<boolean> {
  const next = await cursor.batches.next()
  if (next.done === true) return false
  cursor.batch = next.value
  cursor.row = 0
  cursor.source = -1
  cursor.keys.clear()
  cursor.keys.add(keys(next.value), next.value.numRows)
  return true
}

const before = (a: Cursor, b: Cursor): boolean => (a.keys.compare(a.row, b.keys, b.row) || a.run - b.run) < 0

/** Restores the heap below `start`, whose cursor moved on. */
function sink(heap: Cursor[], start: number): void {
  let at = start
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.length) return
    const right = left + 1
    const child = right < heap.length && before(heap[right]!, heap[left]!) ? right : left
    if (!before(heap[child]!, heap[at]!)) return
    const moved = heap[at]!
    heap[at] = heap[child]!
    heap[child] = moved
    at = child
  }
}

/** Rows taken in order from the cursors' batches, which stay in memory until the rows are copied. */
class MergedBatch {
  readonly #maxRows: number
  readonly #maxBytes: number
  readonly #batches: RecordBatch[] = []
  readonly #rowBytes: number[] = []
  readonly #sources: Int32Array
  readonly #rows: Int32Array
  #bytes = 0
  rows = 0

  constructor(maxRows: number, maxBytes: number) {
    this.#maxRows = maxRows
    this.#maxBytes = maxBytes
    this.#sources = new Int32Array(maxRows)
    this.#rows = new Int32Array(maxRows)
  }

  get full(): boolean {
    return this.rows === this.#maxRows || this.#bytes >= this.#maxBytes
  }

  take(cursor: Cursor): void {
    if (cursor.source < 0) {
      cursor.source = this.#batches.length
      this.#batches.push(cursor.batch)
      this.#rowBytes.push(batchBytes(cursor.batch) / cursor.batch.numRows)
    }
    this.#sources[this.rows] = cursor.source
    this.#rows[this.rows++] = cursor.row
    this.#bytes += this.#rowBytes[cursor.source]!
  }

  flush(cursors: readonly Cursor[]): RecordBatch {
    const count = this.rows
    const batch = pickRows(this.#batches, { sources: this.#sources, rows: this.#rows, count })
    this.#batches.length = 0
    this.#rowBytes.length = 0
    this.#bytes = 0
    this.rows = 0
    for (const cursor of cursors) cursor.source = -1
    return batch
  }
}
