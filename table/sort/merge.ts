/**
 * Merging sorted runs: of each run one batch is in memory, whatever its length. Where there are more runs than may be
 * open at once, neighbours are merged into longer ones first.
 */
import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions } from '../io/object-store.ts'
import { batchBytes, pickRows } from './pick-rows.ts'
import { type KeyMaker, KeySet } from './sort-key.ts'

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

export interface MergeOptions extends AbortableOptions {
  readonly keys: KeyMaker
  /** Rows and bytes of an output batch, at most; one row may exceed the bytes. */
  readonly batchRows: number
  readonly batchBytes: number
}

export interface MergeRunsOptions<Run> extends MergeOptions {
  /** Bytes of a batch of a run that a pass in between writes. */
  readonly chunkBytes: number
  /** How many of these, which are the first that are left, are merged at once; at least 2. */
  fanIn(runs: readonly Run[]): number
  read(run: Run): AsyncGenerator<RecordBatch, void, undefined>
  write(batches: AsyncIterable<RecordBatch>): Promise<Run>
}

/** Sorted runs as one, in several passes when there are more than may be merged at once. */
export async function* mergeRuns<Run>(
  runs: readonly Run[],
  options: MergeRunsOptions<Run>,
): AsyncGenerator<RecordBatch, void, undefined> {
  let level = runs
  for (;;) {
    if (level.length <= Math.max(2, options.fanIn(level))) break
    const next: Run[] = []
    // neighbours stay neighbours, so that rows of equal keys keep their order
    for (let start = 0; start < level.length; ) {
      const rest = level.slice(start)
      const part = rest.slice(0, Math.max(2, options.fanIn(rest)))
      start += part.length
      if (part.length === 1) next.push(part[0]!)
      else {
        const batches = mergeBatches(part.map(options.read), { ...options, batchBytes: options.chunkBytes })
        next.push(await options.write(batches))
      }
    }
    level = next
  }
  yield* mergeBatches(level.map(options.read), options)
}

/** Sorted sources as one. Rows of equal keys come in the order of the sources. Every source is closed at the end. */
export async function* mergeBatches(
  sources: readonly AsyncGenerator<RecordBatch, void, undefined>[],
  options: MergeOptions,
): AsyncGenerator<RecordBatch, void, undefined> {
  const { signal } = options
  try {
    const heap: Cursor[] = []
    for (const [run, batches] of sources.entries()) {
      const first = await nextRows(batches)
      if (first === undefined) continue
      const keys = new KeySet()
      keys.add(options.keys(first), first.numRows)
      heap.push({ batches, run, keys, batch: first, row: 0, source: -1 })
    }
    for (let index = (heap.length >> 1) - 1; index >= 0; index--) sink(heap, index)
    const output = new MergedBatch(options.batchRows, options.batchBytes)
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
    for (const batches of sources) await batches.return()
  }
}

async function nextRows(batches: AsyncGenerator<RecordBatch, void, undefined>): Promise<RecordBatch | undefined> {
  for (;;) {
    const next = await batches.next()
    if (next.done === true) return undefined
    if (next.value.numRows > 0) return next.value
  }
}

async function advance(cursor: Cursor, keys: KeyMaker): Promise<boolean> {
  const next = await nextRows(cursor.batches)
  if (next === undefined) return false
  cursor.batch = next
  cursor.row = 0
  cursor.source = -1
  cursor.keys.clear()
  cursor.keys.add(keys(next), next.numRows)
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
