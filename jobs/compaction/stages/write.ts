/** The third stage: the runs of one range merged, without the rows that lost, into data files. Averages on the way. */
import type { Data, RecordBatch } from 'apache-arrow'
import { isValidAt, mergeRuns, pickRows } from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { DatasetDefinition } from '../../datasets/index.ts'
import { AveragesBuilder, type AveragesState } from '../averages.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { type LoserObject, loserBits } from '../exchange/losers.ts'
import { readRun, type SpilledRun, writeRun } from '../exchange/runs.ts'
import { layoutOf } from '../layout.ts'
import type { CompactionTask, TaskContext, WrittenFileJson } from '../task.ts'
import { MAX_BATCH_BYTES, openOutput } from './output.ts'
import { tableKeyMaker } from './spill-rows.ts'

/** A block as it was compressed, as it was spilled, its rows' keys. */
const BLOCK_COPIES = 3
const MERGED = -1

export interface WriteOptions extends AbortableOptions {
  readonly exchange: Exchange
  readonly range: number
  /** Of the range, in the order of the input. */
  readonly runs: readonly SpilledRun[]
  readonly losers: readonly LoserObject[]
  /** Of file names. */
  readonly prefix: string
}

export interface WriteOutcome {
  readonly rows: number
  readonly averages: AveragesState
  readonly files: readonly WrittenFileJson[]
}

export async function writeStage(
  task: CompactionTask,
  context: TaskContext,
  options: WriteOptions,
): Promise<WriteOutcome> {
  const { exchange, range, runs, losers, prefix, signal } = options
  const { blockBytes, mergeBytes } = task.budget
  const bits = await loserBits(exchange, losers, range, runs, { signal })
  let merged = 0
  const batches = mergeRuns<SpilledRun>(runs, {
    keys: tableKeyMaker(layoutOf(task)),
    batchRows: task.rowGroupRows,
    batchBytes: MAX_BATCH_BYTES,
    chunkBytes: blockBytes,
    fanIn: (left) => fanInOf(left, mergeBytes),
    read: (run) => readRun(exchange, run, withoutLosers(bits.get(run.number)), { signal }),
    write: (rows) => writeRun(exchange, `merged-${range}-${merged++}`, MERGED, rows, { signal }),
    signal,
  })
  const output = openOutput(task, context, prefix)
  const averages = new BatchAverages(task.dataset)
  let rows = 0
  for await (const batch of batches) {
    averages.add(batch)
    await output.write(batch, { signal })
    rows += batch.numRows
    context.onProgress?.({ stage: 'write', records: 0, bytes: 0, rows })
  }
  return { rows, averages: averages.state(), files: await output.close({ signal }) }
}

/** Of the first runs as many as may have a block each in memory. */
function fanInOf(runs: readonly SpilledRun[], bytes: number): number {
  let sum = 0
  let count = 0
  for (const { maxBlockBytes } of runs) {
    sum += maxBlockBytes * BLOCK_COPIES
    if (sum > bytes) break
    count++
  }
  return count
}

function withoutLosers(bits: Uint8Array | undefined): (batch: RecordBatch, firstRow: number) => RecordBatch {
  if (bits === undefined) return (batch) => batch
  return (batch, firstRow) => {
    const kept = new Int32Array(batch.numRows)
    let count = 0
    for (let row = 0; row < batch.numRows; row++) {
      const at = firstRow + row
      if ((bits[at >> 3]! & (1 << (at & 7))) === 0) kept[count++] = row
    }
    if (count === batch.numRows) return batch
    return pickRows([batch], { sources: new Int32Array(count), rows: kept, count })
  }
}

/** The averages of rows as they are written. */
class BatchAverages {
  readonly #dataset: DatasetDefinition
  readonly #builder = new AveragesBuilder()

  constructor(dataset: DatasetDefinition) {
    this.#dataset = dataset
  }

  add(batch: RecordBatch): void {
    const { averageOf, eventTime } = this.#dataset
    const values = columnOf(batch, averageOf)
    if (values === undefined) return
    const times = eventTime === undefined ? undefined : columnOf(batch, eventTime)
    // long where another engine has widened the column
    const numbers = values.values as Int32Array | BigInt64Array
    const micros = times?.values as BigInt64Array | undefined
    for (let row = 0; row < batch.numRows; row++) {
      if (!isValidAt(values, row)) continue
      this.#builder.add(Number(numbers[row]!), times === undefined || !isValidAt(times, row) ? null : micros![row]!)
    }
  }

  state(): AveragesState {
    return this.#builder.state()
  }
}

function columnOf(batch: RecordBatch, name: string): Data | undefined {
  const index = batch.schema.fields.findIndex((field) => field.name === name)
  return index < 0 ? undefined : (batch.data.children[index] as Data)
}
