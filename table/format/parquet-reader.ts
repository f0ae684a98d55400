/**
 * Parquet files to Arrow batches, one row group at a time, by range reads. What the values mean comes from the Iceberg
 * schema; the file's own annotations say in which form they are stored.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { NameMapping } from '../spec/name-mapping.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveValue } from '../spec/types.ts'
import { batchOfColumns } from './arrow-take.ts'
import { assembleColumn } from './parquet-assemble.ts'
import { type ColumnPlan, leavesOf, planColumn } from './parquet-columns.ts'
import { decodeChunk, type LeafColumn } from './parquet-decode.ts'
import { type FileNode, type Footer, parseFooter } from './parquet-footer.ts'
import { columnsWithIds } from './parquet-names.ts'
import { type ColumnRange, rangeOf } from './parquet-statistics.ts'

export type { ColumnRange } from './parquet-statistics.ts'

/** Bytes of the file's end that are read at first; most footers fit. */
const FOOTER_GUESS_BYTES = 64 * 1024
/** Column chunks this close are one request, up to this many bytes of one request. */
const GAP_BYTES = 8 * 1024
const REQUEST_BYTES = 2 * 1024 * 1024

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

export interface ReadOptions extends AbortableOptions {
  /** Values of columns that are not in the file, by field id: those of `identity` partition fields. */
  readonly constants?: ReadonlyMap<number, PrimitiveValue>
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
   * What the footer says of the primitive fields of `schema` in a row group, by field id; struct children included,
   * nothing inside lists and maps. Free of I/O.
   */
  statistics(rowGroup: number, schema: Schema, options?: ReadOptions): ReadonlyMap<number, ColumnRange>
}

export interface OpenParquetOptions extends AbortableOptions {
  /** For a file whose columns carry no field ids. */
  readonly nameMapping?: NameMapping
}

interface FileContext {
  readonly store: ObjectStore
  readonly key: string
  readonly where: string
  readonly sizeBytes: number
  readonly footer: Footer
  /** Top-level columns. */
  readonly columns: readonly FileNode[]
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
    read: (rowGroup, schema, readOptions) => readRowGroup(context, rowGroup, schema, readOptions),
    statistics: (rowGroup, schema, readOptions) => rowGroupStatistics(context, rowGroup, schema, readOptions),
  }
}

/**
 * Rows or values that a column of a file may have: rows without a value take next to no bytes, but memory once they are
 * read. Columns of one value in every row come to some hundred rows a byte.
 */
const mostRows = (sizeBytes: number): number => Math.min(MAX_GROUP_ROWS, Math.max(1 << 22, sizeBytes * 256))
const MAX_GROUP_ROWS = 1 << 27

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

async function readRowGroup(
  context: FileContext,
  index: number,
  schema: Schema,
  { constants, ...options }: ReadOptions = {},
): Promise<RecordBatch> {
  const { rows } = rowGroupAt(context, index)
  const plans = planColumns(context, schema, constants)
  const leaves = await decodeLeaves(context, index, new Set(plans.flatMap(leavesOf)), options)
  try {
    const columns = plans.map((plan): Data => assembleColumn(plan, leaves, rows, context.where))
    return batchOfColumns(schema, columns, rows)
  } catch (cause) {
    if (cause instanceof FirnError) throw cause
    // A value that is wider than its type, for one.
    throw corrupt(context.where, `row group ${index} holds values that its columns cannot have`, cause)
  }
}

function rowGroupAt({ footer, where }: FileContext, index: number): Footer['rowGroups'][number] {
  const group = footer.rowGroups[index]
  if (group !== undefined) return group
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${where}: there is no row group ${index}`)
}

const planColumns = (
  { columns, where }: FileContext,
  schema: Schema,
  constants: ReadOptions['constants'],
): readonly ColumnPlan[] =>
  schema.fields.map((field) => planColumn(field, columns, { where, ...(constants && { constants }) }))

async function decodeLeaves(
  context: FileContext,
  index: number,
  wanted: ReadonlySet<number>,
  options: AbortableOptions,
): Promise<ReadonlyMap<number, LeafColumn>> {
  const { rows, columns: chunks } = rowGroupAt(context, index)
  if (rows === 0) return new Map(Array.from(wanted, (leaf) => [leaf, NO_ENTRIES]))
  const bytes = await fetchChunks(context, index, [...wanted], options)
  const leaves = new Map<number, LeafColumn>()
  for (const [leaf, chunkBytes] of bytes) {
    const { name, leaf: shape } = context.footer.leaves[leaf]!
    const { numValues } = chunks[leaf]!
    if (numValues < rows || (shape!.maxRepetition === 0 && numValues !== rows)) {
      throw corrupt(context.where, `row group ${index}, column ${name} has ${numValues} values in ${rows} rows`)
    }
    if (numValues > mostRows(context.sizeBytes)) {
      throw corrupt(context.where, `row group ${index}, column ${name} claims ${numValues} values`)
    }
    try {
      leaves.set(leaf, decodeChunk(chunkBytes, shape!, chunks[leaf]!))
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw corrupt(context.where, `row group ${index}, column ${name} cannot be decoded: ${reason}`, cause)
    }
  }
  return leaves
}

const NO_ENTRIES: LeafColumn = { entries: 0, definition: undefined, repetition: undefined, pages: [] }

/** The bytes of column chunks, those that lie together by one request. */
async function fetchChunks(
  { store, key, where, sizeBytes, footer }: FileContext,
  index: number,
  wanted: readonly number[],
  options: AbortableOptions,
): Promise<readonly (readonly [number, Uint8Array])[]> {
  const chunks = wanted.map((leaf) => {
    const { offset, compressedBytes, refused } = footer.rowGroups[index]!.columns[leaf]!
    const { name } = footer.leaves[leaf]!
    if (refused !== undefined) {
      throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `${where}: column ${name} ${refused}, which is not read`)
    }
    const end = offset + compressedBytes
    if (end > sizeBytes) throw corrupt(where, `row group ${index}, column ${name} ends after the file`)
    return { leaf, start: offset, end }
  })
  chunks.sort((a, b) => a.start - b.start)
  const requests: { start: number; end: number; chunks: typeof chunks }[] = []
  for (const chunk of chunks) {
    const last = requests.at(-1)
    if (last !== undefined && chunk.start - last.end <= GAP_BYTES && chunk.end - last.start <= REQUEST_BYTES) {
      last.end = Math.max(last.end, chunk.end)
      last.chunks.push(chunk)
    } else requests.push({ start: chunk.start, end: chunk.end, chunks: [chunk] })
  }
  const fetched = requests.map(async ({ start, end, chunks: parts }) => {
    const { bytes } = await store.get(key, { range: { start, end }, ...options })
    if (bytes.length !== end - start) throw corrupt(where, `got ${bytes.length} of the bytes ${start} to ${end}`)
    return parts.map((part) => [part.leaf, bytes.subarray(part.start - start, part.end - start)] as const)
  })
  return (await Promise.all(fetched)).flat()
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

const corrupt = (where: string, message: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_PARQUET_CORRUPT', `${where}: ${message}`, { cause, detail: { where } })
