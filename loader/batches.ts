/**
 * From an epoch's order to batches: one block of units resident, the next one under way.
 *
 * What comes out depends on the order alone. How many threads decode and how far they are ahead only decides how long
 * the consumer waits.
 */
import type { Schema as ArrowSchema, RecordBatch } from 'apache-arrow'
import type { Decoder } from './decoder.ts'
import { gatherRows } from './gather.ts'
import type { EpochOrder } from './shuffle.ts'
import type { Unit } from './units.ts'

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
    const last = picker.rest()
    if (last !== undefined && !dropLast) yield last
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
  // Rows of the previous block that did not fill a batch: copied, so that the block can go.
  let carried: RecordBatch | undefined
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
      const before = carried?.numRows ?? 0
      const length = before + Math.min(batchSize - before, order.length - position)
      for (let index = 0; index < before; index++) {
        sources[index] = resident.length
        rows[index] = index
      }
      for (let index = before; index < length; index++, position++) {
        const row = order[position]!
        const unit = unitOf[row]!
        sources[index] = unit
        rows[index] = row - starts[unit]!
      }
      if (length === before && length < batchSize) return undefined
      const from = carried === undefined ? resident : [...resident, carried]
      const batch = gatherRows(schema, from, { sources, rows, length })
      carried = length < batchSize ? batch : undefined
      return length < batchSize ? undefined : batch
    },
    rest: () => carried,
  }
}
