/**
 * Columns of a batch as what tensors are made of: a typed array, its shape and its type. What tensors cannot hold is
 * decided here, loudly: there are no 64-bit integers, no nulls, and no use for text.
 */
import { type Schema as ArrowSchema, type Data, DataType, type FixedSizeList, type RecordBatch } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import { isValidAt } from '../../table/index.ts'
import { denseOf, tensorType } from './flat.ts'
import { checkPadding, elementType, fixedNumbers, isRagged, raggedNumbers, rowLengths } from './lists.ts'

export interface TensorData {
  readonly values: Float32Array | Int32Array | Uint8Array
  /** `[rows, 1]`, as layers with one feature want it; `[rows, numbers in a row]` for lists. */
  readonly shape: [number, number]
  readonly dtype: 'float32' | 'int32' | 'bool'
}

/** How the rows of a column of lists of any size become equally long; numbers in a row. */
export interface PadOptions {
  /** Rows are padded to the longest of the batch, rounded up to a multiple of this. Default 1. */
  readonly padToMultipleOf?: number | undefined
  /** Instead: the same width in every batch; a longer row is an error. */
  readonly padTo?: number | undefined
  /** What longer rows are cut to, at their end. Without it nothing is cut. */
  readonly truncateTo?: number | undefined
  /** Stands behind the end of a row. Default 0. */
  readonly padValue?: number | undefined
}

export interface NumbersOptions extends PadOptions {
  /**
   * Stands where a null is; without it a null is an error. It must be a value of the tensor: an integer of 32 bits for
   * int32, 0 or 1 for bool, anything that is not beyond 32 bits for float32 (NaN and the infinities are allowed).
   * A row that is null is full of it when all rows are equally long, and empty otherwise.
   */
  readonly nullAs?: number | undefined
}

/** A batch as a transform sees it. */
export interface TensorBatch {
  readonly rows: number
  /** The Arrow batch itself. */
  readonly record: RecordBatch
  /**
   * A column of numbers. Integers and date (days) -> int32, each value checked; float and double -> float32, doubles
   * rounded, but none to infinity; boolean -> bool. Lists of these as well: of one fixed size as they are, of any size
   * padded. Do not write into the values of lists of a fixed size: they may be the memory of `record`.
   * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE` (invalid: text, bytes, decimals and timestamps),
   *   `FIRN_TENSOR_NULL`, `FIRN_TENSOR_RANGE`, `FIRN_INVALID_OPTION` (invalid).
   */
  numbers(column: string, options?: NumbersOptions): TensorData
  /**
   * How many numbers each row of a column of lists has, without padding: int32 of shape `[rows, 1]`, for masks. Takes
   * the options that `numbers` is given for the column.
   * @throws as `numbers`; `FIRN_TENSOR_TYPE` for a column without lists.
   */
  lengths(column: string, options?: NumbersOptions): TensorData
  /** A text column, decoded; the caller turns it into numbers. @throws as `numbers`, but for nulls. */
  texts(column: string): readonly (string | null)[]
}

export function tensorBatch(record: RecordBatch): TensorBatch {
  return {
    rows: record.numRows,
    record,
    numbers: (column, options = {}) => numbersOf(column, dataOf(record, column), options),
    lengths: (column, options = {}) => lengthsOf(column, dataOf(record, column), options),
    texts: (column) => textsOf(column, dataOf(record, column)),
  }
}

/**
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE`, `FIRN_INVALID_OPTION` as `numbers` would for every
 *   batch of the schema.
 */
export function checkNumeric(schema: ArrowSchema, column: string, options: PadOptions = {}): void {
  const { type } = schema.fields[indexOf(schema, column)]!
  tensorType(column, elementType(type) ?? type)
  checkPadding(column, type, options)
}

const dataOf = (record: RecordBatch, column: string): Data =>
  record.data.children[indexOf(record.schema, column)] as Data

function indexOf(schema: ArrowSchema, column: string): number {
  const index = schema.fields.findIndex((field) => field.name === column)
  if (index >= 0) return index
  const names = schema.fields.map((field) => field.name).join(', ')
  throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', `column "${column}" is not in the batch`, {
    detail: { column },
    help: `The columns are: ${names}`,
  })
}

function numbersOf(column: string, data: Data, options: NumbersOptions): TensorData {
  checkPadding(column, data.type, options)
  if (isRagged(data.type)) return raggedNumbers(column, data, options)
  if (DataType.isFixedSizeList(data.type)) return fixedNumbers(column, data as Data<FixedSizeList>, options.nullAs)
  return { ...denseOf(column, data, options.nullAs), shape: [data.length, 1] }
}

function lengthsOf(column: string, data: Data, options: NumbersOptions): TensorData {
  checkPadding(column, data.type, options)
  if (elementType(data.type) === undefined) {
    throw new FirnError('invalid', 'FIRN_TENSOR_TYPE', `column ${column} of type ${data.type} has no lists`, {
      detail: { column, type: String(data.type) },
      help: 'Only columns of lists have lengths; batch.rows is the number of rows.',
    })
  }
  return { values: rowLengths(column, data, options), shape: [data.length, 1], dtype: 'int32' }
}

function textsOf(column: string, data: Data): readonly (string | null)[] {
  if (!DataType.isUtf8(data.type)) {
    throw new FirnError('invalid', 'FIRN_TENSOR_TYPE', `column ${column} of type ${String(data.type)} is not text`, {
      detail: { column, type: String(data.type) },
      help: 'Use batch.numbers(column) for numbers and batch.record for anything else.',
    })
  }
  const offsets = data.valueOffsets as Int32Array
  const { buffer, byteOffset, byteLength } = data.values as Uint8Array
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  const texts = new Array<string | null>(data.length)
  for (let row = 0; row < data.length; row++) {
    texts[row] = isValidAt(data, row) ? bytes.toString('utf8', offsets[row], offsets[row + 1]) : null
  }
  return texts
}
