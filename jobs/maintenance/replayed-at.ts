/**
 * Which refused records counted when main stood on an older snapshot: what a rollback that reprocesses restores beside
 * the positions. What was refused by runs that it undoes no longer counts, since those records are read again; what was
 * replayed by runs that it undoes counts again, since the rows are gone.
 */
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { lineOf, snapshotById, type Table, type TableMetadata } from '../../table/index.ts'
import { readManifest } from '../compaction/manifest.ts'
import { COMPACTED_AT_PROPERTY, REPLAYED_PROPERTY } from '../compaction/positions.ts'
import { quarantineId, quarantineKey } from '../compaction/refused/quarantine.ts'
import { committedRefusals, type RefusedSource } from '../compaction/refused/refused-objects.ts'
import { REPLAYED_MEMBER, replayedOf } from '../compaction/refused/replayed.ts'

/** How the property `firn.replayed` changes. */
export interface ReplayedChange {
  readonly after: ReadonlySet<string>
  /** Keys of objects that are used up with it. */
  readonly replayed: readonly string[]
  /** Keys of objects that count again with it. */
  readonly takenBack: readonly string[]
}

/**
 * What going from `head` back to `target` does to the property.
 * @throws {FirnError} `FIRN_REPROCESS_IMPOSSIBLE` (failed): replays since then have expired, or their objects are gone;
 *   `FIRN_MANIFEST_CORRUPT` (corrupt).
 */
export async function replayedAt(source: RefusedSource, target: SnapshotId, head: SnapshotId): Promise<ReplayedChange> {
  const { table, tableName } = source
  const { metadata } = table
  const now = replayedOf(metadata.properties)
  const counted = new Set(await usedUpAt(source, target, head))
  const refusals = await committedRefusals(source)
  const time = refusals.length === 0 ? 0n : timeOf(table, target, head)
  for (const { compacted_at_micros: micros, quarantined } of refusals) {
    if (BigInt(micros ?? 0) <= time) continue
    for (const { path } of quarantined) counted.add(quarantineId(path))
  }
  const keyOf = (id: string): string => quarantineKey(tableName, id)
  const takenBack = [...now].filter((id) => !counted.has(id)).map(keyOf)
  await assertThere(source, takenBack)
  return { after: counted, replayed: [...counted].filter((id) => !now.has(id)).map(keyOf), takenBack }
}

/**
 * As the property was: what later snapshots did to it is undone, one after the other; also of those that another engine
 * took main back from by a reference.
 * @throws {FirnError} as `replayedAt`.
 */
export async function usedUpAt(
  { store, table, tableName, signal }: RefusedSource,
  target: SnapshotId,
  head: SnapshotId,
): Promise<ReadonlySet<string>> {
  const { metadata } = table
  const now = replayedOf(metadata.properties)
  // never set: nothing was ever replayed, whatever has expired
  if (metadata.properties[REPLAYED_PROPERTY] === undefined) return now
  if (!isWholeSince(metadata, target, head)) throw impossible(table.location, target, 'snapshots after it have expired')
  const { sequenceNumber } = snapshotById(metadata, target)!
  const later = metadata.snapshots.filter((each) => each.sequenceNumber > sequenceNumber)
  const ids = new Set(now)
  for (const { snapshotId: id, summary } of later.sort((a, b) => b.sequenceNumber - a.sequenceNumber)) {
    if (summary[REPLAYED_MEMBER] === undefined) continue
    const manifest = await readManifest(store, tableName, id, { signal })
    if (manifest?.replayed === undefined)
      throw impossible(table.location, target, `snapshot ${id} has lost its JSON manifest`)
    for (const path of manifest.replayed) ids.delete(quarantineId(path))
    for (const path of manifest.replayed_taken_back ?? []) ids.add(quarantineId(path))
  }
  return ids
}

/**
 * Nothing has expired that main stood on after `target`: expiry cuts the log of main behind what it removes. The log's
 * times may be those of a catalog with another clock, so the numbers of snapshots have a say too.
 */
function isWholeSince(metadata: TableMetadata, target: SnapshotId, head: SnapshotId): boolean {
  const { snapshots, snapshotLog, lastSequenceNumber } = metadata
  const { sequenceNumber, timestampMillis } = snapshotById(metadata, target)!
  const later = snapshots.filter((each) => each.sequenceNumber > sequenceNumber)
  const isCut = (snapshotLog[0]?.timestampMillis ?? 0) > timestampMillis
  if (isCut && later.length < lastSequenceNumber - sequenceNumber) return false
  return [...lineOf(metadata, head)].includes(target)
}

/** A planned time between those of the runs that `target` has and of those that came after it. */
function timeOf({ metadata, location }: Table, target: SnapshotId, head: SnapshotId): bigint {
  const micros = (id: SnapshotId): string | undefined => snapshotById(metadata, id)!.summary[COMPACTED_AT_PROPERTY]
  const newest = [...lineOf(metadata, target)].map(micros).find((time) => time !== undefined)
  if (newest !== undefined) return BigInt(newest)
  const after: string[] = []
  for (const id of lineOf(metadata, head)) {
    // every run is part of it where none came after
    if (id === target) return BigInt(after.at(-1) ?? String(2n ** 63n)) - 1n
    const time = micros(id)
    if (time !== undefined) after.push(time)
  }
  throw impossible(location, target, 'snapshots before and after it have expired')
}

async function assertThere({ store, table, signal }: RefusedSource, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    if ((await store.head(key, { signal })) === undefined)
      throw refuse(`refused records that would count again are gone: ${store.url}/${key} (${table.location})`)
  }
}

const impossible = (location: string, target: SnapshotId, why: string): FirnError =>
  refuse(`which refused records counted at snapshot ${target} of ${location} is not known: ${why}`)

const refuse = (message: string): FirnError =>
  new FirnError('failed', 'FIRN_REPROCESS_IMPOSSIBLE', message, {
    help: 'Go back without --reprocess: the files are restored, nothing is compacted again, what was replayed stays so.',
  })
