/** The rows of one row group: without deleted rows, filtered, projected; as they are stored or in an order. */
import type { Data, RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { batchOfColumns, concatBatches, takeRows } from '../format/arrow-take.ts'
import type { ParquetFile } from '../format/parquet-reader.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { projectSchema, type Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveValue } from '../spec/types.ts'
import { leafColumn, leafValueAt, pathTo } from './columns.ts'
import { mergeColumns, rowKeys } from './delete-columns.ts'
import type { FileDeletes } from './deletes.ts'
import { columnsOf, type Expression, evaluate } from './expression.ts'
import { rowGroupMayMatch } from './prune.ts'

/** A data file with what it takes to say which of its rows are left. */
export interface OpenTask {
  readonly parquet: ParquetFile
  readonly schema: Schema
  readonly constants: ReadonlyMap<number, PrimitiveValue>
  readonly deletes: FileDeletes | undefined
  /** First row of each row group. */
  readonly starts: readonly number[]
}

/** A test of single rows that is not an expression, such as a hash of a column. */
export interface RowTest {
  /** What it looks at. */
  readonly columns: readonly string[]
  /** @param batch `columns`, in schema order, with every row of the row group; row numbers are those of the batch. */
  rows(batch: RecordBatch): (row: number) => boolean
}

export interface OrderedRows {
  readonly batches: readonly RecordBatch[]
  /** Index into `order` of every delivered row, ascending. `undefined`: all of them were delivered. */
  readonly positions: Uint32Array | undefined
}

export interface OrderedRead extends AbortableOptions {
  readonly order: Uint32Array
  readonly batchRows: number
  readonly where?: Expression | undefined
  readonly keep?: RowTest | undefined
}

/** @throws {FirnError} as `TaskReader.read`. */
export async function readRows(
  task: OpenTask,
  rowGroup: number,
  projected: Schema,
  where: Expression | undefined,
  options: AbortableOptions,
): Promise<RecordBatch> {
  const loaded = await loadRows(task, rowGroup, projected, { ...options, where })
  if (loaded === undefined) return concatBatches(projected, [])
  const { batch, isLeft } = loaded
  if (isLeft === undefined) return batch
  const kept = new Int32Array(batch.numRows)
  let count = 0
  for (let row = 0; row < batch.numRows; row++) if (isLeft(row)) kept[count++] = row
  return count === batch.numRows ? batch : takeRows(batch, projected, kept.subarray(0, count))
}

/** @throws {FirnError} as `TaskReader.readInOrder`. */
export async function readInOrder(
  task: OpenTask,
  rowGroup: number,
  projected: Schema,
  { order, batchRows, ...options }: OrderedRead,
): Promise<OrderedRows> {
  const rows = task.parquet.rowGroups[rowGroup]?.rows ?? 0
  if (!(batchRows >= 1)) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `rows of a batch: expected 1 or more, got ${batchRows}`)
  }
  const beyond = order.find((row) => row >= rows)
  if (beyond !== undefined) {
    const message = `${task.parquet.where}: row group ${rowGroup} has ${rows} rows, no row ${beyond}`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message)
  }
  const loaded = await loadRows(task, rowGroup, projected, options)
  if (loaded === undefined) return { batches: [], positions: new Uint32Array(0) }
  const { batch, isLeft } = loaded
  const { picked, positions } = pick(order, isLeft)
  const batches: RecordBatch[] = []
  for (let from = 0; from < picked.length; from += batchRows) {
    batches.push(takeRows(batch, projected, picked.subarray(from, from + batchRows)))
  }
  return { batches, positions }
}

type Left = (row: number) => boolean

/** The rows of `order` that are left, and where in `order` they are when not all of them are. */
function pick(
  order: Uint32Array,
  isLeft: Left | undefined,
): { picked: Int32Array; positions: Uint32Array | undefined } {
  if (isLeft === undefined) return { picked: Int32Array.from(order), positions: undefined }
  const picked = new Int32Array(order.length)
  const positions = new Uint32Array(order.length)
  let count = 0
  for (let index = 0; index < order.length; index++) {
    const row = order[index]!
    if (!isLeft(row)) continue
    picked[count] = row
    positions[count++] = index
  }
  if (count === order.length) return { picked, positions: undefined }
  return { picked: picked.subarray(0, count), positions: positions.slice(0, count) }
}

/**
 * All rows of a row group, and which of them are left when some may not be.
 * @returns `undefined` when none is, which is known without reading any.
 */
