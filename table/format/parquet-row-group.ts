/**
 * One row group: the bytes of the wanted columns by few requests, then batches of them, column after column. Pages of a
 * column are let go before the next column is decompressed.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { Schema } from '../spec/schema.ts'
import type { PrimitiveValue } from '../spec/types.ts'
import { batchOfColumns, takeColumn } from './arrow-take.ts'
import { assembleColumn, nullInRequired } from './parquet-assemble.ts'
import { type ByteColumn, decodeByteColumn, isByteLeaf, takeByteRows } from './parquet-bytes.ts'
import { type ColumnPlan, leavesOf, planColumn } from './parquet-columns.ts'
import { corruptParquet as corrupt } from './parquet-corrupt.ts'
import { decodeChunk, type LeafColumn } from './parquet-decode.ts'
import type { FileNode, Footer } from './parquet-footer.ts'
import { type ChunkShape, type LeafShape, releasePages } from './parquet-pages.ts'
import type { ReadMemory } from './read-memory.ts'

/**
 * Column chunks this close are one request, up to this many bytes of one request: a request takes the time in which
 * megabytes arrive, and what lies between the columns that somebody wants is mostly small.
 */
const GAP_BYTES = 64 * 1024
const REQUEST_BYTES = 8 * 1024 * 1024

export interface ReadOptions extends AbortableOptions {
  /** Values of columns that are not in the file, by field id: those of `identity` partition fields. */
  readonly constants?: ReadonlyMap<number, PrimitiveValue>
  /** Default: the garbage collector's. */
  readonly memory?: ReadMemory | undefined
}

/** The columns of a row group as they are stored. */
export interface FetchedRowGroup {
  /**
   * All rows as one batch of `schema`, one of those that were fetched.
   * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt).
   */
  batch(schema: Schema): RecordBatch
  /** A batch for each of `picks`: its rows, in that order, in buffers of its own. @throws {FirnError} as `batch`. */
  batches(schema: Schema, picks: readonly Int32Array[]): readonly RecordBatch[]
  /** Gives back what `memory` lent for the stored bytes. Results of `batch` may look into them, those of `batches` do not. */
  release(): void
}

export interface FileContext {
  readonly store: ObjectStore
  readonly key: string
  readonly where: string
  readonly sizeBytes: number
  readonly footer: Footer
  /** Top-level columns. */
  readonly columns: readonly FileNode[]
}

/** @throws {FirnError} as `ParquetFile.fetch`. */
export async function fetchRowGroup(
  context: FileContext,
  index: number,
  schemas: readonly Schema[],
  { constants, memory, ...options }: ReadOptions = {},
): Promise<FetchedRowGroup> {
  const { rows } = rowGroupAt(context, index)
  const plans = new Map(schemas.map((schema) => [schema, planColumns(context, schema, constants)]))
  const wanted = new Set([...plans.values()].flat().flatMap(leavesOf))
  const lent: Uint8Array[] = []
  const chunks = rows === 0 ? undefined : await fetchChunks(context, index, [...wanted], lent, { memory, ...options })
  const group: RowGroup = { context, index, rows, chunks, memory }
  return {
    batch: (schema) => {
      const columns = plans.get(schema)!.map((plan) => readColumn(group, plan, ALL_ROWS)[0]!)
      return batchOfColumns(schema, columns, rows)
    },
    batches: (schema, picks) => {
      const taken: Uint8Array[] = []
      try {
        const columns = plans
          .get(schema)!
          .map((plan) => readColumn({ ...group, memory: memory && noting(memory, taken) }, plan, picks))
        return picks.map((pick, batch) =>
          batchOfColumns(
            schema,
            columns.map((parts) => parts[batch]!),
            pick.length,
          ),
        )
      } catch (error) {
        for (const values of taken) memory?.drop(values)
        throw error
      }
    },
    release: () => {
      for (const room of lent.splice(0)) memory?.give(room)
    },
  }
}

