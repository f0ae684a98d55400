/** The rows of a unit of several row groups in one drawing order. */
import type { RecordBatch } from 'apache-arrow'
import { type OrderedRows, pickRows } from '../../table/index.ts'
import { SEGMENT_ROWS } from './decoder.ts'

/** What one row group gives to the order of its unit. */
export interface GroupOrder {
  /** Its rows, counted from its first, in drawing order. */
  readonly order: Uint32Array
  /** The draw of each. */
  readonly draws: Uint32Array
}

/** @param order of all rows of the unit, its row groups laid end to end. */
export function splitOrder(order: Uint32Array, groupRows: readonly number[]): readonly GroupOrder[] {
  const groupOf = new Uint32Array(order.length)
  const starts: number[] = []
  let end = 0
  for (const [group, rows] of groupRows.entries()) {
    starts.push(end)
    groupOf.fill(group, end, end + rows)
    end += rows
  }
  const parts = groupRows.map((rows) => ({ order: new Uint32Array(rows), draws: new Uint32Array(rows), length: 0 }))
  for (let draw = 0; draw < order.length; draw++) {
    const row = order[draw]!
    const group = groupOf[row]!
    const part = parts[group]!
    part.order[part.length] = row - starts[group]!
    part.draws[part.length++] = draw
  }
  return parts
}

/** The live rows of all row groups by their draws. */
export function joinOrdered(
  groups: readonly GroupOrder[],
  read: readonly OrderedRows[],
): { readonly segments: readonly RecordBatch[]; readonly draws: Uint32Array | undefined } {
  const total = groups.reduce((sum, { draws }) => sum + draws.length, 0)
  const sourceOf = new Int32Array(total).fill(-1)
  const rowOf = new Int32Array(total)
  const batches: RecordBatch[] = []
  let live = 0
  for (const [group, { batches: parts, positions }] of read.entries()) {
    const { draws } = groups[group]!
    let delivered = 0
    for (const batch of parts) {
      for (let row = 0; row < batch.numRows; row++, delivered++) {
        const draw = draws[positions === undefined ? delivered : positions[delivered]!]!
        sourceOf[draw] = batches.length
        rowOf[draw] = row
      }
      batches.push(batch)
    }
    live += delivered
  }
  const draws = new Uint32Array(live)
  for (let draw = 0, at = 0; draw < total; draw++) if (sourceOf[draw]! >= 0) draws[at++] = draw
  const segments: RecordBatch[] = []
  for (let start = 0; start < live; start += SEGMENT_ROWS) {
    const drawn = draws.subarray(start, Math.min(start + SEGMENT_ROWS, live))
    const sources = Int32Array.from(drawn, (draw) => sourceOf[draw]!)
    const rows = Int32Array.from(drawn, (draw) => rowOf[draw]!)
    segments.push(pickRows(batches, { sources, rows, count: drawn.length }))
  }
  return { segments, draws: live === total ? undefined : draws }
}
