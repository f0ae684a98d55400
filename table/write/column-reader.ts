/** Rows of a batch, value by value: what filters, keys and partitions are computed from. */
import type { Data, RecordBatch } from 'apache-arrow'
import { type LeafColumn, leafColumn, leafValueAt } from '../scan/columns.ts'
import type { ColumnReference } from '../scan/expression.ts'
import type { Schema } from '../spec/schema.ts'
import type { PrimitiveValue } from '../spec/types.ts'

/** Values of primitive columns, also of those inside structs. */
export function columnReader(
  schema: Schema,
  batch: RecordBatch,
): (column: Pick<ColumnReference, 'fieldId'>, row: number) => PrimitiveValue {
  const columns = new Map<number, LeafColumn>()
  return ({ fieldId }, row) => {
    let column = columns.get(fieldId)
    if (column === undefined) {
      column = leafColumn(fieldId, schema.fields, batch.data.children as Data[])
      columns.set(fieldId, column)
    }
    return leafValueAt(column, row)
  }
}
