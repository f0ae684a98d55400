/** What a user's module gave for a batch, checked value by value against the declared columns. */
import { assertNever } from '../../../table/errors.ts'
import { parseDateDays, parseTimestampMicros } from '../../../table/index.ts'
import type { DatasetColumn, FieldType } from '../../datasets/index.ts'
import type { CellValue } from './validate.ts'

/**
 * @returns the values by declared column; or what is wrong, without any value in it.
 * @throws what getters of `given` throw.
 */
export function cellsOf(
  given: unknown,
  rowCount: number,
  fields: readonly DatasetColumn[],
): readonly (readonly CellValue[])[] | string {
  if (typeof given !== 'object' || given === null)
    return `the enrichment gave ${kindOf(given)}, not an object of columns`
  const columns = given as Readonly<Record<string, unknown>>
  const unknown = Object.keys(columns).filter((name) => !fields.some((field) => field.name === name))
  if (unknown.length > 0) return `the enrichment gave ${unknown.length} columns that the dataset does not declare`
  const cells: (readonly CellValue[])[] = []
  for (const field of fields) {
    const values = Object.hasOwn(columns, field.name) ? columns[field.name] : undefined
    const checked = columnCells(values, rowCount, field)
    if (typeof checked === 'string') return `column ${field.name}: ${checked}`
    cells.push(checked)
  }
  return cells
}

function columnCells(values: unknown, rowCount: number, field: DatasetColumn): readonly CellValue[] | string {
  const read = readerOf(values)
  if (read === undefined) return `the enrichment gave ${kindOf(values)}, not an array, a typed array or an Arrow vector`
  if (read.isVector && (field.type === 'date' || field.type === 'timestamptz')) {
    return `a ${field.type} is given as an array, since Arrow vectors give times in units of their own`
  }
  if (read.length !== rowCount) return `${read.length} values for ${rowCount} rows`
  const accept = acceptors[field.type]
  const cells: CellValue[] = new Array(rowCount)
  for (let row = 0; row < rowCount; row++) {
    const value = read.at(row)
    if (value === null) {
      if (field.required) return 'null in a required column'
      cells[row] = null
      continue
    }
    const cell = accept(value)
    if (cell === undefined) return `${kindOf(value)} does not fit ${field.type}`
    cells[row] = cell
  }
  return cells
}

interface Reader {
  readonly length: number
  readonly isVector: boolean
  at(row: number): unknown
}

function readerOf(values: unknown): Reader | undefined {
  if (typeof values !== 'object' || values === null || values instanceof DataView) return undefined
  if (Array.isArray(values) || ArrayBuffer.isView(values)) {
    const list = values as unknown as ArrayLike<unknown>
    return { length: list.length, isVector: false, at: (row) => list[row] }
  }
  // by shape: the module may have a copy of Arrow of its own
  const vector = values as { readonly length?: unknown; get?: (row: number) => unknown }
  if (typeof vector.length !== 'number' || typeof vector.get !== 'function') return undefined
  return { length: vector.length, isVector: true, at: (row) => vector.get!(row) }
}

/** The cell for a value, or `undefined` when it does not fit. */
type Acceptor = (value: unknown) => CellValue | undefined

const isInt32 = (value: unknown): value is number => typeof value === 'number' && value === (value | 0)

const acceptors: Readonly<Record<FieldType, Acceptor>> = {
  string: (value) => (typeof value === 'string' && value.isWellFormed() ? value : undefined),
  int: (value) => (isInt32(value) ? value : undefined),
  long: (value) => {
    if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : undefined
    return Number.isSafeInteger(value) ? BigInt(value as number) : undefined
  },
  double: (value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined),
  boolean: (value) => (typeof value === 'boolean' ? value : undefined),
  date: (value) => (typeof value === 'string' ? parseDateDays(value) : isInt32(value) ? value : undefined),
  timestamptz: (value) => {
    if (typeof value === 'string') return parseTimestampMicros(value)
    return typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? value : undefined
  },
}

function kindOf(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing'
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object'
    case 'number':
      return Number.isInteger(value)
        ? 'an integer'
        : Number.isFinite(value)
          ? 'a fractional number'
          : 'no finite number'
    case 'string':
      return value.isWellFormed() ? 'a string' : 'a string with half a surrogate pair'
    case 'bigint':
    case 'boolean':
    case 'symbol':
    case 'function':
      return `a ${typeof value}`
    default:
      return assertNever(value as never)
  }
}
