/**
 * Which units an epoch reads together, and in which order: algorithm `block-v1`. Pure: sizes and a key in, blocks out.
 *
 * A unit is a row group, or the few of one file that count as one. A reader keeps the units of one block and mixes
 * their rows (rows.ts), so what a batch can look like is decided here. Every block is a systematic sample of the table:
 * about one unit of each stretch of it and of each size, so that blocks of a table that is sorted by time or by topic
 * have the mean of the table, not of an hour or of a topic.
 *
 * Stable: the same sizes, key and `blockBytes` give the same blocks in every version of firn. docs/shuffling.md has the
 * recipe, the golden vectors of test/loader/order/blocks.golden.test.ts hold it.
 */
import { permutation, type Random32, randomOf } from './random.ts'

/** What the order of an epoch depends on, beside the units and the size of a block. */
export interface OrderKey {
  readonly tableUuid: string
  readonly snapshotId: bigint
  /** Integer from 0 to 2^53 - 1. */
  readonly seed: number
  /** From 0. */
  readonly epoch: number
}

export interface EpochBlocks {
  readonly count: number
  /** Canonical indexes of the block's units; a unit's position here is its ordinal. Every unit is in one block. */
  unitsOf(block: number): Uint32Array
  /** What `rowOrder` and `drawOrder` take for the unit at `ordinal`; undefined when rows are not shuffled. */
  unitKey(block: number, ordinal: number): string | undefined
  /** True where the units open one after the other, so that the first batch waits for a few of them only. */
  isOpening(block: number): boolean
}

/** Where a number of blocks is too small, a twentieth more is tried, at least one. */
const GROWTH = 20
/** An epoch that is not shuffled reads ahead in blocks of this part of `blockBytes`: there is nothing to mix. */
export const SEQUENTIAL_PART = 8

/**
 * The blocks of a shuffled epoch. O(units) time and memory, whatever the number of rows.
 * @param unitBytes decoded size of each unit in bytes, integers, in canonical order of units.
 * @param blockBytes what a block may hold. No block is larger, except where a single unit is: then as large as that.
 */
export function blockV1(unitBytes: readonly number[], key: OrderKey, blockBytes: number): EpochBlocks {
  const text = `firn/block-v1/${key.tableUuid}/${key.snapshotId}/${key.seed}/${key.epoch}`
  const { count, units, blockOf } = assign(unitBytes, text, blockBytes)
  const starts = group(units, blockOf, count)
  const random = randomOf(`${text}/units`)
  for (let block = 0; block < count; block++) spread(units.subarray(starts[block]!, starts[block + 1]!), random)
  return {
    count,
    unitsOf: (block) => units.subarray(starts[block]!, starts[block + 1]!),
    unitKey: (block, ordinal) => `${text}/unit/${units[starts[block]! + ordinal]!}`,
    isOpening: (block) => block === 0,
  }
}

/**
 * The blocks of an epoch without shuffle: units in canonical order, consecutive ones together while they fit into an
 * eighth of `blockBytes`.
 */
export function sequentialBlocks(unitBytes: readonly number[], blockBytes: number): EpochBlocks {
  const starts: number[] = []
  let filled = Number.POSITIVE_INFINITY
  for (const [unit, bytes] of unitBytes.entries()) {
    if (filled + bytes > blockBytes / SEQUENTIAL_PART) {
      starts.push(unit)
      filled = 0
    }
    filled += bytes
  }
  const units = Uint32Array.from(unitBytes, (_bytes, unit) => unit)
  return {
    count: starts.length,
    unitsOf: (block) => units.subarray(starts[block]!, starts[block + 1] ?? units.length),
    unitKey: () => undefined,
    isOpening: () => false,
  }
}

/**
 * The units in the order in which they are cut into runs: by class of size (powers of two), the largest first; in a
 * class as they stand, in every other class backwards, so that a run which crosses from one class into the next still
 * is one stretch of the table. Units of one class, as in most tables, stay in canonical order.
 */
export function strata(unitBytes: readonly number[]): Uint32Array {
  const classes = new Map<number, number[]>()
  for (const [unit, bytes] of unitBytes.entries()) {
    const size = bitLength(bytes)
    const members = classes.get(size)
    if (members === undefined) classes.set(size, [unit])
    else members.push(unit)
  }
  const order = new Uint32Array(unitBytes.length)
  let end = 0
  for (const [index, size] of [...classes.keys()].sort((a, b) => b - a).entries()) {
    const members = classes.get(size)!
    order.set(index % 2 === 0 ? members : members.reverse(), end)
    end += members.length
  }
  return order
}

/** Tries numbers of blocks from the smallest that could do, until no block is too large. */
function assign(
  unitBytes: readonly number[],
  text: string,
  blockBytes: number,
): { readonly count: number; readonly units: Uint32Array; readonly blockOf: Uint32Array } {
  const units = strata(unitBytes)
  const total = unitBytes.reduce((sum, bytes) => sum + bytes, 0)
  const least = fewestBlocks(unitBytes, blockBytes)
  let count = Math.min(Math.max(Math.ceil(total / blockBytes), 1), units.length)
  for (;;) {
    const random = randomOf(`${text}/blocks/${count}`)
    const blockOf = count < least ? undefined : assigned(units, unitBytes, { count, blockBytes, random })
    if (blockOf !== undefined) return { count, units, blockOf }
    // as many blocks as units always fit
    count = Math.min(count + Math.max(1, Math.floor(count / GROWTH)), units.length)
  }
}

