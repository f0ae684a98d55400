/**
 * Refused records that were replayed, once the snapshots that used them up have expired: nothing can take them back by
 * then. The objects go, the JSON manifests of expired snapshots that listed nothing else, and their ids.
 *
 * What is to go is told from the table as it is, never from what a run remembers, so that a run which dies anywhere is
 * ended by the next one. The ids go last: an object that is listed and has no id counts.
 */
import { type SnapshotId, snapshotId } from '../../table/ids.ts'
import { snapshotById, type Table, type TableMetadata, type TableUpdate } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { REPLAYED_GONE_PROPERTY, REPLAYED_PROPERTY } from '../compaction/positions.ts'
import { quarantineId, quarantineKey } from '../compaction/refused/quarantine.ts'
import { committedMarks, forgetRefusals, type RefusedSource } from '../compaction/refused/refused-objects.ts'
import { printReplayed, REPLAYED_MEMBER, replayedOf } from '../compaction/refused/replayed.ts'
import { readable } from './json-manifests.ts'

export interface ReplayedCleanup {
  /** Keys of quarantine objects. */
  readonly objects: readonly string[]
  /** Expired snapshots whose JSON manifests list nothing else. */
  readonly manifests: readonly SnapshotId[]
  /** As in `firn.replayed`. */
  readonly ids: readonly string[]
}

const NOTHING: ReplayedCleanup = { objects: [], manifests: [], ids: [] }

export const isClean = ({ objects, manifests, ids }: ReplayedCleanup): boolean =>
  objects.length === 0 && manifests.length === 0 && ids.length === 0

/**
 * What may go now. A damaged JSON manifest keeps what it may list.
 * @throws {FirnError} `FIRN_PROPERTY_INVALID` (corrupt).
 */
export async function planReplayedCleanup(source: RefusedSource): Promise<ReplayedCleanup> {
  const { store, table, tableName, signal } = source
  const { metadata } = table
  const used = replayedOf(metadata.properties)
  if (used.size === 0) return NOTHING
  const held = await heldBack(source)
  if (held === undefined) return NOTHING
  const free = new Set([...used].filter((id) => !held.has(id)))
  if (free.size === 0) return NOTHING
  const existing = await existingIds(store, tableName, { signal })
  const objects = [...free].filter((id) => existing.has(id)).map((id) => quarantineKey(tableName, id))
  const { gone, listed, damaged } = await listings(source, (id) => free.has(id) || !existing.has(id))
  return { objects, manifests: gone, ids: damaged ? [] : [...free].filter((id) => !listed.has(id)) }
}

/** Ids whose use a rollback can still undo; `undefined` when that cannot be told. */
async function heldBack({ store, table, tableName, signal }: RefusedSource): Promise<ReadonlySet<string> | undefined> {
  const held = new Set<string>()
  for (const { snapshotId: id, summary } of table.metadata.snapshots) {
    if (summary[REPLAYED_MEMBER] === undefined) continue
    const manifest = await readable(store, tableName, id, { signal })
    if (manifest === 'damaged' || manifest?.replayed === undefined) return undefined
    for (const path of manifest.replayed) held.add(quarantineId(path))
  }
  return held
}

async function existingIds(
  store: ObjectStore,
  tableName: string,
  options: AbortableOptions,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  for await (const { key } of store.list(`_quarantine/${tableName}/`, options)) ids.add(quarantineId(key))
  return ids
}

/** Expired snapshots all of whose objects are to go, and what the manifests that stay list. */
async function listings(
  source: RefusedSource,
  goes: (id: string) => boolean,
): Promise<{ readonly gone: readonly SnapshotId[]; readonly listed: ReadonlySet<string>; readonly damaged: boolean }> {
  const { store, table, tableName, signal } = source
  const { metadata } = table
  const gone: SnapshotId[] = []
  const listed = new Set<string>()
  let damaged = false
  const marked = new Set(await committedMarks(store, tableName, { signal }))
  for (const id of await manifestIds(store, tableName, { signal })) {
    const manifest = await readable(store, tableName, id, { signal })
    if (manifest === 'damaged') {
      damaged = true
      continue
    }
    const ids = (manifest?.quarantined ?? []).map(({ path }) => quarantineId(path))
    const isExpired = marked.has(id) && snapshotById(metadata, id) === undefined
    if (isExpired && manifest?.table_uuid === metadata.tableUuid && ids.every(goes)) gone.push(id)
    else for (const each of ids) listed.add(each)
  }
  return { gone, listed, damaged }
}

