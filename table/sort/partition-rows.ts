/** The partition of each row: rows of files of an older spec go to partitions of the current one. */
import type { Data, RecordBatch } from 'apache-arrow'
import { leafColumn, leafValueAt } from '../scan/columns.ts'
import type { PartitionSpec, PartitionTuple } from '../spec/partition.ts'
import { primitiveTypeOf, type Schema } from '../spec/schema.ts'
import { applyTransform, transformResultType } from '../spec/transform.ts'
import { type KeyMaker, writeFieldValue } from './sort-key.ts'

/** The partition tuple of a row of the batch. */
export type RowPartition = (batch: RecordBatch) => (row: number) => PartitionTuple

export function rowPartition(schema: Schema, spec: PartitionSpec): RowPartition {
  return (batch) => {
    const columns = batch.data.children as Data[]
    const parts = spec.fields.map(({ sourceId, transform }) => {
      // The column of a dropped field of format version 1 may be gone.
      if (transform === 'void') return () => null
      const leaf = leafColumn(sourceId, schema.fields, columns)
      return (row: number) => applyTransform(transform, leaf.type, leafValueAt(leaf, row))
    })
    return (row) => parts.map((partOf) => partOf(row))
  }
}

/** Keys that keep the rows of a partition together, ordered by `within` inside it. */
export function partitionedKeyMaker(schema: Schema, spec: PartitionSpec, within: KeyMaker | undefined): KeyMaker {
  const partitionOf = rowPartition(schema, spec)
  const fields = spec.fields.flatMap(({ sourceId, transform }, index) => {
    if (transform === 'void') return []
    const type = transformResultType(transform, primitiveTypeOf(schema, sourceId))
    return { index, type, field: { sourceId, transform, direction: 'asc' as const, nullOrder: 'nulls-first' as const } }
  })
  return (batch) => {
    const tupleOf = partitionOf(batch)
    const rest = within?.(batch)
    return (row, out) => {
      const tuple = tupleOf(row)
      for (const { index, field, type } of fields) writeFieldValue(field, type, tuple[index] ?? null, out)
      rest?.(row, out)
    }
  }
}
