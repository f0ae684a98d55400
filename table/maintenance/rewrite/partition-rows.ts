/** The partition of each row: rows of files of an older spec go to partitions of the current one. */
import type { Data, RecordBatch } from 'apache-arrow'
import { valueAt } from '../../format/arrow-values.ts'
import type { PartitionSpec, PartitionTuple } from '../../spec/partition.ts'
import { primitiveTypeOf, type Schema } from '../../spec/schema.ts'
import { applyTransform, transformResultType } from '../../spec/transform.ts'
import { type KeyMaker, leafOf, pathOf, writeFieldValue } from './sort-key.ts'

/** The partition tuple of a row of the batch. */
export type RowPartition = (batch: RecordBatch) => (row: number) => PartitionTuple

export function rowPartition(schema: Schema, spec: PartitionSpec): RowPartition {
  const fields = spec.fields.map(({ sourceId, transform }) => ({
    transform,
    source: primitiveTypeOf(schema, sourceId),
    path: pathOf(schema, sourceId),
  }))
  return (batch) => {
    const leaves = fields.map((field) => ({ ...field, leaf: leafOf(batch, field.path) }))
    return (row) =>
      leaves.map(({ transform, source, leaf }) => {
        const value = leaf.isValid(row) ? valueAt(source, leaf.data as Data, row) : null
        return applyTransform(transform, source, value)
      })
  }
}

/** Keys that keep the rows of a partition together, ordered by `within` inside it. */
export function partitionedKeyMaker(schema: Schema, spec: PartitionSpec, within: KeyMaker | undefined): KeyMaker {
  const partitionOf = rowPartition(schema, spec)
  const fields = spec.fields.map(({ sourceId, transform }) => ({
    type: transformResultType(transform, primitiveTypeOf(schema, sourceId)),
    field: { sourceId, transform, direction: 'asc' as const, nullOrder: 'nulls-first' as const },
  }))
  return (batch) => {
    const tupleOf = partitionOf(batch)
    const rest = within?.(batch)
    return (row, out) => {
      const tuple = tupleOf(row)
      for (const [index, { field, type }] of fields.entries()) writeFieldValue(field, type, tuple[index] ?? null, out)
      rest?.(row, out)
    }
  }
}
