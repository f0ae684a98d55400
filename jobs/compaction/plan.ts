/**
 * What one compaction run reads. Pure: from the listing of staging and the table's positions to a plan that can be
 * printed. Which records it takes depends on nothing else, so two runs that plan on the same state plan the same.
 */

import { comparePositions } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import {
  type Incarnation,
  incarnationName,
  isEnded,
  type Positions,
  type ShardPositions,
  sequenceOf,
} from './positions.ts'

export interface ListedChunk {
  /** The position that the chunk continues. */
  readonly after: string
  readonly key: string
  readonly sizeBytes: number
}

/** What the plan needs of a chain's last chunk. */
export interface ChainTail {
  readonly after: string
  readonly last: string
  readonly ended: boolean
  readonly parents: readonly string[]
}

export interface ListedChain {
  readonly shardId: string
  /** In the order of the shard, at least one. */
  readonly chunks: readonly ListedChunk[]
  /** May be left out when the table has consumed the end of the chain. */
  readonly tail?: ChainTail | undefined
  /** When each chunk was written; says how far behind a table is, and nothing of a plan depends on it. */
  readonly writtenMillis?: readonly number[]
}

export interface ListedStream extends Incarnation {
  readonly chains: readonly ListedChain[]
}

/** A stretch of one chain. The task checks that each chunk ends where the next one begins. */
export interface PlannedChain extends Incarnation {
  readonly kind: 'chain'
  readonly shardId: string
  /** Rows up to and including this position are skipped. */
  readonly from: string
  readonly chunks: readonly ListedChunk[]
  /** Where the last chunk must end. */
  readonly to: string
}

/** One object of refused records, read again by a replay. */
export interface PlannedQuarantine {
  readonly kind: 'quarantine'
  /** Key in the warehouse. */
  readonly path: string
  readonly rows: number
}

/** What a run reads. A compaction reads chains, a replay quarantine objects; no run reads both. */
export type PlannedInput = PlannedChain | PlannedQuarantine

/** A new table that could not begin at the start of a shard: older chunks had been pruned. */
export interface LateStart extends Incarnation {
  readonly shardId: string
  readonly after: string
}

export interface CompactionPlan {
  /** By stream, creation time and shard: the order in which duplicates are told apart. */
  readonly inputs: readonly PlannedChain[]
  readonly positions: { readonly before: Positions; readonly after: Positions }
  readonly lateStarts: readonly LateStart[]
  /** True when nothing new is in staging, not even the end of a shard. */
  readonly nothingToDo: boolean
  /** Chunks left for the next run because of `maxBytes`. */
  readonly chunksLeft: number
}

export interface PlanOptions {
  /** Stop before the chunks of the plan exceed this; at least one is taken. Default: no limit. */
  readonly maxBytes?: number | undefined
}

/** A chain while the plan is made; the stretch is `chunks[first, next)`. */
interface Cursor {
  readonly stream: ListedStream
  readonly chain: ListedChain
  readonly position: string | undefined
  readonly first: number
  next: number
}

/**
 * @throws {FirnError} `FIRN_CHAIN_BROKEN` (corrupt): staging does not hold what follows a position.
 */
export function planCompaction(
  streams: readonly ListedStream[],
  positions: Positions,
  options: PlanOptions = {},
): CompactionPlan {
  const ordered = [...streams].sort((a, b) => compareText(a.stream, b.stream) || a.created - b.created)
  const cursors = ordered.flatMap((stream) => cursorsOf(stream, positions[incarnationName(stream)] ?? {}))
  advance(cursors, options.maxBytes ?? Number.POSITIVE_INFINITY)
  const before = Object.fromEntries(
    ordered.map((stream) => [incarnationName(stream), positions[incarnationName(stream)] ?? {}]),
  )
  const after = Object.fromEntries(
    ordered.map((stream) => [
      incarnationName(stream),
      positionsAfter(cursors.filter((cursor) => cursor.stream === stream)),
    ]),
  )
  return {
    inputs: cursors.filter((cursor) => cursor.next > cursor.first).map(plannedChain),
    positions: { before, after },
    lateStarts: cursors.flatMap(lateStart),
    nothingToDo: cursors.every((cursor) => endPosition(cursor) === cursor.position),
    chunksLeft: cursors.reduce((sum, cursor) => sum + cursor.chain.chunks.length - cursor.next, 0),
  }
}

