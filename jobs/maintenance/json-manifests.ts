/**
 * JSON manifests and quarantine objects that nothing needs any more.
 *
 * Of an expired snapshot the manifest goes, unless it lists refused records: those can still be replayed, and go once
 * they were (replayed-cleanup.ts). What is
 * left of runs that never committed goes days later, and refused records of such a run only where the table's history
 * proves that it never committed, and its records are still to be read or were read again. A manifest without the
 * table's uuid may be of another table of that name: it stays.
 */
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, type SnapshotId, snapshotId } from '../../table/ids.ts'
import {
  lineOf,
  predecessorOf,
  type Snapshot,
  snapshotById,
  type Table,
  type TableMetadata,
} from '../../table/index.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, manifestKey, readManifest } from '../compaction/manifest.ts'
import { positionsOf } from '../compaction/positions.ts'
import { committedMarks } from '../compaction/refused/refused-objects.ts'
import { RUN_ID_MEMBER } from '../verify/json-manifest.ts'
import { isReadOrUnread } from './read-again.ts'

/** How far clocks of writers and of the store may be apart. */
const CLOCK_SKEW_MILLIS = 3_600_000

export interface RemovedManifests {
  readonly deleted: number
  /** Kept: they list refused records, cannot be read, or are not known to be of this table. */
  readonly kept: number
}

/** After the snapshots `ids` have been removed from the table. */
export async function removeManifestsOf(
  store: ObjectStore,
  tableName: string,
  tableUuid: string,
  ids: readonly SnapshotId[],
  options: AbortableOptions = {},
): Promise<RemovedManifests> {
  let deleted = 0
  let kept = 0
  for (const id of ids) {
    const manifest = await readable(store, tableName, id, options)
    if (manifest === undefined) continue
    if (manifest === 'damaged' || manifest.table_uuid !== tableUuid || manifest.quarantined.length > 0) {
      kept++
      continue
    }
    await store.delete(manifestKey(tableName, id), options)
    deleted++
  }
  return { deleted, kept }
}

/** `'damaged'`: there is one, and what it lists is not known. */
export async function readable(
  store: ObjectStore,
  tableName: string,
  id: SnapshotId,
  options: AbortableOptions,
): Promise<JsonManifest | 'damaged' | undefined> {
  try {
    return await readManifest(store, tableName, id, options)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) throw error
    return 'damaged'
  }
}

/** Of the warehouse, beside the table's own orphans. */
export interface WarehouseOrphan {
  /** In the warehouse. */
  readonly key: string
  readonly kind: 'json-manifest' | 'quarantine'
  readonly sizeBytes: number
  readonly etag: string
  readonly lastModifiedMillis: number
}

export interface WarehouseOrphans {
  readonly orphans: readonly WarehouseOrphan[]
  readonly bytes: number
  /** JSON manifests of snapshots that the table does not have: they list refused records, or are not known to be its. */
  readonly kept: number
}

/**
 * @param store the warehouse.
 * @param olderThanMillis nothing that was written later is listed.
 */
export async function planWarehouseOrphans(
  store: ObjectStore,
  table: Table,
  tableName: string,
  olderThanMillis: EpochMillis,
  options: AbortableOptions = {},
): Promise<WarehouseOrphans> {
  // The listing first: what is committed while it runs is then in the metadata that it is compared with.
  const manifests = await listed(store, `_manifests/${tableName}/`, options)
  const quarantine = await listed(store, `_quarantine/${tableName}/`, options)
  const { metadata } = await table.refresh(options)
  const { manifests: known, unknown } = await readAll(store, tableName, metadata, manifests, options)
  // of expired snapshots that are known to have been committed
  const marked = new Set(await committedMarks(store, tableName, options))
  const isCommitted = (id: SnapshotId): boolean => marked.has(id) || snapshotById(metadata, id) !== undefined
  const committed = known.filter(({ id }) => isCommitted(id)).map(({ manifest }) => manifest)
  const orphans: WarehouseOrphan[] = []
  const wanted = new Set<string>()
  let kept = 0
  for (const { info, id, manifest } of known) {
    const isGone = info.lastModifiedMillis < olderThanMillis && !isCommitted(id)
    if (isGone && mayGo(metadata, id, manifest, info.lastModifiedMillis, committed)) {
      orphans.push(orphanOf(info, 'json-manifest'))
      continue
    }
    if (isGone) kept++
    for (const { path } of manifest.quarantined) wanted.add(path)
  }
  const runs = metadata.snapshots.flatMap(({ summary }) => summary[RUN_ID_MEMBER] ?? [])
  const isOfRun = (key: string): boolean => runs.some((id) => key.startsWith(`_quarantine/${tableName}/${id}-`))
  const listedByGone = new Set(known.flatMap(({ manifest }) => manifest.quarantined.map(({ path }) => path)))
  for (const info of unknown ? [] : quarantine) {
    const { key, lastModifiedMillis } = info
    if (lastModifiedMillis >= olderThanMillis || wanted.has(key) || isOfRun(key)) continue
    // What no manifest lists may be of a snapshot that has expired, and whose manifest was lost.
    if (listedByGone.has(key) || isWholeSince(metadata, lastModifiedMillis)) orphans.push(orphanOf(info, 'quarantine'))
  }
  return { orphans, bytes: orphans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), kept }
}