async function manifestIds(
  store: ObjectStore,
  tableName: string,
  options: AbortableOptions,
): Promise<readonly SnapshotId[]> {
  const ids: SnapshotId[] = []
  for await (const { key } of store.list(`_manifests/${tableName}/`, options)) {
    const digits = /\/(\d{1,19})\.json$/.exec(key)?.[1]
    if (digits !== undefined) ids.push(snapshotId(BigInt(digits)))
  }
  return ids
}

/**
 * Plan and carry out. A rollback that would take back what is about to go is refused from the first commit on.
 * @returns what went, and the table as it is then.
 * @throws {FirnError} as `planReplayedCleanup`, and as a commit.
 */
export async function cleanUpReplayed(
  source: RefusedSource,
): Promise<{ readonly table: Table; readonly cleaned: ReplayedCleanup }> {
  const { store, signal } = source
  let table = await source.table.refresh({ signal })
  const plan = await planReplayedCleanup({ ...source, table })
  if (isClean(plan)) return { table, cleaned: plan }
  const going = plan.objects.map(quarantineId)
  if (going.length > 0) {
    const announced = await announce(table, going, { signal })
    // a replay or a rollback came between: what may go is another matter by then, of the next run
    if (announced === undefined) return { table, cleaned: NOTHING }
    table = announced
  }
  for (const key of plan.objects) await store.delete(key, { signal })
  for (const id of plan.manifests) await forgetRefusals(source, id)
  return { table: await forgetIds(table, new Set(plan.ids), { signal }), cleaned: plan }
}

/** @returns `undefined` when the property has changed since. */
async function announce(table: Table, going: readonly string[], options: AbortableOptions): Promise<Table | undefined> {
  const planned = table.metadata
  let announced = false
  const isDone = (base: TableMetadata): boolean => going.every((id) => goneOf(base).has(id))
  const after = await table.commitUpdates(
    {
      isOwn: (base) => announced && isDone(base),
      requirements: [{ type: 'assert-table-uuid', uuid: planned.tableUuid }],
      prepare: (base) => {
        // what holds ids back can only have grown by a snapshot that changed the property
        announced = base.properties[REPLAYED_PROPERTY] === planned.properties[REPLAYED_PROPERTY]
        if (!announced || isDone(base)) return []
        return [setProperty(REPLAYED_GONE_PROPERTY, printReplayed([...goneOf(base), ...going]))]
      },
    },
    options,
  )
  return announced ? after : undefined
}

/** Both properties without `ids`, and the second without what is not in the first. */
async function forgetIds(table: Table, ids: ReadonlySet<string>, options: AbortableOptions): Promise<Table> {
  const left = (base: TableMetadata): ReadonlySet<string> =>
    new Set([...replayedOf(base.properties)].filter((id) => !ids.has(id)))
  const leftGone = (base: TableMetadata): readonly string[] => [...goneOf(base)].filter((id) => left(base).has(id))
  const updatesOf = (base: TableMetadata): readonly TableUpdate[] => {
    const [used, gone] = [left(base), leftGone(base)]
    const updates: TableUpdate[] = []
    if (used.size < replayedOf(base.properties).size) updates.push(setProperty(REPLAYED_PROPERTY, printReplayed(used)))
    if (gone.length === goneOf(base).size) return updates
    if (gone.length > 0) updates.push(setProperty(REPLAYED_GONE_PROPERTY, printReplayed(gone)))
    else updates.push({ action: 'remove-properties', removals: [REPLAYED_GONE_PROPERTY] })
    return updates
  }
  return await table.commitUpdates(
    {
      isOwn: (base) => updatesOf(base).length === 0,
      requirements: [{ type: 'assert-table-uuid', uuid: table.metadata.tableUuid }],
      prepare: updatesOf,
    },
    options,
  )
}

const setProperty = (name: string, text: string): TableUpdate => ({
  action: 'set-properties',
  updates: { [name]: text },
})

const goneOf = ({ properties }: TableMetadata): ReadonlySet<string> => replayedOf(properties, REPLAYED_GONE_PROPERTY)
