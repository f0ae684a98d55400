/**
 * Parquet files to Arrow batches, one row group at a time, by range reads. hyparquet decodes pages; what the values
 * mean comes from the Iceberg schema, so the file's own logical types are dropped before decoding: they would turn
 * decimals into floats and timestamps into `Date`. The only file that imports hyparquet.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { type Data, makeData, RecordBatch, Struct } from 'apache-arrow'
import { type FileMetaData, parquetMetadata, parquetRead, type SchemaElement } from 'hyparquet'
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ByteRange, ObjectStore } from '../io/object-store.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField } from '../spec/types.ts'
import { arrowSchema } from './arrow-schema.ts'
import { columnFromDecoded, type DecodedValues, nullColumn } from './arrow-values.ts'

/** Bytes of the file's end that are read at first; most footers fit. */
const FOOTER_GUESS_BYTES = 64 * 1024

export interface RowGroupInfo {
  readonly rows: number
  /** First byte of its first column chunk. */
  readonly offset: number
  /** Compressed bytes of each column, by field id. */
  readonly columnSizes: ReadonlyMap<number, number>
}

export interface ParquetFile {
  readonly rowGroups: readonly RowGroupInfo[]
  readonly rowCount: number
  /**
   * One row group as a batch of `schema`, whose columns are found by field id. An optional column that the file does
   * not have is null.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt), `FIRN_TYPE_UNSUPPORTED` (invalid).
   */
  read(rowGroup: number, schema: Schema, options?: AbortableOptions): Promise<RecordBatch>
}

interface FileContext {
  readonly store: ObjectStore
  readonly key: string
  readonly where: string
  readonly sizeBytes: number
  readonly metadata: FileMetaData
  /** Top-level columns by field id. */
  readonly columns: ReadonlyMap<number, SchemaElement>
}

/**
 * @param sizeBytes of the file as the manifest says; another size is an error.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_OBJECT_NOT_FOUND`; `FIRN_STORE_UNAVAILABLE`.
 */
export async function openParquet(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  options: AbortableOptions = {},
): Promise<ParquetFile> {
  const where = `${store.url}/${key}`
  const metadata = await readFooter(store, key, sizeBytes, where, options)
  const context = { store, key, where, sizeBytes, metadata, columns: topLevelColumns(metadata, where) }
  const rowGroups = metadata.row_groups.map((_group, index) => describeRowGroup(context, index))
  const rowCount = rowGroups.reduce((sum, group) => sum + group.rows, 0)
  if (rowCount !== Number(metadata.num_rows)) {
    throw corrupt(where, `the footer says ${metadata.num_rows} rows, its row groups have ${rowCount}`)
  }
  return {
    rowGroups,
    rowCount,
    read: (rowGroup, schema, readOptions) => readRowGroup(context, rowGroups, rowGroup, schema, readOptions),
  }
}

/** The footer of a whole file in memory, as `openParquet` would see it. */
export function describeParquet(bytes: Uint8Array, where: string): readonly RowGroupInfo[] {
  const metadata = parseFooter(bytes, where)
  const columns = topLevelColumns(metadata, where)
  return metadata.row_groups.map((_group, index) => describeRowGroup({ metadata, columns, where }, index))
}

