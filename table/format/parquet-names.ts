/** Field ids of a file's columns where the file itself has none. Spec: "Column Projection". */
import { FirnError } from '../errors.ts'
import { mappedField, type NameMapping } from '../spec/name-mapping.ts'
import type { FileNode } from './parquet-footer.ts'

/**
 * The top-level columns of `root` with their field ids: those of the file, or, when it has none at any depth, those
 * that `mapping` gives their names.
 * @throws {FirnError} `FIRN_PARQUET_NO_FIELD_IDS` (invalid) when there is neither.
 */
export function columnsWithIds(root: FileNode, mapping: NameMapping | undefined, where: string): readonly FileNode[] {
  if (root.children.length === 0 || hasIds(root)) return root.children
  if (mapping !== undefined) return root.children.map((child) => withIds(child, mapping, child.name))
  throw new FirnError('invalid', 'FIRN_PARQUET_NO_FIELD_IDS', `${where}: the columns carry no field ids`, {
    help: 'Files without field ids are read when the table has the property schema.name-mapping.default.',
  })
}

const hasIds = (node: FileNode): boolean => node.children.some((child) => child.fieldId !== undefined || hasIds(child))

/** Parts of lists and maps go by their place: writers name them in many ways, the mapping in one. */
function withIds(node: FileNode, siblings: NameMapping, name: string): FileNode {
  const mapped = mappedField(siblings, name)
  const fields = mapped?.fields ?? []
  const [repeated] = node.children
  const shared = { ...node, fieldId: mapped?.fieldId }
  if (node.children.length !== 1 || repeated?.repetition !== 'REPEATED') {
    return { ...shared, children: node.children.map((child) => withIds(child, fields, child.name)) }
  }
  if (node.annotation === 'map') {
    const [key, value] = repeated.children
    const entries = [key && withIds(key, fields, 'key'), value && withIds(value, fields, 'value')]
    const children = [...entries.filter((entry) => entry !== undefined), ...repeated.children.slice(2)]
    return { ...shared, children: [{ ...repeated, children }] }
  }
  const isElement =
    repeated.leaf !== undefined ||
    repeated.children.length !== 1 ||
    repeated.name === 'array' ||
    repeated.name === `${node.name}_tuple`
  if (isElement) return { ...shared, children: [withIds(repeated, fields, 'element')] }
  return { ...shared, children: [{ ...repeated, children: [withIds(repeated.children[0]!, fields, 'element')] }] }
}
