/** What rows of several metadata tables have in common: partitions, statistics, values as people read them. */
import { decodeBound } from '../manifest/bounds.ts'
import { type DataFile, FILE_CONTENTS } from '../manifest/data-file.ts'
import { currentSchema, schemaForSpec, specById, type TableMetadata } from '../spec/metadata.ts'
import { type PartitionSpec, partitionTypes } from '../spec/partition.ts'
import { partitionValueToText } from '../spec/partition-text.ts'
import { fieldPathText, fieldsById, type Schema } from '../spec/schema.ts'
import { isPrimitive, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'

export type InspectRow = Readonly<Record<string, unknown>>

interface SpecFields {
  readonly spec: PartitionSpec
  readonly types: readonly PrimitiveType[]
}

/** A partition field or column with the name that rows have it under. */
interface NamedField {
  readonly id: number
  readonly name: string
}

/** Made once for all rows of a metadata table. Columns are named and typed as the table has them now. */
export interface RowContext {
  readonly metadata: TableMetadata
  readonly schema: Schema
  specFields(specId: number): SpecFields
  /** Of all the given specs: a file of another spec has null where it has no such field. */
  readonly partitionFields: readonly NamedField[]
  readonly metricFields: readonly (NamedField & { readonly type: PrimitiveType })[]
}

/** @param specIds those whose fields are in a row; default: all of the table. */
export function rowContext(metadata: TableMetadata, specIds?: ReadonlySet<number>): RowContext {
  const schema = currentSchema(metadata)
  const known = new Map<number, SpecFields>()
  const specFields = (specId: number): SpecFields => {
    const found = known.get(specId)
    if (found !== undefined) return found
    const spec = specById(metadata, specId)
    const made = { spec, types: partitionTypes(spec, schemaForSpec(metadata, spec, schema)) }
    known.set(specId, made)
    return made
  }
  const specs = metadata.partitionSpecs.filter(({ specId }) => specIds === undefined || specIds.has(specId))
  const names = new Map(specs.flatMap(({ fields }) => fields.map(({ fieldId, name }) => [fieldId, name] as const)))
  const metricFields = [...fieldsById(schema)].flatMap(([id, { type }]) =>
    isPrimitive(type) ? [{ id, name: fieldPathText(schema, id), type }] : [],
  )
  return {
    metadata,
    schema,
    specFields,
    partitionFields: [...names].map(([id, name]) => ({ id, name })).sort((a, b) => a.id - b.id),
    metricFields,
  }
}

export function partitionRow(context: RowContext, file: DataFile): InspectRow {
  const { spec, types } = context.specFields(file.specId)
  return Object.fromEntries(
    context.partitionFields.map(({ id, name }) => {
      const index = spec.fields.findIndex(({ fieldId }) => fieldId === id)
      return [name, index < 0 ? null : readable(types[index]!, file.partition[index] ?? null)]
    }),
  )
}

/** A live file as `files` and its kin have it. */
export function fileRow(context: RowContext, file: DataFile): InspectRow {
  return {
    content: FILE_CONTENTS.indexOf(file.content),
    file_path: file.filePath,
    file_format: file.fileFormat,
    spec_id: file.specId,
    partition: partitionRow(context, file),
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeBytes,
    column_sizes: Object.fromEntries(file.columnSizes),
    value_counts: Object.fromEntries(file.valueCounts),
    null_value_counts: Object.fromEntries(file.nullValueCounts),
    nan_value_counts: Object.fromEntries(file.nanValueCounts),
    lower_bounds: Object.fromEntries(file.lowerBounds),
    upper_bounds: Object.fromEntries(file.upperBounds),
    key_metadata: file.keyMetadata ?? null,
    split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets,
    equality_ids: file.equalityIds.length === 0 ? null : file.equalityIds,
    sort_order_id: file.sortOrderId ?? null,
    readable_metrics: readableMetrics(context, file),
  }
}

/** Statistics under the columns' names, nested ones as `a.b`, with the bounds decoded. */
function readableMetrics({ metricFields }: RowContext, file: DataFile): InspectRow {
  const { columnSizes, valueCounts, nullValueCounts, nanValueCounts } = file
  const lower = new Map(file.lowerBounds)
  const upper = new Map(file.upperBounds)
  const counts = [columnSizes, valueCounts, nullValueCounts, nanValueCounts].map((lazy) => new Map(lazy))
  return Object.fromEntries(
    metricFields.map(({ id, name, type }) => {
      const bound = (bytes: Uint8Array | undefined): unknown =>
        bytes === undefined ? null : readable(type, decodeBound(type, bytes))
      const [size, values, nulls, nans] = counts.map((map) => map.get(id) ?? null)
      const metrics = {
        column_size: size,
        value_count: values,
        null_value_count: nulls,
        nan_value_count: nans,
        lower_bound: bound(lower.get(id)),
        upper_bound: bound(upper.get(id)),
      }
      return [name, metrics]
    }),
  )
}

/** Days as `YYYY-MM-DD`, times as `Date` where one holds them; everything else as it is. */
export function readable(type: PrimitiveType, value: PrimitiveValue): unknown {
  if (value === null) return null
  if (type === 'date') return partitionValueToText('day', type, value)
  if ((type === 'timestamp' || type === 'timestamptz') && typeof value === 'bigint') {
    const millis = Number(value / 1000n)
    return value % 1000n === 0n && Math.abs(millis) <= 8.64e15 ? new Date(millis) : value
  }
  return value
}
