/**
 * Values of one column as the typed array that a tensor takes, one value after the other. There are no 64-bit numbers,
 * no unsigned ones and no nulls in tensors: what does not fit is refused, never wrapped, cut or rounded to infinity.
 */
import { type Data, DataType, DateUnit, Precision } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import { isValidAt } from '../../table/index.ts'

export type TensorType = 'float32' | 'int32' | 'bool'

export interface DenseValues {
  readonly values: Float32Array | Int32Array | Uint8Array
  readonly dtype: TensorType
}

/** @throws {FirnError} `FIRN_TENSOR_TYPE` (invalid) for a type of single values that is no tensor. */
export function tensorType(column: string, type: DataType): TensorType {
  if (DataType.isBool(type)) return 'bool'
  if (DataType.isFloat(type) && type.precision !== Precision.HALF) return 'float32'
  if (DataType.isInt(type) || (DataType.isDate(type) && type.unit === DateUnit.DAY)) return 'int32'
  throw new FirnError('invalid', 'FIRN_TENSOR_TYPE', `column ${column} of type ${type} is not a tensor of numbers`, {
    detail: { column, type: String(type) },
    help: DataType.isUtf8(type)
      ? 'Pass a function instead of the column name, and turn batch.texts(column) into numbers there.'
      : 'Pass a function instead of the column name, and compute numbers from batch.record there.',
  })
}

/** A copy even of what fits; null rows hold `nullAs`, without which a null is an error. */
export function denseOf(column: string, data: Data, nullAs: number | undefined): DenseValues {
  const dense = copyOf(column, data)
  // Checked without nulls too: whether this batch has one is chance.
  if (nullAs !== undefined) checkHolds(column, dense.dtype, 'nullAs', nullAs)
  if (data.nullCount === 0) return dense
  if (nullAs === undefined) throw nullsRefused(column, data.nullCount)
  for (let row = 0; row < data.length; row++) if (!isValidAt(data, row)) dense.values[row] = nullAs
  return dense
}

/** The column's own memory where it is what a tensor takes, has no null, and holds nothing else; else a copy. */
export function sharedOf(column: string, data: Data, nullAs: number | undefined): DenseValues {
  const view = viewOf(data)
  const whole = view !== undefined && view.values.byteLength === view.values.buffer.byteLength
  if (!whole) return denseOf(column, data, nullAs)
  if (nullAs !== undefined) checkHolds(column, view.dtype, 'nullAs', nullAs)
  return view
}

/** The column's memory, to be read only; undefined when it has nulls or is not of a type of tensors. */
export function viewOf(data: Data): DenseValues | undefined {
  if (data.nullCount > 0) return undefined
  const values = (data.values as Float32Array | Int32Array).subarray(0, data.length)
  if (DataType.isFloat(data.type) && values instanceof Float32Array) return { values, dtype: 'float32' }
  if (DataType.isInt(data.type) && values instanceof Int32Array) return { values, dtype: 'int32' }
  return undefined
}

/** At null rows the value is whatever the column holds there. */
function copyOf(column: string, data: Data): DenseValues {
  const dtype = tensorType(column, data.type)
  if (dtype === 'bool') return { values: unpackBits(data), dtype }
  if (dtype === 'float32') return { values: rounded(column, data), dtype }
  const wide = DataType.isInt(data.type) && (data.type.bitWidth === 64 || data.values instanceof Uint32Array)
  return { values: wide ? narrowed(column, data) : Int32Array.from(ownValues(data) as Int32Array), dtype }
}

/** Buffers may be longer than the column. */
const ownValues = (data: Data): ArrayLike<number | bigint> =>
  (data.values as Int32Array | BigInt64Array).subarray(0, data.length)

function rounded(column: string, data: Data): Float32Array {
  const wide = ownValues(data) as Float32Array | Float64Array
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
  const wide = ownValues(data)
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

export const nullsRefused = (column: string, nulls: number): FirnError =>
  new FirnError('invalid', 'FIRN_TENSOR_NULL', `column ${column} has ${nulls} nulls in this batch`, {
    detail: { column, nulls },
    help: 'Tensors have no nulls. Pass a function and say what stands for them: batch.numbers(column, { nullAs: 0 }).',
  })

/** What a tensor of the type can hold: other numbers would become some number that nobody chose. */
const HELD = {
  int32: { allowed: 'an integer from -2147483648 to 2147483647', holds: (value: number) => value === (value | 0) },
  bool: { allowed: '0 or 1', holds: (value: number) => value === 0 || value === 1 },
  float32: {
    allowed: 'a number within the range of 32-bit floats',
    holds: (value: number) =>
      typeof value === 'number' && (!Number.isFinite(value) || Number.isFinite(Math.fround(value))),
  },
} as const

/** @throws {FirnError} `FIRN_TENSOR_RANGE` (invalid): a tensor of the type cannot hold what the option gives. */
export function checkHolds(column: string, dtype: TensorType, option: string, value: number): void {
  const { allowed, holds } = HELD[dtype]
  if (holds(value)) return
  throw outOfRange(column, `${option} for a tensor of type ${dtype} is ${allowed}, got ${String(value)}`, {
    help: `Set ${option} to ${allowed}, or pass a function that makes a tensor of another type from batch.record.`,
  })
}

export const outOfRange = (column: string, what: string, { help }: { readonly help: string }): FirnError =>
  new FirnError('invalid', 'FIRN_TENSOR_RANGE', `column ${column}: ${what}`, { detail: { column }, help })
