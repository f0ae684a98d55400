/**
 * How well `block-v1` will mix, from the sizes of the units alone and before any data is read.
 *
 * `VR` is the variance of the batch means of a column over what it is when rows are drawn at random: 1 is a perfect
 * shuffle, below 1 more even than chance, 64 with batches of 64 means that batches come from one place. With n units in
 * a block, nb blocks and batches of B rows of which m = B/n from a unit, all units of one size:
 *
 *     sortedVr    = B (1 - 1/nb²) / n³ + f(m) n/B      the table is sorted by the column
 *     clusteredVr = B (1 - 1/nb) / n   + f(m) n/B      every unit has one value of it, unlike its neighbours'
 *     f(m)        = m - m² + m³/3 up to m = 1, then 1/3
 *
 * The first terms are the variance of the means of blocks, the second how evenly a block's units come out. Below, units
 * have sizes of their own. A column whose units each span its range has VR 1, whatever the blocks.
 */
import { blockV1, shortRun, strata } from './blocks.ts'

export interface ExpectedQuality {
  /** With another seed it may be a few percent more or less where units differ in size. */
  readonly blocks: number
  readonly unitsPerBlock: number
  /** Distinct units among the rows of a batch. */
  readonly unitsPerBatch: number
  /** VR of a column by which the table is sorted, in canonical order of its units. */
  readonly sortedVr: number
  /** VR of a column of which every unit has one value of its own: the worst there is. */
  readonly clusteredVr: number
}

/**
 * Rows are taken to be spread over the units as bytes are. The first batches of an epoch, of fewer units, are not
 * counted.
 * @param unitBytes as for `blockV1`. @param options.batchRows rows of a global batch, 1 or more.
 */
export function expectedQuality(
  unitBytes: readonly number[],
  { blockBytes, batchRows }: { blockBytes: number; batchRows: number },
): ExpectedQuality {
  const total = unitBytes.reduce((sum, bytes) => sum + bytes, 0)
  if (total === 0) return { blocks: 0, unitsPerBlock: 0, unitsPerBatch: 0, sortedVr: 1, clusteredVr: 1 }
  const { count } = blockV1(unitBytes, ANY_KEY, blockBytes)
  let unitsPerBatch = 0
  let within = 0
  let sortedDraws = 0
  let clusteredDraws = 0
  let clusteredMeans = 0
  const offsets = offsetsOf(unitBytes, total)
  for (const [unit, bytes] of unitBytes.entries()) {
    const share = bytes / total
    // of a batch from the block that has the unit, as one block in `count` does
    const drawn = batchRows * share * count
    unitsPerBatch += (1 - missed(drawn)) / count
    within += share ** 3
    sortedDraws += (drawVariance(drawn) * 12 * offsets[unit]! ** 2) / count
    clusteredDraws += drawVariance(drawn) / count
    clusteredMeans += (count - 1) * share ** 2
  }
  return {
    blocks: count,
    unitsPerBlock: unitBytes.length / count,
    unitsPerBatch,
    sortedVr: within + batchRows * 12 * sortedMeans(unitBytes, offsets, count) + sortedDraws / batchRows,
    clusteredVr: batchRows * clusteredMeans + clusteredDraws / batchRows,
  }
}

const ANY_KEY = { tableUuid: '', snapshotId: 0n, seed: 0, epoch: 0 }

/** Of each unit, where its middle lies in the table laid end to end, from -1/2 to 1/2. */
function offsetsOf(unitBytes: readonly number[], total: number): Float64Array {
  const offsets = new Float64Array(unitBytes.length)
  let before = 0
  for (const [unit, bytes] of unitBytes.entries()) {
    offsets[unit] = (before + bytes / 2) / total - 0.5
    before += bytes
  }
  return offsets
}

/** Variance of a block's mean offset: of which unit of each run it gets, the runs being dealt out independently. */
function sortedMeans(unitBytes: readonly number[], offsets: Float64Array, count: number): number {
  const units = strata(unitBytes)
  const total = unitBytes.reduce((sum, bytes) => sum + bytes, 0)
  const short = shortRun(units, unitBytes, count)
  let variance = 0
  for (let start = 0; start < units.length; ) {
    const end = start + (start === short ? units.length % count : count)
    let sum = 0
    let squares = 0
    for (const unit of units.subarray(start, end)) {
      const moment = ((unitBytes[unit]! * count) / total) * offsets[unit]!
      sum += moment
      squares += moment ** 2
    }
    variance += squares / count - (sum / count) ** 2
    start = end
  }
  return variance
}

/** Variance of the rows of a unit in a batch that has `drawn` of them on average: of strata cut at a random phase. */
function drawVariance(drawn: number): number {
  return drawn >= 1 ? 1 / 3 : drawn - drawn ** 2 + drawn ** 3 / 3
}

/** How likely a batch has no row of a unit of which it has `drawn` on average. */
function missed(drawn: number): number {
  if (drawn >= 2) return 0
  return drawn >= 1 ? (2 - drawn) ** 3 / 6 : 1 - drawn + drawn ** 3 / 6
}
