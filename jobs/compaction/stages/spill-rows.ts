/**
 * Collected rows to one sorted run per range, and their keys to buckets. The order of rows is (partition, sort key,
 * input object, record): total, so that ranges split even rows that sort alike, and the rows of a table come in the
 * same order whatever the ranges, runs and tasks.
 */
import type { RecordBatch } from 'apache-arrow'
import { epochMicros } from '../../../table/ids.ts'
import { arrowSchema, KeyBuffer, type KeyMaker, partitionedKeyMaker, sortKeyMaker } from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import { Utf8Column } from '../enrich/columns.ts'
import type { EnrichedRows } from '../enrich/enrich.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { KeyEntries, type KeyObject } from '../exchange/key-entries.ts'
import { type SpilledRun, writeRun } from '../exchange/runs.ts'
import { KeyMarks } from '../existing/key-marks.ts'
import { type Gatherer, gatherer } from '../gather.ts'
import { layoutOf, partitionKeys, sortKeys, type TableLayout } from '../layout.ts'
import { partitionAndSort } from '../order.ts'
import type { CompactionTask } from '../task.ts'
import { type CollectedRows, isOfTable } from './read.ts'

/** What a task left in the exchange; plain JSON. */
export interface SpilledShare {
  readonly runs: readonly (SpilledRun & { readonly range: number })[]
  readonly keys: readonly KeyObject[]
  /** Which keys there are, as far as `keyPoints` tell: see `existing/key-marks.ts`. */
  readonly keyMarks?: string
}

export interface Spiller {
  spill(collected: CollectedRows): Promise<void>
  readonly share: SpilledShare
}

/** Numbers of runs of one task are below it. */
const RUNS_PER_TASK = 2 ** 24

export interface SpillOptions extends AbortableOptions {
  readonly exchange: Exchange
  /** Number of the task within its stage, whose names and runs are its own. */
  readonly number: number
  /** Upper ends of all ranges but the last, as `boundaryKey` makes them. */
  readonly boundaries: readonly Uint8Array[]
  /** Between which of them keys lie is noted. */
  readonly keyPoints?: readonly Uint8Array[] | undefined
}

export function createSpiller(task: CompactionTask, options: SpillOptions): Spiller {
  const { exchange, number, boundaries, keyPoints, signal } = options
  const marks = keyPoints === undefined ? undefined : new KeyMarks(keyPoints)
  // the order by origin begins with the arrival, which rows of the table may not have
  const byOrigin = isOfTable(task.dataset)
  const runs: (SpilledRun & { range: number })[] = []
  const keys: KeyObject[] = []
  return {
    get share() {
      return { runs, keys, ...(marks === undefined ? {} : { keyMarks: marks.print() }) }
    },
    async spill(collected) {
      const { rows, objects, records, origins } = collected
      if (rows.rowCount === 0) return
      const run = number * RUNS_PER_TASK + keys.length
      const sorted = sortCollected(task, rows)
      const { order } = sorted
      const ends = rangeEnds(sorted, collected, boundaries)
      const entries = new KeyEntries(run)
      const keyColumn = rows.columns.get(rows.dataset.key) as Utf8Column
      let start = 0
      for (const [range, end] of ends.entries()) {
        if (end > start) {
          const batches = sorted.batches(start, end, task.budget.blockBytes, task.rowGroupRows)
          const written = await writeRun(exchange, `run-${run}-${range}`, run, batches, { signal })
          runs.push({ range, ...written })
        }
        for (let at = start; at < end; at++) {
          const row = order[at]!
          marks?.add(keyColumn.bytes(row))
          entries.add({
            key: keyColumn.bytes(row),
            arrivalMillis: byOrigin ? 0 : Number(rows.arrivals.at(row)),
            object: objects[row]!,
            record: records[row]!,
            origin: origins?.[row],
            range,
            row: at - start,
          })
        }
        start = end
      }
      keys.push(await entries.write(exchange, `keys-${run}`, { signal }))
    },
  }
}

export interface SortedRows {
  /** Row numbers in the order of the table. */
  readonly order: Uint32Array
  readonly gather: Gatherer
  readonly keysOf: KeyMaker
  /** Rows `order[start, end)`, at most so many rows and about so many bytes each. */
  batches(start: number, end: number, maxBytes: number, maxRows: number): Generator<RecordBatch, void, undefined>
}

/** Partition first, then the table's sort order. */
export const tableKeyMaker = ({ schema, spec, sortOrder }: TableLayout): KeyMaker =>
  partitionedKeyMaker(schema, spec, sortKeyMaker(schema, sortOrder))

export function sortCollected(task: CompactionTask, rows: EnrichedRows): SortedRows {
  const layout = layoutOf(task)
  const compactedAt = BigInt(task.compactedAt)
  const all = Uint32Array.from({ length: rows.rowCount }, (_, row) => row)
  const partitions = partitionAndSort(all, partitionKeys(rows, layout, compactedAt), sortKeys(rows, layout))
  const order = new Uint32Array(rows.rowCount)
  let at = 0
  for (const { rows: part } of partitions) {
    order.set(part, at)
    at += part.length
  }
  const gather = gatherer(rows, arrowSchema(layout.schema), epochMicros(compactedAt))
  return {
    order,
    gather,
    keysOf: tableKeyMaker(layout),
    *batches(start, end, maxBytes, maxRows) {
      for (const [from, to] of pieces(rows, order, start, end, maxBytes, maxRows)) yield gather(order, from, to)
    },
  }
}

/** Cuts `order[start, end)` where rows or bytes are enough. */
export function* pieces(
  rows: EnrichedRows,
  order: Uint32Array,
  start: number,
  end: number,
  maxBytes: number,
  maxRows: number,
): Generator<readonly [number, number], void, undefined> {
  const texts = [...rows.columns.values()].filter((column) => column instanceof Utf8Column)
  const fixedBytes = rows.columns.size * 8
  let from = start
  let bytes = 0
  for (let at = start; at < end; at++) {
    let rowBytes = fixedBytes
    for (const column of texts) rowBytes += column.byteLength(order[at]!)
    if (at > from && (bytes + rowBytes > maxBytes || at - from >= maxRows)) {
      yield [from, at]
      from = at
      bytes = 0
    }
    bytes += rowBytes
  }
  if (end > from) yield [from, end]
}

/** A boundary longer than this is cut: ranges may then be uneven, not wrong. */
const MAX_BOUNDARY_BYTES = 1024

/** Of row `order[at]`: its key in the order of the table, then its place in the input. */
export function boundaryKey(sorted: SortedRows, collected: CollectedRows, at: number): Uint8Array {
  const row = sorted.order[at]!
  const key = new KeyBuffer()
  sorted.keysOf(sorted.gather(sorted.order, at, at + 1))(0, key)
  const place = key.reserve(8)
  key.bytes.writeUInt32BE(collected.objects[row]!, place)
  key.bytes.writeUInt32BE(collected.records[row]!, place + 4)
  return Uint8Array.from(key.bytes.subarray(0, Math.min(key.length, MAX_BOUNDARY_BYTES)))
}

/** Where in the order each range ends; equal neighbours: a range without rows. */
function rangeEnds(sorted: SortedRows, collected: CollectedRows, boundaries: readonly Uint8Array[]): readonly number[] {
  const ends: number[] = []
  for (const boundary of boundaries) {
    let low = ends.at(-1) ?? 0
    let high = sorted.order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (Buffer.compare(boundaryKey(sorted, collected, middle), boundary) < 0) low = middle + 1
      else high = middle
    }
    ends.push(low)
  }
  return [...ends, sorted.order.length]
}
