/** What of staging a table has not consumed, told of on `firn:compaction`: how far a table is behind what has landed. */
import { comparePositions, START_POSITION } from '../../ingest/index.ts'
import { compactionChannel, type StagingMessage } from '../../table/diagnostics.ts'
import type { ListedChain, ListedStream } from './plan.ts'
import { incarnationName, isEnded, type Positions, type ShardPositions, sequenceOf } from './positions.ts'

/**
 * Tell when the oldest chunk was written that has records past `positions`.
 * @param staging as it was listed for the plan: what landed since is not in it.
 */
export function tellUnconsumed(
  told: Pick<StagingMessage, 'table' | 'streams' | 'when'>,
  staging: readonly ListedStream[],
  positions: Positions,
): void {
  if (!compactionChannel.hasSubscribers) return
  compactionChannel.publish({ kind: 'staging', ...told, oldestMillis: oldestUnconsumed(staging, positions) })
}

/** `undefined`: there is no such chunk. */
export function oldestUnconsumed(staging: readonly ListedStream[], positions: Positions): number | undefined {
  let oldest: number | undefined
  for (const stream of staging) {
    const consumed = positions[incarnationName(stream)] ?? {}
    for (const chain of stream.chains) {
      const written = firstUnconsumed(chain, consumed)
      if (written !== undefined) oldest = Math.min(oldest ?? written, written)
    }
  }
  return oldest
}

/** Chunks of a chain are written one after the other: the first that is not consumed is its oldest. */
function firstUnconsumed(
  { shardId, chunks, tail, writtenMillis }: ListedChain,
  consumed: ShardPositions,
): number | undefined {
  const position = Object.hasOwn(consumed, shardId) ? consumed[shardId] : undefined
  if (tail === undefined || isEnded(position)) return undefined
  const sequence = position === undefined ? START_POSITION : sequenceOf(position)
  const index = chunks.findIndex((_chunk, at) => comparePositions(chunks[at + 1]?.after ?? tail.last, sequence) > 0)
  return index < 0 ? undefined : writtenMillis?.[index]
}
