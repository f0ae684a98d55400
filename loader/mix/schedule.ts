/**
 * Which dataset gives each batch of a mix. Integers only, and as close to the proportions as whole batches allow: of
 * the first n batches, a dataset with the share p has given n*p, less than one batch more or less, for every n.
 *
 * The j-th batch of a dataset (from 0) must lie in the slots [floor(j/p), ceil((j+1)/p)), its window: that is the
 * bound. The dataset whose window closes first goes first; that such a schedule meets every window is a theorem about
 * proportionate progress (Baruah, Cohen, Plaxton, Varvel 1996). The seed then swaps neighbours, in groups of 16
 * slots, where both stay in their windows.
 */
import { invalid } from '../options.ts'
import { below, randomOf } from '../order/random.ts'

/** Where a schedule stands, to go on from there. */
export interface SchedulePoint {
  /** Slots that were given out. */
  readonly position: number
  /** Batches of each dataset before the group of slots that `position` is in. */
  readonly counts: readonly number[]
}

export interface Schedule {
  /** Dataset of the next slot. */
  next(): number
  point(): SchedulePoint
}

const GROUP = 16
const SWAPS = 4 * GROUP

/** Of all weights together: the products below stay below 2^53. */
const MAX_WEIGHT = 1 << 20
export const MAX_POSITION: number = 2 ** 32

/** Two neighbours of a window's batch and its slots `[release, deadline)`. */
interface Job {
  readonly dataset: number
  readonly release: number
  readonly deadline: number
}

/** @param weights from `weightsOf`. */
export function createSchedule(weights: readonly number[], seed: number, from?: SchedulePoint): Schedule {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let position = from?.position ?? 0
  const counts = from === undefined ? weights.map(() => 0) : [...from.counts]
  let group: readonly Job[] = []
  let isMade = false
  return {
    next() {
      if (position % GROUP === 0 && isMade) {
        for (const { dataset } of group) counts[dataset] = counts[dataset]! + 1
        isMade = false
      }
      if (!isMade) group = groupAt(position - (position % GROUP), counts, weights, total, seed)
      isMade = true
      return group[position++ % GROUP]!.dataset
    },
    point() {
      if (position % GROUP !== 0 || !isMade) return { position, counts: [...counts] }
      const done = [...counts]
      for (const { dataset } of group) done[dataset] = done[dataset]! + 1
      return { position, counts: done }
    },
  }
}

function groupAt(
  start: number,
  before: readonly number[],
  weights: readonly number[],
  total: number,
  seed: number,
): readonly Job[] {
  const counts = [...before]
  const jobs: Job[] = []
  for (let slot = start; slot < start + GROUP; slot++) {
    let best: Job | undefined
    weights.forEach((weight, dataset) => {
      const count = counts[dataset]!
      const release = floorOf(count * total, weight)
      const deadline = -floorOf(-(count + 1) * total, weight)
      if (release <= slot && (best === undefined || deadline < best.deadline)) best = { dataset, release, deadline }
    })
    jobs.push(best!)
    counts[best!.dataset] = counts[best!.dataset]! + 1
  }
  const random = randomOf(`firn mix ${seed} ${start}`)
  for (let swap = 0; swap < SWAPS; swap++) {
    const at = below(random, GROUP - 1)
    const [first, second] = [jobs[at]!, jobs[at + 1]!]
    const slot = start + at
    if (first.dataset === second.dataset || first.deadline < slot + 2 || second.release > slot) continue
    jobs[at] = second
    jobs[at + 1] = first
  }
  return jobs
}

/** Floor of a quotient, exact where the division of floating point numbers might round up. */
function floorOf(dividend: number, divisor: number): number {
  const rest = dividend % divisor
  return (dividend - rest) / divisor - (rest < 0 ? 1 : 0)
}

/**
 * Proportions as whole numbers without a common divisor: exact up to six decimals, rounded to millionths of the whole
 * beyond. Only their relation counts: 0.8 and 0.2 are 4 and 1, as are 8 and 2.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid).
 */
export function weightsOf(proportions: readonly number[]): readonly number[] {
  proportions.forEach((proportion, index) => {
    if (typeof proportion !== 'number' || !Number.isFinite(proportion) || proportion <= 0) {
      throw invalid(`mix[${index}].proportion`, 'a number above 0', proportion)
    }
  })
  const sum = proportions.reduce((total, proportion) => total + proportion, 0)
  for (let scale = 1; scale <= 1e6; scale *= 10) {
    const scaled = proportions.map((proportion) => Math.round(proportion * scale))
    const isExact = proportions.every(
      (proportion, index) => Number((scaled[index]! / scale).toPrecision(15)) === proportion,
    )
    if (isExact && sum * scale <= MAX_WEIGHT) return reduced(scaled)
  }
  const millionths = proportions.map((proportion) => Math.round((proportion / sum) * 1e6))
  const small = millionths.indexOf(0)
  if (small >= 0)
    throw invalid(`mix[${small}].proportion`, 'at least a millionth of all proportions', proportions[small])
  return reduced(millionths)
}

function reduced(weights: readonly number[]): readonly number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0)
  return weights.map((weight) => weight / divisor)
}

function greatestCommonDivisor(left: number, right: number): number {
  return right === 0 ? left : greatestCommonDivisor(right, left % right)
}
