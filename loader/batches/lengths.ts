/** The length of a row, as token budgets count it. */
import { type Schema as ArrowSchema, DataType } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import type { Segment } from './segments.ts'

export type LengthOf = (segment: Segment, row: number) => number

const MOST = 0x7fff_ffff

/**
 * A number column is the length itself; a list column has as many tokens as elements.
 * @returns throws `FIRN_LENGTH_INVALID` (invalid) for null and for what is no length.
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_LENGTH_INVALID` (invalid) for columns that have no lengths.
 */
export function lengthsOf(schema: ArrowSchema, column: string): LengthOf {
  const index = schema.fields.findIndex(({ name }) => name === column)
  if (index < 0) {
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', `batch.lengthColumn "${column}" is not in the batches`, {
      detail: { column },
      help: `Name one of them: ${schema.fields.map(({ name }) => name).join(', ')}`,
    })
  }
  const { type } = schema.fields[index]!
  const length = plainLength(column, type, index)
  return (segment, row) => {
    const { bitmap, firstBit } = segment.columns[index]!
    const bit = firstBit + row
    if (bitmap !== undefined && ((bitmap[bit >> 3]! >> (bit & 7)) & 1) === 0) throw noLength(column, 'null')
    const value = length(segment, row)
    if (value >= 0 && value <= MOST && Number.isInteger(value)) return value
    throw noLength(column, String(value))
  }
}

function plainLength(column: string, type: DataType, index: number): LengthOf {
  if (DataType.isList(type)) {
    return (segment, row) => {
      const { offsets } = segment.columns[index]!
      return offsets![row + 1]! - offsets![row]!
    }
  }
  if (DataType.isInt(type) || DataType.isFloat(type)) {
    return (segment, row) => Number((segment.columns[index]!.values as Int32Array)[row])
  }
  throw new FirnError('invalid', 'FIRN_LENGTH_INVALID', `batch.lengthColumn ${column}: ${String(type)} has no length`, {
    detail: { column, type: String(type) },
    help: 'Name a column of numbers, or one of lists.',
  })
}

const noLength = (column: string, got: string): FirnError =>
  new FirnError('invalid', 'FIRN_LENGTH_INVALID', `batch.lengthColumn ${column}: expected a whole number, got ${got}`, {
    detail: { column },
    help: `Leave such rows out: filter: '${column} >= 0'`,
  })
