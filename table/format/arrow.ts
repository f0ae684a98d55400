/**
 * Flat columns of bytes to and from an Arrow IPC **stream**, buffer by buffer: no builders, no per-value objects.
 * Reading is zero-copy: every returned column is a view of the bytes that came in.
 * Format: https://arrow.apache.org/docs/format/Columnar.html (IPC streaming format). Only non-nullable columns.
 */
import {
  Binary,
  type Data,
  type DataType,
  Field,
  makeData,
  RecordBatch,
  RecordBatchReader,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Timestamp,
  TimeUnit,
  Utf8,
} from 'apache-arrow'

/** Value `i` is `values[offsets[i], offsets[i + 1])`. */
export interface BytesColumn {
  readonly type: 'utf8' | 'binary'
  readonly name: string
  readonly offsets: Int32Array
  readonly values: Uint8Array
}

/** Milliseconds since the epoch, UTC. */
export interface TimestampColumn {
  readonly type: 'timestamp-millis'
  readonly name: string
  readonly values: BigInt64Array
}

export type IpcColumn = BytesColumn | TimestampColumn

/** One IPC stream: a schema with its metadata and one record batch. */
export interface IpcTable {
  readonly metadata: ReadonlyMap<string, string>
  readonly rowCount: number
  readonly columns: readonly IpcColumn[]
}

/** The stream's bytes, uncompressed. A table of no rows is a schema without a batch. */
export function encodeIpcStream(table: IpcTable): Uint8Array {
  const fields = table.columns.map((column) => new Field(column.name, arrowType(column), false))
  const schema = new Schema(fields, new Map(table.metadata))
  const writer = new RecordBatchStreamWriter()
  writer.reset(undefined, schema)
  if (table.rowCount > 0) {
    const children = table.columns.map((column) => columnData(column, table.rowCount))
    const type = new Struct(schema.fields)
    writer.write(new RecordBatch(schema, makeData({ type, length: table.rowCount, nullCount: 0, children })))
  }
  writer.finish()
  return writer.toUint8Array(true)
}

/**
 * Inverse of `encodeIpcStream`; also reads what other Arrow libraries wrote, as long as there is at most one batch
 * of the supported types without nulls. Columns are views of `bytes`: keep `bytes` unchanged while they are in use.
 * @throws {Error} on anything else; callers name the object in their own error.
 */
export function decodeIpcStream(bytes: Uint8Array): IpcTable {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes)
  const reader = RecordBatchReader.from(aligned).open()
  const { schema } = reader // the reader forgets it once it was read to its end
  if (schema === undefined) throw new Error('no schema message')
  const batches = [...reader].filter((batch) => batch.numRows > 0)
  if (batches.length > 1) throw new Error(`expected at most one record batch, got ${batches.length}`)
  const batch = batches[0]
  const columns = schema.fields.map((field, index) =>
    readColumn(field, batch?.data.children[index] as Data | undefined),
  )
  return { metadata: schema.metadata, rowCount: batch?.numRows ?? 0, columns }
}

/**
 * The schema's metadata when only the beginning of a stream is at hand, `undefined` when even the schema message
 * is cut off.
 */
export function decodeIpcMetadata(prefix: Uint8Array): ReadonlyMap<string, string> | undefined {
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
  // Encapsulated message: 0xFFFFFFFF, int32 size of the flatbuffer, the flatbuffer padded to 8 bytes; no body.
  if (prefix.byteLength < 8 || view.getUint32(0, true) !== 0xffff_ffff) return undefined
  const end = 8 + view.getInt32(4, true)
  if (end > prefix.byteLength) return undefined
  const reader = RecordBatchReader.from(Uint8Array.from(prefix.subarray(0, end))).open()
  return reader.schema?.metadata
}

function arrowType(column: IpcColumn): DataType {
  if (column.type === 'utf8') return new Utf8()
  if (column.type === 'binary') return new Binary()
  return new Timestamp(TimeUnit.MILLISECOND, 'UTC')
}

function columnData(column: IpcColumn, length: number): Data {
  if (column.type === 'timestamp-millis') {
    const type = new Timestamp(TimeUnit.MILLISECOND, 'UTC')
    return makeData({ type, length, nullCount: 0, data: column.values })
  }
  const { offsets: valueOffsets, values: data } = column
  return column.type === 'utf8'
    ? makeData({ type: new Utf8(), length, nullCount: 0, valueOffsets, data })
    : makeData({ type: new Binary(), length, nullCount: 0, valueOffsets, data })
}

function readColumn(field: Field, data: Data | undefined): IpcColumn {
  const { name, type } = field
  if (data !== undefined && data.nullCount > 0) throw new Error(`column ${name} has nulls`)
  const bytes = { name, offsets: data?.valueOffsets ?? new Int32Array(1), values: data?.values ?? new Uint8Array(0) }
  if (type instanceof Utf8) return { type: 'utf8', ...bytes }
  if (type instanceof Binary) return { type: 'binary', ...bytes }
  if (type instanceof Timestamp && type.unit === TimeUnit.MILLISECOND) {
    return {
      type: 'timestamp-millis',
      name,
      values: (data?.values as BigInt64Array | undefined) ?? new BigInt64Array(0),
    }
  }
  throw new Error(`column ${name} has the unsupported type ${String(type)}`)
}
