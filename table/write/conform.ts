/** Rows as the table wants them: its columns, its field ids at every depth, no null where none may be. */
import type { Schema as ArrowSchema, Data, DataType, RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { batchOfColumns } from '../format/arrow-take.ts'
import { isValidAt } from '../format/arrow-values.ts'
import { childrenOf, type Schema } from '../spec/schema.ts'
import type { NestedField } from '../spec/types.ts'

/**
 * The batch under the table's own Arrow schema: what the caller's fields carry decides nothing.
 * @param arrow `arrowSchema(schema)`.
 * @throws {FirnError} `FIRN_SCHEMA_MISMATCH` (invalid).
 */
export function conform(arrow: ArrowSchema, schema: Schema, batch: RecordBatch): RecordBatch {
  const describe = (fields: ArrowSchema['fields']): string =>
    fields.map(({ name, type }) => `${name} ${type}`).join(', ')
  const expected = describe(arrow.fields)
  const got = describe(batch.schema.fields)
  if (expected !== got) throw mismatch(`expected columns ${expected}; got ${got}`)
  const columns = batch.data.children as readonly Data[]
  schema.fields.forEach((field, index) => {
    checkNulls(field, columns[index]!, undefined, field.name)
  })
  const typed = columns.map((column, index) => withType(column, arrow.fields[index]!.type))
  return batchOfColumns(schema, typed, batch.numRows)
}

/** Nested columns are rebuilt: the types of their parts hold the field ids that the file gets. */
function withType(data: Data, type: DataType): Data {
  const { children } = data
  if (children.length === 0) return data
  const typed = children.map((child, index) => withType(child as Data, type.children[index]!.type))
  const { offset, length, nullCount } = data
  const buffers = [data.valueOffsets, data.values, data.nullBitmap, data.typeIds]
  return data.clone(type as never, offset, length, nullCount, buffers as never, typed) as Data
}

/** @param parent the struct that `data` is a child of, when it is one. */
function checkNulls(field: NestedField, data: Data, parent: Data | undefined, path: string): void {
  if (field.required && data.nullCount > 0) {
    let nulls = 0
    for (let row = 0; row < data.length; row++) {
      if (!isValidAt(data, row) && (parent === undefined || isValidAt(parent, row))) nulls++
    }
    if (nulls > 0) throw mismatch(`required column ${path} has ${nulls} nulls`)
  }
  const children = childrenOf(field.type)
  if (children.length === 0) return
  const isStruct = data.valueOffsets === undefined
  const inside = isStruct ? data : (data.children[0] as Data)
  // A list's one child is its element; a map's is the struct of keys and values.
  if (!isStruct && children.length === 1) checkNulls(children[0]!, inside, undefined, `${path}.element`)
  else {
    children.forEach((child, index) => {
      checkNulls(child, inside.children[index] as Data, inside, `${path}.${child.name}`)
    })
  }
}

const mismatch = (message: string): FirnError =>
  new FirnError('invalid', 'FIRN_SCHEMA_MISMATCH', `rows to write: ${message}`)
