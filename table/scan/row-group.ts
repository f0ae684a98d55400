/** The rows of one row group: without deleted rows, filtered, projected; as they are stored or in an order. */
import type { Data, RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { batchOfColumns, concatBatches, takeColumn } from '../format/arrow-take.ts'
import type { ParquetFile } from '../format/parquet-reader.ts'
import type { FetchedRowGroup } from '../format/parquet-row-group.ts'
import type { ReadMemory } from '../format/read-memory.ts'
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
  readonly memory?: ReadMemory | undefined
}

/** @throws {FirnError} as `TaskReader.read`. */
export async function readRows(
  task: OpenTask,
  rowGroup: number,
  projected: Schema,
  where: Expression | undefined,
  options: AbortableOptions,
): Promise<RecordBatch> {
  const opened = await openRows(task, rowGroup, projected, { ...options, where })
  if (opened === undefined) return concatBatches(projected, [])
  const { group, tests } = opened
  if (tests === undefined) return group.batch(projected)
  const rows = task.parquet.rowGroups[rowGroup]!.rows
  const kept = new Int32Array(rows)
  let count = 0
  for (let row = 0; row < rows; row++) if (tests.isLeft(row)) kept[count++] = row
  if (count === 0) return concatBatches(projected, [])
  return takeBatches(group, projected, tests, [kept.subarray(0, count)])[0]!
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
  if (order.length === 0) return { batches: [], positions: undefined }
  const opened = await openRows(task, rowGroup, projected, options)
  if (opened === undefined) return { batches: [], positions: new Uint32Array(0) }
  const { picked, positions } = pick(order, opened.tests?.isLeft)
  const picks: Int32Array[] = []
  for (let from = 0; from < picked.length; from += batchRows) picks.push(picked.subarray(from, from + batchRows))
  // None left: columns that were no part of the tests are not decoded.
  const batches = picks.length === 0 ? [] : takeBatches(opened.group, projected, opened.tests, picks)
  opened.group.release()
  return { batches, positions }
}

/** The rows of `order` that are left, and where in `order` they are when not all of them are. */
function pick(
  order: Uint32Array,
  isLeft: RowTests['isLeft'] | undefined,
): { readonly picked: Int32Array; readonly positions: Uint32Array | undefined } {
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

/** A batch of `projected` for each of `picks`. What the tests have decoded is not decoded again. */
function takeBatches(
  group: FetchedRowGroup,
  projected: Schema,
  tests: RowTests | undefined,
  picks: readonly Int32Array[],
): readonly RecordBatch[] {
  if (tests === undefined) return group.batches(projected, picks)
  const { rest, columns } = tests
  const batches = group.batches(rest, picks)
  return picks.map((rows, index) => {
    const children = projected.fields.map((field): Data => {
      const decoded = columns.get(field.id)
      if (decoded !== undefined) return takeColumn(decoded, rows, field.name)
      return batches[index]!.data.children[rest.fields.indexOf(field)] as Data
    })
    return batchOfColumns(projected, children, rows.length)
  })
}

/** Which rows are left. */
interface RowTests {
  readonly isLeft: (row: number) => boolean
  /** What was decoded for that, by field id. */
  readonly columns: ReadonlyMap<number, Data>
  /** The projected columns that were not. */
  readonly rest: Schema
}

/**
 * The bytes of a row group, and which of its rows are left when some may not be.
 * @returns `undefined` when none is, which is known without reading any.
 */
async function openRows(
  { parquet, schema, constants, deletes, starts }: OpenTask,
  rowGroup: number,
  projected: Schema,
  { where, keep, memory, signal }: Pick<OrderedRead, 'where' | 'keep' | 'memory' | 'signal'>,
): Promise<{ readonly group: FetchedRowGroup; readonly tests: RowTests | undefined } | undefined> {
  const first = starts[rowGroup] ?? 0
  const rows = parquet.rowGroups[rowGroup]?.rows ?? 0
  // All gone: nothing of it needs to be read.
  if (rows > 0 && deletes?.positions?.hasAll(first, first + rows) === true) return undefined
  if (where !== undefined && !mayMatch(parquet, rowGroup, schema, constants, where)) return undefined
  const read = { constants, memory, ...(signal === undefined ? {} : { signal }) }
  if (deletes === undefined && where === undefined && keep === undefined) {
    return { group: await parquet.fetch(rowGroup, [projected], read), tests: undefined }
  }
  const { tested, apart } = columnsToTest(schema, where, keep, deletes)
  const rest = { ...projected, fields: projected.fields.filter((field) => !tested.fields.includes(field)) }
  const group = await parquet.fetch(rowGroup, [tested, apart, rest], read)
  const fields = [...tested.fields, ...apart.fields]
  const data = [tested, apart].flatMap((part) => group.batch(part).data.children as Data[])
  const columns = new Map(tested.fields.map((field, index) => [field.id, data[index]!]))
  const deleted = isDeleted(deletes, first, fields, data)
  const passes = where === undefined ? undefined : filterOf(where, fields, data)
  const keeps = keep?.rows(batchOf(projectSchema(schema, keep.columns), columns, rows))
  const isLeft = (row: number): boolean => deleted?.(row) !== true && passes?.(row) !== false && keeps?.(row) !== false
  return { group, tests: { isLeft, columns, rest } }
}

const batchOf = (schema: Schema, columns: ReadonlyMap<number, Data>, rows: number): RecordBatch =>
  batchOfColumns(
    schema,
    schema.fields.map(({ id }) => columns.get(id)!),
    rows,
  )

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
 * The columns of the filter, of `keep` and of equality deletes, which a later schema may have dropped.
 * @returns `apart`: structs of which equality deletes look at a part only; they are read by themselves.
 */
function columnsToTest(
  schema: Schema,
  where: Expression | undefined,
  keep: RowTest | undefined,
  deletes: FileDeletes | undefined,
): { readonly tested: Schema; readonly apart: Schema } {
  const needed = new Set(keep === undefined ? [] : projectSchema(schema, keep.columns).fields.map(({ id }) => id))
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
  return {
    tested: { ...schema, fields: [...fields, ...dropped.values()] },
    apart: { ...schema, fields: mergeColumns(structs) },
  }
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
