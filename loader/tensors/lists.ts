/**
 * Columns with several numbers a row, as tokenizers make them: lists of one fixed size become `[rows, size]` as they
 * are, lists of any size are padded to one width.
 */
import { type Data, DataType, type FixedSizeList } from 'apache-arrow'
import { isValidAt } from '../../table/index.ts'
import { invalid } from '../options.ts'
import { checkHolds, denseOf, nullsRefused, outOfRange, sharedOf, viewOf } from './flat.ts'
import type { NumbersOptions, TensorData } from './tensors.ts'

/** The type of the numbers in the lists of a column; undefined for a column without lists. */
export const elementType = (type: DataType): DataType | undefined =>
  DataType.isFixedSizeList(type) || DataType.isList(type) ? type.children[0]!.type : undefined

export const isRagged = (type: DataType): boolean => DataType.isList(type)

/** Shares the memory of the batch where that holds nothing else, so that the numbers are copied nowhere. */
export function fixedNumbers(column: string, data: Data<FixedSizeList>, nullAs: number | undefined): TensorData {
  const width = data.type.listSize
  const shape: [number, number] = [data.length, width]
  const elements = data.children[0]!.slice(0, data.length * width)
  if (data.nullCount === 0) return { ...sharedOf(column, elements, nullAs), shape }
  if (nullAs === undefined) throw nullsRefused(column, data.nullCount)
  const { values, dtype } = denseOf(column, elements, nullAs)
  for (let row = 0; row < data.length; row++) {
    if (!isValidAt(data, row)) values.fill(nullAs, row * width, (row + 1) * width)
  }
  return { values, dtype, shape }
}

export function raggedNumbers(column: string, data: Data, options: NumbersOptions): TensorData {
  const offsets = data.valueOffsets as Int32Array
  const first = offsets[0] ?? 0
  const elements = data.children[0]!.slice(first, (offsets[data.length] ?? 0) - first)
  const { values: flat, dtype } = viewOf(elements) ?? denseOf(column, elements, options.nullAs)
  const { nullAs, padValue = 0 } = options
  if (nullAs !== undefined) checkHolds(column, dtype, 'nullAs', nullAs)
  checkHolds(column, dtype, 'padValue', padValue)
  const lengths = rowLengths(column, data, options)
  const width = widthOf(column, lengths, options)
  const size = data.length * width
  const values =
    dtype === 'int32' ? new Int32Array(size) : dtype === 'float32' ? new Float32Array(size) : new Uint8Array(size)
  if (padValue !== 0) values.fill(padValue)
  for (let row = 0; row < data.length; row++) {
    const start = offsets[row]! - first
    values.set(flat.subarray(start, start + lengths[row]!), row * width)
  }
  return { values, dtype, shape: [data.length, width] }
}

/** Numbers in each row's list, after truncation; a null list has none. */
export function rowLengths(column: string, data: Data, { nullAs, truncateTo }: NumbersOptions): Int32Array {
  if (data.nullCount > 0 && nullAs === undefined) throw nullsRefused(column, data.nullCount)
  const most = truncateTo ?? Number.POSITIVE_INFINITY
  if (DataType.isFixedSizeList(data.type)) return new Int32Array(data.length).fill(data.type.listSize)
  const offsets = data.valueOffsets as Int32Array
  const lengths = new Int32Array(data.length)
  for (let row = 0; row < data.length; row++) {
    if (isValidAt(data, row)) lengths[row] = Math.min(offsets[row + 1]! - offsets[row]!, most)
  }
  return lengths
}

/** At least one, because layers refuse tensors without columns. */
function widthOf(column: string, lengths: Int32Array, { padTo, padToMultipleOf = 1 }: NumbersOptions): number {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1)
  if (padTo === undefined) return Math.ceil(longest / padToMultipleOf) * padToMultipleOf
  if (longest <= padTo) return padTo
  throw outOfRange(column, `a row has ${longest} numbers, and padTo is ${padTo}`, {
    help: `Raise padTo, or set truncateTo: ${padTo} to cut the ends of longer rows.`,
  })
}

/** @throws {FirnError} `FIRN_INVALID_OPTION`: of the options that only lists of any size have. */
export function checkPadding(column: string, type: DataType, options: NumbersOptions): void {
  const { padTo, padToMultipleOf, truncateTo, padValue } = options
  const given = Object.entries({ padTo, padToMultipleOf, truncateTo, padValue }).filter(
    ([, value]) => value !== undefined,
  )
  if (given.length === 0) return
  if (!isRagged(type)) throw invalid(`padding of column ${column}`, 'a column of lists of any size', String(type))
  for (const [option, value] of given) {
    if (option !== 'padValue' && !(Number.isSafeInteger(value) && value! >= 1)) {
      throw invalid(`${option} of column ${column}`, 'an integer from 1', value)
    }
  }
  if (padTo !== undefined && padToMultipleOf !== undefined) {
    throw invalid(`padding of column ${column}`, 'padTo or padToMultipleOf, not both', { padTo, padToMultipleOf })
  }
}
