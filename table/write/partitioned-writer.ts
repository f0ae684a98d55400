/** Rows in any order to data files of the table's default spec: each row to the partition that it belongs to. */
import type { Data, RecordBatch } from 'apache-arrow'
import { newUuid } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { concatBatches, takeRows } from '../format/arrow-take.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { currentSchema, defaultSortOrder, defaultSpec, schemaForSpec, type TableMetadata } from '../spec/metadata.ts'
import { type PartitionSpec, type PartitionTuple, partitionKey } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import { applyTransform } from '../spec/transform.ts'
import { isPrimitive } from '../spec/types.ts'
import { columnReader } from './column-reader.ts'
import type { WriteContext } from './context.ts'
import { createDataFileWriter, type DataFileWriter, targetFileSizeBytes } from './writer.ts'

/** Of rows that wait for their file, at most; beyond, those of the partition that has most are written. */
const MAX_WAITING_BYTES = 128 << 20
/** Of files that are written, at most; beyond, the largest is completed, however small it is. */
const MAX_OPEN_BYTES = 256 << 20
/** Each holds a row group besides. */
const MAX_OPEN_FILES = 32
/** What a batch of few rows takes beyond their values, a column. */
const COLUMN_OVERHEAD_BYTES = 1_024

export interface PartitionedWriter {
  /** Columns as the table's current schema has them. */
  write(batch: RecordBatch): Promise<void>
  close(): Promise<readonly DataFile[]>
}

export interface PartitionedWriterOptions extends AbortableOptions {
  readonly maxWaitingBytes?: number | undefined
}

/** Rows of one partition that wait for their file. */
interface Waiting {
  readonly partition: PartitionTuple
  readonly batches: RecordBatch[]
  bytes: number
}

/**
 * Files have no sort order: rows keep the order they come in. Memory holds about 400 MB, whatever the number of
 * partitions; where rows of very many come interleaved, files are as small as that makes them.
 */
export function partitionedWriter(
  { store, clock }: Pick<WriteContext, 'store' | 'clock'>,
  metadata: TableMetadata,
  { maxWaitingBytes = MAX_WAITING_BYTES, ...options }: PartitionedWriterOptions = {},
): PartitionedWriter {
  const schema = currentSchema(metadata)
  const spec = defaultSpec(metadata)
  const prefix = newUuid(clock)
  const waiting = new Map<string, Waiting>()
  // In the order of their last use.
  const open = new Map<string, DataFileWriter>()
  const done: DataFile[] = []
  let waitingBytes = 0
  let files = 0

  const finish = async (key: string): Promise<void> => {
    const writer = open.get(key)
    open.delete(key)
    for (const { dataFile } of (await writer?.close(options)) ?? []) done.push(dataFile)
  }
  const writerOf = async (key: string, partition: PartitionTuple): Promise<DataFileWriter> => {
    const known = open.get(key)
    if (known !== undefined) {
      open.delete(key)
      open.set(key, known)
      return known
    }
    const [oldest] = open.keys()
    if (open.size >= MAX_OPEN_FILES && oldest !== undefined) await finish(oldest)
    const writer = createDataFileWriter({
      store,
      location: metadata.location,
      schema,
      spec,
      partition,
      partitionSchema: schemaForSpec(metadata, spec, schema),
      sortOrderId: 0,
      fileNamePrefix: `${prefix}-${files++}`,
      targetFileSizeBytes: targetFileSizeBytes(metadata),
      properties: metadata.properties,
      sortOrder: defaultSortOrder(metadata),
    })
    open.set(key, writer)
    return writer
  }
  const flush = async (key: string): Promise<void> => {
    const { partition, batches, bytes } = waiting.get(key)!
    waiting.delete(key)
    waitingBytes -= bytes
    await (await writerOf(key, partition)).write(concatBatches(schema, batches), options)
    const sizes = [...open].map(([each, writer]) => [each, writer.openFileBytes] as const)
    if (sizes.reduce((sum, [, size]) => sum + size, 0) > MAX_OPEN_BYTES) await finish(largestOf(sizes))
  }

  return {
    write: async (batch) => {
      for (const { key, partition, rows } of splitByPartition(batch, schema, spec)) {
        const part = rows.length === batch.numRows ? batch : takeRows(batch, schema, rows)
        const bytes = part.data.children.reduce((sum, column) => sum + bytesOf(column as Data), 0)
        const known = waiting.get(key) ?? { partition, batches: [], bytes: 0 }
        known.batches.push(part)
        known.bytes += bytes
        waitingBytes += bytes
        waiting.set(key, known)
      }
      while (waitingBytes > maxWaitingBytes) {
        await flush(largestOf([...waiting].map(([key, { bytes }]) => [key, bytes] as const)))
      }
    },
    close: async () => {
      for (const key of [...waiting.keys()]) {
        await flush(key)
        await finish(key)
      }
      for (const key of [...open.keys()]) await finish(key)
      return done
    },
  }
}

const largestOf = (sizes: readonly (readonly [key: string, bytes: number])[]): string =>
  sizes.reduce((largest, each) => (each[1] > largest[1] ? each : largest))[0]

const bytesOf = (data: Data): number =>
  COLUMN_OVERHEAD_BYTES +
  [data.values, data.valueOffsets, data.nullBitmap].reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0) +
  data.children.reduce((sum, child) => sum + bytesOf(child as Data), 0)

interface PartitionRows {
  readonly key: string
  readonly partition: PartitionTuple
  readonly rows: Int32Array
}

function splitByPartition(batch: RecordBatch, schema: Schema, spec: PartitionSpec): readonly PartitionRows[] {
  const sources = spec.fields.map((field) => {
    // Of a dropped field of format version 1; its column may be gone too.
    if (field.transform === 'void') return undefined
    const source = schema.fields.find((column) => column.id === field.sourceId)
    if (source === undefined || !isPrimitive(source.type)) {
      const message = `partition ${field.name} is made from a nested column, to which rows are not routed`
      throw new FirnError('invalid', 'FIRN_TRANSFORM_UNSUPPORTED', message, {
        help: 'Write the files with createDataFileWriter, one partition each, and append them.',
      })
    }
    return { fieldId: source.id, type: source.type, transform: field.transform }
  })
  const read = columnReader(schema, batch)
  const groups = new Map<string, { readonly partition: PartitionTuple; readonly rows: number[] }>()
  for (let row = 0; row < batch.numRows; row++) {
    const partition = sources.map((source) =>
      source === undefined ? null : applyTransform(source.transform, source.type, read(source, row)),
    )
    const key = partitionKey({ specId: spec.specId, partition })
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { partition, rows: [row] })
    else group.rows.push(row)
  }
  return [...groups].map(([key, { partition, rows }]) => ({ key, partition, rows: Int32Array.from(rows) }))
}
