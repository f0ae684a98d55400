/**
 * Skipping what cannot match. Everything here answers "may a row match?": on any doubt yes, so that pruning never
 * changes a result. `test/table/scan/prune.property.test.ts` holds that against unpruned scans.
 */
import { assertNever } from '../errors.ts'
import { decodeBound } from '../manifest/bounds.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import { compareValues } from '../spec/compare.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import { applyTransform, canApply, transformResultType } from '../spec/transform.ts'
import { isPrimitive, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import type { ColumnReference, ComparisonOperator, Expression } from './expression.ts'

/** What is known of a column in a set of rows. `undefined` means not known. */
interface ColumnRange {
  readonly type: PrimitiveType
  readonly lower: PrimitiveValue | undefined
  readonly upper: PrimitiveValue | undefined
  readonly mayBeNull: boolean
  readonly mayBeValue: boolean
}

/** Whether a row of `file` may match. */
export function fileMayMatch(filter: Expression, file: DataFile, spec: PartitionSpec, schema: Schema): boolean {
  const bounds = (column: ColumnReference): ColumnRange => fileRange(file, column)
  if (!mayMatch(filter, bounds, false)) return false
  return spec.fields.every((field, index) => {
    const value = file.partition[index] ?? null
    const source = sourceTypeOf(schema, field.sourceId)
    if (source === undefined || !canApply(field.transform, source)) return true
    return mayMatchPartition(filter, field.sourceId, field.transform, source, {
      type: transformResultType(field.transform, source),
      lower: value ?? undefined,
      upper: value ?? undefined,
      mayBeNull: value === null || field.transform === 'void',
      mayBeValue: value !== null || field.transform === 'void',
    })
  })
}

/** Whether a file of `manifest` may hold a matching row, by the partition summaries and the manifest's own spec. */
export function manifestMayMatch(
  filter: Expression,
  manifest: ManifestFile,
  spec: PartitionSpec,
  schema: Schema,
): boolean {
  return spec.fields.every((field, index) => {
    const summary = manifest.partitions[index]
    const source = sourceTypeOf(schema, field.sourceId)
    if (summary === undefined || source === undefined || !canApply(field.transform, source)) return true
    if (field.transform === 'void') return true
    const type = transformResultType(field.transform, source)
    return mayMatchPartition(filter, field.sourceId, field.transform, source, {
      type,
      lower: boundOf(type, summary.lowerBound),
      upper: boundOf(type, summary.upperBound),
      mayBeNull: summary.containsNull,
      mayBeValue: summary.lowerBound !== undefined || summary.containsNan !== false,
    })
  })
}

/** `undefined` when the column was dropped since: then no filter names it. */
function sourceTypeOf(schema: Schema, id: number): PrimitiveType | undefined {
  const field = schema.fields.find((column) => column.id === id)
  return field !== undefined && isPrimitive(field.type) ? field.type : undefined
}

/** Old writers took NaN for a bound; it bounds nothing. */
function boundOf(type: PrimitiveType, bytes: Uint8Array | undefined): PrimitiveValue | undefined {
  const value = bytes === undefined ? undefined : decodeBound(type, bytes)
  return Number.isNaN(value) ? undefined : value
}

function fileRange(file: DataFile, column: ColumnReference): ColumnRange {
  const id = column.fieldId
  const values = file.valueCounts.get(id)
  const nulls = file.nullValueCounts.get(id)
  const lower = file.lowerBounds.get(id)
  const upper = file.upperBounds.get(id)
  return {
    type: column.type,
    lower: boundOf(column.type, lower),
    upper: boundOf(column.type, upper),
    mayBeNull: nulls === undefined || nulls > 0,
    mayBeValue: values === undefined || nulls === undefined || nulls < values,
  }
}

/** The filter's inclusive projection on one partition field. */
function mayMatchPartition(
  filter: Expression,
  sourceId: number,
  transform: string,
  source: PrimitiveType,
  range: ColumnRange,
): boolean {
  const project = (column: ColumnReference): ColumnRange | undefined =>
    column.fieldId === sourceId ? range : undefined
  const map = (value: PrimitiveValue): PrimitiveValue => applyTransform(transform, source, value)
  return mayMatch(filter, project, false, { map, exact: transform === 'identity' })
}

interface Projection {
  map(value: PrimitiveValue): PrimitiveValue
  /** Whether equal results mean equal sources. */
  readonly exact: boolean
}
const SELF: Projection = { map: (value) => value, exact: true }

/** @param negated whether the expression stands under an odd number of `not`. */
function mayMatch(
  filter: Expression,
  rangeOf: (column: ColumnReference) => ColumnRange | undefined,
  negated: boolean,
  projection: Projection = SELF,
): boolean {
  switch (filter.kind) {
    case 'not':
      return mayMatch(filter.operand, rangeOf, !negated, projection)
    case 'and':
    case 'or': {
      const left = mayMatch(filter.left, rangeOf, negated, projection)
      const right = mayMatch(filter.right, rangeOf, negated, projection)
      return (filter.kind === 'and') !== negated ? left && right : left || right
    }
    case 'is-null': {
      const range = rangeOf(filter.column)
      return range === undefined || (negated ? range.mayBeValue : range.mayBeNull)
    }
    case 'in': {
      const range = rangeOf(filter.column)
      if (range === undefined) return true
      if (!range.mayBeValue) return false
      return negated || filter.values.some((value) => compareMayMatch(range, '=', projection.map(value), projection))
    }
    case 'compare': {
      const range = rangeOf(filter.column)
      if (range === undefined) return true
      if (filter.value === null || !range.mayBeValue) return false
      const operator = negated ? NEGATED[filter.operator] : filter.operator
      return compareMayMatch(range, operator, projection.map(filter.value), projection)
    }
    case 'is-nan':
    case 'starts-with':
      return true
    default:
      return assertNever(filter)
  }
}

const NEGATED: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '=': '!=',
  '!=': '=',
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
}

/**
 * `value` has been through the projection. Transforms here never fall as their source rises, so `x < v` means
 * `t(x) <= t(v)`; only an exact projection keeps the strictness.
 */
function compareMayMatch(
  range: ColumnRange,
  operator: ComparisonOperator,
  value: PrimitiveValue,
  projection: Projection,
): boolean {
  const { type, lower, upper } = range
  // NaN is above every bound and no bound speaks of it.
  if (type === 'float' || type === 'double') {
    if (operator === '>' || operator === '>=' || operator === '!=') return true
    if (Number.isNaN(value)) return true
  }
  const toLower = lower === undefined || lower === null ? undefined : compareValues(type, value, lower)
  const toUpper = upper === undefined || upper === null ? undefined : compareValues(type, value, upper)
  switch (operator) {
    case '=':
      return !((toLower !== undefined && toLower < 0) || (toUpper !== undefined && toUpper > 0))
    case '<':
      return toLower === undefined || (projection.exact ? toLower > 0 : toLower >= 0)
    case '<=':
      return toLower === undefined || toLower >= 0
    case '>':
      return toUpper === undefined || (projection.exact ? toUpper < 0 : toUpper <= 0)
    case '>=':
      return toUpper === undefined || toUpper <= 0
    case '!=':
      // Bounds may be truncated, so equal bounds do not prove that every value is equal.
      return true
    default:
      return assertNever(operator)
  }
}
