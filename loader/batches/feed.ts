/**
 * Asks for the units of an epoch in the order in which their rows are needed, as far ahead as the memory budget allows:
 * while one block drains, segment by segment, the next one fills.
 *
 * No deadlock: units are asked for in one order, so nothing of a later block takes room before the current block has
 * everything, and a block fits into the budget, or the dataset would not have opened. Where estimates were too low, the
 * consumer ends up waiting for a unit that nobody may ask for, which is an error that names the size needed.
 */
import type { EpochBlocks } from '../order/blocks.ts'
import { drawOrder } from '../order/rows.ts'
import type { DecodedUnit, Decoder, UnitSpan } from '../read/decoder.ts'
import { fillSlot, type OpenBlock, openBlock, type UnitSlot } from './block.ts'
import type { MemoryBudget } from './budget.ts'
import { memoryLimitError } from './memory.ts'
import { releaseSegment, type Segment, segmentsOf } from './segments.ts'

/** Blocks that are opened ahead of the current one, where blocks are small. */
const BLOCKS_AHEAD = 8
/** What estimates may be too low by until reading stops. */
const TOLERANCE = 1.1

export interface FeedOptions {
  readonly blocks: EpochBlocks
  /** Estimated decoded bytes, by canonical index. */
  readonly unitBytes: readonly number[]
  readonly unitAt: (unit: number) => UnitSpan
  readonly decoder: Decoder
  readonly budget: MemoryBudget
  /** Bytes that are kept for other things than units: named in errors. */
  readonly reserveBytes: number
  /** Where the consumer begins. */
  readonly start: { readonly block: number; readonly offset: number }
  readonly signal: AbortSignal
  /** Something arrived, or failed. */
  readonly onChange: () => void
  readonly onDecoded: (unit: DecodedUnit) => void
}

export interface UnitFeed {
  /** @returns undefined while its order is not known yet. @throws what reading its footers threw. */
  block(index: number): OpenBlock | undefined
  /** Whether the rows of the slot are here; otherwise they are on their way. @throws its error; `FIRN_MEMORY_LIMIT`. */
  isReady(slot: UnitSlot): boolean
  /** One row of the segment is given out, or will never be. */
  done(segment: Segment): void
  /** Ask for what fits. */
  pump(): void
  /** Frees everything. */
  close(): void
}

interface Entry {
  block: OpenBlock | undefined
  failed: { readonly error: unknown } | undefined
}

export function unitFeed(options: FeedOptions): UnitFeed {
  const { blocks, decoder, budget, start, signal, onChange } = options
  const entries = new Map<number, Entry>()
  let current = start.block
  let closed = false

  const open = (index: number): Entry => {
    const entry: Entry = { block: undefined, failed: undefined }
    entries.set(index, entry)
    openOrder(options, index).then(
      (block) => {
        entry.block = block
        changed()
      },
      (error: unknown) => {
        entry.failed = { error }
        changed()
      },
    )
    return entry
  }
  const changed = (): void => {
    if (closed) return
    pump()
    onChange()
  }
  const request = (block: OpenBlock, slot: UnitSlot): void => {
    block.nextRequest++
    slot.state = 'requested'
    budget.request(slot.estimatedBytes)
    const wanted = { ...options.unitAt(slot.unit), key: blocks.unitKey(block.index, slot.ordinal) }
    decoder.decode(wanted, signal).then(
      (decoded) => arrive(block, slot, decoded),
      (error: unknown) => fail(slot, error),
    )
  }
  const fail = (slot: UnitSlot, error: unknown): void => {
    budget.fail(slot.estimatedBytes)
    slot.state = 'failed'
    slot.error = error
    changed()
  }
  const arrive = (block: OpenBlock, slot: UnitSlot, decoded: DecodedUnit): void => {
    if (closed) {
      for (const segment of segmentsOf(decoded.segments, decoded.giveBack)) releaseSegment(segment)
      return
    }
    let bytes: number
    try {
      bytes = fillSlot(slot, decoded)
    } catch (error) {
      fail(slot, error)
      return
    }
    budget.arrive(slot.estimatedBytes, bytes)
    options.onDecoded(decoded)
    if (budget.residentBytes > budget.limitBytes * TOLERANCE) {
      slot.state = 'failed'
      slot.error = tooSmall(block)
    }
    changed()
  }
  const tooSmall = (block: OpenBlock): unknown => {
    const estimated = block.slots.reduce((sum, { estimatedBytes }) => sum + estimatedBytes, 0)
    const largest = block.slots.reduce((most, { estimatedBytes }) => Math.max(most, estimatedBytes), 0)
    const blockNeeds = (estimated + largest) * Math.max(budget.scale, 1)
    const neededBytes = Math.max(Math.ceil(blockNeeds), budget.peakBytes) + options.reserveBytes
    return memoryLimitError(neededBytes, budget.limitBytes + options.reserveBytes, 'units are larger than estimated')
  }
  const pump = (): void => {
    if (closed) return
    const last = Math.min(current + BLOCKS_AHEAD, blocks.count - 1)
    for (let index = current; index <= last; index++) {
      // how large units really are is known once one has arrived
      const isKnown = index === current || budget.residentBytes > 0 || budget.inFlight === 0
      const entry = entries.get(index) ?? (isKnown ? open(index) : undefined)
      if (entry?.block === undefined) return
      const { block } = entry
      while (block.nextRequest < block.requests.length) {
        const slot = block.requests[block.nextRequest]!
        if (!budget.fits(slot.estimatedBytes)) return
        request(block, slot)
      }
    }
  }
  return {
    block(index) {
      for (; current < index; current++) {
        // nothing of it is left, but for segments that a batch in the making still holds
        entries.delete(current)
      }
      pump()
      const entry = entries.get(index)
      if (entry?.failed !== undefined) throw entry.failed.error
      return entry?.block
    },
    isReady(slot) {
      if (slot.state === 'ready') return true
      if (slot.state === 'failed') throw slot.error
      if (slot.state === 'idle') pump()
      if (slot.state !== 'idle' || budget.inFlight > 0) return false
      // Nothing will make room: units are asked for in the order of need, so this one is the next.
      const block = entries.get(current)!.block!
      if (!budget.fitsBarely(slot.estimatedBytes)) throw tooSmall(block)
      request(block, slot)
      return false
    },
    done(segment) {
      if (--segment.left > 0) return
      budget.free(segment.bytes)
      releaseSegment(segment)
    },
    pump,
    close() {
      closed = true
      for (const { block } of entries.values()) {
        for (const { segments } of block?.slots ?? []) {
          for (const segment of segments) if (segment !== undefined && segment.left > 0) releaseSegment(segment)
        }
      }
      entries.clear()
    },
  }
}

/** The rows of the block's units, from their footers, say which unit gives a row at which position. */
async function openOrder(
  { blocks, unitBytes, unitAt, decoder, start, signal }: FeedOptions,
  index: number,
): Promise<OpenBlock> {
  const units = blocks.unitsOf(index)
  const rows = await Promise.all(Array.from(units, (unit) => decoder.unitRows(unitAt(unit), signal)))
  const keys = rows.map((_rows, ordinal) => blocks.unitKey(index, ordinal))
  const order = drawOrder(rows, keys, { opening: blocks.isOpening(index) })
  const infos = Array.from(units, (unit, ordinal) => {
    return { unit, rows: rows[ordinal]!, estimatedBytes: unitBytes[unit]! }
  })
  return openBlock(index, infos, order, index === start.block ? start.offset : 0)
}
