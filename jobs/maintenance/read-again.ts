/** Whether what a run refused is a second copy, going by how far it read and how far others did. */
import { comparePositions } from '../../ingest/index.ts'
import type { JsonManifest } from '../compaction/manifest.ts'
import { isEnded, type Positions, sequenceOf } from '../compaction/positions.ts'

/**
 * True when every record that the run read is still to be read by `table`, or was read by runs whose manifests are
 * `committed`: then refused records of the run are in staging, or among the refused ones of those. Where the table
 * stands past the run's records and nobody is known to have read them, it was this run: also when its snapshot has
 * gone from the history without a trace.
 * @param committed of snapshots that the table has.
 */
export function isReadOrUnread(run: JsonManifest, table: Positions, committed: readonly JsonManifest[]): boolean {
  // what a run read cannot be told from a manifest that was made again without the metadata of its time
  if (run.positions === null) return false
  const { before, after } = run.positions
  return Object.entries(after).every(([incarnation, shards]) =>
    Object.entries(shards).every(([shardId, to]) => {
      const from = before[incarnation]?.[shardId]
      if (!isPast(to, from)) return true
      return (
        !isPast(table[incarnation]?.[shardId], from) || isCovered(from, to, rangesOf(committed, incarnation, shardId))
      )
    }),
  )
}

interface Range {
  readonly from: string | undefined
  readonly to: string | undefined
}

const rangesOf = (committed: readonly JsonManifest[], incarnation: string, shardId: string): readonly Range[] =>
  committed.flatMap(({ records, positions }) =>
    // a rollback moves positions and reads nothing
    records === null || positions === null
      ? []
      : [{ from: positions.before[incarnation]?.[shardId], to: positions.after[incarnation]?.[shardId] }],
  )

function isCovered(from: string | undefined, to: string, ranges: readonly Range[]): boolean {
  let reached = from
  while (isPast(to, reached)) {
    const next = ranges.find((range) => !isPast(range.from, reached) && isPast(range.to, reached))
    if (next === undefined) return false
    reached = next.to
  }
  return true
}

/** Whether `a` has more of a shard than `b`; `undefined` is its start. */
export function isPast(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined
  const order = comparePositions(sequenceOf(a), sequenceOf(b))
  return order > 0 || (order === 0 && isEnded(a) && !isEnded(b))
}
