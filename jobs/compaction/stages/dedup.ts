/** The second stage: of each key one row stays. Buckets are compared as many at a time as the budget holds. */
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import { DEFAULT_DEDUP } from '../../datasets/index.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { ENTRY_WORDS, entryWords, type KeyObject, readEntries } from '../exchange/key-entries.ts'
import { FIRST_EXISTING_RUN, KeyTable, type OnLoser } from '../exchange/key-table.ts'
import { LoserLists, type LoserObject } from '../exchange/losers.ts'
import type { CompactionTask } from '../task.ts'

export interface DedupOptions extends AbortableOptions {
  readonly exchange: Exchange
  /** Number of the task within its stage. */
  readonly number: number
  readonly keys: readonly KeyObject[]
  /** Those of this task: `[from, to)`. */
  readonly buckets: readonly [number, number]
  readonly ranges: number
  /** Groups of files of the table, where its rows are compared as well. */
  readonly fileGroups?: number | undefined
}

export interface DedupOutcome {
  readonly duplicates: number
  readonly losers: readonly LoserObject[]
  /** Rows of the table that others replace: by group, file and number among its rows. */
  readonly replacedRows: number
  readonly replaced: readonly LoserObject[]
}

export async function dedupStage(task: CompactionTask, options: DedupOptions): Promise<DedupOutcome> {
  const { exchange, keys, buckets, ranges, number, fileGroups = 0, signal } = options
  const { keep } = task.dataset.dedup ?? DEFAULT_DEDUP
  const losers = new LoserLists(exchange, `losers-${number}`, ranges)
  const replaced = new LoserLists(exchange, `replaced-${number}`, fileGroups)
  const onLoser: OnLoser = (range, run, row) => {
    if (run >= FIRST_EXISTING_RUN) replaced.add(range, run, row)
    else losers.add(range, run, row)
  }
  for (const group of groupsOf(keys, buckets, task.budget.tableEntries)) {
    const table = new KeyTable(keep, onLoser)
    for (const object of keys) {
      for await (const words of readEntries(exchange, object, group, { signal })) {
        for (let at = 0; at < words.length; at += entryWords(words, at)) table.offer(words, at)
        if (losers.full) await losers.flush({ signal })
        if (replaced.full) await replaced.flush({ signal })
      }
    }
  }
  return {
    duplicates: losers.count,
    losers: await losers.close({ signal }),
    replacedRows: replaced.count,
    replaced: await replaced.close({ signal }),
  }
}

/** Neighbouring buckets together while their entries fit; one bucket at least. */
function* groupsOf(
  keys: readonly KeyObject[],
  [from, to]: readonly [number, number],
  maxEntries: number,
): Generator<readonly [number, number], void, undefined> {
  const entriesOf = (bucket: number): number =>
    keys.reduce((sum, { offsets }) => sum + offsets[bucket + 1]! - offsets[bucket]!, 0) / (ENTRY_WORDS * 4)
  let start = from
  let entries = 0
  for (let bucket = from; bucket < to; bucket++) {
    const next = entriesOf(bucket)
    if (bucket > start && entries + next > maxEntries) {
      yield [start, bucket]
      start = bucket
      entries = 0
    }
    entries += next
  }
  if (to > start) yield [start, to]
}
