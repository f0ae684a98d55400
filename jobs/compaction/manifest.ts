/**
 * The JSON manifest of one snapshot, `_manifests/<ns>.<table>/<snapshotId>.json`: which files an operation added and
 * removed and where its rows came from, for people and `jq`, with what Iceberg has no field for (checksums, provenance,
 * averages).
 *
 * Written once, create-only, before the first try of the commit, so it holds nothing that a try changes. It counts
 * only when its snapshot is in the table. Readers of the table follow the Avro manifests, never this.
 */
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore, putOnce } from '../../table/io/object-store.ts'
import type { Averages } from './averages.ts'
import type { Positions } from './positions.ts'
import type { QuarantineObject } from './refused/quarantine.ts'

export interface ManifestFile {
  /** Absolute URL. */
  readonly path: string
  readonly rows: number
  readonly bytes: number
  /** `null` for a file that a rollback restored and that no JSON manifest knows. */
  readonly sha256: string | null
  /** By partition field; dates as `YYYY-MM-DD`. */
  readonly partition: Readonly<Record<string, unknown>>
  readonly sort_order_id: number | null
  readonly sort: readonly string[]
  /** By column; values as text. Long strings are cut, so a bound may lie outside the values. */
  readonly column_bounds: Readonly<Record<string, { readonly lower: string | null; readonly upper: string | null }>>
  readonly row_groups: readonly { readonly rows: number; readonly bytes: number }[]
}

export interface JsonManifest {
  readonly schema: 'firn.manifest/1'
  readonly table: string
  /** Names may be used by two catalogs of one warehouse. Manifests that were written before it was there lack it. */
  readonly table_uuid?: string
  /** Decimal, as all 64-bit numbers here. */
  readonly snapshot_id: string
  readonly operation: string
  readonly run_id: string
  /** The planned time of the run that brought new rows; `null` where none came. */
  readonly compacted_at: string | null
  readonly compacted_at_micros: string | null
  /** `null` where the operation leaves positions alone: another run may move them before its commit. */
  readonly positions: { readonly before: Positions; readonly after: Positions } | null
  readonly gaps: readonly { readonly stream: string; readonly shard_id: string; readonly after: string }[]
  /** Of compaction and replay. */
  readonly records: {
    readonly kinesis_records: number
    readonly read: number
    readonly added: number
    readonly quarantined: number
    readonly duplicates: number
    /** Rows of the table in whose place others of their keys came. Where a key has one row in the whole table. */
    readonly replaced?: number
    /** Rows of `removed` that were written anew, beside those that were added. */
    readonly kept?: number
  } | null
  /** Files that are live with this snapshot and were not before. */
  readonly added: readonly ManifestFile[]
  /** Paths of data and delete files that were live before and are not with this snapshot. */
  readonly removed: readonly string[]
  readonly quarantined: readonly QuarantineObject[]
  /** Quarantine objects whose records are used up with this snapshot: of a replay, and of a rollback that reprocesses. */
  readonly replayed?: readonly string[]
  /** Quarantine objects whose records count again: of a rollback that reprocesses. */
  readonly replayed_taken_back?: readonly string[]
  /** Of compaction and replay. */
  readonly averages: Averages | null
  /** Of a rollback: the snapshot whose files it restored. */
  readonly rolled_back_to?: string
  /** Of a manifest that `firn verify --repair` made again: what it could not bring back. */
  readonly rebuilt?: { readonly lost: readonly string[] }
}

/** The JSON manifest of an operation that brought no new rows and left positions alone. */
export function plainManifest(
  of: Pick<JsonManifest, 'table' | 'snapshot_id' | 'operation' | 'run_id' | 'added' | 'removed'> & {
    readonly table_uuid: string
  },
): JsonManifest {
  return {
    schema: 'firn.manifest/1',
    table: of.table,
    table_uuid: of.table_uuid,
    snapshot_id: of.snapshot_id,
    operation: of.operation,
    run_id: of.run_id,
    compacted_at: null,
    compacted_at_micros: null,
    positions: null,
    gaps: [],
    records: null,
    added: of.added,
    removed: of.removed,
    quarantined: [],
    averages: null,
  }
}

/** Member of the summary of a run that was held against the table's rows: how many of them went. */
export const REPLACED_MEMBER = 'firn.rows-replaced'

export const manifestKey = (table: string, id: SnapshotId | string): string => `_manifests/${table}/${id}.json`

/** @throws {FirnError} `FIRN_PRECONDITION_FAILED`: snapshot ids are random, two manifests of one id are a fault. */
export async function writeManifest(
  store: ObjectStore,
  manifest: JsonManifest,
  options: AbortableOptions = {},
): Promise<string> {
  const key = manifestKey(manifest.table, manifest.snapshot_id)
  const body = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
  await putOnce(store, key, body, options)
  return key
}

/**
 * @param store the warehouse.
 * @returns `undefined` when there is none, as for snapshots of other engines.
 * @throws {FirnError} `FIRN_MANIFEST_CORRUPT` (corrupt).
 */
export async function readManifest(
  store: ObjectStore,
  table: string,
  id: SnapshotId,
  options: AbortableOptions = {},
): Promise<JsonManifest | undefined> {
  const key = manifestKey(table, id)
  const object = await getIfExists(store, key, options)
  if (object === undefined) return undefined
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(object.bytes).toString('utf8'))
  } catch (cause) {
    throw corrupt(store, key, 'it is not JSON', cause)
  }
  const manifest = json as Partial<JsonManifest> | null
  if (manifest?.schema !== 'firn.manifest/1')
    throw corrupt(store, key, `its schema is ${String(manifest?.schema)}, expected firn.manifest/1`)
  if (manifest.snapshot_id !== String(id)) throw corrupt(store, key, `it is of snapshot ${manifest.snapshot_id}`)
  if (!isComplete(manifest)) throw corrupt(store, key, 'members are missing')
  return json as JsonManifest
}

/** What readers here rely on. */
function isComplete(manifest: Partial<JsonManifest>): boolean {
  const { added, removed, quarantined, replayed, replayed_taken_back, records, positions, rebuilt } = manifest
  const isListOrAbsent = (list: readonly string[] | undefined): boolean => list === undefined || Array.isArray(list)
  const isFile = (file: Partial<ManifestFile>): boolean =>
    typeof file?.path === 'string' && typeof file.rows === 'number' && Array.isArray(file.row_groups)
  return (
    Array.isArray(added) &&
    added.every(isFile) &&
    Array.isArray(removed) &&
    Array.isArray(quarantined) &&
    isListOrAbsent(replayed) &&
    isListOrAbsent(replayed_taken_back) &&
    (rebuilt === undefined || Array.isArray(rebuilt?.lost)) &&
    records !== undefined &&
    positions !== undefined &&
    (positions === null || (positions.before !== undefined && positions.after !== undefined))
  )
}

const corrupt = (store: ObjectStore, key: string, what: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_MANIFEST_CORRUPT', `JSON manifest ${store.url}/${key}: ${what}`, {
    cause,
    detail: { key },
    help: 'restore it from a backup; the table itself does not depend on it',
  })
