/** Checks on the rows of one data file, batch by batch. */
import type { Data, RecordBatch } from 'apache-arrow'
import {
  applyTransform,
  canApply,
  compareValues,
  type DataFile,
  decodeBound,
  isPrimitive,
  isValidAt,
  type PartitionSpec,
  type PrimitiveType,
  type PrimitiveValue,
  type Schema,
  type SortOrder,
  valueAt,
} from '../../table/index.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
import { featureChecks } from './features.ts'
import { type Findings, RowFaults } from './problems.ts'

/** The sort key of a row; as long as the sort order. */
export type SortTuple = readonly PrimitiveValue[]

export interface FileRows {
  readonly rowCount: number
  /** Of the first and last row; `undefined` for unsorted files. */
  readonly first: SortTuple | undefined
  readonly last: SortTuple | undefined
}

export interface RowChecker {
  add(batch: RecordBatch): void
  /** Reports what was found. */
  finish(findings: Findings): FileRows
}

export interface RowCheckOptions {
  readonly file: DataFile
  /** Batches have its fields, in its order. */
  readonly schema: Schema
  readonly spec: PartitionSpec
  /** `undefined`: the file claims none, or one that cannot be computed here. */
  readonly sortOrder: SortOrder | undefined
  /** `undefined` for tables of other engines: computed columns are unknown. */
  readonly dataset: DatasetDefinition | undefined
  /** Newest planned time that any row may have, microseconds. */
  readonly newestCompactedAt: bigint | undefined
}

/** One check of one kind over the columns of a batch. */
export type BatchCheck = (columns: readonly Data[], rows: number, firstRow: number) => void

export function rowChecker(options: RowCheckOptions): RowChecker {
  const { file } = options
  const faults = new RowFaults()
  const nulls = new Map<number, number>()
  const sort = sortCheck(options, faults)
  const checks: BatchCheck[] = [
    ...options.schema.fields.flatMap((field, index) => boundCheck(options, faults, nulls, field, index)),
    ...options.spec.fields.flatMap((_, index) => partitionCheck(options, faults, index)),
    ...featureChecks(options.schema, options.dataset, faults),
    ...compactedAtCheck(options, faults),
    ...(sort === undefined ? [] : [sort.check]),
  ]
  let rowCount = 0
  return {
    add(batch) {
      const columns = batch.data.children as readonly Data[]
      for (const check of checks) check(columns, batch.numRows, rowCount)
      rowCount += batch.numRows
    },
    finish(findings) {
      faults.report(findings, file.filePath)
      reportCounts(options, nulls, rowCount, findings)
      return { rowCount, first: sort?.first(), last: sort?.last() }
    },
  }
}

function reportCounts(
  { file, schema }: RowCheckOptions,
  nulls: ReadonlyMap<number, number>,
  rowCount: number,
  findings: Findings,
): void {
  if (rowCount !== file.recordCount) {
    findings.add('row-count', file.filePath, `the manifest says ${file.recordCount} rows, ${rowCount} were read`)
  }
  for (const { id, name } of schema.fields) {
    const claimed = file.nullValueCounts.get(id)
    const found = nulls.get(id)
    if (claimed !== undefined && found !== undefined && claimed !== found) {
      findings.add(
        'null-count',
        file.filePath,
        `column ${name}: the manifest says ${claimed} nulls, there are ${found}`,
      )
    }
    const values = file.valueCounts.get(id)
    if (
      values !== undefined &&
      isPrimitive(schema.fields.find((field) => field.id === id)!.type) &&
      values !== rowCount
    ) {
      findings.add(
        'value-count',
        file.filePath,
        `column ${name}: the manifest says ${values} values, there are ${rowCount}`,
      )
    }
  }
}

/** Nulls are counted, and every value lies between the bounds. */
function boundCheck(
  { file }: RowCheckOptions,
  faults: RowFaults,
  nulls: Map<number, number>,
  field: Schema['fields'][number],
  index: number,
): readonly BatchCheck[] {
  const { type, id, name } = field
  if (!isPrimitive(type)) return []
  const bound = (bytes: Uint8Array | undefined): PrimitiveValue =>
    bytes === undefined ? null : decodeBound(type, bytes)
  const lower = bound(file.lowerBounds.get(id))
  const upper = bound(file.upperBounds.get(id))
  nulls.set(id, 0)
  return [
    (columns, rows, firstRow) => {
      const column = columns[index]!
      let found = 0
      for (let row = 0; row < rows; row++) {
        if (!isValidAt(column, row)) {
          found++
          continue
        }
        if (lower === null && upper === null) continue
        const value = valueAt(type, column, row)
        if (Number.isNaN(value)) continue
        if (lower !== null && compareValues(type, value, lower) < 0)
          faults.add('bound', name, firstRow + row, `column ${name} lies below its lower bound`)
        if (upper !== null && compareValues(type, value, upper) > 0)
          faults.add('bound', name, firstRow + row, `column ${name} lies above its upper bound`)
      }
      nulls.set(id, nulls.get(id)! + found)
    },
  ]
}

