/**
 * The order in which an epoch gives out rows. Pure: sizes and a key in, an order out.
 *
 * Rows are known by unit (a row group) and position in it. The units are permuted, cut into blocks of consecutive
 * ones, and the rows of a block are permuted among themselves: a reader holds one block to give out its rows and may
 * fetch the next one meanwhile, and each unit is read once an epoch. A block of more units mixes better and costs more
 * memory.
 */
import { permutation, randomOf } from './random.ts'

/** What an order depends on, beside the sizes of the units and of a block. */
export interface ShuffleKey {
  readonly tableUuid: string
  readonly snapshotId: bigint
  readonly seed: number
  /** From 0. */
  readonly epoch: number
}

export interface EpochOrder {
  /** The units of each block, blocks in the order in which they are given out. Together: every unit once. */
  readonly blocks: readonly Uint32Array[]
  /**
   * The rows of block `block` in the order in which they are given out, as positions in the rows of the block's units
   * laid end to end: a permutation of 0 to their number - 1.
   */
  rowsOf(block: number): Uint32Array
}

/**
 * Algorithm `preview`. Its orders may change until the stable algorithm replaces it; the name says so.
 *
 * Unit order: `permutation` seeded with the key `firn/preview/<table uuid>/<snapshot id>/<seed>/<epoch>`; rows of block
 * b: seeded with that key and `/<b>`. See random.ts for how a key becomes numbers.
 * @param unitRows rows of each unit, in the canonical order of units. @param blockUnits units of a block, 1 or more.
 */
export function previewOrder(unitRows: readonly number[], key: ShuffleKey, blockUnits: number): EpochOrder {
  const text = `firn/preview/${key.tableUuid}/${key.snapshotId}/${key.seed}/${key.epoch}`
  const blocks = cut(permutation(unitRows.length, randomOf(text)), blockUnits)
  return {
    blocks,
    rowsOf: (block) => permutation(rowCountOf(blocks[block]!, unitRows), randomOf(`${text}/${block}`)),
  }
}

/** No shuffle: units in canonical order, rows as they stand in the files. The size of a block does not matter here. */
export function sequentialOrder(unitRows: readonly number[], blockUnits: number): EpochOrder {
  const blocks = cut(
    Uint32Array.from(unitRows, (_rows, unit) => unit),
    blockUnits,
  )
  return {
    blocks,
    rowsOf: (block) => Uint32Array.from({ length: rowCountOf(blocks[block]!, unitRows) }, (_, row) => row),
  }
}

function cut(order: Uint32Array, blockUnits: number): readonly Uint32Array[] {
  const blocks: Uint32Array[] = []
  for (let start = 0; start < order.length; start += blockUnits) blocks.push(order.subarray(start, start + blockUnits))
  return blocks
}

function rowCountOf(units: Uint32Array, unitRows: readonly number[]): number {
  let rows = 0
  for (const unit of units) rows += unitRows[unit]!
  return rows
}
