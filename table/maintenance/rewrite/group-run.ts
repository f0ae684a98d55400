/** One group: its rows read, ordered, written, read back and compared. Commits nothing. */

import { join } from 'node:path'
import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions } from '../../io/object-store.ts'
import { usableBound } from '../../scan/column-facts.ts'
import type { FileScanTask } from '../../scan/plan.ts'
import { readTasks } from '../../scan/read.ts'
import { partitionedKeyMaker, rowPartition } from '../../sort/partition-rows.ts'
import { batchBytes } from '../../sort/pick-rows.ts'
import { type KeyMaker, sortKeyMaker } from '../../sort/sort-key.ts'
import { compareValues } from '../../spec/compare.ts'
import { currentSchema, defaultSpec } from '../../spec/metadata.ts'
import { partitionKey } from '../../spec/partition.ts'
import { fieldByName, type Schema } from '../../spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../spec/types.ts'
import type { Table } from '../../table.ts'
import { DEFAULT_ROW_GROUP_ROWS, type WrittenFile } from '../../write/writer.ts'
import { type ContentDigest, collectDigest, type DigestCollector } from './digest.ts'
import { type SortBudget, sortBatches } from './external-sort.ts'
import { deletedRows } from './groups.ts'
import type { RewriteSettings } from './options.ts'
import { openGroupOutput } from './output.ts'
import { openSpillFolder } from './spill.ts'
import { verifyOutput } from './verify-output.ts'
import { type ColumnRanges, zorderKeyMaker } from './z-order.ts'

/** Row groups read ahead: each is decoded and in memory. */
const READ_DEPTH = 2
/** Of a dataset's tables: rows of a row group, the unit of shuffle in training. */
const ROW_GROUP_ROWS_PROPERTY = 'firn.row-group-rows'

export interface GroupWork {
  readonly table: Table
  readonly tasks: readonly FileScanTask[]
  readonly settings: RewriteSettings
  /** True for files of older specs. */
  readonly isRepartitioned: boolean
  readonly budget: SortBudget
  /** Does not exist; used while rows are sorted, removed after. */
  readonly spillFolder: string
  /** Unique to the run and the group. */
  readonly fileNamePrefix: string
}

export interface WrittenGroup {
  readonly files: readonly WrittenFile[]
  readonly digest: ContentDigest
}

/**
 * That what was read is what the table says is up to the reader: the digest
 * compares what came out of it with what was written.
 * @throws {FirnError} `FIRN_REWRITE_DIGEST_MISMATCH` (corrupt): what was written is not what was read; what reading
 *   and writing throw.
 */
export async function writeGroup(work: GroupWork, options: AbortableOptions = {}): Promise<WrittenGroup> {
  const { table } = work
  const schema = currentSchema(table.metadata)
  const digest = collectDigest()
  const files = await writeFiles(work, schema, digest, options)
  const expected = digest.digest()
  const partitionOf = work.isRepartitioned ? rowPartition(schema, defaultSpec(table.metadata)) : undefined
  await verifyOutput(table, schema, files, expected, { depth: READ_DEPTH, partitionOf, ...options })
  return { files, digest: expected }
}

async function writeFiles(
  work: GroupWork,
  schema: Schema,
  digest: DigestCollector,
  options: AbortableOptions,
): Promise<readonly WrittenFile[]> {
  const { table, tasks, settings } = work
  const spec = defaultSpec(table.metadata)
  const keys = groupKeys(work, schema)
  const weights = inputWeights(work, schema, keys !== undefined)
  const rowGroupRows = rowGroupRowsOf(table)
  const spill = openSpillFolder(join(work.spillFolder, work.fileNamePrefix))
  const input = counted(
    readTasks(table.store, table.location, tasks, schema, schema, undefined, undefined, {
      depth: READ_DEPTH,
      ...options,
    }),
    (batch) => {
      digest.add(batch)
      weights.add(batch)
    },
  )
  try {
    const rows =
      keys === undefined
        ? input
        : sortBatches(input, { keys, spill, budget: work.budget, batchRows: rowGroupRows, signal: options.signal })
    const output = openGroupOutput({
      writer: {
        store: table.store,
        location: table.location,
        schema,
        spec,
        sortOrderId: settings.sortOrder.orderId,
        sortOrder: settings.sortOrder,
        properties: table.metadata.properties,
      },
      rowGroupRows,
      sizes: settings,
      fileNamePrefix: work.fileNamePrefix,
      partition: work.isRepartitioned ? rowPartition(schema, spec) : tasks[0]!.file.partition,
      weigh: weights.weigh,
      weightOf: weights.weightOf,
      bytesPerWeight: () => inputBytes(tasks) / Math.max(1, weights.total()),
    })
    for await (const batch of rows) await output.write(batch, options)
    return await output.close(options)
  } finally {
    await spill.remove()
  }
}

