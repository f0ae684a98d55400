/**
 * Which refused records are still to be replayed. A quarantine object counts when the JSON manifest of a snapshot that
 * main stood on lists it, and its id is not in `firn.replayed`.
 *
 * An expired snapshot leaves no trace in the table, while its refused records stay. That it was committed is then told
 * by an object beside its JSON manifest, which a run makes once it has committed, and expiry for runs that died then.
 */
import { FirnError } from '../../../table/errors.ts'
import { type SnapshotId, snapshotId } from '../../../table/ids.ts'
import {
  lineOf,
  predecessorOf,
  prefetch,
  type Snapshot,
  snapshotById,
  type Table,
  type TableMetadata,
} from '../../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../../table/io/object-store.ts'
import { type JsonManifest, manifestKey, readManifest } from '../manifest.ts'
import { COMPACTED_AT_PROPERTY } from '../positions.ts'
import { type QuarantineObject, quarantineId } from './quarantine.ts'
import { replayedOf } from './replayed.ts'

/** Member of a run's summary: how many of the records that it read were refused. */
export const REFUSED_MEMBER = 'firn.records-quarantined'

/** Requests in flight. */
const CONCURRENCY = 16

export interface RefusedSource extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly table: Table
  /** `namespace.name`. */
  readonly tableName: string
}

export interface RefusedObject extends QuarantineObject {
  /** As in `firn.replayed`. */
  readonly id: string
}

/**
 * Oldest run first.
 * @param onDamaged told of JSON manifests of expired runs that cannot be read: nothing can make them again, so that what
 *   they list does not count until they are restored. Default: such a manifest is thrown.
 * @throws {FirnError} `FIRN_MANIFEST_CORRUPT`, `FIRN_PROPERTY_INVALID` (corrupt): what counts cannot be told.
 */
export async function refusedObjects(
  source: RefusedSource,
  onDamaged?: (error: FirnError) => void,
): Promise<readonly RefusedObject[]> {
  const replayed = replayedOf(source.table.metadata.properties)
  const manifests = await committedRefusals(source, onDamaged)
  const objects = manifests.flatMap(({ quarantined }) =>
    quarantined.map((object) => ({ ...object, id: quarantineId(object.path) })),
  )
  return objects.filter(({ id }) => !replayed.has(id))
}

/**
 * JSON manifests with refused records of all runs that main stood on, expired ones too, in the order of their commits.
 * @throws {FirnError} `FIRN_MANIFEST_CORRUPT` (corrupt).
 */
export async function committedRefusals(
  source: RefusedSource,
  onDamaged?: (error: FirnError) => void,
): Promise<readonly JsonManifest[]> {
  const { store, table, tableName, signal } = source
  const { metadata } = table
  const marked = await committedMarks(store, tableName, { signal })
  const held = marked.filter((id) => snapshotById(metadata, id) !== undefined)
  const ids = new Set([
    ...held,
    ...historyOf(metadata)
      .filter(hasRefused)
      .map(({ snapshotId: id }) => id),
  ])
  const manifests = [...(await expiredRefusals(source, marked, onDamaged))]
  const read = async (id: SnapshotId, abort: AbortSignal): Promise<JsonManifest> => {
    const manifest = await readManifest(store, tableName, id, { signal: abort })
    if (manifest === undefined) throw missing(store, manifestKey(tableName, id))
    return manifest
  }
  for await (const manifest of prefetch(ids, read, { depth: CONCURRENCY, signal }))
    if (manifest.quarantined.length > 0) manifests.push(manifest)
  return manifests.sort((a, b) => Number(timeOf(a) - timeOf(b)))
}

/**
 * JSON manifests with refused records of the runs that have expired.
 * @param marked as `committedMarks` gives them.
 * @param onDamaged as of `refusedObjects`.
 * @throws {FirnError} `FIRN_MANIFEST_CORRUPT` (corrupt).
 */
export async function expiredRefusals(
  { store, table: { metadata }, tableName, signal }: RefusedSource,
  marked: readonly SnapshotId[],
  onDamaged?: (error: FirnError) => void,
): Promise<readonly JsonManifest[]> {
  const latest = latestExpired(metadata)
  const read = async (id: SnapshotId, abort: AbortSignal): Promise<JsonManifest | undefined> => {
    try {
      return await readManifest(store, tableName, id, { signal: abort })
    } catch (error) {
      if (onDamaged === undefined || !FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) throw error
      onDamaged(error)
      return undefined
    }
  }
  const gone = marked.filter((id) => snapshotById(metadata, id) === undefined)
  const manifests: JsonManifest[] = []
  for await (const manifest of prefetch(gone, read, { depth: CONCURRENCY, signal })) {
    // another table of this name had runs of its own, as had this one before it was restored from a backup
    const isOwn = manifest?.table_uuid === metadata.tableUuid && timeOf(manifest) <= latest
    if (isOwn && manifest.quarantined.length > 0) manifests.push(manifest)
  }
  return manifests
}

