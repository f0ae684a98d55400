/**
 * Rolling writer of data files: sorted rows of one partition in, right-sized Parquet files with complete statistics
 * out. A file is uploaded when it is complete; nothing of it is visible before.
 */
import { createHash, type Hash } from 'node:crypto'
import { type Schema as ArrowSchema, type Field, makeData, RecordBatch, Struct } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { arrowSchema } from '../format/arrow-schema.ts'
import { describeParquet } from '../format/parquet-reader.ts'
import { createParquetFile, type ParquetFileWriter } from '../format/parquet-writer.ts'
import { type AbortableOptions, type ObjectStore, putOnce } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { collectStatistics, type StatisticsCollector } from '../manifest/stats.ts'
import { keyOfPath } from '../spec/location.ts'
import { type PartitionSpec, type PartitionTuple, partitionPath } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'

/** Row group = unit of shuffle of a training table. */
export const DEFAULT_ROW_GROUP_ROWS = 2_048
/** Average bytes of a value from which on a text column is written without trying a dictionary. */
const PLAIN_VALUE_BYTES = 64

export interface DataFileWriterOptions {
  /** Rooted at the table's folder. */
  readonly store: ObjectStore
  /** The metadata's `location`. */
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly partition: PartitionTuple
  readonly sortOrderId: number
  /** Unique to the run, e.g. its id: files are `data/<partition>/<prefix>-<n>.parquet`. */
  readonly fileNamePrefix: string
  /** A file is closed when it reaches this size; it may exceed it by about two row groups. */
  readonly targetFileSizeBytes: number
  readonly rowGroupRows?: number
}

export interface WrittenFile {
  readonly dataFile: DataFile
  /** Lower-case hexadecimal, of the whole file. */
  readonly sha256: string
  readonly rowGroups: readonly { readonly rows: number; readonly bytes: number }[]
}

export interface DataFileWriter {
  /** Rows in sort order; columns as `arrowSchema(schema)`. Any number of rows. */
  write(batch: RecordBatch, options?: AbortableOptions): Promise<void>
  /** Bytes of the open file so far; lags behind what was written by about one row group. 0 when none is open. */
  readonly openFileBytes: number
  /** Completes the open file, if there is one, before it has its target size: the next row begins another. */
  cut(options?: AbortableOptions): Promise<void>
  /** Completes the last file. A writer that got no rows wrote no file. */
  close(options?: AbortableOptions): Promise<readonly WrittenFile[]>
}

interface OpenFile {
  readonly parquet: ParquetFileWriter
  readonly statistics: StatisticsCollector
  readonly parts: Uint8Array[]
  readonly hash: Hash
  rows: number
}

/**
 * @throws {FirnError} from `write` and `close`: `FIRN_SCHEMA_MISMATCH` (invalid); `FIRN_STORE_UNAVAILABLE`;
 *   `FIRN_PRECONDITION_FAILED` (conflict) when the prefix was used before: a data file is never replaced.
 */
export function createDataFileWriter(options: DataFileWriterOptions): DataFileWriter {
  const rowGroupRows = options.rowGroupRows ?? DEFAULT_ROW_GROUP_ROWS
  const arrow = arrowSchema(options.schema)
  const written: WrittenFile[] = []
  let open: OpenFile | undefined

  const finish = async (abort: AbortableOptions): Promise<void> => {
    if (open === undefined) return
    const file = open
    open = undefined
    await file.parquet.close()
    written.push(await upload(options, file, written.length, abort))
  }

  return {
    async write(batch, abort = {}) {
      const typed = asTableColumns(arrow, options.schema, batch)
      for (let start = 0; start < typed.numRows; start += rowGroupRows) {
        abort.signal?.throwIfAborted()
        const rows = Math.min(rowGroupRows, typed.numRows - start)
        const part = rows === typed.numRows ? typed : typed.slice(start, start + rows)
        open ??= startFile(part, rowGroupRows)
        open.statistics.add(part)
        open.rows += rows
        await open.parquet.write(part)
        if (open.parquet.bytesOut >= options.targetFileSizeBytes) await finish(abort)
      }
    },
    get openFileBytes() {
      return open?.parquet.bytesOut ?? 0
    },
    cut: (abort = {}) => finish(abort),
    async close(abort = {}) {
      await finish(abort)
      return written
    },
  }

  function startFile(first: RecordBatch, groupRows: number): OpenFile {
    const parts: Uint8Array[] = []
    const hash = createHash('sha256')
    const parquet = createParquetFile({ rowGroupRows: groupRows, plainColumns: longTextColumns(first) }, (bytes) => {
      parts.push(bytes)
      hash.update(bytes)
    })
    return { parquet, statistics: collectStatistics(options.schema), parts, hash, rows: 0 }
  }
}

