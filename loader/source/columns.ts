/** Which columns are read for the batches. */
import { FirnError } from '../../table/errors.ts'
import { type Expression, fieldByName, fieldsById, filterColumns, isPrimitive, type Schema } from '../../table/index.ts'
import type { ResolvedOptions, SplitRange } from '../options.ts'

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

/** Ids of the columns without parts that are read: for the batches, the filter and the split. */
export function leavesRead(
  schema: Schema,
  projected: Schema,
  where: Expression | undefined,
  split: SplitRange | undefined,
): ReadonlySet<number> {
  const wanted = new Map(projected.fields.map((field) => [field.id, field]))
  const known = fieldsById(schema)
  for (const id of where === undefined ? [] : filterColumns(where)) {
    const field = known.get(id)
    if (field !== undefined) wanted.set(id, field)
  }
  if (split !== undefined) {
    const field = fieldByName(schema, split.column)
    wanted.set(field.id, field)
  }
  return new Set(fieldsById({ ...schema, fields: [...wanted.values()] }).keys())
}
