/** Batches of a fixed number of rows, in drawing order, across the ends of blocks. */
import { rankRange } from '../order/ranks.ts'
import { drawFrom, type OpenBlock } from './block.ts'
import type { UnitFeed } from './feed.ts'
import type { Gather } from './gather.ts'
import type { BatchMaker, MadeBatch, Position, Shard } from './made-batch.ts'
import { type Segment, segmentsOf } from './segments.ts'

export interface SizedOptions {
  readonly feed: UnitFeed
  readonly blockCount: number
  readonly gather: Gather
  /** Rows of all ranks together. */
  readonly size: number
  readonly dropLast: boolean
  readonly shard: Shard
  readonly start: Position
}

export function sizedBatches({ feed, blockCount, gather, size, dropLast, shard, start }: SizedOptions): BatchMaker {
  const segments = new Array<Segment>(size)
  const rows = new Uint32Array(size)
  let { block: index, offset: position } = start
  let block: OpenBlock | undefined
  let filled = 0
  /** Rows before it are of earlier blocks and already copied, so that their segments could go. */
  let carried = 0

  /** @returns false when a row that is next is not here yet. */
  const fill = (open: OpenBlock): boolean => {
    const { order, slots } = open
    while (filled < size && position < order.length) {
      const slot = slots[order[position]!]!
      if (slot.state !== 'ready' && !feed.isReady(slot)) return false
      position++
      const segment = drawFrom(slot)
      if (segment === undefined) continue
      segments[filled] = segment
      rows[filled++] = slot.row - 1
    }
    return true
  }
  /** A batch of many blocks would hold on to all of them: what it has of this one is copied, once. */
  const carry = (): void => {
    if (filled === carried) return
    const [copy] = segmentsOf([gather(segments, rows, carried, filled)])
    const piece: Segment = { ...copy!, bytes: 0 } // counted with the batches, not with the units
    for (let at = carried; at < filled; at++) {
      feed.done(segments[at]!)
      segments[at] = piece
      rows[at] = at - carried
    }
    carried = filled
  }
  const finish = (after: Position): MadeBatch => {
    const [first, end] = rankRange(filled, shard.rank, shard.worldSize)
    const batch = first === end ? undefined : gather(segments, rows, first, end)
    for (let at = 0; at < filled; at++) feed.done(segments[at]!)
    const globalRows = filled
    filled = 0
    carried = 0
    return { batch, globalRows, after, tokens: 0, paddedTokens: 0 }
  }

  return {
    make() {
      while (index < blockCount) {
        block ??= feed.block(index)
        if (block === undefined || !fill(block)) return 'waiting'
        const isThrough = position === block.order.length
        if (filled === size) {
          const made = finish(isThrough ? { block: index + 1, offset: 0 } : { block: index, offset: position })
          if (!isThrough) feed.pump()
          return made
        }
        carry()
        index++
        position = 0
        block = undefined
      }
      if (filled === 0 || dropLast) return 'end'
      return finish({ block: blockCount, offset: 0 })
    },
    rowsLeft: () => filled,
  }
}
