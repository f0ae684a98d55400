/** Rows in any order to data files of the table's default spec: each row to the partition that it belongs to. */
import type { RecordBatch } from 'apache-arrow'
import { newUuid } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { takeRows } from '../format/arrow-take.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { currentSchema, defaultSortOrder, defaultSpec, type TableMetadata } from '../spec/metadata.ts'
import { type PartitionSpec, type PartitionTuple, partitionKey } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import { applyTransform } from '../spec/transform.ts'
import { isPrimitive } from '../spec/types.ts'
import type { WriteContext } from './context.ts'
import { columnReader, targetFileSizeBytes } from './copy-on-write.ts'
import { createDataFileWriter, type DataFileWriter } from './writer.ts'

/** Partitions that are written to at once: each holds a file in memory. */
const MAX_OPEN = 8

export interface PartitionedWriter {
  /** Columns as the table's current schema has them. */
  write(batch: RecordBatch): Promise<void>
  close(): Promise<readonly DataFile[]>
}

/** Files have no sort order: rows keep the order they come in. */
export function partitionedWriter(
  { store, clock }: Pick<WriteContext, 'store' | 'clock'>,
  metadata: TableMetadata,
  options: AbortableOptions = {},
): PartitionedWriter {
  const schema = currentSchema(metadata)
  const spec = defaultSpec(metadata)
  const prefix = newUuid(clock)
  // In the order of their last use.
  const open = new Map<string, DataFileWriter>()
  const done: DataFile[] = []
  let files = 0

  const finish = async (key: string): Promise<void> => {
    const writer = open.get(key)!
    open.delete(key)
    for (const { dataFile } of await writer.close(options)) done.push(dataFile)
  }
  const writerOf = async (key: string, partition: PartitionTuple): Promise<DataFileWriter> => {
    const known = open.get(key)
    if (known !== undefined) {
      open.delete(key)
      open.set(key, known)
      return known
    }
    const [oldest] = open.keys()
    if (open.size >= MAX_OPEN && oldest !== undefined) await finish(oldest)
    const writer = createDataFileWriter({
      store,
      location: metadata.location,
      schema,
      spec,
      partition,
      sortOrderId: 0,
      fileNamePrefix: `${prefix}-${files++}`,
      targetFileSizeBytes: targetFileSizeBytes(metadata),
      properties: metadata.properties,
      sortOrder: defaultSortOrder(metadata),
    })
    open.set(key, writer)
    return writer
  }

  return {
    write: async (batch) => {
      for (const { key, partition, rows } of splitByPartition(batch, schema, spec)) {
        const part = rows.length === batch.numRows ? batch : takeRows(batch, schema, rows)
        await (await writerOf(key, partition)).write(part, options)
      }
    },
    close: async () => {
      for (const key of [...open.keys()]) await finish(key)
      return done
    },
  }
}

interface PartitionRows {
  readonly key: string
  readonly partition: PartitionTuple
  readonly rows: Int32Array
}

function splitByPartition(batch: RecordBatch, schema: Schema, spec: PartitionSpec): readonly PartitionRows[] {
  const sources = spec.fields.map((field) => {
    const source = schema.fields.find((column) => column.id === field.sourceId)
    if (source === undefined || !isPrimitive(source.type)) {
      const message = `partition ${field.name} is made from a nested column, to which rows are not routed`
      throw new FirnError('invalid', 'FIRN_TRANSFORM_UNSUPPORTED', message)
    }
    return { fieldId: source.id, type: source.type, transform: field.transform }
  })
  const read = columnReader(schema, batch)
  const groups = new Map<string, { readonly partition: PartitionTuple; readonly rows: number[] }>()
  for (let row = 0; row < batch.numRows; row++) {
    const partition = sources.map(({ fieldId, type, transform }) =>
      applyTransform(transform, type, read({ fieldId }, row)),
    )
    const key = partitionKey({ specId: spec.specId, partition })
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { partition, rows: [row] })
    else group.rows.push(row)
  }
  return [...groups].map(([key, { partition, rows }]) => ({ key, partition, rows: Int32Array.from(rows) }))
}
