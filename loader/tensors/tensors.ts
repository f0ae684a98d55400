/**
 * Columns of a batch as what tensors are made of: a typed array, its shape and its type. What tensors cannot hold is
 * decided here, loudly: there are no 64-bit integers, no nulls, and no use for text.
 */
import { type Schema as ArrowSchema, type Data, DataType, Precision, type RecordBatch } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import { isValidAt } from '../../table/index.ts'

export interface TensorData {
  readonly values: Float32Array | Int32Array | Uint8Array
  /** `[rows, 1]`, as layers with one feature want it. */
  readonly shape: [number, number]
  readonly dtype: 'float32' | 'int32' | 'bool'
}

export interface NumbersOptions {
  /**
   * Stands where a null is; without it a null is an error. It must be a value of the tensor: an integer of 32 bits for
   * int32, 0 or 1 for bool, anything that is not beyond 32 bits for float32 (NaN and the infinities are allowed).
   */
  readonly nullAs?: number | undefined
}

/** A batch as a transform sees it. */
export interface TensorBatch {
  readonly rows: number
  /** The Arrow batch itself. */
  readonly record: RecordBatch
  /**
   * A numeric column. int and date (days) -> int32; long -> int32, each value checked; float and double -> float32,
   * doubles rounded, but none to infinity; boolean -> bool.
   * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE` (invalid: text, bytes, decimals and timestamps),
   *   `FIRN_TENSOR_NULL`, `FIRN_TENSOR_RANGE` (invalid).
   */
  numbers(column: string, options?: NumbersOptions): TensorData
  /** A text column, decoded; the caller turns it into numbers. @throws as `numbers`, but for nulls. */
  texts(column: string): readonly (string | null)[]
}

export function tensorBatch(record: RecordBatch): TensorBatch {
  return {
    rows: record.numRows,
    record,
    numbers: (column, options = {}) => numbersOf(column, dataOf(record, column), options.nullAs),
    texts: (column) => textsOf(column, dataOf(record, column)),
  }
}

/** @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE` as `numbers` would for every batch of the schema. */
export function checkNumeric(schema: ArrowSchema, column: string): void {
  tensorType(column, schema.fields[indexOf(schema, column)]!.type)
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

function numbersOf(column: string, data: Data, nullAs: number | undefined): TensorData {
  const shape: [number, number] = [data.length, 1]
  const dense = denseOf(column, data)
  // Checked without nulls too: whether this batch has one is chance.
  if (nullAs !== undefined) checkNullAs(column, dense.dtype, nullAs)
  if (data.nullCount > 0) fillNulls(column, data, dense.values, nullAs)
  return { ...dense, shape }
}

/** At null rows the value is whatever the column holds there. */
function denseOf(column: string, data: Data): Omit<TensorData, 'shape'> {
  const dtype = tensorType(column, data.type)
  if (dtype === 'bool') return { values: unpackBits(data), dtype }
  if (dtype === 'float32') return { values: rounded(column, data), dtype }
  const wide = DataType.isInt(data.type) && data.type.bitWidth === 64
  return { values: wide ? narrowed(column, data) : Int32Array.from(data.values as Int32Array), dtype }
}

function tensorType(column: string, type: DataType): TensorData['dtype'] {
  if (DataType.isBool(type)) return 'bool'
  if (DataType.isFloat(type) && type.precision !== Precision.HALF) return 'float32'
  if (DataType.isInt(type) || DataType.isDate(type)) return 'int32'
  const what = `column ${column} of type ${String(type)} is not a tensor of numbers`
  throw new FirnError('invalid', 'FIRN_TENSOR_TYPE', what, {
    detail: { column, type: String(type) },
    help: DataType.isUtf8(type)
      ? 'Pass a function instead of the column name, and turn batch.texts(column) into numbers there.'
      : 'Pass a function instead of the column name, and compute numbers from batch.record there.',
  })
}

/** A copy even of what fits: tensors take the array over, and the batch stays the caller's. */
function rounded(column: string, data: Data): Float32Array {
  const wide = data.values as Float32Array | Float64Array
  const values = Float32Array.from(wide)
  if (wide instanceof Float32Array) return values
  for (let row = 0; row < data.length; row++) {
    if (!Number.isFinite(values[row]) && Number.isFinite(wide[row]) && isValidAt(data, row)) {
      throw outOfRange(column, 'a finite value is beyond the range of 32-bit floats', {
        help: 'Tensors have no 64-bit floats. Pass a function and scale the numbers of batch.record there.',
      })
    }
  }
  return values
}

function narrowed(column: string, data: Data): Int32Array {
  const wide = data.values as BigInt64Array
  const values = new Int32Array(data.length)
  for (let row = 0; row < data.length; row++) {
    const value = Number(wide[row])
    if (value !== (value | 0) && isValidAt(data, row)) {
      throw outOfRange(column, 'a value does not fit in 32 bits', {
        help: 'Tensors have no 64-bit integers. Pass a function and compute smaller or floating numbers there.',
      })
    }
    values[row] = value
  }
  return values
}

function unpackBits(data: Data): Uint8Array {
  const bits = data.values as Uint8Array
  const values = new Uint8Array(data.length)
  for (let row = 0; row < data.length; row++) {
    const bit = row + data.offset
    values[row] = (bits[bit >> 3]! >> (bit & 7)) & 1
  }
  return values
}

function fillNulls(column: string, data: Data, values: TensorData['values'], nullAs: number | undefined): void {
  if (nullAs === undefined) {
    throw new FirnError('invalid', 'FIRN_TENSOR_NULL', `column ${column} has ${data.nullCount} nulls in this batch`, {
      detail: { column, nulls: data.nullCount },
      help: 'Tensors have no nulls. Pass a function and say what stands for them: batch.numbers(column, { nullAs: 0 }).',
    })
  }
  for (let row = 0; row < data.length; row++) if (!isValidAt(data, row)) values[row] = nullAs
}

/** What a tensor of the type can hold: other numbers would become some number that nobody chose. */
const NULL_AS = {
  int32: { allowed: 'an integer from -2147483648 to 2147483647', holds: (value: number) => value === (value | 0) },
  bool: { allowed: '0 or 1', holds: (value: number) => value === 0 || value === 1 },
  float32: {
    allowed: 'a number within the range of 32-bit floats',
    holds: (value: number) =>
      typeof value === 'number' && (!Number.isFinite(value) || Number.isFinite(Math.fround(value))),
  },
} as const

function checkNullAs(column: string, dtype: TensorData['dtype'], nullAs: number): void {
  const { allowed, holds } = NULL_AS[dtype]
  if (holds(nullAs)) return
  throw outOfRange(column, `nullAs for a tensor of type ${dtype} is ${allowed}, got ${String(nullAs)}`, {
    help: `Set nullAs to ${allowed}, or pass a function that makes a tensor of another type from batch.record.`,
  })
}

const outOfRange = (column: string, what: string, { help }: { readonly help: string }): FirnError =>
  new FirnError('invalid', 'FIRN_TENSOR_RANGE', `column ${column}: ${what}`, { detail: { column }, help })

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
