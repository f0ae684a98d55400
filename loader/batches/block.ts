/** One block of an epoch while it is read and given out: which unit gives the row at each position, and what is here. */
import { FirnError } from '../../table/errors.ts'
import type { DecodedUnit } from '../read/decoder.ts'
import { releaseSegment, type Segment, segmentsOf } from './segments.ts'

/** A unit of the block. */
export interface UnitSlot {
  /** Canonical index. */
  readonly unit: number
  readonly ordinal: number
  /** Physical. */
  readonly rows: number
  readonly estimatedBytes: number
  state: 'idle' | 'requested' | 'ready' | 'failed'
  error: unknown
  /** A segment leaves when its last row is given out. */
  segments: (Segment | undefined)[]
  /** Draws that are live, ascending; undefined: all. */
  draws: Uint32Array | undefined
  /** The next draw, and where the next live row is. */
  draw: number
  live: number
  segment: number
  row: number
}

export interface OpenBlock {
  readonly index: number
  /** Ordinal of the unit that gives a row, by position. */
  readonly order: Uint32Array
  readonly slots: readonly UnitSlot[]
  /** Units that are still needed, in the order of first need. */
  readonly requests: readonly UnitSlot[]
  /** Of `requests`: everything before it was asked for. */
  nextRequest: number
}

export interface UnitInfo {
  readonly unit: number
  readonly rows: number
  readonly estimatedBytes: number
}

/** @param from positions before it were given out in an earlier run; units that have nothing behind it are not read. */
export function openBlock(index: number, units: readonly UnitInfo[], order: Uint32Array, from: number): OpenBlock {
  const slots = units.map((info, ordinal): UnitSlot => {
    const cursor = { draw: 0, live: 0, segment: 0, row: 0 }
    return { ...info, ordinal, state: 'idle', error: undefined, segments: [], draws: undefined, ...cursor }
  })
  for (let position = 0; position < from; position++) slots[order[position]!]!.draw++
  const requests: UnitSlot[] = []
  const seen = new Uint8Array(slots.length)
  for (let position = from; position < order.length && requests.length < slots.length; position++) {
    const ordinal = order[position]!
    if (seen[ordinal] === 1) continue
    seen[ordinal] = 1
    requests.push(slots[ordinal]!)
  }
  return { index, order, slots, requests, nextRequest: 0 }
}

/**
 * Takes over what was decoded; rows of draws before the slot's next one are dropped.
 * @returns bytes that stay.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt) when the unit is not what its footer said.
 */
export function fillSlot(slot: UnitSlot, decoded: DecodedUnit): number {
  const { rows, draws, segments } = decoded
  const live = segments.reduce((sum, segment) => sum + segment.numRows, 0)
  // nothing of a unit that was skipped is there
  if (decoded.skipped === undefined && (rows !== slot.rows || live !== (draws?.length ?? rows))) {
    throw new FirnError(
      'corrupt',
      'FIRN_PARQUET_CORRUPT',
      `a unit has ${live} of ${rows} rows, expected ${slot.rows}`,
      {
        detail: { unit: slot.unit, rows, expected: slot.rows },
        help: 'The file changed while it was read, which data files never do: firn verify <table>',
      },
    )
  }
  slot.draws = decoded.skipped === undefined ? draws : new Uint32Array(0)
  slot.segments = segmentsOf(segments, decoded.giveBack)
  slot.live = draws === undefined ? slot.draw : countBelow(draws, slot.draw)
  slot.state = 'ready'
  let passed = slot.live
  for (const [index, segment] of slot.segments.entries()) {
    if (segment === undefined || passed === 0) break
    if (passed < segment.rows) {
      segment.left -= passed
      slot.row = passed
      break
    }
    passed -= segment.rows
    releaseSegment(segment)
    slot.segments[index] = undefined
    slot.segment = index + 1
  }
  return slot.segments.reduce((sum, segment) => sum + (segment?.bytes ?? 0), 0)
}

/** The slot's next draw, if it is live: its segment, with `slot.row` past it; undefined: a row that is not delivered. */
export function drawFrom(slot: UnitSlot): Segment | undefined {
  const draw = slot.draw++
  const { draws } = slot
  if (draws !== undefined && draws[slot.live] !== draw) return undefined
  slot.live++
  let segment = slot.segments[slot.segment]!
  if (slot.row === segment.rows) {
    slot.segment++
    slot.row = 0
    segment = slot.segments[slot.segment]!
  }
  slot.row++
  return segment
}

/** How many of the ascending `draws` are below `limit`. */
function countBelow(draws: Uint32Array, limit: number): number {
  let low = 0
  let high = draws.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (draws[middle]! < limit) low = middle + 1
    else high = middle
  }
  return low
}
