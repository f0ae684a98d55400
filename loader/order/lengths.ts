/**
 * Batches by a budget of tokens: rows of similar length together, so that little of a batch is padding. Pure and per
 * block, so that a position in an epoch stays (block, batch in the block).
 */

export interface LengthBatching {
  /** Most tokens of a batch with its padding: rows times the padded length of the longest. */
  readonly maxTokens: number
  /** Ascending upper bounds, inclusive, of the lengths that share batches. Without them, rows of all lengths do. */
  readonly bucketBoundaries: readonly number[]
  /** The padded length of a batch is a multiple of this; 1 for none. */
  readonly padToMultipleOf: number
}

/**
 * The batches of one block, each as ascending positions in `lengths` (rows in drawing order), in the order in which
 * they fill. Every row is in one batch.
 *
 * Above the last boundary buckets go on, each twice as far as the one before, so that an outlier pads few rows. What
 * is left in the buckets at the end of the block is put together from the shortest bucket to the longest.
 *
 * A row that alone exceeds `maxTokens` is a batch of its own: the only batches above the budget. Filter by length to
 * have none. A row without tokens counts as one of one token.
 */
export function lengthBatches(lengths: Int32Array, options: LengthBatching): readonly Uint32Array[] {
  const batches: Uint32Array[] = []
  const open = new Map<number, Filling>()
  for (let row = 0; row < lengths.length; row++) {
    const bucket = bucketOf(lengths[row]!, options.bucketBoundaries)
    let filling = open.get(bucket)
    if (filling === undefined) {
      filling = { rows: [], width: 0 }
      open.set(bucket, filling)
    }
    add(filling, row, lengths[row]!, options, batches)
  }
  const rest: Filling = { rows: [], width: 0 }
  for (const bucket of [...open.keys()].sort((a, b) => a - b)) {
    for (const row of open.get(bucket)!.rows) add(rest, row, lengths[row]!, options, batches)
  }
  if (rest.rows.length > 0) batches.push(closed(rest))
  return batches
}

/** The length that rows of up to `length` tokens are padded to. */
export function paddedLength(length: number, padToMultipleOf: number): number {
  return Math.ceil(Math.max(length, 1) / padToMultipleOf) * padToMultipleOf
}

interface Filling {
  rows: number[]
  /** Padded length of its longest row. */
  width: number
}

function add(filling: Filling, row: number, length: number, options: LengthBatching, batches: Uint32Array[]): void {
  const fits = (): boolean => filling.width * (filling.rows.length + 1) <= options.maxTokens
  const width = paddedLength(length, options.padToMultipleOf)
  filling.width = Math.max(filling.width, width)
  if (filling.rows.length > 0 && !fits()) {
    batches.push(closed(filling))
    filling.rows = []
    filling.width = width
  }
  filling.rows.push(row)
  // the next row would not fit either, however short it is
  if (fits()) return
  batches.push(closed(filling))
  filling.rows = []
  filling.width = 0
}

/** Rows of several buckets are sorted again: a reader wants them in drawing order. */
const closed = (filling: Filling): Uint32Array => Uint32Array.from(filling.rows).sort()

/** Index of the first boundary that is not below `length`; beyond the last one, counted on by doublings. */
function bucketOf(length: number, boundaries: readonly number[]): number {
  let low = 0
  let high = boundaries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (boundaries[middle]! < length) low = middle + 1
    else high = middle
  }
  const last = boundaries.at(-1)
  if (last === undefined || low < boundaries.length) return low
  for (let bound = Math.max(last, 1) * 2; bound < length; bound *= 2) low++
  return low
}