async function loadRows(
  { parquet, schema, constants, deletes, starts }: OpenTask,
  rowGroup: number,
  projected: Schema,
  { where, keep, signal }: Pick<OrderedRead, 'where' | 'keep' | 'signal'>,
): Promise<{ readonly batch: RecordBatch; readonly isLeft: Left | undefined } | undefined> {
  const first = starts[rowGroup] ?? 0
  const rows = parquet.rowGroups[rowGroup]?.rows ?? 0
  // All gone: nothing of it needs to be read.
  if (rows > 0 && deletes?.positions?.hasAll(first, first + rows) === true) return undefined
  if (where !== undefined && !mayMatch(parquet, rowGroup, schema, constants, where)) return undefined
  const kept = keep === undefined ? undefined : projectSchema(schema, keep.columns)
  const { readSchema, apart } = columnsToRead(
    schema,
    [projected, ...(kept === undefined ? [] : [kept])],
    where,
    deletes,
  )
  const read = { signal, constants }
  const [batch, nested] = await Promise.all([
    parquet.read(rowGroup, readSchema, read),
    apart.length === 0 ? undefined : parquet.read(rowGroup, { ...schema, fields: apart }, read),
  ])
  const fields = [...readSchema.fields, ...apart]
  const data = [...batch.data.children, ...(nested?.data.children ?? [])] as Data[]
  const deleted = isDeleted(deletes, first, fields, data)
  const passes = where === undefined ? undefined : filterOf(where, fields, data)
  const keeps = kept === undefined ? undefined : keep?.rows(project(batch, readSchema, kept))
  const wanted = project(batch, readSchema, projected)
  if (deleted === undefined && passes === undefined && keeps === undefined) return { batch: wanted, isLeft: undefined }
  const isLeft = (row: number): boolean => deleted?.(row) !== true && passes?.(row) !== false && keeps?.(row) !== false
  return { batch: wanted, isLeft }
}

/** By what the footer says of the row group's columns. */
function mayMatch(
  parquet: ParquetFile,
  rowGroup: number,
  schema: Schema,
  constants: ReadonlyMap<number, PrimitiveValue>,
  where: Expression,
): boolean {
  const ids = columnsOf(where)
  const fields = schema.fields.filter((field) => [...ids].some((id) => pathTo([field], id) !== undefined))
  return rowGroupMayMatch(where, parquet.statistics(rowGroup, { ...schema, fields }, { constants }))
}

/**
 * The wanted columns, those of the filter and those of equality deletes, which a later schema may have dropped.
 * @returns `apart`: structs of which equality deletes look at a part only; they are read by themselves.
 */
function columnsToRead(
  schema: Schema,
  wanted: readonly Schema[],
  where: Expression | undefined,
  deletes: FileDeletes | undefined,
): { readonly readSchema: Schema; readonly apart: readonly NestedField[] } {
  const needed = new Set(wanted.flatMap(({ fields }) => fields.map((field) => field.id)))
  for (const id of where === undefined ? [] : columnsOf(where)) needed.add(pathTo(schema.fields, id)?.[0]?.id ?? id)
  const dropped = new Map<number, NestedField>()
  const structs: NestedField[] = []
  for (const { columns } of deletes?.equalities ?? []) {
    for (const column of columns) {
      if (!isPrimitive(column.type)) structs.push(column)
      else if (schema.fields.some((field) => field.id === column.id)) needed.add(column.id)
      else dropped.set(column.id, column)
    }
  }
  const fields = schema.fields.filter((field) => needed.has(field.id))
  return { readSchema: { ...schema, fields: [...fields, ...dropped.values()] }, apart: mergeColumns(structs) }
}

/** @param first row of the columns, in its file. @returns `undefined` when no row can be deleted. */
function isDeleted(
  deletes: FileDeletes | undefined,
  first: number,
  fields: readonly NestedField[],
  columns: readonly Data[],
): ((row: number) => boolean) | undefined {
  if (deletes === undefined) return undefined
  const { positions, equalities } = deletes
  const sets = equalities
    .filter(({ keys }) => keys.size > 0)
    .map(({ ids, keys }) => ({ keys, keyOf: rowKeys(ids, fields, columns) }))
  return (row) => positions?.has(first + row) === true || sets.some(({ keys, keyOf }) => keys.has(keyOf(row)))
}

function filterOf(
  where: Expression,
  fields: readonly NestedField[],
  columns: readonly Data[],
): (row: number) => boolean {
  const leaves = new Map([...columnsOf(where)].map((id) => [id, leafColumn(id, fields, columns)]))
  return (row) => evaluate(where, (column) => leafValueAt(leaves.get(column.fieldId)!, row)) === true
}

function project(batch: RecordBatch, schema: Schema, projected: Schema): RecordBatch {
  if (schema.fields.length === projected.fields.length) return batch
  const children = projected.fields.map((field) => {
    const index = schema.fields.findIndex((candidate) => candidate.id === field.id)
    return batch.data.children[index] as Data
  })
  return batchOfColumns(projected, children, batch.numRows)
}