async function readFooter(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  where: string,
  options: AbortableOptions,
): Promise<FileMetaData> {
  const start = Math.max(0, sizeBytes - FOOTER_GUESS_BYTES)
  const tail = await store.get(key, { range: { start, end: sizeBytes }, ...options })
  const bytes = tail.bytes
  if (bytes.length !== sizeBytes - start || bytes.length < 12) {
    throw corrupt(where, `the file has not the ${sizeBytes} bytes that the manifest says`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const footerBytes = view.getUint32(bytes.length - 8, true) + 8
  if (footerBytes > sizeBytes) throw corrupt(where, `the footer claims ${footerBytes} bytes of ${sizeBytes}`)
  if (footerBytes <= bytes.length) return parseFooter(bytes, where)
  const whole = await store.get(key, { range: { start: sizeBytes - footerBytes, end: sizeBytes }, ...options })
  return parseFooter(whole.bytes, where)
}

function parseFooter(bytes: Uint8Array, where: string): FileMetaData {
  try {
    const metadata = parquetMetadata(toArrayBuffer(bytes))
    return { ...metadata, schema: metadata.schema.map(withoutMeaning) }
  } catch (cause) {
    throw corrupt(where, 'the Parquet footer cannot be read', cause)
  }
}

/** Groups keep their annotation: it says which are lists and maps. */
function withoutMeaning(element: SchemaElement): SchemaElement {
  if (element.type === undefined) return element
  const { converted_type: _converted, logical_type: _logical, ...physical } = element
  return physical as SchemaElement
}

function topLevelColumns(metadata: FileMetaData, where: string): ReadonlyMap<number, SchemaElement> {
  const columns = new Map<number, SchemaElement>()
  let index = 1
  const children = metadata.schema[0]?.num_children ?? 0
  for (let child = 0; child < children; child++) {
    const element = metadata.schema[index]
    if (element === undefined) throw corrupt(where, 'the Parquet schema is cut short')
    if (element.field_id !== undefined) columns.set(element.field_id, element)
    index = endOfSubtree(metadata.schema, index)
  }
  if (columns.size === 0 && children > 0) {
    throw new FirnError('invalid', 'FIRN_PARQUET_NO_FIELD_IDS', `${where}: the columns carry no field ids`, {
      help: 'Files that were added to the table without field ids are not read.',
    })
  }
  return columns
}

function endOfSubtree(schema: readonly SchemaElement[], index: number): number {
  let next = index + 1
  for (let child = 0; child < (schema[index]?.num_children ?? 0); child++) next = endOfSubtree(schema, next)
  return next
}

function describeRowGroup(context: Pick<FileContext, 'metadata' | 'columns' | 'where'>, index: number): RowGroupInfo {
  const group = context.metadata.row_groups[index]!
  const idOf = new Map([...context.columns].map(([id, element]) => [element.name, id]))
  const columnSizes = new Map<number, number>()
  for (const column of group.columns) {
    const meta = column.meta_data
    if (meta === undefined) throw corrupt(context.where, `row group ${index} has no column metadata`)
    const id = idOf.get(meta.path_in_schema[0] ?? '')
    if (id !== undefined) columnSizes.set(id, (columnSizes.get(id) ?? 0) + Number(meta.total_compressed_size))
  }
  const first = group.columns[0]?.meta_data
  return {
    rows: Number(group.num_rows),
    offset: Number(first?.dictionary_page_offset ?? first?.data_page_offset ?? 0n),
    columnSizes,
  }
}

async function readRowGroup(
  context: FileContext,
  rowGroups: readonly RowGroupInfo[],
  index: number,
  schema: Schema,
  options: AbortableOptions = {},
): Promise<RecordBatch> {
  const group = rowGroups[index]
  if (group === undefined) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${context.where}: there is no row group ${index}`)
  }
  const rowStart = rowGroups.slice(0, index).reduce((sum, before) => sum + before.rows, 0)
  const present = schema.fields.filter((field) => context.columns.has(field.id))
  const decoded = await decodeColumns(context, present, rowStart, group.rows, options)
  const children = schema.fields.map((field) => columnOf(context, field, decoded, group.rows))
  const arrow = arrowSchema(schema)
  const struct = makeData({ type: new Struct(arrow.fields), length: group.rows, nullCount: 0, children })
  return new RecordBatch(arrow, struct)
}

async function decodeColumns(
  context: FileContext,
  fields: readonly NestedField[],
  rowStart: number,
  rows: number,
  options: AbortableOptions,
): Promise<ReadonlyMap<string, readonly DecodedValues[]>> {
  const chunks = new Map<string, { rowStart: number; values: DecodedValues }[]>()
  if (fields.length === 0 || rows === 0) return new Map()
  const { store, key } = context
  // A failure of the store must come through as it is, not as damage of the file.
  let storeFailure: unknown
  const slice = async (start: number, end: number = context.sizeBytes): Promise<ArrayBuffer> => {
    const range: ByteRange = { start, end }
    try {
      return toArrayBuffer((await store.get(key, { range, ...options })).bytes)
    } catch (error) {
      storeFailure ??= error
      throw error
    }
  }
  try {
    await parquetRead({
      file: { byteLength: context.sizeBytes, slice },
      metadata: context.metadata,
      columns: fields.map((field) => context.columns.get(field.id)!.name),
      rowStart,
      rowEnd: rowStart + rows,
      compressors: COMPRESSORS,
      utf8: false,
      onChunk: (chunk) => {
        const list = chunks.get(chunk.columnName) ?? []
        list.push({ rowStart: chunk.rowStart, values: chunk.columnData as DecodedValues })
        chunks.set(chunk.columnName, list)
      },
    })
  } catch (cause) {
    options.signal?.throwIfAborted()
    if (storeFailure !== undefined) throw storeFailure
    throw corrupt(context.where, `rows ${rowStart} to ${rowStart + rows} cannot be decoded`, cause)
  }
  const inOrder = (list: { rowStart: number; values: DecodedValues }[]): readonly DecodedValues[] =>
    list.sort((a, b) => a.rowStart - b.rowStart).map((chunk) => chunk.values)
  return new Map([...chunks].map(([name, list]) => [name, inOrder(list)]))
}

function columnOf(
  context: FileContext,
  field: NestedField,
  decoded: ReadonlyMap<string, readonly DecodedValues[]>,
  rows: number,
): Data {
  if (!isPrimitive(field.type)) {
    throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `column ${field.name}: nested types are not read yet`)
  }
  const element = context.columns.get(field.id)
  if (element !== undefined) {
    const column = columnFromDecoded(field.type, decoded.get(element.name) ?? [], rows, field.name)
    if (!field.required || column.nullCount === 0) return column
    throw corrupt(context.where, `required column ${field.name} has ${column.nullCount} nulls`)
  }
  if (field.required) throw corrupt(context.where, `required column ${field.name} (id ${field.id}) is not in the file`)
  return nullColumn(field.type, rows, field.name)
}

/** The page's size is the exact output size: zlib's default chunk would grow the output step by step. */
const sized = (outputLength: number): { chunkSize: number } => ({ chunkSize: Math.max(64, outputLength + 64) })
const COMPRESSORS = {
  ZSTD: (input: Uint8Array, length: number): Uint8Array => zstdDecompressSync(input, sized(length)),
  GZIP: (input: Uint8Array, length: number): Uint8Array => gunzipSync(input, sized(length)),
  BROTLI: (input: Uint8Array, length: number): Uint8Array => brotliDecompressSync(input, sized(length)),
}

const toArrayBuffer = (bytes: Uint8Array): ArrayBuffer =>
  bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
    ? (bytes.buffer as ArrayBuffer)
    : (bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer)

const corrupt = (where: string, message: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_PARQUET_CORRUPT', `${where}: ${message}`, { cause, detail: { where } })