function rowGroupRowsOf({ metadata }: Table): number {
  const rows = Number(metadata.properties[ROW_GROUP_ROWS_PROPERTY])
  return Number.isSafeInteger(rows) && rows > 0 ? rows : DEFAULT_ROW_GROUP_ROWS
}

const inputBytes = (tasks: readonly FileScanTask[]): number =>
  tasks.reduce(
    (sum, task) => sum + task.file.fileSizeBytes * (1 - deletedRows(task) / Math.max(1, task.file.recordCount)),
    0,
  )

async function* counted(
  batches: AsyncIterable<RecordBatch>,
  count: (batch: RecordBatch) => void,
): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of batches) {
    count(batch)
    yield batch
  }
}

/** `undefined`: rows may stay as they come. */
function groupKeys(work: GroupWork, schema: Schema): KeyMaker | undefined {
  const { settings, table, tasks } = work
  const within =
    settings.strategy === 'sort'
      ? sortKeyMaker(schema, settings.sortOrder)
      : settings.strategy === 'zorder'
        ? zorderKeyMaker(schema, settings.zorderColumns, columnRanges(tasks, schema, settings.zorderColumns))
        : undefined
  return work.isRepartitioned ? partitionedKeyMaker(schema, defaultSpec(table.metadata), within) : within
}

interface InputWeights {
  add(batch: RecordBatch): void
  weigh(batch: RecordBatch): number
  weightOf(partition: string): number
  total(): number
}

/**
 * Sorted rows are all seen before the first is written: they weigh what they take in memory. Others weigh one each,
 * counted by the manifests.
 */
function inputWeights(work: GroupWork, schema: Schema, isSorted: boolean): InputWeights {
  if (!isSorted) {
    const rows = work.tasks.reduce((sum, task) => sum + task.file.recordCount - deletedRows(task), 0)
    return { add: () => {}, weigh: (batch) => batch.numRows, weightOf: () => rows, total: () => rows }
  }
  const spec = defaultSpec(work.table.metadata)
  const partitionOf = work.isRepartitioned ? rowPartition(schema, spec) : undefined
  const byPartition = new Map<string, number>()
  let total = 0
  return {
    add(batch) {
      const bytes = batchBytes(batch)
      total += bytes
      if (partitionOf === undefined) return
      const tupleOf = partitionOf(batch)
      for (let row = 0; row < batch.numRows; row++) {
        const key = partitionKey({ specId: spec.specId, partition: tupleOf(row) })
        byPartition.set(key, (byPartition.get(key) ?? 0) + bytes / batch.numRows)
      }
    },
    weigh: batchBytes,
    weightOf: (partition) => (partitionOf === undefined ? total : (byPartition.get(partition) ?? 0)),
    total: () => total,
  }
}

/** From the bounds of the files; they may be cut, which moves no value across another. */
function columnRanges(tasks: readonly FileScanTask[], schema: Schema, columns: readonly string[]): ColumnRanges {
  const ranges = new Map<number, { lower: PrimitiveValue; upper: PrimitiveValue }>()
  for (const name of columns) {
    const { id, type: columnType } = fieldByName(schema, name)
    const type = columnType as PrimitiveType
    for (const { file } of tasks) {
      const low = file.lowerBounds.get(id)
      const high = file.upperBounds.get(id)
      if (low === undefined || high === undefined) continue
      const [lower, upper] = [usableBound(type, low), usableBound(type, high)]
      if (lower === undefined || upper === undefined) continue
      const known = ranges.get(id) ?? { lower, upper }
      ranges.set(id, {
        lower: compareValues(type, lower, known.lower) < 0 ? lower : known.lower,
        upper: compareValues(type, upper, known.upper) > 0 ? upper : known.upper,
      })
    }
  }
  return ranges
}
