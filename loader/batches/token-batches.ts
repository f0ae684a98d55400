/** Batches by a budget of tokens. They are planned block by block, so a block is here as a whole before its first one. */
import { type LengthBatching, lengthBatches, paddedLength } from '../order/lengths.ts'
import { rankRange } from '../order/ranks.ts'
import { drawFrom, type OpenBlock } from './block.ts'
import type { UnitFeed } from './feed.ts'
import type { Gather } from './gather.ts'
import type { LengthOf } from './lengths.ts'
import type { BatchMaker, MadeBatch, Position, Shard } from './made-batch.ts'
import type { Segment } from './segments.ts'

export interface TokenOptions {
  readonly feed: UnitFeed
  readonly blockCount: number
  readonly gather: Gather
  readonly batching: LengthBatching
  readonly lengthOf: LengthOf
  readonly shard: Shard
  readonly start: Position
}

/** The live rows of a block in drawing order, and its batches. */
interface PlannedBlock {
  readonly segments: readonly Segment[]
  readonly rows: Uint32Array
  readonly lengths: Int32Array
  readonly batches: readonly Uint32Array[]
}

export function tokenBatches(options: TokenOptions): BatchMaker {
  const { feed, blockCount, start } = options
  let index = start.block
  let offset = 0
  let planned: PlannedBlock | undefined
  const isHere = (block: OpenBlock): boolean => {
    let here = true
    for (const slot of block.requests) here = (slot.state === 'ready' || feed.isReady(slot)) && here
    return here
  }
  return {
    make() {
      while (index < blockCount) {
        if (planned === undefined) {
          const block = feed.block(index)
          if (block === undefined || !isHere(block)) return 'waiting'
          planned = planBlock(block, options)
          if (index === start.block) {
            for (; offset < Math.min(start.offset, planned.batches.length); offset++) {
              for (const row of planned.batches[offset]!) feed.done(planned.segments[row]!)
            }
          }
        }
        const batch = planned.batches[offset]
        if (batch !== undefined) {
          offset++
          const isThrough = offset === planned.batches.length
          const made = gathered(
            planned,
            batch,
            options,
            isThrough ? { block: index + 1, offset: 0 } : { block: index, offset },
          )
          if (!isThrough) feed.pump()
          return made
        }
        planned = undefined
        index++
        offset = 0
      }
      return 'end'
    },
    rowsLeft: () => 0,
  }
}

function planBlock({ order, slots }: OpenBlock, { batching, lengthOf }: TokenOptions): PlannedBlock {
  const segments: Segment[] = []
  const rows = new Uint32Array(order.length)
  const lengths = new Int32Array(order.length)
  let live = 0
  for (const ordinal of order) {
    const slot = slots[ordinal]!
    const segment = drawFrom(slot)
    if (segment === undefined) continue
    segments.push(segment)
    rows[live] = slot.row - 1
    lengths[live++] = lengthOf(segment, slot.row - 1)
  }
  const known = lengths.subarray(0, live)
  return { segments, rows, lengths: known, batches: lengthBatches(known, batching) }
}

function gathered(
  { segments, rows, lengths }: PlannedBlock,
  batch: Uint32Array,
  { feed, gather, shard, batching }: TokenOptions,
  after: Position,
): MadeBatch {
  const [first, end] = rankRange(batch.length, shard.rank, shard.worldSize)
  const own = batch.subarray(first, end)
  const picked = Array.from(own, (row) => segments[row]!)
  const result =
    first === end
      ? undefined
      : gather(
          picked,
          own.map((row) => rows[row]!),
          0,
          own.length,
        )
  let tokens = 0
  let longest = 0
  for (const row of own) {
    tokens += lengths[row]!
    longest = Math.max(longest, lengths[row]!)
  }
  for (const row of batch) feed.done(segments[row]!)
  const paddedTokens = own.length * paddedLength(longest, batching.padToMultipleOf)
  return { batch: result, globalRows: batch.length, after, tokens, paddedTokens }
}
