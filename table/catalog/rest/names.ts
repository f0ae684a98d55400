/** Names of tables and namespaces, and the paths that they have in the protocol. */
import { FirnError } from '../../errors.ts'
import { encodeSegment } from './http.ts'
import { NAMESPACE_SEPARATOR } from './wire.ts'

export interface TableName {
  readonly namespace: readonly string[]
  readonly table: string
}

/** @param name `namespace.table`, `outer.inner.table`, … @throws {FirnError} `FIRN_TABLE_NAME_INVALID` (invalid). */
export function parseTableName(name: string): TableName {
  const levels = parseNamespace(name)
  if (levels.length < 2) throw badName(name)
  return { namespace: levels.slice(0, -1), table: levels.at(-1)! }
}

/** @throws {FirnError} `FIRN_TABLE_NAME_INVALID` (invalid). */
export function parseNamespace(name: string): readonly string[] {
  const levels = name.split('.')
  // Store keys are made of names: quarantine, manifests.
  if (levels.some((level) => !/^[^/\\\p{Cc}]+$/u.test(level))) throw badName(name)
  return levels
}

/** `namespaces/a%1Fb/tables/t`, below the prefix. */
export const tablePath = ({ namespace, table }: TableName): string => `${tablesPath(namespace)}/${encodeSegment(table)}`

export const tablesPath = (namespace: readonly string[]): string => `${namespacePath(namespace)}/tables`

export const namespacePath = (namespace: readonly string[]): string =>
  `namespaces/${encodeSegment(namespace.join(NAMESPACE_SEPARATOR))}`

const badName = (name: string): FirnError =>
  new FirnError('invalid', 'FIRN_TABLE_NAME_INVALID', `${JSON.stringify(name)} is not the name of a table`, {
    help: 'A table is named namespace.table, e.g. news.articles; namespaces may have several levels.',
  })
