/**
 * Where an engine shows something else than what a table holds, whoever wrote it. Only what is named here is expected to
 * differ, and exactly in the way that is said here.
 */
import type { IcebergValue } from '../../table/format/arrow-values.ts'
import { type IcebergType, isPrimitive } from '../../table/spec/types.ts'
import { type Column, type Digests, digestRows, type Row } from './digest.ts'

/** What each engine must show of the rows. */
export function digestsOf(columns: readonly Column[], rows: readonly Row<IcebergValue>[]): Digests {
  const digests = digestRows(columns, rows)
  if (columns.every(({ type }) => isPrimitive(type))) return digests
  const shown = rows.map((row) =>
    Object.fromEntries(columns.map(({ name, type }) => [name, shownByPyiceberg(type, row[name] ?? null)])),
  )
  return { ...digests, pyiceberg: digestRows(columns, shown) }
}

/** PyIceberg 0.12 puts lists of structs and maps to structs together anew without saying which are null: empty ones. */
function shownByPyiceberg(type: IcebergType, value: IcebergValue): IcebergValue {
  if (isPrimitive(type)) return value
  if (type.type === 'struct') {
    if (value === null) return null
    const members = value as { readonly [field: string]: IcebergValue }
    return Object.fromEntries(
      type.fields.map((field) => [field.name, shownByPyiceberg(field.type, members[field.name]!)]),
    )
  }
  if (type.type === 'list') {
    if (value === null) return isStruct(type.element) ? [] : null
    return (value as readonly IcebergValue[]).map((item) => shownByPyiceberg(type.element, item))
  }
  if (type.type === 'unsupported') return value
  if (value === null) return isStruct(type.value) ? [] : null
  const entries = value as readonly (readonly [IcebergValue, IcebergValue])[]
  return entries.map(([key, item]) => [key, shownByPyiceberg(type.value, item)])
}

const isStruct = (type: IcebergType): boolean => !isPrimitive(type) && type.type === 'struct'
