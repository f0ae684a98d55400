/** Which columns are read for the batches. */
import { FirnError } from '../../table/errors.ts'
import { isPrimitive, type Schema } from '../../table/index.ts'
import type { ResolvedOptions } from '../options.ts'

/**
 * Those of the options, and of token budgets the column that says how long a row is, unless a transform makes it.
 * `undefined`: all.
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_LENGTH_COLUMN` (invalid).
 */
export function readColumns(
  { batch, columns, transform }: Pick<ResolvedOptions, 'batch' | 'columns' | 'transform'>,
  schema: Schema,
): readonly string[] | undefined {
  if (batch.kind === 'rows') return columns
  const { lengthColumn } = batch
  const field = schema.fields.find(({ name }) => name === lengthColumn)
  if (field === undefined) {
    if (transform !== undefined) return columns
    const names = schema.fields.map(({ name }) => name).join(', ')
    const message = `batch.lengthColumn: column "${lengthColumn}" is not in the schema`
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', message, {
      detail: { column: lengthColumn },
      help: `Name a column of lengths, or have a transform make one. The columns are: ${names}`,
    })
  }
  const { type } = field
  const isLength = type === 'int' || type === 'long' || (!isPrimitive(type) && type.type === 'list')
  if (!isLength && transform === undefined) {
    const shown = isPrimitive(type) ? type : type.type
    throw new FirnError('invalid', 'FIRN_LENGTH_COLUMN', `batch.lengthColumn: column ${lengthColumn} is ${shown}`, {
      detail: { column: lengthColumn, type: shown },
      help: 'Name a column of whole numbers or of lists.',
    })
  }
  return columns === undefined || columns.includes(lengthColumn) ? columns : [...columns, lengthColumn]
}
