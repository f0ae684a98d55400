/**
 * Rows in the order of the table to data files, partition after partition. A row group ends at its number of rows;
 * where rows are so large that one would not fit into memory, groups have fewer.
 */
import type { RecordBatch } from 'apache-arrow'
import {
  batchBytes,
  createDataFileWriter,
  type DataFileWriter,
  dataFileToJson,
  type PartitionTuple,
  type PrimitiveValue,
  rowPartition,
  type WrittenFile,
} from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import { layoutOf, storeOf } from '../layout.ts'
import type { CompactionTask, TaskContext, WrittenFileJson } from '../task.ts'

/** Uncompressed; the encoder holds a row group. */
const MAX_GROUP_BYTES = 48 * 1024 * 1024
/** So many row groups in a row that are far smaller than they could be end a file whose first rows were large. */
const MAX_TINY_GROUPS = 16

/** Of a batch that is handed over; one row may exceed it. */
export const MAX_BATCH_BYTES: number = 8 * 1024 * 1024

export interface TableOutput {
  /** Rows of one partition. */
  writePart(partition: PartitionTuple, batch: RecordBatch, options: AbortableOptions): Promise<void>
  /** Rows of any partitions, those of each together. */
  write(batch: RecordBatch, options: AbortableOptions): Promise<void>
  close(options: AbortableOptions): Promise<readonly WrittenFileJson[]>
}

interface OpenPart {
  readonly partition: PartitionTuple
  readonly writer: DataFileWriter
  readonly groupRows: number
  /** Of the row group that is not complete. */
  rows: number
  bytes: number
  tinyGroups: number
}

/** @param prefix of file names, unique to the task. */
export function openOutput(task: CompactionTask, context: TaskContext, prefix: string): TableOutput {
  const { schema, spec, sortOrder } = layoutOf(task)
  const store = storeOf(task, context)
  const partitionOf = rowPartition(schema, spec)
  const written: WrittenFileJson[] = []
  let writers = 0
  let current: OpenPart | undefined

  const open = (partition: PartitionTuple, rowBytes: number): OpenPart => {
    const groupRows = Math.max(1, Math.min(task.rowGroupRows, Math.floor(MAX_GROUP_BYTES / Math.max(1, rowBytes))))
    const writer = createDataFileWriter({
      store,
      location: task.location,
      schema,
      spec,
      partition,
      sortOrderId: sortOrder.orderId,
      sortOrder,
      properties: task.metricsProperties,
      fileNamePrefix: `${prefix}-${writers++}`,
      targetFileSizeBytes: task.targetFileSizeBytes,
      rowGroupRows: groupRows,
    })
    return { partition, writer, groupRows, rows: 0, bytes: 0, tinyGroups: 0 }
  }
  const finish = async (options: AbortableOptions): Promise<void> => {
    const files = (await current?.writer.close(options)) ?? []
    for (const file of files) written.push(writtenFileJson(file))
    current = undefined
  }
  const writePart: TableOutput['writePart'] = async (partition, batch, options) => {
    const batchSize = batchBytes(batch)
    if (current !== undefined && !sameTuple(current.partition, partition)) await finish(options)
    let rowBytes = batchSize / batch.numRows
    if (current !== undefined && tinyGroupsOf(current, batch.numRows, batchSize) >= MAX_TINY_GROUPS) {
      await finish(options)
    } else if (current !== undefined && current.rows > 0) {
      const rows = current.rows + batch.numRows
      const bytes = current.bytes + batchSize
      rowBytes = bytes / rows
      if (rows <= current.groupRows && bytes > MAX_GROUP_BYTES) await finish(options)
    }
    current ??= open(partition, rowBytes)
    await current.writer.write(batch, options)
    advance(current, batch.numRows, batchSize)
  }
  /** Groups in a row that are far smaller than they could be, with those that the batch completes. */
  const tinyGroupsOf = ({ rows, bytes, groupRows, tinyGroups }: OpenPart, more: number, moreBytes: number): number => {
    const groups = Math.floor((rows + more) / groupRows)
    if (groups === 0) return tinyGroups
    const isTiny = groupRows < task.rowGroupRows && bytes + moreBytes < ((groups + 1) * MAX_GROUP_BYTES) / 16
    return isTiny ? tinyGroups + groups : 0
  }
  const advance = (part: OpenPart, batchRows: number, batchSize: number): void => {
    part.tinyGroups = tinyGroupsOf(part, batchRows, batchSize)
    const rows = part.rows + batchRows
    part.bytes = rows < part.groupRows ? part.bytes + batchSize : ((rows % part.groupRows) * batchSize) / batchRows
    part.rows = rows % part.groupRows
  }
  return {
    writePart,
    async write(batch, options) {
      const tupleOf = partitionOf(batch)
      for (let start = 0; start < batch.numRows; ) {
        const tuple = tupleOf(start)
        const end = partEnd(tupleOf, tuple, start, batch.numRows)
        await writePart(tuple, start === 0 && end === batch.numRows ? batch : batch.slice(start, end), options)
        start = end
      }
    },
    async close(options) {
      await finish(options)
      return written
    },
  }
}

/** First row after `start` that is of another partition. Most batches have one, which is known by their last row. */
function partEnd(tupleOf: (row: number) => PartitionTuple, tuple: PartitionTuple, start: number, rows: number): number {
  let low = start + 1
  let high = rows
  if (sameTuple(tupleOf(rows - 1), tuple)) return rows
  while (low < high) {
    const middle = (low + high) >> 1
    if (sameTuple(tupleOf(middle), tuple)) low = middle + 1
    else high = middle
  }
  return low
}

function sameTuple(a: PartitionTuple, b: PartitionTuple): boolean {
  return a.every((value, index) => sameValue(value, b[index] ?? null))
}

const sameValue = (a: PrimitiveValue, b: PrimitiveValue): boolean =>
  a === b || (a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0)

const writtenFileJson = (file: WrittenFile): WrittenFileJson => ({
  dataFile: dataFileToJson(file.dataFile),
  sha256: file.sha256,
  rowGroups: file.rowGroups,
})