/** Units of a block that are large together: one above a half of it, two above a third, and so on up to here. */
const MOST_SHARED = 16

/**
 * A number of blocks below which there is no room, whatever goes where: trying is dear where units fill most of a
 * block. It decides what is tried, never what comes out.
 */
function fewestBlocks(unitBytes: readonly number[], blockBytes: number): number {
  let fewest = 0
  for (let shared = 1; shared <= MOST_SHARED; shared++) {
    // of these no block holds more than `shared`
    const large = unitBytes.reduce((sum, bytes) => sum + Number(bytes * (shared + 1) > blockBytes), 0)
    fewest = Math.max(fewest, Math.ceil(large / shared))
  }
  return fewest
}

/**
 * Each run of `count` units is dealt out, one to a block, by a permutation of its own; the one shorter run to the first
 * blocks of its permutation. Which also makes the order of the blocks a random one.
 *
 * A block that has no room for a unit is passed over for the next of the permutation that has, first among those
 * without a unit of this run, so that one huge unit fills its block and changes nothing for the others.
 * @returns the block of each canonical unit; undefined when there is not room for all.
 */
function assigned(
  units: Uint32Array,
  unitBytes: readonly number[],
  { count, blockBytes, random }: { count: number; blockBytes: number; random: Random32 },
): Uint32Array | undefined {
  const blockOf = new Uint32Array(units.length)
  const filled = new Float64Array(count)
  const short = shortRun(units, unitBytes, count)
  for (let start = 0; start < units.length; ) {
    const blocks = permutation(count, random)
    const length = start === short ? units.length % count : count
    for (let index = 0; index < length; index++) {
      const unit = units[start + index]!
      const bytes = unitBytes[unit]!
      const hasRoom = (block: number): boolean => filled[block] === 0 || filled[block]! + bytes <= blockBytes
      let chosen = index
      while (chosen < count && !hasRoom(blocks[chosen]!)) chosen++
      if (chosen === count) chosen = blocks.findIndex(hasRoom)
      if (chosen < 0) return undefined
      const block = blocks[chosen]!
      if (chosen > index) {
        blocks[chosen] = blocks[index]!
        blocks[index] = block
      }
      filled[block]! += bytes
      blockOf[unit] = block
    }
    start += length
  }
  return blockOf
}

/**
 * Where the run starts that is shorter than the others, when the units are no multiple of `count`. Only some blocks get
 * one of its units, so it is the run, of those that start at a multiple of `count`, that matters least to the size of a
 * block and to its mean in a sorted table: the least sum of bytes times distance from the middle (in half units, and
 * `count` more), the first of equals.
 */
export function shortRun(units: Uint32Array, unitBytes: readonly number[], count: number): number | undefined {
  const length = units.length % count
  if (length === 0) return undefined
  let best: number | undefined
  let least = Number.POSITIVE_INFINITY
  for (let start = 0; start < units.length; start += count) {
    let weight = 0
    for (const unit of units.subarray(start, start + length)) {
      weight += unitBytes[unit]! * (Math.abs(2 * unit + 1 - units.length) + count)
    }
    if (weight >= least) continue
    least = weight
    best = start
  }
  return best
}

/**
 * Puts units that stand in the order of their strata together by block, keeping that order inside of each.
 * @returns where the units of each block start, and the end.
 */
function group(units: Uint32Array, blockOf: Uint32Array, count: number): Uint32Array {
  const starts = new Uint32Array(count + 1)
  for (const block of blockOf) starts[block + 1]!++
  for (let block = 0; block < count; block++) starts[block + 1]! += starts[block]!
  const next = starts.slice()
  for (const unit of units.slice()) units[next[blockOf[unit]!]!++] = unit
  return starts
}

/**
 * Reorders a block's units so that the first few of them are spread over the table, whatever their number: the van der
 * Corput sequence, started at random by an exclusive or. Where units open one after the other, early batches have few.
 */
function spread(units: Uint32Array, random: Random32): void {
  const sorted = units.slice()
  const bits = 32 - Math.clz32(units.length)
  const shift = 32 - bits
  const start = random() >>> shift
  let filled = 0
  for (let index = 0; index < 1 << bits; index++) {
    const position = (reversed(index) >>> shift) ^ start
    if (position < sorted.length) units[filled++] = sorted[position]!
  }
}

/** The 32 bits of a word from last to first. */
function reversed(word: number): number {
  let bits = ((word >>> 1) & 0x5555_5555) | ((word & 0x5555_5555) << 1)
  bits = ((bits >>> 2) & 0x3333_3333) | ((bits & 0x3333_3333) << 2)
  bits = ((bits >>> 4) & 0x0f0f_0f0f) | ((bits & 0x0f0f_0f0f) << 4)
  bits = ((bits >>> 8) & 0x00ff_00ff) | ((bits & 0x00ff_00ff) << 8)
  return ((bits >>> 16) | (bits << 16)) >>> 0
}

/** Bits of a whole number of at most 2^53 - 1; without logarithms, whose last bit may differ between machines. */
function bitLength(value: number): number {
  const high = Math.floor(value / 0x1_0000_0000)
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(value)
}