interface KnownManifest {
  readonly info: ObjectInfo
  readonly id: SnapshotId
  readonly manifest: JsonManifest
}

/** `unknown`: refused records may be listed where this does not see it, so none of those that are not listed may go. */
async function readAll(
  store: ObjectStore,
  tableName: string,
  metadata: TableMetadata,
  infos: readonly ObjectInfo[],
  options: AbortableOptions,
): Promise<{ readonly manifests: readonly KnownManifest[]; readonly unknown: boolean }> {
  const manifests: KnownManifest[] = []
  let unknown = false
  for (const info of infos) {
    const id = idOfKey(info.key)
    const manifest = id === undefined ? undefined : await readable(store, tableName, id, options)
    if (id === undefined || manifest === undefined) continue
    // another table of this name has runs of which this one's metadata tells nothing
    const isForeign = manifest !== 'damaged' && (manifest.table_uuid ?? metadata.tableUuid) !== metadata.tableUuid
    if (manifest === 'damaged' || isForeign) unknown = true
    if (manifest !== 'damaged') manifests.push({ info, id, manifest })
  }
  const read = new Set(manifests.map(({ id }) => id))
  const hasLost = metadata.snapshots.some(
    ({ snapshotId: id, summary }) =>
      summary[RUN_ID_MEMBER] !== undefined && (summary['firn.records-quarantined'] ?? '0') !== '0' && !read.has(id),
  )
  return { manifests, unknown: unknown || hasLost }
}

function mayGo(
  metadata: TableMetadata,
  id: SnapshotId,
  manifest: JsonManifest,
  writtenMillis: number,
  committed: readonly JsonManifest[],
): boolean {
  if (manifest.table_uuid !== metadata.tableUuid) return false
  if (manifest.quarantined.length === 0) return true
  if (!neverCommitted(metadata, id, writtenMillis)) return false
  return isReadOrUnread(manifest, positionsOf(metadata.properties), committed)
}

const orphanOf = (
  { key, sizeBytes, etag, lastModifiedMillis }: ObjectInfo,
  kind: WarehouseOrphan['kind'],
): WarehouseOrphan => ({ key, kind, sizeBytes, etag, lastModifiedMillis })

async function listed(store: ObjectStore, prefix: string, options: AbortableOptions): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  for await (const info of store.list(prefix, options)) found.push(info)
  return found
}

function idOfKey(key: string): SnapshotId | undefined {
  const digits = /\/(\d{1,19})\.json$/.exec(key)?.[1]
  return digits === undefined ? undefined : snapshotId(BigInt(digits))
}

/**
 * True when main's history, as far as it is still whole, began before the manifest was written and does not have the
 * snapshot: a commit would have come after that beginning. An expired snapshot lies before it. It does not tell of a
 * snapshot that main was taken back from by a reference alone, and that a copy left out: see `isReadOrUnread`.
 */
export function neverCommitted(metadata: TableMetadata, id: SnapshotId, writtenMillis: number): boolean {
  const names = (snapshot: Snapshot): boolean =>
    snapshot.snapshotId === id || snapshot.parentSnapshotId === id || predecessorOf(snapshot) === id
  if (metadata.snapshots.some(names) || metadata.snapshotLog.some((entry) => entry.snapshotId === id)) return false
  return isWholeSince(metadata, writtenMillis)
}

/** Both the line of main and its log, which expiry cuts behind the newest snapshot that it removes. */
function isWholeSince(metadata: TableMetadata, writtenMillis: number): boolean {
  const oldest = [...lineOf(metadata, metadata.refs['main']?.snapshotId)].at(-1)
  const [first] = metadata.snapshotLog
  if (oldest === undefined || first === undefined) return false
  const began = Math.max(snapshotById(metadata, oldest)!.timestampMillis, first.timestampMillis)
  return writtenMillis > began + CLOCK_SKEW_MILLIS
}

/**
 * Delete what was planned, as far as it is planned again on the table as it is now.
 * @returns what was deleted.
 */
export async function removeWarehouseOrphans(
  store: ObjectStore,
  table: Table,
  tableName: string,
  planned: readonly WarehouseOrphan[],
  olderThanMillis: EpochMillis,
  options: AbortableOptions = {},
): Promise<{ readonly deleted: number; readonly bytesFreed: number }> {
  if (planned.length === 0) return { deleted: 0, bytesFreed: 0 }
  const now = await planWarehouseOrphans(store, table, tableName, olderThanMillis, options)
  const still = new Map(now.orphans.map((orphan) => [orphan.key, orphan.etag]))
  let deleted = 0
  let bytesFreed = 0
  // manifests last: while one is there, the next run finds the refused records that it lists
  const order = planned.toSorted((a, b) => Number(a.kind === 'json-manifest') - Number(b.kind === 'json-manifest'))
  for (const { key, etag, sizeBytes } of order) {
    if (still.get(key) !== etag) continue
    options.signal?.throwIfAborted()
    try {
      await store.delete(key, { ifMatch: etag, signal: options.signal })
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
      continue
    }
    deleted++
    bytesFreed += sizeBytes
  }
  return { deleted, bytesFreed }
}
