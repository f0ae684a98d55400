/**
 * Rolling writer of data files: sorted rows of one partition in, right-sized Parquet files with complete statistics
 * out. A file is uploaded when it is complete; nothing of it is visible before.
 */
import { createHash } from 'node:crypto'
import { type RecordBatch, Type } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { arrowSchema } from '../format/arrow-schema.ts'
import { describeParquet } from '../format/parquet-reader.ts'
import { annotateUuids } from '../format/parquet-uuid.ts'
import { createParquetFile, type ParquetFileWriter } from '../format/parquet-writer.ts'
import { type AbortableOptions, type ObjectStore, putOnce } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type MetricsMode, metricsModes } from '../manifest/metrics-mode.ts'
import { collectStatistics, type StatisticsCollector } from '../manifest/stats.ts'
import { keyOfPath } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { type PartitionSpec, type PartitionTuple, partitionPath } from '../spec/partition.ts'
import { childrenOf, fieldsById, type Schema } from '../spec/schema.ts'
import type { SortOrder } from '../spec/sort.ts'
import { conform } from './conform.ts'

/** Row group = unit of shuffle of a training table. */
export const DEFAULT_ROW_GROUP_ROWS = 2_048
/** Average bytes of a value from which on a text column is written without trying a dictionary. */
const PLAIN_VALUE_BYTES = 64

const TARGET_FILE_SIZE = 'write.target-file-size-bytes'
const DEFAULT_TARGET_FILE_SIZE_BYTES = 128 * 1024 * 1024

/** The table's own target for new data files. */
export function targetFileSizeBytes({ properties }: TableMetadata): number {
  const value = Number(properties[TARGET_FILE_SIZE] ?? DEFAULT_TARGET_FILE_SIZE_BYTES)
  return Number.isFinite(value) && value > 0 ? value : DEFAULT_TARGET_FILE_SIZE_BYTES
}

export interface DataFileWriterOptions {
  /** Rooted at the table's folder. */
  readonly store: ObjectStore
  /** The metadata's `location`. */
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly partition: PartitionTuple
  /** Has the columns that partitions are made from, where `schema` has dropped one. */
  readonly partitionSchema?: Schema
  readonly sortOrderId: number
  /** Unique to the run, e.g. its id: files are `data/<partition>/<prefix>-<n>.parquet`. */
  readonly fileNamePrefix: string
  /** A file is closed when it reaches this size; it may exceed it by about two row groups. */
  readonly targetFileSizeBytes: number
  readonly rowGroupRows?: number
  /** The table's: `write.metadata.metrics.*` says what is recorded of each column. Default: bounds of 16 characters. */
  readonly properties?: Readonly<Record<string, string>>
  /** Its columns get bounds also where the properties' default mode has none. */
  readonly sortOrder?: SortOrder
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
  cut(options?: AbortableOptions): Promise<WrittenFile | undefined>
  /** Completes the last file. A writer that got no rows wrote no file. */
  close(options?: AbortableOptions): Promise<readonly WrittenFile[]>
}

interface OpenFile {
  readonly parquet: ParquetFileWriter
  readonly statistics: StatisticsCollector
  readonly parts: Uint8Array[]
  rows: number
}

/**
 * @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` (invalid). From `write` and `close`: `FIRN_SCHEMA_MISMATCH` (invalid);
 *   `FIRN_STORE_UNAVAILABLE`; `FIRN_PRECONDITION_FAILED` (conflict) when the prefix was used before: a data file is never replaced.
 */
export function createDataFileWriter(options: DataFileWriterOptions): DataFileWriter {
  const rowGroupRows = options.rowGroupRows ?? DEFAULT_ROW_GROUP_ROWS
  const arrow = arrowSchema(options.schema)
  checkWritable(options.schema)
  const modeOf = metricsModes(options.schema, options.sortOrder, options.properties ?? {})
  const written: WrittenFile[] = []
  let open: OpenFile | undefined

  const finish = async (abort: AbortableOptions): Promise<WrittenFile | undefined> => {
    if (open === undefined) return undefined
    const file = open
    open = undefined
    await file.parquet.close()
    const complete = await upload(options, file, modeOf, written.length, abort)
    written.push(complete)
    return complete
  }

  return {
    async write(batch, abort = {}) {
      const typed = conform(arrow, options.schema, batch)
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
    // Java's filters take uuids in a footer or dictionary for plain bytes: they fail on them, or skip what matches.
    const uuids = options.schema.fields.filter(({ type }) => type === 'uuid').map(({ name }) => name)
    const plainColumns = [...longTextColumns(first), ...uuids]
    const parquet = createParquetFile({ rowGroupRows: groupRows, plainColumns, unboundedColumns: uuids }, (bytes) => {
      parts.push(bytes)
    })
    return { parquet, statistics: collectStatistics(options.schema, modeOf), parts, rows: 0 }
  }
}

function longTextColumns(batch: RecordBatch): readonly string[] {
  return batch.schema.fields
    .filter((_field, index) => {
      const data = batch.data.children[index]
      if (data?.typeId !== Type.Utf8 && data?.typeId !== Type.Binary) return false
      const offsets = data.valueOffsets as Int32Array
      return (offsets[data.length]! - offsets[0]!) / Math.max(1, data.length) >= PLAIN_VALUE_BYTES
    })
    .map((field) => field.name)
}

/** @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` (invalid): Parquet has no structs without fields. */
function checkWritable(schema: Schema): void {
  for (const { name, type } of fieldsById(schema).values()) {
    if (typeof type === 'object' && type.type === 'struct' && childrenOf(type).length === 0) {
      const message = `column ${name}: a struct without fields cannot be written`
      throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', message, { help: 'Add a field to it, or drop it.' })
    }
  }
}

function withUuids(file: Buffer, schema: Schema): Buffer {
  const ids = [...fieldsById(schema)].filter(([, field]) => field.type === 'uuid').map(([id]) => id)
  return ids.length === 0 ? file : annotateUuids(file, new Set(ids))
}

async function upload(
  options: DataFileWriterOptions,
  file: OpenFile,
  modeOf: (fieldId: number) => MetricsMode,
  index: number,
  abort: AbortableOptions,
): Promise<WrittenFile> {
  const { schema, spec, partition, location } = options
  const bytes = withUuids(Buffer.concat(file.parts), schema)
  // The encoder's objects hold on to the file until the collector has run twice: not to its bytes as well.
  file.parts.length = 0
  const folder = ['data', partitionPath(spec, options.partitionSchema ?? schema, partition)]
    .filter((part) => part !== '')
    .join('/')
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
    for (const [id, size] of group.columnSizes) {
      if (modeOf(id) !== 'none') columnSizes.set(id, (columnSizes.get(id) ?? 0) + size)
    }
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
    sha256: createHash('sha256').update(bytes).digest('hex'),
    rowGroups: rowGroups.map((group) => ({ rows: group.rows, bytes: bytesOf(group.columnSizes) })),
  }
}