function cursorsOf(stream: ListedStream, positions: ShardPositions): readonly Cursor[] {
  const listed = new Set(stream.chains.map((chain) => chain.shardId))
  for (const [shardId, position] of Object.entries(positions)) {
    // the entry of a chain that was pruned after its end was consumed is dropped by leaving it out of the cursors
    if (!listed.has(shardId) && !isEnded(position)) {
      throw broken(stream, shardId, `the table stands at ${position}, but the chain is gone`)
    }
  }
  return [...stream.chains]
    .sort((a, b) => compareText(a.shardId, b.shardId))
    .map((chain) => {
      const position = Object.hasOwn(positions, chain.shardId) ? positions[chain.shardId] : undefined
      const first = firstChunk(stream, chain, position)
      return { stream, chain, position, first, next: first }
    })
}

/** Index of the chunk that contains or follows `position`; the number of chunks when there is none yet. */
function firstChunk(stream: ListedStream, chain: ListedChain, position: string | undefined): number {
  if (position === undefined) return 0
  if (isEnded(position)) return chain.chunks.length
  const index = chain.chunks.findLastIndex((chunk) => comparePositions(chunk.after, position) <= 0)
  if (index < 0) {
    throw broken(
      stream,
      chain.shardId,
      `the table stands at ${position}, but the oldest chunk continues ${chain.chunks[0]!.after}`,
    )
  }
  if (chain.chunks[index]!.after === position || index < chain.chunks.length - 1) return index
  const order = comparePositions(tailOf(stream, chain).last, position)
  if (order < 0) {
    throw broken(
      stream,
      chain.shardId,
      `the table stands at ${position}, but staging ends at ${tailOf(stream, chain).last}`,
    )
  }
  return order === 0 ? chain.chunks.length : index
}

/** One chunk per chain and round, so that a limit treats all shards alike. */
function advance(cursors: readonly Cursor[], maxBytes: number): void {
  let bytes = 0
  let moved = true
  while (moved) {
    moved = false
    for (const cursor of cursors) {
      const chunk = cursor.chain.chunks[cursor.next]
      if (chunk === undefined || !parentsConsumed(cursor, cursors)) continue
      if (bytes > 0 && bytes + chunk.sizeBytes > maxBytes) return
      bytes += chunk.sizeBytes
      cursor.next++
      moved = true
    }
  }
}

/** The end of every parent that has a chain is consumed or in the plan; a pruned chain counts as consumed. */
function parentsConsumed(child: Cursor, cursors: readonly Cursor[]): boolean {
  const parents = tailOf(child.stream, child.chain).parents
  if (parents.length === 0) return true
  return parents.every((shardId) => {
    const parent = cursors.find((cursor) => cursor.stream === child.stream && cursor.chain.shardId === shardId)
    return parent === undefined || isEnded(endPosition(parent))
  })
}

/** The position once the plan is done; `undefined` for a chain that is not begun. */
function endPosition(cursor: Cursor): string | undefined {
  const { chain, first, next, position, stream } = cursor
  if (isEnded(position)) return position
  if (next < chain.chunks.length) return next === first ? position : chain.chunks[next]!.after
  const tail = tailOf(stream, chain)
  return tail.ended ? `${tail.last}!` : tail.last
}

function positionsAfter(cursors: readonly Cursor[]): ShardPositions {
  return Object.fromEntries(
    cursors.flatMap((cursor) => {
      const position = endPosition(cursor)
      return position === undefined ? [] : [[cursor.chain.shardId, position]]
    }),
  )
}

function plannedChain(cursor: Cursor): PlannedChain {
  const { stream, chain, first, next, position } = cursor
  return {
    kind: 'chain',
    stream: stream.stream,
    created: stream.created,
    shardId: chain.shardId,
    from: position ?? chain.chunks[0]!.after,
    chunks: chain.chunks.slice(first, next),
    to: sequenceOf(endPosition(cursor)!),
  }
}

function lateStart(cursor: Cursor): readonly LateStart[] {
  const { stream, created } = cursor.stream
  const { after } = cursor.chain.chunks[0]!
  if (cursor.position !== undefined || cursor.next === 0 || after === '0') return []
  return [{ stream, created, shardId: cursor.chain.shardId, after }]
}

function tailOf(stream: ListedStream, chain: ListedChain): ChainTail {
  if (chain.tail?.after === chain.chunks.at(-1)!.after) return chain.tail
  throw new FirnError(
    'failed',
    'FIRN_INTERNAL',
    `no metadata of the last chunk of ${chain.shardId} in ${incarnationName(stream)}`,
  )
}

function broken(stream: Incarnation, shardId: string, what: string): FirnError {
  const name = incarnationName(stream)
  return new FirnError('corrupt', 'FIRN_CHAIN_BROKEN', `staging of ${name}, shard ${shardId}: ${what}`, {
    detail: { stream: name, shardId },
    help: 'restore the missing chunks below _staging/ from a backup or a bucket version; nothing was compacted',
  })
}

/** Shard and stream names are ASCII. */
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
