/**
 * Rows of one group to files of even, right sizes. What is still to come is estimated from the rows' weight and from
 * how the bytes so far relate to theirs, so that the last file of a group is no remainder.
 */

import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { RowPartition } from '../../sort/partition-rows.ts'
import type { PartitionTuple } from '../../spec/partition.ts'
import { partitionKey } from '../../spec/partition.ts'
import {
  createDataFileWriter,
  type DataFileWriter,
  type DataFileWriterOptions,
  type WrittenFile,
} from '../../write/writer.ts'
import { endsFile, type SizeTargets } from './sizes.ts'

export interface OutputOptions {
  readonly writer: Omit<DataFileWriterOptions, 'partition' | 'targetFileSizeBytes' | 'fileNamePrefix' | 'rowGroupRows'>
  readonly rowGroupRows: number
  readonly sizes: SizeTargets
  /** Unique to the group. */
  readonly fileNamePrefix: string
  /** One partition for all rows, or the one of each. Rows of a partition follow one another. */
  readonly partition: PartitionTuple | RowPartition
  weigh(batch: RecordBatch): number
  /** Weight of all rows of a partition, by `partitionKey`; known when the first row comes. */
  weightOf(key: string): number
  /** Bytes of a file per weight, until there is experience. */
  bytesPerWeight(): number
}

/** What the end of a file says about one column of one row group: sizes, statistics, page index. */
const FOOTER_BYTES_PER_COLUMN = 256

export interface GroupOutput {
  write(batch: RecordBatch, options?: AbortableOptions): Promise<void>
  close(options?: AbortableOptions): Promise<readonly WrittenFile[]>
}

interface OpenPartition {
  readonly key: string
  readonly writer: DataFileWriter
  /** Of the whole partition, and what of it was written. */
  readonly totalWeight: number
  doneWeight: number
  fileWeight: number
  fileRows: number
}

export function openGroupOutput(options: OutputOptions): GroupOutput {
  const { rowGroupRows, sizes } = options
  const written: WrittenFile[] = []
  let partitions = 0
  let finishedWeight = 0
  let finishedBytes = 0
  let current: OpenPartition | undefined

  const open = (key: string, partition: PartitionTuple): OpenPartition => {
    const writer = createDataFileWriter({
      ...options.writer,
      partition,
      fileNamePrefix: `${options.fileNamePrefix}-${partitions++}`,
      // files end where this module says, never by themselves
      targetFileSizeBytes: Number.MAX_SAFE_INTEGER,
      rowGroupRows,
    })
    return { key, writer, totalWeight: options.weightOf(key), doneWeight: 0, fileWeight: 0, fileRows: 0 }
  }

  const finish = async (abort: AbortableOptions): Promise<void> => {
    if (current === undefined) return
    await endFile(current, abort)
    written.push(...(await current.writer.close(abort)))
    current = undefined
  }

  const endFile = async (file: OpenPartition, abort: AbortableOptions): Promise<void> => {
    finishedBytes += (await file.writer.cut(abort))?.dataFile.fileSizeBytes ?? 0
    finishedWeight += file.fileWeight
    file.fileWeight = 0
    file.fileRows = 0
  }

  /** Of the open file and of what follows it in its partition. The encoder holds back about one row group. */
  const estimate = (file: OpenPartition): { file: number; rest: number } => {
    const rowGroups = Math.ceil(file.fileRows / rowGroupRows)
    const footerBytes = rowGroups * options.writer.schema.fields.length * FOOTER_BYTES_PER_COLUMN
    const openBytes = file.writer.openFileBytes + (file.writer.openFileBytes > 0 ? footerBytes : 0)
    const heldBack = file.fileRows > rowGroupRows ? (file.fileWeight * rowGroupRows) / file.fileRows : file.fileWeight
    const knownWeight = finishedWeight + file.fileWeight - heldBack
    const knownBytes = finishedBytes + openBytes
    const ratio = knownWeight > 0 && knownBytes > 0 ? knownBytes / knownWeight : options.bytesPerWeight()
    return { file: openBytes + heldBack * ratio, rest: (file.totalWeight - file.doneWeight) * ratio }
  }

  const append = async (file: OpenPartition, batch: RecordBatch, abort: AbortableOptions): Promise<void> => {
    const weight = options.weigh(batch)
    await file.writer.write(batch, abort)
    file.doneWeight += weight
    file.fileWeight += weight
    file.fileRows += batch.numRows
    const expected = estimate(file)
    if (endsFile(expected.file, expected.rest, sizes)) await endFile(file, abort)
  }

  return {
    async write(batch, abort = {}) {
      for (const part of parts(batch, options.partition, options.writer.spec.specId, rowGroupRows)) {
        abort.signal?.throwIfAborted()
        if (current?.key !== part.key) {
          await finish(abort)
          current = open(part.key, part.partition)
        }
        await append(current!, part.batch, abort)
      }
    },
    async close(abort = {}) {
      await finish(abort)
      return written
    },
  }
}

interface Part {
  readonly key: string
  readonly partition: PartitionTuple
  readonly batch: RecordBatch
}

/** The batch cut at the ends of partitions, and into row groups. */
function* parts(
  batch: RecordBatch,
  partition: PartitionTuple | RowPartition,
  specId: number,
  rowGroupRows: number,
): Generator<Part, void, undefined> {
  const tupleOf = typeof partition === 'function' ? partition(batch) : () => partition
  const isConstant = typeof partition !== 'function'
  for (let start = 0; start < batch.numRows; ) {
    const tuple = tupleOf(start)
    const key = partitionKey({ specId, partition: tuple })
    const most = Math.min(batch.numRows, start + rowGroupRows)
    let end = isConstant ? most : start + 1
    while (end < most && partitionKey({ specId, partition: tupleOf(end) }) === key) end++
    yield { key, partition: tuple, batch: start === 0 && end === batch.numRows ? batch : batch.slice(start, end) }
    start = end
  }
}
