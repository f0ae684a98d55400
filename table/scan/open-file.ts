/** One data or delete file of a table, held against what its manifest entry says. */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { type OpenParquetOptions, openParquet, type ParquetFile } from '../format/parquet-reader.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { keyOfPath } from '../spec/location.ts'
import { projectSchema, type Schema } from '../spec/schema.ts'

/** What the footer says of a row group; of all its columns, dictionaries and page headers included. */
export interface RowGroupSizes {
  readonly rows: number
  /** Of its first byte in the file. */
  readonly offset: number
  readonly compressedBytes: number
  readonly uncompressedBytes: number
}

/** Random access to the row groups of one data file. */
export interface DataFileReader {
  /** Rows of each row group as they are stored, deleted ones included. */
  readonly rowGroupRows: readonly number[]
  readonly rowGroups: readonly RowGroupSizes[]
  /**
   * Row group `rowGroup` with `columns` (default: all), found by field id, in schema order.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_STORE_UNAVAILABLE` (unavailable).
   */
  read(rowGroup: number, options?: ReadRowGroupOptions): Promise<RecordBatch>
}

export interface ReadRowGroupOptions extends AbortableOptions {
  readonly columns?: readonly string[]
}

/** What it takes to open a file. */
export type FileReference = Pick<DataFile, 'filePath' | 'fileFormat' | 'fileSizeBytes' | 'recordCount'>

/** What it takes to open a planned file without its deletes; plain data. */
export type PlannedFile = FileReference & Pick<DataFile, 'partition'>

/**
 * One file as it is stored: rows that delete files take out of the table are there. `openFileTask` leaves them out.
 * @param store rooted at the table's folder. @param location the metadata's `location`.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT`; `FIRN_ROW_COUNT_MISMATCH` (corrupt) when footer and manifest disagree.
 */
export async function openDataFile(
  store: ObjectStore,
  location: string,
  file: FileReference,
  schema: Schema,
  options: AbortableOptions = {},
): Promise<DataFileReader> {
  const parquet = await openTableFile(store, location, file, options)
  return {
    ...sizesOf(parquet),
    read: (rowGroup, { columns, ...abort } = {}) => parquet.read(rowGroup, projectSchema(schema, columns), abort),
  }
}

export const sizesOf = ({ rowGroups }: ParquetFile): Pick<DataFileReader, 'rowGroupRows' | 'rowGroups'> => ({
  rowGroupRows: rowGroups.map(({ rows }) => rows),
  rowGroups: rowGroups.map(({ rows, offset, compressedBytes, uncompressedBytes }) => ({
    rows,
    offset,
    compressedBytes,
    uncompressedBytes,
  })),
})

/** @throws {FirnError} as `openDataFile`; `FIRN_FILE_FORMAT_UNSUPPORTED` (invalid). */
export async function openTableFile(
  store: ObjectStore,
  location: string,
  file: FileReference,
  options: OpenParquetOptions,
): Promise<ParquetFile> {
  if (file.fileFormat !== 'PARQUET') {
    const message = `${file.filePath} is ${file.fileFormat}, not PARQUET`
    throw new FirnError('invalid', 'FIRN_FILE_FORMAT_UNSUPPORTED', message)
  }
  const parquet = await openParquet(store, keyOfPath(location, file.filePath), file.fileSizeBytes, options)
  if (parquet.rowCount !== file.recordCount) {
    const message = `${file.filePath}: the manifest says ${file.recordCount} rows, the file has ${parquet.rowCount}`
    throw new FirnError('corrupt', 'FIRN_ROW_COUNT_MISMATCH', message, {
      detail: { path: file.filePath, manifestRows: file.recordCount, footerRows: parquet.rowCount },
      help: 'Run: firn verify <table>',
    })
  }
  return parquet
}
