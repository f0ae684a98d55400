/**
 * Which chunks of one stream nobody needs. Pure.
 *
 * A chunk may go when a later one continues at or before every position that a table stands at or can go back to, and
 * it and all chunks before it are old. The last chunk of a chain stays: it is the checkpoint of landing, and its key
 * what keeps a late writer out. A whole chain goes only when nothing can ask for it any more: its end is consumed
 * everywhere, Kinesis does not list the shard, and its children have chains, so that order is not lost with it.
 */
import { comparePositions } from '../../../ingest/index.ts'
import type { EpochMillis } from '../../../table/ids.ts'
import { isEnded, type ShardPositions, sequenceOf } from '../../compaction/positions.ts'

export interface PrunableChunk {
  /** The position that the chunk continues. */
  readonly after: string
  readonly key: string
  readonly sizeBytes: number
  readonly lastModifiedMillis: number
}

export interface PrunableChain {
  readonly shardId: string
  /** In the order of the shard, at least one. */
  readonly chunks: readonly PrunableChunk[]
  /** Of the last chunk; needed only where whole chains may go. */
  readonly tail?: { readonly ended: boolean; readonly parents: readonly string[] } | undefined
}

/** Where a table stands in the stream, or stood at a snapshot that it can go back to. */
export interface Need {
  readonly table: string
  /** Decimal; null for the table as it is now. */
  readonly snapshotId: string | null
  /** A shard that is not in it has not been begun. `'unknown'`: everything may be needed. */
  readonly positions: ShardPositions | 'unknown'
}

/** A shard that the source lists. */
export interface ListedShard {
  readonly shardId: string
  readonly parents: readonly string[]
}

export interface PruneInput {
  readonly chains: readonly PrunableChain[]
  /** At least one. */
  readonly needs: readonly Need[]
  /** Nothing that was written at or after this time goes. */
  readonly olderThanMillis: EpochMillis
  /** Every shard that still exists, or that landing remembers. `undefined`: not known, so every chain keeps its last chunk. */
  readonly listed: readonly ListedShard[] | undefined
}

export interface PrunedChain {
  readonly shardId: string
  /** To be deleted in this order, the oldest first. */
  readonly chunks: readonly PrunableChunk[]
  /** Nothing is left of the chain then. */
  readonly whole: boolean
  /** Chains that must be gone before the last chunk of this one goes. */
  readonly afterChains: readonly string[]
}

export interface Held {
  readonly table: string
  readonly snapshotId: string | null
  /** Old enough to go, and the last thing that keeps them is this need. */
  readonly chunks: number
  readonly bytes: number
}

export interface StreamPrune {
  readonly chains: readonly PrunedChain[]
  /** Old chunks that are kept for a table. */
  readonly held: readonly Held[]
}

/** @returns in the order of shard ids; chains that lose nothing are left out. */
export function planStreamPrune(input: PruneInput): StreamPrune {
  const whole = wholeChains(input)
  const held = new Map<Need, { chunks: number; bytes: number }>()
  const chains: PrunedChain[] = []
  for (const chain of [...input.chains].sort((a, b) => (a.shardId < b.shardId ? -1 : 1))) {
    const afterChains = whole.get(chain.shardId)
    const { need, index } = firstNeeded(chain, input.needs)
    const end = afterChains === undefined ? Math.min(index, chain.chunks.length - 1) : chain.chunks.length
    const old = oldPrefix(chain, input.olderThanMillis)
    const chunks = chain.chunks.slice(0, Math.min(end, old))
    for (const { sizeBytes } of chain.chunks.slice(index, Math.min(old, chain.chunks.length - 1))) {
      const sum = held.get(need) ?? { chunks: 0, bytes: 0 }
      held.set(need, { chunks: sum.chunks + 1, bytes: sum.bytes + sizeBytes })
    }
    if (chunks.length === 0) continue
    const { shardId } = chain
    chains.push({ shardId, chunks, whole: afterChains !== undefined, afterChains: afterChains ?? [] })
  }
  const heldBy = [...held].map(([{ table, snapshotId }, sum]) => ({ table, snapshotId, ...sum }))
  return { chains, held: heldBy.sort((a, b) => b.bytes - a.bytes) }
}

/** Number of chunks from the oldest on that are old enough. */
function oldPrefix({ chunks }: PrunableChain, olderThanMillis: EpochMillis): number {
  const young = chunks.findIndex(({ lastModifiedMillis }) => lastModifiedMillis >= olderThanMillis)
  return young < 0 ? chunks.length : young
}

/** Index of the oldest chunk that some need reads, as a plan of compaction would find it. */
function firstNeeded({ shardId, chunks }: PrunableChain, needs: readonly Need[]): { need: Need; index: number } {
  let [need, index] = [needs[0]!, chunks.length]
  for (const each of needs) {
    const position = positionOf(each, shardId)
    const at =
      position === undefined
        ? 0
        : Math.max(
            0,
            chunks.findLastIndex(({ after }) => comparePositions(after, sequenceOf(position)) <= 0),
          )
    if (at < index) [need, index] = [each, at]
  }
  return { need, index }
}

/** `undefined`: not begun, or not known. */
const positionOf = ({ positions }: Need, shardId: string): string | undefined =>
  positions !== 'unknown' && Object.hasOwn(positions, shardId) ? positions[shardId] : undefined

/**
 * Whether whole chains may go once the shards are known: whoever asks the source for them need not, else.
 */
export const mayLoseChains = ({ chains, needs, olderThanMillis }: Omit<PruneInput, 'listed'>): boolean =>
  chains.some((chain) => isUsedUp(chain, needs, olderThanMillis))

const isUsedUp = (chain: PrunableChain, needs: readonly Need[], olderThanMillis: EpochMillis): boolean =>
  oldPrefix(chain, olderThanMillis) === chain.chunks.length &&
  needs.every((need) => isEnded(positionOf(need, chain.shardId)))

/** Chains that go as a whole, and for each the parents that must have gone before it. */
function wholeChains(input: PruneInput): ReadonlyMap<string, readonly string[]> {
  const { chains, needs, olderThanMillis, listed } = input
  const whole = new Map<string, readonly string[]>()
  if (listed === undefined) return whole
  const byId = new Map(chains.map((chain) => [chain.shardId, chain]))
  const isListed = new Set(listed.map(({ shardId }) => shardId))
  const children = Map.groupBy(
    [
      ...chains.flatMap(({ shardId, tail }) => (tail?.parents ?? []).map((parent) => ({ parent, shardId }))),
      ...listed.flatMap(({ shardId, parents }) => parents.map((parent) => ({ parent, shardId }))),
    ],
    ({ parent }) => parent,
  )
  const mayGo = (chain: PrunableChain): boolean => {
    if (isListed.has(chain.shardId) || chain.tail?.ended !== true) return false
    const born = children.get(chain.shardId) ?? []
    const allLanded = born.length > 0 && born.every(({ shardId }) => byId.has(shardId))
    return allLanded && isUsedUp(chain, needs, olderThanMillis)
  }
  // Parents first: a chain whose parent stays is what lets that one go later.
  let candidates = chains.filter(mayGo)
  for (;;) {
    const going = new Set(candidates.map(({ shardId }) => shardId))
    const stays = (parent: string): boolean => byId.has(parent) && !going.has(parent)
    const kept = candidates.filter(({ tail }) => !tail!.parents.some(stays))
    if (kept.length === candidates.length) break
    candidates = kept
  }
  for (const { shardId, tail } of candidates) {
    whole.set(
      shardId,
      tail!.parents.filter((parent) => byId.has(parent)),
    )
  }
  return whole
}