/**
 * The batch under the table's own Arrow schema, field ids included: what the caller's fields carry decides nothing.
 * @throws {FirnError} `FIRN_SCHEMA_MISMATCH` (invalid).
 */
function asTableColumns(arrow: ArrowSchema, schema: Schema, batch: RecordBatch): RecordBatch {
  const describe = (fields: readonly Field[]): string => fields.map(({ name, type }) => `${name} ${type}`).join(', ')
  const expected = describe(arrow.fields)
  const got = describe(batch.schema.fields)
  if (expected !== got) {
    throw new FirnError('invalid', 'FIRN_SCHEMA_MISMATCH', `rows to write: expected columns ${expected}; got ${got}`)
  }
  schema.fields.forEach((field, index) => {
    const nulls = batch.data.children[index]?.nullCount ?? 0
    if (field.required && nulls > 0) {
      throw new FirnError('invalid', 'FIRN_SCHEMA_MISMATCH', `required column ${field.name} has ${nulls} nulls`)
    }
  })
  const type = new Struct(arrow.fields)
  const data = makeData({ type, length: batch.numRows, nullCount: 0, children: batch.data.children })
  return new RecordBatch(arrow, data)
}

function longTextColumns(batch: RecordBatch): readonly string[] {
  return batch.schema.fields
    .filter((_field, index) => {
      const data = batch.data.children[index]
      const offsets = data?.valueOffsets as Int32Array | undefined
      if (data === undefined || offsets === undefined || offsets.length === 0) return false
      return (offsets[data.length]! - offsets[0]!) / Math.max(1, data.length) >= PLAIN_VALUE_BYTES
    })
    .map((field) => field.name)
}

async function upload(
  options: DataFileWriterOptions,
  file: OpenFile,
  index: number,
  abort: AbortableOptions,
): Promise<WrittenFile> {
  const { schema, spec, partition, location } = options
  const bytes = Buffer.concat(file.parts)
  const folder = ['data', partitionPath(spec, schema, partition)].filter((part) => part !== '').join('/')
  const filePath = `${location}/${folder}/${options.fileNamePrefix}-${index}.parquet`
  const rowGroups = describeParquet(bytes, filePath)
  const rows = rowGroups.reduce((sum, group) => sum + group.rows, 0)
  if (rows !== file.rows) {
    throw new FirnError(
      'failed',
      'FIRN_PARQUET_WRITE_FAILED',
      `${filePath}: wrote ${file.rows} rows, the footer has ${rows}`,
    )
  }
  const columnSizes = new Map<number, number>()
  for (const group of rowGroups) {
    for (const [id, size] of group.columnSizes) columnSizes.set(id, (columnSizes.get(id) ?? 0) + size)
  }
  await putOnce(options.store, keyOfPath(location, filePath), bytes, abort)
  const dataFile: DataFile = {
    content: 'data',
    filePath,
    fileFormat: 'PARQUET',
    specId: spec.specId,
    partition,
    recordCount: rows,
    fileSizeBytes: bytes.length,
    columnSizes,
    ...file.statistics.done(),
    splitOffsets: rowGroups.map((group) => group.offset),
    equalityIds: [],
    sortOrderId: options.sortOrderId,
  }
  const bytesOf = (sizes: ReadonlyMap<number, number>): number => [...sizes.values()].reduce((sum, n) => sum + n, 0)
  return {
    dataFile,
    sha256: file.hash.digest('hex'),
    rowGroups: rowGroups.map((group) => ({ rows: group.rows, bytes: bytesOf(group.columnSizes) })),
  }
}
