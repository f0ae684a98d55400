/**
 * In which order the rows of a block come out. Pure, and known from the number of rows of each unit alone.
 *
 * Two independent draws per unit: `rowOrder` says which row is its first, second, … drawn; `drawOrder` says at which
 * positions of the block the unit gives a row. Rows are numbered as they lie in the file: deleted and filtered rows
 * have their positions too and are just not delivered, so that an order is the same with and without a filter, and one
 * lost row group moves no row of another.
 */
import { permutation, randomOf } from './random.ts'

const RANGE = 0x1_0000_0000
/** In an opening block the last unit opens when a quarter of the block is through. */
const OPENING_PART = 4

/** The rows of a unit in drawing order: `key`'s permutation of 0 to `rows` - 1; as they stand without a key. */
export function rowOrder(rows: number, key: string | undefined): Uint32Array {
  if (key !== undefined) return permutation(rows, randomOf(`${key}/rows`))
  const order = new Uint32Array(rows)
  for (let row = 0; row < rows; row++) order[row] = row
  return order
}

/**
 * For every position of the block the ordinal of the unit that gives a row: the j-th occurrence of an ordinal is its
 * j-th drawn row.
 *
 * Jittered strata: a unit of r rows gives one row, at a random moment, in each of r equal stretches of the block.
 * Every batch so has about its share of every unit, more evenly than if all rows were permuted.
 * @param unitRows rows of each unit in the file, by ordinal.
 * @param keys of `EpochBlocks.unitKey`; without them the units come one after the other.
 * @param options.opening units open one after the other during the first quarter of the block.
 */
export function drawOrder(
  unitRows: readonly number[],
  keys: readonly (string | undefined)[],
  { opening }: { opening: boolean },
): Uint32Array {
  const total = unitRows.reduce((sum, rows) => sum + rows, 0)
  const moments = new Uint32Array(total)
  const owners = new Uint32Array(total)
  let end = 0
  let shuffled = true
  for (const [ordinal, rows] of unitRows.entries()) {
    owners.fill(ordinal, end, end + rows)
    const key = keys[ordinal]
    if (key === undefined) shuffled = false
    else {
      const from = opening ? Math.floor((RANGE * ordinal) / (OPENING_PART * unitRows.length)) : 0
      fillMoments(moments.subarray(end, end + rows), key, from)
    }
    end += rows
  }
  return shuffled ? sortedOwners(moments, owners) : owners
}

/** Ascending moments in [from, 2^32), the j-th in the j-th of equal stretches. Products are exact below 2^21 rows. */
function fillMoments(moments: Uint32Array, key: string, from: number): void {
  const random = randomOf(`${key}/draws`)
  const rows = moments.length
  const squeeze = (RANGE - from) / RANGE
  for (let draw = 0; draw < rows; draw++) {
    const moment = from + Math.floor(((draw * RANGE + random()) / rows) * squeeze)
    moments[draw] = Math.min(moment, RANGE - 1)
  }
}

/**
 * The owners by (moment, owner), which is how they stand for equal moments. A counting sort over about as many equal
 * bins as rows, then insertion inside a bin: moments are spread evenly, so a bin has one or two.
 */
function sortedOwners(moments: Uint32Array, owners: Uint32Array): Uint32Array {
  const total = moments.length
  // at least 1, so that `>>>` never shifts by 32, which would shift by nothing
  const bits = Math.max(1, 32 - Math.clz32(total))
  const shift = 32 - bits
  const next = new Uint32Array((1 << bits) + 1)
  for (let index = 0; index < total; index++) next[(moments[index]! >>> shift) + 1]!++
  for (let bin = 0; bin < 1 << bits; bin++) next[bin + 1]! += next[bin]!
  const times = new Uint32Array(total)
  const order = new Uint32Array(total)
  for (let index = 0; index < total; index++) {
    const position = next[moments[index]! >>> shift]!++
    times[position] = moments[index]!
    order[position] = owners[index]!
  }
  for (let index = 1; index < total; index++) {
    const time = times[index]!
    if (times[index - 1]! <= time) continue
    const owner = order[index]!
    let hole = index
    for (; hole > 0 && times[hole - 1]! > time; hole--) {
      times[hole] = times[hole - 1]!
      order[hole] = order[hole - 1]!
    }
    times[hole] = time
    order[hole] = owner
  }
  return order
}
