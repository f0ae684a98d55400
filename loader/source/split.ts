/**
 * A part of the rows by Iceberg's `bucket[N](column)`: the same rows in every snapshot and for every engine. Rows
 * without a value have no bucket and are in no split. Spec: "Bucket Transform Details".
 */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import {
  applyTransform,
  bytesAt,
  canApply,
  type DataFile,
  fieldByName,
  fieldsById,
  isPrimitive,
  isValidAt,
  type PartitionSpec,
  type PrimitiveType,
  type RowTest,
  type Schema,
  valueAt,
} from '../../table/index.ts'
import type { SplitRange } from '../options.ts'

/** Whether a file has rows of the split: all of them, none, or some that only their values tell. */
export type SplitPart = 'all' | 'none' | 'some'

/**
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_TRANSFORM_UNSUPPORTED` (invalid): a column whose type has no
 *   buckets.
 */
export function checkSplit(split: SplitRange, schema: Schema): void {
  typeOf(split, schema)
}

function typeOf(
  { column, buckets }: SplitRange,
  schema: Schema,
): { readonly id: number; readonly type: PrimitiveType } {
  const { id, type } = fieldByName(schema, column)
  const transform = `bucket[${buckets}]`
  if (isPrimitive(type) && canApply(transform, type)) return { id, type }
  const shown = isPrimitive(type) ? type : type.type
  const message = `split: column ${column} is ${shown}, which has no buckets`
  throw new FirnError('invalid', 'FIRN_TRANSFORM_UNSUPPORTED', message, {
    detail: { column, type: shown },
    help: 'Split by a column of whole numbers, text, dates, times, decimals or bytes.',
  })
}

/** By the partition of a file: proved where its spec has the column's buckets in a multiple of the split's, or itself. */
export function splitPartOf(
  split: SplitRange,
  { partition }: Pick<DataFile, 'partition'>,
  spec: PartitionSpec | undefined,
  schema: Schema,
): SplitPart {
  const { id } = typeOf(split, schema)
  for (const [index, { sourceId, transform }] of (spec?.fields ?? []).entries()) {
    if (sourceId !== id || index >= partition.length) continue
    const value = partition[index]!
    const identity = transform.toLowerCase() === 'identity'
    const buckets = Number(/^bucket\[(\d+)\]$/i.exec(transform)?.[1] ?? 0)
    if (!identity && (buckets === 0 || buckets % split.buckets !== 0)) continue
    if (value === null) return 'none'
    const source = identity ? fieldsById(schema).get(id)!.type : 'int'
    const bucket = identity
      ? applyTransform(`bucket[${split.buckets}]`, source as PrimitiveType, value)
      : (value as number) % split.buckets
    return isIncluded(split, bucket as number) ? 'all' : 'none'
  }
  return 'some'
}

const isIncluded = ({ from, to }: SplitRange, bucket: number): boolean => bucket >= from && bucket < to

/** For `readInOrder`: the rows of the split. @param schema that rows are read with. */
export function splitTest(split: SplitRange, schema: Schema): RowTest {
  const { type } = typeOf(split, schema)
  const transform = `bucket[${split.buckets}]`
  return {
    columns: [split.column],
    rows(batch: RecordBatch) {
      const index = batch.schema.fields.findIndex((field) => field.name === split.column)
      const data = batch.data.children[index]!
      // A text hashes as its bytes: no string is made of it.
      const bucketAt =
        type === 'string'
          ? (row: number) => applyTransform(transform, 'binary', bytesAt(data, row))
          : (row: number) => applyTransform(transform, type, valueAt(type, data, row))
      return (row) => isValidAt(data, row) && isIncluded(split, bucketAt(row) as number)
    },
  }
}
