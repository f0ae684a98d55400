/**
 * The JSON manifest of one snapshot, `_manifests/<ns>.<table>/<snapshotId>.json`: what a run added and where it came
 * from, for people and `jq`, with what Iceberg has no field for (checksums, provenance, averages).
 *
 * Written once, create-only, before the first try of the commit, so it holds nothing that a try changes. It counts
 * only when its snapshot is in the table. Readers of the table follow the Avro manifests, never this.
 */
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore, putOnce } from '../../table/io/object-store.ts'
import type { Averages } from './averages.ts'
import type { Positions } from './positions.ts'
import type { QuarantineObject } from './quarantine.ts'

export interface ManifestFile {
  /** Absolute URL. */
  readonly path: string
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
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
  /** Decimal, as all 64-bit numbers here. */
  readonly snapshot_id: string
  readonly operation: string
  readonly run_id: string
  readonly compacted_at: string
  readonly compacted_at_micros: string
  readonly positions: { readonly before: Positions; readonly after: Positions }
  readonly gaps: readonly { readonly stream: string; readonly shard_id: string; readonly after: string }[]
  readonly records: {
    readonly kinesis_records: number
    readonly read: number
    readonly added: number
    readonly quarantined: number
    readonly duplicates: number
  }
  readonly added: readonly ManifestFile[]
  readonly removed: readonly string[]
  readonly quarantined: readonly QuarantineObject[]
  readonly averages: Averages
}

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
function isComplete({ added, quarantined, records, positions }: Partial<JsonManifest>): boolean {
  const isFile = (file: Partial<ManifestFile>): boolean =>
    typeof file?.path === 'string' && typeof file.rows === 'number' && Array.isArray(file.row_groups)
  return (
    Array.isArray(added) &&
    added.every(isFile) &&
    Array.isArray(quarantined) &&
    records !== undefined &&
    positions?.before !== undefined &&
    positions.after !== undefined
  )
}

const corrupt = (store: ObjectStore, key: string, what: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_MANIFEST_CORRUPT', `JSON manifest ${store.url}/${key}: ${what}`, {
    cause,
    detail: { key },
    help: 'restore it from a backup; the table itself does not depend on it',
  })
