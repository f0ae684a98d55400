/**
 * Parquet files to Arrow batches, one row group at a time, by range reads. What the values mean comes from the Iceberg
 * schema; the file's own annotations say in which form they are stored.
 */
import type { RecordBatch } from 'apache-arrow'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { NameMapping } from '../spec/name-mapping.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField } from '../spec/types.ts'
import type { ColumnPlan } from './parquet-columns.ts'
import { corruptParquet as corrupt } from './parquet-corrupt.ts'
import { type FileNode, type Footer, parseFooter } from './parquet-footer.ts'
import { columnsWithIds } from './parquet-names.ts'
import {
  type FetchedRowGroup,
  type FileContext,
  fetchRowGroup,
  mostRows,
  planColumns,
  type ReadOptions,
  rowGroupAt,
} from './parquet-row-group.ts'
import { type ColumnRange, rangeOf } from './parquet-statistics.ts'

export type { ColumnRange } from './parquet-statistics.ts'

/** Bytes of the file's end that are read at first; most footers fit. */
const FOOTER_GUESS_BYTES = 64 * 1024

export interface RowGroupInfo {
  readonly rows: number
  /** First byte of its first column chunk. */
  readonly offset: number
  /** Of all its columns, as the footer says. */
  readonly compressedBytes: number
  readonly uncompressedBytes: number
  /** Compressed bytes of each leaf column, by field id. */
  readonly columnSizes: ReadonlyMap<number, number>
}

export interface ParquetFile {
  /** Names it, for messages. */
  readonly where: string
  readonly rowGroups: readonly RowGroupInfo[]
  readonly rowCount: number
  /**
   * One row group as a batch of `schema`, whose fields are found by field id at every depth. A field that the file does
   * not have is, in this order, the constant, its initial default, null.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt), `FIRN_TYPE_UNSUPPORTED` (invalid).
   */
  read(rowGroup: number, schema: Schema, options?: ReadOptions): Promise<RecordBatch>
  /**
   * The bytes of every column that one of `schemas` has, by as few requests as can be; nothing is decoded yet.
   * @throws {FirnError} as `read`; `FIRN_STORE_UNAVAILABLE` (unavailable).
   */
  fetch(rowGroup: number, schemas: readonly Schema[], options?: ReadOptions): Promise<FetchedRowGroup>
  /**
   * What the footer says of the primitive fields of `schema` in a row group, by field id; struct children included,
   * nothing inside lists and maps. Free of I/O.
   */
  statistics(rowGroup: number, schema: Schema, options?: ReadOptions): ReadonlyMap<number, ColumnRange>
}

export interface OpenParquetOptions extends AbortableOptions {
  /** For a file whose columns carry no field ids. */
  readonly nameMapping?: NameMapping
}

/**
 * @param sizeBytes of the file as the manifest says; another size is an error.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_PARQUET_NO_FIELD_IDS` (invalid);
 *   `FIRN_OBJECT_NOT_FOUND`; `FIRN_STORE_UNAVAILABLE`.
 */
export async function openParquet(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  { nameMapping, ...options }: OpenParquetOptions = {},
): Promise<ParquetFile> {
  const where = `${store.url}/${key}`
  const footer = await readFooter(store, key, sizeBytes, where, options)
  const columns = columnsWithIds(footer.root, nameMapping, where)
  const context = { store, key, where, sizeBytes, footer, columns }
  const rowGroups = describeRowGroups(footer, columns)
  const rowCount = rowGroups.reduce((sum, group) => sum + group.rows, 0)
  if (rowCount !== footer.rowCount) {
    throw corrupt(where, `the footer says ${footer.rowCount} rows, its row groups have ${rowCount}`)
  }
  const most = mostRows(sizeBytes)
  const large = rowGroups.findIndex((group) => group.rows > most)
  if (large >= 0) {
    throw corrupt(where, `row group ${large} claims ${rowGroups[large]!.rows} rows, the file has ${sizeBytes} bytes`)
  }
  return {
    where,
    rowGroups,
    rowCount,
    read: async (rowGroup, schema, readOptions) =>
      (await fetchRowGroup(context, rowGroup, [schema], readOptions)).batch(schema),
    fetch: (rowGroup, schemas, readOptions) => fetchRowGroup(context, rowGroup, schemas, readOptions),
    statistics: (rowGroup, schema, readOptions) => rowGroupStatistics(context, rowGroup, schema, readOptions),
  }
}

/** The footer of a whole file in memory, as `openParquet` would see it. */
export function describeParquet(bytes: Uint8Array, where: string): readonly RowGroupInfo[] {
  const footer = parseFooter(bytes, where)
  return describeRowGroups(footer, columnsWithIds(footer.root, undefined, where))
}

export async function readFooter(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  where: string,
  options: AbortableOptions,
): Promise<Footer> {
  const start = Math.max(0, sizeBytes - FOOTER_GUESS_BYTES)
  const { bytes } = await store.get(key, { range: { start, end: sizeBytes }, ...options })
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

export function describeRowGroups(footer: Footer, columns: readonly FileNode[]): readonly RowGroupInfo[] {
  const ids = new Map<number, number>()
  const visit = (node: FileNode): void => {
    if (node.leaf !== undefined && node.fieldId !== undefined) ids.set(node.leaf.index, node.fieldId)
    node.children.forEach(visit)
  }
  columns.forEach(visit)
  return footer.rowGroups.map(({ rows, columns: chunks }) => {
    const columnSizes = new Map<number, number>()
    for (const [leaf, id] of ids) columnSizes.set(id, chunks[leaf]!.compressedBytes)
    const compressedBytes = chunks.reduce((sum, chunk) => sum + chunk.compressedBytes, 0)
    const uncompressedBytes = chunks.reduce((sum, chunk) => sum + chunk.uncompressedBytes, 0)
    return { rows, offset: chunks[0]?.offset ?? 0, compressedBytes, uncompressedBytes, columnSizes }
  })
}

function rowGroupStatistics(
  context: FileContext,
  index: number,
  schema: Schema,
  { constants }: ReadOptions = {},
): ReadonlyMap<number, ColumnRange> {
  const { rows, columns: chunks } = rowGroupAt(context, index)
  const ranges = new Map<number, ColumnRange>()
  const visit = (plan: ColumnPlan): void => {
    const { id, type } = plan.field as NestedField
    if (plan.kind === 'struct') plan.children.forEach(visit)
    else if (plan.kind === 'leaf') {
      const leaf = plan.node.leaf!.index
      ranges.set(id, rangeOf(plan, chunks[leaf]!, context.footer.ordered[leaf] === true))
    } else if (plan.kind === 'constant' && isPrimitive(type)) {
      const bound = plan.value ?? undefined
      ranges.set(id, { values: rows, nulls: plan.value === null ? rows : 0, lower: bound, upper: bound })
    }
  }
  planColumns(context, schema, constants).forEach(visit)
  return ranges
}
