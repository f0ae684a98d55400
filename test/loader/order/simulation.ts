/** Epochs of tables that do not exist: units of given sizes, a number in every row, and how evenly batches have it. */
import { blockV1, type OrderKey } from '../../../loader/order/blocks.ts'
import { drawOrder, rowOrder } from '../../../loader/order/rows.ts'

export const KEY: OrderKey = {
  tableUuid: '5c0a5f0e-9d3c-4f0e-8a55-0a4b6d3f7c11',
  snapshotId: 3055729675574597004n,
  seed: 42,
  epoch: 0,
}

export interface SimulatedUnit {
  readonly bytes: number
  readonly rows: number
}

export interface Quality {
  /** Variance of batch means over that of batches drawn at random. */
  readonly vr: number
  /** The same of windows of 64 batches. */
  readonly drift: number
  readonly unitsPerBatch: number
  readonly unitsOfFirstBatch: number
}

const WINDOW_BATCHES = 64

/** The rows of an epoch in order, as canonical unit and physical row. */
export function* epochRows(
  units: readonly SimulatedUnit[],
  key: OrderKey,
  blockBytes: number,
): Generator<readonly [unit: number, row: number, block: number]> {
  const blocks = blockV1(
    units.map(({ bytes }) => bytes),
    key,
    blockBytes,
  )
  for (let block = 0; block < blocks.count; block++) {
    const members = [...blocks.unitsOf(block)]
    const rows = members.map((unit) => units[unit]!.rows)
    const keys = members.map((_, ordinal) => blocks.unitKey(block, ordinal))
    const orders = rows.map((count, ordinal) => rowOrder(count, keys[ordinal]))
    const drawn = new Uint32Array(members.length)
    for (const ordinal of drawOrder(rows, keys, { opening: blocks.isOpening(block) })) {
      yield [members[ordinal]!, orders[ordinal]![drawn[ordinal]!++]!, block]
    }
  }
}

/** @param numberOf of a row: its unit, its number in it, and its number in the table. */
export function simulate(
  units: readonly SimulatedUnit[],
  numberOf: (unit: number, row: number, position: number) => number,
  { blockBytes, batchRows = 64, key = KEY }: { blockBytes: number; batchRows?: number; key?: OrderKey },
): Quality {
  const starts: number[] = []
  let rowCount = 0
  for (const { rows } of units) {
    starts.push(rowCount)
    rowCount += rows
  }
  const means: number[] = []
  const distinct: number[] = []
  let sum = 0
  let squares = 0
  let batch: { sum: number; rows: number; units: Set<number> } = { sum: 0, rows: 0, units: new Set() }
  for (const [unit, row] of epochRows(units, key, blockBytes)) {
    const value = numberOf(unit, row, starts[unit]! + row)
    sum += value
    squares += value * value
    batch.sum += value
    batch.units.add(unit)
    if (++batch.rows < batchRows) continue
    means.push(batch.sum / batchRows)
    distinct.push(batch.units.size)
    batch = { sum: 0, rows: 0, units: new Set() }
  }
  const mean = sum / rowCount
  const variance = squares / rowCount - mean * mean
  const ratio = (values: readonly number[], rows: number): number =>
    average(values.map((value) => (value - mean) ** 2)) / ((variance / rows) * ((rowCount - rows) / (rowCount - 1)))
  const windows: number[] = []
  for (let start = 0; start + WINDOW_BATCHES <= means.length; start += WINDOW_BATCHES) {
    windows.push(average(means.slice(start, start + WINDOW_BATCHES)))
  }
  return {
    vr: ratio(means, batchRows),
    drift: ratio(windows, batchRows * WINDOW_BATCHES),
    unitsPerBatch: average(distinct),
    unitsOfFirstBatch: distinct[0]!,
  }
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Evenly spread over [0, 1), the same for the same number. */
export function fractionOf(number: number): number {
  let mixed = Math.imul(number + 1, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 0x1_0000_0000
}
