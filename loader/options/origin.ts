/** Where the rows come from: the table or folder, the snapshot or the range of them, the filter and the split. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  type Catalog,
  type Expression,
  epochMillis,
  type ObjectStore,
  type SnapshotSelector,
  snapshotId,
} from '../../table/index.ts'
import type { DatasetOptions, SnapshotOption, SnapshotPoint, SplitOptions } from '../options.ts'
import { checkNames, checkPlain, integer, invalid, isText } from './check.ts'

/** A table by its name in a catalog or by its place, or a folder of Parquet files by its URL. */
export type Origin =
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'folder'; readonly url: string }

/** The rows that came after `after`, up to and with `upTo`. */
export interface DeltaRange {
  readonly after: SnapshotSelector
  readonly upTo: SnapshotSelector
}

/** Buckets [from, to) of `buckets`. */
export interface SplitRange {
  readonly column: string
  readonly buckets: number
  readonly from: number
  readonly to: number
}

export const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\//i.test(text)

export function originOf(options: DatasetOptions): Origin {
  const { table, folder, warehouse, catalog, snapshot, allowedLocations } = options
  if (folder === undefined) {
    if (!isText(table)) throw invalid('table', 'namespace.table or a URL', table)
    checkWarehouse(warehouse)
    checkCatalog(options)
    if (warehouse === undefined && catalog === undefined && !isUrl(table)) {
      throw invalid(
        'warehouse',
        'the URL of a warehouse, a catalog, or a table that is a URL itself (file:///…, s3://…)',
        warehouse,
      )
    }
    return { kind: 'table', table }
  }
  if (!isText(folder)) throw invalid('folder', 'the URL or the path of a folder', folder)
  for (const [name, value] of Object.entries({ table, warehouse, catalog, snapshot, allowedLocations })) {
    if (value !== undefined) throw invalid(name, 'nothing beside `folder`, which has none', value)
  }
  if (options.pin === 'required')
    throw invalid('pin', "'auto' or false beside `folder`, which has no snapshots", 'required')
  return { kind: 'folder', url: isUrl(folder) ? folder.replace(/\/+$/, '') : pathToFileURL(resolve(folder)).href }
}

function checkWarehouse(warehouse: unknown): void {
  if (warehouse === undefined || isText(warehouse)) return
  if (!isStore(warehouse)) throw invalid('warehouse', 'the URL of a warehouse, or an opened store', warehouse)
}

function isStore(value: unknown): boolean {
  const store = value as Partial<ObjectStore> | null
  return typeof store === 'object' && typeof store?.url === 'string' && typeof store.get === 'function'
}

export function checkAllowed(allowed: unknown): void {
  if (allowed === undefined) return
  const isObject = typeof allowed === 'object' && allowed !== null
  if (isObject && Object.entries(allowed).every(([url, store]) => isUrl(url) && isStore(store))) return
  throw invalid('allowedLocations', 'URLs of folders, each with an opened store', allowed)
}

function checkCatalog({ catalog, warehouse, table }: DatasetOptions): void {
  if (catalog === undefined) return
  const given = catalog as Partial<Catalog> | null
  if (typeof given !== 'object' || typeof given?.loadTable !== 'function') {
    throw invalid('catalog', 'an opened catalog: openCatalog(…) or openRestCatalog(…)', typeof given)
  }
  if (warehouse !== undefined) throw invalid('warehouse', 'nothing beside `catalog`', warehouse)
  if (isUrl(table ?? '')) throw invalid('table', 'namespace.table, the name in the catalog', table)
}

/** The selector of one snapshot, or the range of a delta. */
export function snapshotOf(snapshot: SnapshotOption | undefined): SnapshotSelector | DeltaRange {
  if (snapshot === undefined) return {}
  checkNames('snapshot', snapshot, ['id', 'tag', 'asOf', 'after', 'upTo'])
  if ('after' in snapshot || 'upTo' in snapshot) {
    const { after, upTo, ...others } = snapshot as { after?: SnapshotPoint; upTo?: SnapshotPoint }
    if (after === undefined || Object.keys(others).length > 0) throw invalid('snapshot', EXPECTED, snapshot)
    return {
      after: pointOf('snapshot.after', after),
      upTo: upTo === undefined ? {} : pointOf('snapshot.upTo', upTo),
    }
  }
  if (Object.keys(snapshot).length !== 1) throw invalid('snapshot', EXPECTED, snapshot)
  if ('tag' in snapshot) return { ref: tagOf('snapshot.tag', snapshot.tag) }
  if ('asOf' in snapshot) {
    // Only a Date: Number would make 0 of null and of an empty text, which is a time.
    const asOf: unknown = snapshot.asOf instanceof Date ? snapshot.asOf.getTime() : snapshot.asOf
    if (typeof asOf !== 'number') throw invalid('snapshot.asOf', 'milliseconds since the epoch or a Date', asOf)
    return { asOf: epochMillis(integer('snapshot.asOf', asOf, 0, Number.MAX_SAFE_INTEGER)) }
  }
  return idOf('snapshot.id', snapshot.id)
}

const EXPECTED = '{ id }, { tag } or { asOf }, or { after, upTo }'

const pointOf = (name: string, point: SnapshotPoint): SnapshotSelector => {
  if (typeof point !== 'object' || point === null) return idOf(name, point)
  checkNames(name, point, ['tag'])
  return { ref: tagOf(`${name}.tag`, point.tag) }
}

function tagOf(name: string, tag: unknown): string {
  if (!isText(tag)) throw invalid(name, 'a name', tag)
  return tag
}

function idOf(name: string, id: unknown): SnapshotSelector {
  if (typeof id === 'bigint') return { snapshotId: snapshotId(id) }
  if (typeof id === 'string' && /^-?\d{1,19}$/.test(id)) return { snapshotId: snapshotId(BigInt(id)) }
  // A number has lost its last digits before it gets here.
  throw invalid(name, 'a bigint or its decimal digits as a string', id)
}

export function filterOf(filter: unknown): string | Expression | undefined {
  if (filter === undefined || isText(filter)) return filter
  const expression = filter as Expression | null
  if (typeof expression !== 'object' || typeof expression?.kind !== 'string') {
    throw invalid('filter', 'a condition like "word_count > 32 and author = \'Ada\'", or a parsed one', filter)
  }
  checkPlain('filter', expression, 'a parsed condition, which is plain data')
  return expression
}

export function splitOf(split: SplitOptions | undefined): SplitRange | undefined {
  if (split === undefined) return undefined
  checkNames('split', split, ['column', 'buckets', 'include'])
  if (!isText(split.column)) throw invalid('split.column', 'the name of a column', split.column)
  const buckets = integer('split.buckets', split.buckets, 1, 2 ** 31 - 1)
  const include: unknown = split.include
  if (!Array.isArray(include) || include.length !== 2) {
    throw invalid('split.include', '[from, to], the first bucket and the one after the last', include)
  }
  const from = integer('split.include[0]', include[0], 0, buckets - 1)
  return { column: split.column, buckets, from, to: integer('split.include[1]', include[1], from + 1, buckets) }
}