/** The planned time of runs that reached main grows from one to the next. */
const timeOf = ({ compacted_at_micros: micros }: JsonManifest): bigint => BigInt(micros ?? 0)

/**
 * The latest planned time of a run that main can have stood on and that has expired: where main's line and its log are
 * whole, nothing has. Expiry cuts the log behind what it removes.
 */
function latestExpired(metadata: TableMetadata): bigint {
  const { snapshotLog, refs, properties } = metadata
  let oldest: { readonly time: bigint; readonly isRun: boolean } | undefined
  for (const id of lineOf(metadata, refs['main']?.snapshotId)) {
    const { summary, timestampMillis } = snapshotById(metadata, id)!
    if (timestampMillis < (snapshotLog[0]?.timestampMillis ?? 0)) break
    const micros = summary[COMPACTED_AT_PROPERTY]
    if (micros !== undefined) oldest = { time: BigInt(micros), isRun: true }
    else if (oldest !== undefined) oldest = { ...oldest, isRun: false }
  }
  if (oldest !== undefined) return oldest.isRun ? oldest.time : oldest.time - 1n
  return BigInt(properties[COMPACTED_AT_PROPERTY] ?? 0)
}

const missing = (store: ObjectStore, key: string): FirnError =>
  new FirnError(
    'corrupt',
    'FIRN_MANIFEST_CORRUPT',
    `JSON manifest ${store.url}/${key} lists refused records and is missing`,
    {
      detail: { key },
      help: 'make it again: firn verify --repair',
    },
  )

const hasRefused = ({ summary }: Snapshot): boolean => (summary[REFUSED_MEMBER] ?? '0') !== '0'

/** Snapshots that main stood on, undone ones too. Other engines go back by moving main: its log has what that left. */
export function historyOf(metadata: TableMetadata): readonly Snapshot[] {
  const found = new Set<SnapshotId>()
  const open = [metadata.refs['main']?.snapshotId, ...metadata.snapshotLog.map((entry) => entry.snapshotId)]
  for (let id = open.pop(); id !== undefined || open.length > 0; id = open.pop()) {
    const snapshot = id === undefined || found.has(id) ? undefined : snapshotById(metadata, id)
    if (snapshot === undefined) continue
    found.add(snapshot.snapshotId)
    // the parent of a rollback is its target, the one before it what it undid
    open.push(snapshot.parentSnapshotId, predecessorOf(snapshot))
  }
  return metadata.snapshots.filter((snapshot) => found.has(snapshot.snapshotId))
}

const committedKey = (table: string, id: SnapshotId | string): string => `_manifests/${table}/${id}.committed`

/** Snapshots that are marked as committed, of every table that had the name. */
export async function committedMarks(
  store: ObjectStore,
  tableName: string,
  options: AbortableOptions = {},
): Promise<readonly SnapshotId[]> {
  const ids: SnapshotId[] = []
  for await (const { key } of store.list(`_manifests/${tableName}/`, options)) {
    const digits = /\/(\d{1,19})\.committed$/.exec(key)?.[1]
    if (digits !== undefined) ids.push(snapshotId(BigInt(digits)))
  }
  return ids
}

/**
 * Before snapshots are removed from the table: what any of them refused goes on counting. Also for those that stay, since
 * the line by which main's history is followed may break before them.
 * @throws {FirnError} what the store throws.
 */
export async function markCommitted(source: RefusedSource): Promise<void> {
  const { metadata } = source.table
  const marked = new Set(await committedMarks(source.store, source.tableName, { signal: source.signal }))
  const ids = historyOf(metadata).filter(hasRefused)
  for (const { snapshotId: id } of ids) if (!marked.has(id)) await markSnapshot(source, id)
}

/** That the run of `id` was committed. Whoever wrote it before wrote the same. @throws {FirnError} what the store throws. */
export async function markSnapshot({ store, table, tableName, signal }: RefusedSource, id: SnapshotId): Promise<void> {
  await store.put(committedKey(tableName, id), Buffer.from(`${table.metadata.tableUuid}\n`), { signal })
}

/** Once no object is left that the manifest of the expired snapshot `id` lists. The mark goes last: it is found again. */
export async function forgetRefusals({ store, tableName, signal }: RefusedSource, id: SnapshotId): Promise<void> {
  await store.delete(manifestKey(tableName, id), { signal })
  await store.delete(committedKey(tableName, id), { signal })
}
