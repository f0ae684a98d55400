/** The metadata of a copy: the chosen snapshots of the source, with every path in it changed. Pure. */

import { EXPIRING_PROPERTY } from '../../commit/refs.ts'
import { applyUpdate, type TableUpdate } from '../../commit/updates.ts'
import { FirnError } from '../../errors.ts'
import type { JsonObject } from '../../format/json.ts'
import type { SnapshotId } from '../../ids.ts'
import { selectSnapshot } from '../../snapshot-selector.ts'
import { normaliseLocation } from '../../spec/location.ts'
import { currentSchema, defaultSpec, parseMetadata, printMetadata, type TableMetadata } from '../../spec/metadata.ts'
import { printPartitionFields } from '../../spec/partition.ts'
import { printSchema } from '../../spec/schema.ts'
import type { Snapshot } from '../../spec/snapshot.ts'
import type { PathMap } from './paths.ts'

/** `current`: the current snapshot alone; `all`: every snapshot; else ids, and names of branches and tags. */
export type CopySnapshots = 'current' | 'all' | readonly (SnapshotId | string)[]

/** Folders that new files go to instead of the table's own. */
const FOLDER_PROPERTIES = [
  'write.data.path',
  'write.metadata.path',
  'write.object-storage.path',
  'write.folder-storage.path',
] as const

/**
 * In the order of the metadata.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND`, `FIRN_REF_NOT_FOUND` (not-found); `FIRN_INVALID_OPTION` (invalid).
 */
export function chooseSnapshots(metadata: TableMetadata, choice: CopySnapshots): readonly Snapshot[] {
  if (choice === 'all') return metadata.snapshots
  if (choice !== 'current' && choice.length === 0) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', 'a copy needs at least one snapshot', {
      help: "Name snapshots or refs, or choose 'current' or 'all'.",
    })
  }
  const selectors =
    choice === 'current' ? [{}] : choice.map((one) => (typeof one === 'string' ? { ref: one } : { snapshotId: one }))
  const chosen = new Set(selectors.map((selector) => selectSnapshot(metadata, selector)?.snapshotId))
  return metadata.snapshots.filter(({ snapshotId }) => chosen.has(snapshotId))
}

/**
 * @param uuid of the copy.
 * @throws {FirnError} `FIRN_FORMAT_VERSION_UNSUPPORTED` (invalid) for format version 3.
 */
export function copiedMetadata(
  source: TableMetadata,
  snapshots: readonly Snapshot[],
  paths: PathMap,
  uuid: string,
): TableMetadata {
  const updates = [...headUpdates(source, snapshots), ...folderUpdates(source, paths)]
  const kept = updates.reduce((metadata, update) => applyUpdate(metadata, update), source)
  const metadata: TableMetadata = {
    ...kept,
    tableUuid: uuid,
    location: paths.location,
    snapshots: kept.snapshots.map((snapshot) => movedSnapshot(snapshot, paths)),
    metadataLog: [],
    unknown: { ...movedStatistics(kept.unknown, paths), ...versionOneMembers(kept) },
  }
  // What cannot be read back must not become a table.
  parseMetadata(printMetadata(metadata), `metadata of ${paths.location}`)
  return metadata
}

/** Refs to other snapshots go; without its head, main stands for the newest snapshot of its history that is there. */
function headUpdates(source: TableMetadata, snapshots: readonly Snapshot[]): readonly TableUpdate[] {
  const ids = new Set(snapshots.map(({ snapshotId }) => snapshotId))
  const gone = source.snapshots.map(({ snapshotId }) => snapshotId).filter((id) => !ids.has(id))
  const updates: TableUpdate[] = Object.entries(source.refs)
    .filter(([name, ref]) => name !== 'main' && !ids.has(ref.snapshotId))
    .map(([name]) => ({ action: 'remove-snapshot-ref', name }))
  const main = source.refs['main']
  if (main !== undefined && !ids.has(main.snapshotId)) {
    const head = newestOf(source, snapshots)
    updates.push({ action: 'set-snapshot-ref', name: 'main', ref: { ...main, snapshotId: head } })
  }
  return [...updates, { action: 'remove-snapshots', snapshotIds: gone }]
}

function newestOf({ snapshotLog }: TableMetadata, snapshots: readonly Snapshot[]): SnapshotId {
  const ids = new Set(snapshots.map(({ snapshotId }) => snapshotId))
  const logged = snapshotLog.findLast(({ snapshotId }) => ids.has(snapshotId))?.snapshotId
  return logged ?? snapshots.reduce((a, b) => (b.sequenceNumber >= a.sequenceNumber ? b : a)).snapshotId
}

/** A copy that wrote into the folders of its source would be none; the warning of a running expiry is not about it. */
function folderUpdates(source: TableMetadata, paths: PathMap): readonly TableUpdate[] {
  const root = `${normaliseLocation(source.location)}/`
  const updates: Record<string, string> = {}
  const removals: string[] = [EXPIRING_PROPERTY]
  for (const name of FOLDER_PROPERTIES) {
    const value = source.properties[name]
    if (value === undefined) continue
    const folder = normaliseLocation(value)
    if (folder.startsWith(root)) updates[name] = `${paths.location}/${folder.slice(root.length)}`
    else removals.push(name)
  }
  return [
    { action: 'set-properties', updates },
    { action: 'remove-properties', removals },
  ]
}

const movedSnapshot = (snapshot: Snapshot, paths: PathMap): Snapshot => ({
  ...snapshot,
  ...(snapshot.manifestList === undefined ? {} : { manifestList: paths.targetPath(snapshot.manifestList) }),
  ...(snapshot.manifests === undefined ? {} : { manifests: snapshot.manifests.map(paths.targetPath) }),
})

function movedStatistics(unknown: JsonObject, paths: PathMap): JsonObject {
  const moved: Record<string, unknown> = { ...unknown }
  for (const key of ['statistics', 'partition-statistics']) {
    const files = moved[key] as readonly JsonObject[] | undefined
    if (files === undefined || files === null) continue
    moved[key] = files.map((file) => ({
      ...file,
      'statistics-path': paths.targetPath(String(file['statistics-path'])),
    }))
  }
  return moved
}

/** Readers of format version 1 look for these where later versions have lists. */
function versionOneMembers(metadata: TableMetadata): JsonObject {
  if (metadata.formatVersion !== 1) return {}
  return { schema: printSchema(currentSchema(metadata)), 'partition-spec': printPartitionFields(defaultSpec(metadata)) }
}
