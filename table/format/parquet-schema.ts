/**
 * The columns of a Parquet file that belongs to no table: names and types as the file itself has them. What Iceberg
 * has no type for is there as an unsupported type, so that the other columns can be read.
 */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { MappedField, NameMapping } from '../spec/name-mapping.ts'
import { childrenOf } from '../spec/schema.ts'
import type { IcebergType, NestedField, PrimitiveType } from '../spec/types.ts'
import type { FileNode } from './parquet-footer.ts'
import { describeRowGroups, type RowGroupInfo, readFooter } from './parquet-reader.ts'

export interface ParquetDescription {
  /** All optional but the keys of maps. Field ids are those of the file or else numbers from 1, in its order. */
  readonly fields: readonly NestedField[]
  /** Whether the field ids are the file's. */
  readonly hasIds: boolean
  readonly rowGroups: readonly RowGroupInfo[]
  readonly rowCount: number
}

/**
 * Reads the footer only.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_PARQUET_NO_FIELD_IDS` (invalid) when some columns carry
 *   field ids and others do not.
 */
export async function describeParquetFile(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  options: AbortableOptions = {},
): Promise<ParquetDescription> {
  const where = `${store.url}/${key}`
  const footer = await readFooter(store, key, sizeBytes, where, options)
  const ids = idsOf(footer.root, where)
  const fields = footer.root.children.map((node) => fieldOf(node.name, node, ids.next))
  return {
    fields,
    hasIds: ids.own,
    rowGroups: describeRowGroups(footer, footer.root.children),
    rowCount: footer.rowCount,
  }
}

/** The mapping by which files without field ids are read with the fields of another one. */
export const nameMappingFor = (fields: readonly NestedField[]): NameMapping =>
  fields.map(
    ({ id, name, type }): MappedField => ({ fieldId: id, names: [name], fields: nameMappingFor(childrenOf(type)) }),
  )

type NextId = (node: FileNode) => number

function idsOf(root: FileNode, where: string): { readonly own: boolean; readonly next: NextId } {
  const hasId = (node: FileNode): boolean => node.fieldId !== undefined || node.children.some(hasId)
  if (!root.children.some(hasId)) {
    let last = 0
    return { own: false, next: () => ++last }
  }
  const next = ({ fieldId, name }: FileNode): number => {
    if (fieldId !== undefined) return fieldId
    throw new FirnError('invalid', 'FIRN_PARQUET_NO_FIELD_IDS', `${where}: ${name} carries no field id, others do`, {
      detail: { where, column: name },
      help: 'Write the file anew with field ids for every column or for none.',
    })
  }
  return { own: true, next }
}

function fieldOf(name: string, node: FileNode, next: NextId): NestedField {
  const id = next(node)
  return { id, name, required: false, type: typeOf(node, next) }
}

function typeOf(node: FileNode, next: NextId): IcebergType {
  if (node.repetition === 'REPEATED') return unsupported('repeated column outside of a list')
  if (node.leaf !== undefined) return leafType(node)
  const [repeated] = node.children
  if (repeated === undefined) return unsupported('group without columns')
  if (node.children.length > 1 || repeated.repetition !== 'REPEATED') {
    if (node.annotation !== 'none') return unsupported('annotated group')
    return { type: 'struct', fields: node.children.map((child) => fieldOf(child.name, child, next)) }
  }
  if (node.annotation === 'map') return mapType(repeated, next)
  return listType(node, repeated, next)
}

function mapType(repeated: FileNode, next: NextId): IcebergType {
  const [key, value, ...others] = repeated.children
  if (key === undefined || value === undefined || others.length > 0) return unsupported('map without key and value')
  const [keyId, valueId] = [next(key), next(value)]
  return { type: 'map', keyId, key: typeOf(key, next), valueId, valueRequired: false, value: typeOf(value, next) }
}

/** Old writers leave out the group between the list and its elements. */
function listType(list: FileNode, repeated: FileNode, next: NextId): IcebergType {
  const isElement =
    repeated.leaf !== undefined ||
    repeated.children.length !== 1 ||
    repeated.name === 'array' ||
    repeated.name === `${list.name}_tuple`
  const element = isElement ? { ...repeated, repetition: 'REQUIRED' as const } : repeated.children[0]!
  const elementId = next(element)
  return { type: 'list', elementId, elementRequired: false, element: typeOf(element, next) }
}

function leafType({ leaf, annotation, precision, scale = 0, moment }: FileNode): IcebergType {
  const { physical, typeLength } = leaf!
  if (annotation === 'decimal') {
    const known = precision !== undefined && precision >= 1 && precision <= 38 && scale <= precision
    return known ? `decimal(${precision}, ${scale})` : unsupported(`decimal(${precision}, ${scale})`)
  }
  switch (physical) {
    case 'BOOLEAN':
      return 'boolean'
    case 'INT32':
      if (annotation === 'millis') return 'time'
      return annotation === 'date' ? 'date' : annotation === 'uint32' ? 'long' : 'int'
    case 'INT64':
      if (annotation === 'uint64') return unsupported('uint64')
      return moment === undefined ? 'long' : momentType(moment)
    case 'INT96':
      return 'timestamptz'
    case 'FLOAT':
      return 'float'
    case 'DOUBLE':
      return 'double'
    case 'BYTE_ARRAY':
      return annotation === 'text' ? 'string' : 'binary'
    default:
      if (annotation === 'uuid') return 'uuid'
      // numbers of 16 bits, intervals: their bytes would be read as bytes
      return annotation === 'other' ? unsupported(`annotated fixed[${typeLength}]`) : `fixed[${typeLength ?? 1}]`
  }
}

const momentType = (moment: 'time' | 'utc' | 'local'): PrimitiveType =>
  moment === 'time' ? 'time' : moment === 'utc' ? 'timestamptz' : 'timestamp'

const unsupported = (name: string): IcebergType => ({ type: 'unsupported', name })
