/** The columns of equality deletes: looked up by field id, and read from rows as keys that compare as values do. */
import type { Data } from 'apache-arrow'
import { bytesAt, valueAt } from '../format/arrow-values.ts'
import type { Schema } from '../spec/schema.ts'
import { type IcebergType, isPrimitive, type NestedField, type StructType } from '../spec/types.ts'
import { type FieldPath, isNullAt, type LeafColumn, leafColumn, pathTo } from './columns.ts'

export interface KeyFields {
  /** Top-level columns, cut down to what the ids ask for; all optional, as a file may be older than a column. */
  readonly fields: readonly NestedField[]
  /** Types by id. */
  readonly leaves: ReadonlyMap<number, IcebergType>
}

/** @param schemas looked through in order. @returns `unknown`: the first id that none of them has. */
export function keyFields(
  ids: readonly number[],
  schemas: readonly Schema[],
): KeyFields | { readonly unknown: number } {
  const paths: FieldPath[] = []
  for (const id of ids) {
    const path = firstOf(schemas, (schema) => pathTo(schema.fields, id))
    if (path === undefined) return { unknown: id }
    paths.push(path)
  }
  return {
    fields: mergeColumns(paths.map(chain)),
    leaves: new Map(paths.map((path) => [path.at(-1)!.id, path.at(-1)!.type])),
  }
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

/** A chain of optional structs down to the column. */
function chain([field, ...below]: FieldPath): NestedField {
  const optional = { ...field!, required: false }
  return below.length === 0 ? optional : { ...optional, type: { type: 'struct', fields: [chain(below)] } }
}

/** Each field once, structs with the fields of all that have the same id. */
export function mergeColumns(columns: readonly NestedField[]): readonly NestedField[] {
  const merged = new Map<number, NestedField>()
  for (const column of columns) {
    const known = merged.get(column.id)
    if (known === undefined) merged.set(column.id, column)
    else if (!isPrimitive(known.type) && known.type.type === 'struct') {
      const fields = mergeColumns([...known.type.fields, ...(column.type as StructType).fields])
      merged.set(column.id, { ...known, type: { type: 'struct', fields } })
    }
  }
  return [...merged.values()]
}

/** What a row has in some columns: equal keys mean rows that an equality delete takes for equal. */
export type RowKey = string | number | bigint | boolean | null

/**
 * Reads keys of `ids`, in their order, from rows.
 * @param fields that hold every id. @param columns of the rows, one for each of `fields`.
 */
export function rowKeys(
  ids: readonly number[],
  fields: readonly NestedField[],
  columns: readonly Data[],
): (row: number) => RowKey {
  const parts = ids.map((id) => leafColumn(id, fields, columns))
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return (row) => keyPart(only, row)
  return (row) => {
    let key = ''
    for (const part of parts) {
      const value = keyPart(part, row)
      // The length tells where a value ends, whatever characters it has.
      key += value === null ? 'n;' : `${String(value).length}:${value}`
    }
    return key
  }
}

/**
 * Null equals null and NaN equals NaN, but -0.0 is not 0.0: the order of Java's `Double.compare`, which the reference
 * implementation applies equality deletes with. Text compares by its bytes. An int and a long of one value are equal:
 * the column may have been promoted between the two.
 */
function keyPart(column: LeafColumn, row: number): RowKey {
  const { type, data } = column
  if (isNullAt(column, row)) return null
  if (type === 'string' || type === 'binary') {
    const bytes = bytesAt(data, row)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  }
  const value = valueAt(type, data, row)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  if (typeof value === 'bigint') return isExact(value) ? Number(value) : value
  return Object.is(value, -0) ? '-0' : (value as RowKey)
}

const MIN_EXACT = BigInt(Number.MIN_SAFE_INTEGER)
const MAX_EXACT = BigInt(Number.MAX_SAFE_INTEGER)

/** Whether no other integer becomes the same number. */
const isExact = (value: bigint): boolean => value >= MIN_EXACT && value <= MAX_EXACT
