/** Columns of a batch by field id, also those inside structs. */
import type { Data } from 'apache-arrow'
import { isValidAt, valueAt } from '../format/arrow-values.ts'
import {
  isPrimitive,
  type NestedField,
  type PrimitiveType,
  type PrimitiveValue,
  type StructType,
} from '../spec/types.ts'

/** Fields from the top level down to one column. */
export type FieldPath = readonly NestedField[]

/** Through structs only: elements of lists and maps belong to no row of their own. */
export function pathTo(fields: readonly NestedField[], id: number): FieldPath | undefined {
  for (const field of fields) {
    if (field.id === id) return [field]
    if (isPrimitive(field.type) || field.type.type !== 'struct') continue
    const rest = pathTo(field.type.fields, id)
    if (rest !== undefined) return [field, ...rest]
  }
  return undefined
}

/** A primitive column of some rows. */
export interface LeafColumn {
  readonly type: PrimitiveType
  readonly data: Data
  /** The structs that it lies in, outermost first. */
  readonly parents: readonly Data[]
}

/** @param fields that hold the column `id`. @param columns of the rows, one for each of `fields`. */
export function leafColumn(id: number, fields: readonly NestedField[], columns: readonly Data[]): LeafColumn {
  const path = pathTo(fields, id)
  if (path === undefined) throw new Error(`column ${id} was not read`)
  let data = columns[fields.indexOf(path[0]!)]!
  const parents: Data[] = []
  for (const [depth, field] of path.entries()) {
    const below = path[depth + 1]
    if (below === undefined) break
    parents.push(data)
    data = data.children[(field.type as StructType).fields.indexOf(below)] as Data
  }
  return { type: path.at(-1)!.type as PrimitiveType, data, parents }
}

/** In a struct that is null every column is. */
export const isNullAt = ({ data, parents }: LeafColumn, row: number): boolean =>
  !isValidAt(data, row) || parents.some((parent) => !isValidAt(parent, row))

export const leafValueAt = (column: LeafColumn, row: number): PrimitiveValue =>
  isNullAt(column, row) ? null : valueAt(column.type, column.data, row)
