/**
 * From an epoch's order to batches: one block of units resident, the next one under way.
 *
 * What comes out depends on the order alone. How many threads decode and how far they are ahead only decides how long
 * the consumer waits.
 */
import type { Schema as ArrowSchema, RecordBatch } from 'apache-arrow'
import type { EpochOrder } from '../order/shuffle.ts'
import type { Decoder } from '../read/preview-decoder.ts'
import type { Unit } from '../source/units.ts'
import { gatherRows } from './gather.ts'

export interface BatchesOptions {
  readonly schema: ArrowSchema
  readonly batchSize: number
  /** Leave out the last batch when it is not full. */
  readonly dropLast: boolean
  readonly signal: AbortSignal
}

/**
 * Batches of exactly `batchSize` rows, the last one smaller unless `dropLast`. Nothing is read before the first one is
 * asked for; leaving early stops what still runs.
 * @throws {FirnError} of the decoder, when its block's turn comes; `signal.reason` on abort.
 */
export async function* batchesOf(
  order: EpochOrder,
  units: readonly Unit[],
  decoder: Decoder,
  options: BatchesOptions,
): AsyncGenerator<RecordBatch, void, undefined> {
  const { schema, batchSize, dropLast, signal } = options
  const stop = new AbortController()
  const linked = AbortSignal.any([signal, stop.signal])
  const load = (block: number): Promise<RecordBatch[]> | undefined => {
    const wanted = order.blocks[block]
    if (wanted === undefined) return undefined
    const loading = Promise.all(Array.from(wanted, (unit) => decoder.decode(units[unit]!, linked)))
    loading.catch(() => {}) // reported when the block's turn comes, not as an unhandled rejection
    return loading
  }
  const picker = createPicker(schema, batchSize)
  try {
    let next = load(0)
    for (let block = 0; next !== undefined; block++) {
      decoder.collect()
      const resident: RecordBatch[] = await next
      next = load(block + 1)
      picker.enter(resident, order.rowsOf(block))
      for (let batch = picker.take(); batch !== undefined; batch = picker.take()) {
        yield batch
        linked.throwIfAborted()
        decoder.collect()
      }
    }
    const last = dropLast ? undefined : picker.rest()
    if (last !== undefined) yield last
  } finally {
    stop.abort()
  }
}

interface Picker {
  /** Go on with the rows of another block, in the order of `rows`. */
  enter(resident: readonly RecordBatch[], rows: Uint32Array): void
  /** The next full batch, or `undefined` when the block's rows do not make one. */
  take(): RecordBatch | undefined
  /** What is left when no block follows. */
  rest(): RecordBatch | undefined
}

function createPicker(schema: ArrowSchema, batchSize: number): Picker {
  const sources = new Uint32Array(batchSize)
  const rows = new Uint32Array(batchSize)
  let resident: readonly RecordBatch[] = []
  let order = new Uint32Array(0)
  let unitOf = new Uint32Array(0)
  let starts = new Uint32Array(0)
  let position = 0
  // Rows of earlier blocks that did not fill a batch, block by block: copied, so that the blocks can go. Joined when the
  // batch is full, so that a batch of many blocks copies every row twice and not once a block.
  let carried: RecordBatch[] = []
  let carriedRows = 0
  /** The next `length` rows of the block, from `start` in the selection. */
  const select = (start: number, length: number): void => {
    for (let index = start; index < start + length; index++, position++) {
      const row = order[position]!
      const unit = unitOf[row]!
      sources[index] = unit
      rows[index] = row - starts[unit]!
    }
  }
  /** What is carried, then what was selected behind it, as one batch; nothing is carried any more. */
  const join = (length: number): RecordBatch => {
    const from = [...resident, ...carried]
    let index = 0
    carried.forEach((piece, number) => {
      for (let row = 0; row < piece.numRows; row++, index++) {
        sources[index] = resident.length + number
        rows[index] = row
      }
    })
    carried = []
    carriedRows = 0
    return gatherRows(schema, from, { sources, rows, length })
  }
  return {
    enter(batches, blockRows) {
      resident = batches
      order = blockRows as Uint32Array<ArrayBuffer>
      position = 0
      starts = new Uint32Array(batches.length)
      unitOf = new Uint32Array(blockRows.length)
      let row = 0
      batches.forEach((batch, unit) => {
        starts[unit] = row
        unitOf.fill(unit, row, row + batch.numRows)
        row += batch.numRows
      })
    },
    take() {
      const length = Math.min(batchSize - carriedRows, order.length - position)
      if (carriedRows + length < batchSize) {
        if (length === 0) return undefined
        select(0, length)
        carried.push(gatherRows(schema, resident, { sources, rows, length }))
        carriedRows += length
        return undefined
      }
      select(carriedRows, length)
      return join(batchSize)
    },
    rest: () => (carriedRows === 0 ? undefined : join(carriedRows)),
  }
}