function partitionCheck(
  { file, schema, spec }: RowCheckOptions,
  faults: RowFaults,
  fieldIndex: number,
): readonly BatchCheck[] {
  const field = spec.fields[fieldIndex]!
  const index = schema.fields.findIndex((candidate) => candidate.id === field.sourceId)
  const type = schema.fields[index]?.type
  if (type === undefined || !isPrimitive(type) || field.transform === 'void' || !canApply(field.transform, type))
    return []
  const expected = file.partition[fieldIndex] ?? null
  let lastValue: PrimitiveValue | undefined
  let lastFits = true
  return [
    (columns, rows, firstRow) => {
      for (let row = 0; row < rows; row++) {
        const value = valueAt(type, columns[index]!, row)
        if (value !== lastValue) {
          lastValue = value
          lastFits = sameValue(type, applyTransform(field.transform, type, value), expected)
        }
        if (!lastFits) faults.add('partition', field.name, firstRow + row, `belongs to another value of ${field.name}`)
      }
    },
  ]
}

function sameValue(type: PrimitiveType, a: PrimitiveValue, b: PrimitiveValue): boolean {
  if (a === null || b === null) return a === b
  return a instanceof Uint8Array ? compareValues(type, a, b) === 0 : a === b
}

function compactedAtCheck(options: RowCheckOptions, faults: RowFaults): readonly BatchCheck[] {
  const { dataset, newestCompactedAt: newest, schema } = options
  const name = dataset?.fields.find((field) => field.from.kind === 'compacted_at')?.name
  const index = schema.fields.findIndex((field) => field.name === name)
  if (index < 0 || newest === undefined) return []
  return [
    (columns, rows, firstRow) => {
      for (let row = 0; row < rows; row++) {
        const value = valueAt('timestamptz', columns[index]!, row) as bigint | null
        if (value !== null && value > newest)
          faults.add('compacted-at', name!, firstRow + row, `${name} is later than the table's newest run`)
      }
    },
  ]
}

interface SortCheck {
  readonly check: BatchCheck
  first(): SortTuple | undefined
  last(): SortTuple | undefined
}

function sortCheck({ schema, sortOrder }: RowCheckOptions, faults: RowFaults): SortCheck | undefined {
  if (sortOrder === undefined || sortOrder.fields.length === 0) return undefined
  const keys = sortOrder.fields.map(({ sourceId }) => schema.fields.findIndex((field) => field.id === sourceId))
  const types = keys.map((index) => schema.fields[index]?.type)
  if (sortOrder.fields.some(({ transform }) => transform !== 'identity')) return undefined
  if (!types.every((type): type is PrimitiveType => type !== undefined && isPrimitive(type))) return undefined
  let first: SortTuple | undefined
  let last: SortTuple | undefined
  return {
    check: (columns, rows, firstRow) => {
      for (let row = 0; row < rows; row++) {
        const tuple = keys.map((index, at) => valueAt(types[at]!, columns[index]!, row))
        if (last !== undefined && compareTuples(sortOrder, types, last, tuple) > 0)
          faults.add('sort-order', '', firstRow + row, 'comes before the row in front of it in the sort order')
        first ??= tuple
        last = tuple
      }
    },
    first: () => first,
    last: () => last,
  }
}

/** Negative when `a` comes before `b` in the order. */
export function compareTuples(order: SortOrder, types: readonly PrimitiveType[], a: SortTuple, b: SortTuple): number {
  for (const [index, { direction, nullOrder }] of order.fields.entries()) {
    const left = a[index] ?? null
    const right = b[index] ?? null
    if (left === null && right === null) continue
    if (left === null || right === null) return (left === null) === (nullOrder === 'nulls-first') ? -1 : 1
    const difference = compareValues(types[index]!, left, right)
    if (difference !== 0) return direction === 'asc' ? difference : -difference
  }
  return 0
}