/** `memory`, with a note in `taken` of what it gave for values. */
const noting = (memory: ReadMemory, taken: Uint8Array[]): ReadMemory => ({
  ...memory,
  values: (bytes) => {
    const values = memory.values(bytes)
    if (values !== undefined) taken.push(values)
    return values
  },
})

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). */
export function rowGroupAt({ footer, where }: FileContext, index: number): Footer['rowGroups'][number] {
  const group = footer.rowGroups[index]
  if (group !== undefined) return group
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${where}: there is no row group ${index}`)
}

export const planColumns = (
  { columns, where }: FileContext,
  schema: Schema,
  constants: ReadOptions['constants'],
): readonly ColumnPlan[] =>
  schema.fields.map((field) => planColumn(field, columns, { where, ...(constants && { constants }) }))

interface RowGroup {
  readonly context: FileContext
  readonly index: number
  readonly rows: number
  /** By leaf; `undefined` when there are no rows. */
  readonly chunks: ReadonlyMap<number, Uint8Array> | undefined
  readonly memory: ReadMemory | undefined
}

/** As they stand. */
const ALL_ROWS: readonly undefined[] = [undefined]

/** A column for each of `picks`. */
function readColumn(group: RowGroup, plan: ColumnPlan, picks: readonly (Int32Array | undefined)[]): readonly Data[] {
  const { context, index, rows } = group
  try {
    if (plan.kind === 'constant') {
      return picks.map((pick) => assembleColumn(plan, NO_LEAVES, pick?.length ?? rows, context.where))
    }
    if (plan.kind === 'leaf' && (plan.field.type === 'string' || plan.field.type === 'binary')) {
      const { leaf } = plan.node
      if (isByteLeaf(leaf!)) {
        const inflated: Uint8Array[] = []
        const column = decodeLeaf(group, leaf!.index, NO_BYTES, (bytes, shape, chunk) =>
          decodeByteColumn(bytes, shape, { ...chunk, inflated }),
        )
        if (column.definition !== undefined && plan.field.required) throw nullInRequired(plan, context.where)
        const columns = picks.map((pick) => takeByteRows(column, plan.field, pick, group.memory))
        releasePages(inflated)
        return columns
      }
    }
    const leaves = new Map<number, LeafColumn>()
    for (const leaf of new Set(leavesOf(plan))) leaves.set(leaf, decodeLeaf(group, leaf, NO_ENTRIES, decodeChunk))
    const data = assembleColumn(plan, leaves, rows, context.where)
    return picks.map((pick) => (pick === undefined ? data : takeColumn(data, pick, plan.field.name)))
  } catch (cause) {
    if (cause instanceof FirnError) throw cause
    // A value that is wider than its type, for one.
    throw corrupt(context.where, `row group ${index} holds values that its columns cannot have`, cause)
  }
}

const NO_LEAVES: ReadonlyMap<number, LeafColumn> = new Map()
const NO_ENTRIES: LeafColumn = { entries: 0, definition: undefined, repetition: undefined, pages: [] }
const NOTHING = new Int32Array(0)
const NO_BYTES: ByteColumn = { pages: [], pageOf: NOTHING, starts: NOTHING, lengths: NOTHING, definition: undefined }

/** @param none what a leaf of no rows is. */
function decodeLeaf<T>(
  { context, index, rows, chunks: fetched }: RowGroup,
  leaf: number,
  none: T,
  decode: (bytes: Uint8Array, shape: LeafShape, chunk: ChunkShape) => T,
): T {
  if (fetched === undefined) return none
  const { where, sizeBytes, footer } = context
  const { name, leaf: shape } = footer.leaves[leaf]!
  const chunk = rowGroupAt(context, index).columns[leaf]!
  const { numValues } = chunk
  if (numValues < rows || (shape!.maxRepetition === 0 && numValues !== rows)) {
    throw corrupt(where, `row group ${index}, column ${name} has ${numValues} values in ${rows} rows`)
  }
  if (numValues > mostRows(sizeBytes)) {
    throw corrupt(where, `row group ${index}, column ${name} claims ${numValues} values`)
  }
  try {
    return decode(fetched.get(leaf)!, shape!, chunk)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw corrupt(where, `row group ${index}, column ${name} cannot be decoded: ${reason}`, cause)
  }
}

/**
 * Rows or values that a column of a file may have: rows without a value take next to no bytes, but memory once they are
 * read. Columns of one value in every row come to some hundred rows a byte.
 */
export const mostRows = (sizeBytes: number): number => Math.min(MAX_GROUP_ROWS, Math.max(1 << 22, sizeBytes * 256))
const MAX_GROUP_ROWS = 1 << 27

/** The bytes of column chunks, those that lie together by one request. @param lent takes what `memory` gave. */
async function fetchChunks(
  { store, key, where, sizeBytes, footer }: FileContext,
  index: number,
  wanted: readonly number[],
  lent: Uint8Array[],
  { memory, ...options }: Pick<ReadOptions, 'memory' | 'signal'>,
): Promise<ReadonlyMap<number, Uint8Array>> {
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
    const into = memory?.take(end - start)
    const { bytes } = await store.get(key, { range: { start, end }, into, ...options })
    // After a failure it is not given back: somebody may still write into it.
    if (into !== undefined) lent.push(into)
    if (bytes.length !== end - start) throw corrupt(where, `got ${bytes.length} of the bytes ${start} to ${end}`)
    return parts.map((part) => [part.leaf, bytes.subarray(part.start - start, part.end - start)] as const)
  })
  return new Map((await Promise.all(fetched)).flat())
}
