/**
 * Going back to an older snapshot of main: its files become current with a new snapshot. Positions stay, so that
 * nothing is ingested twice; with `reprocess` they go back too, so that the records are compacted again, and so does
 * what counts as refused.
 */

import type { Clock } from '../../table/clock.ts'
import { newSnapshotId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { RunId, SnapshotId } from '../../table/ids.ts'
import { allEntries, type DataFile, type Snapshot, snapshotId, stoodOn, type Table } from '../../table/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { type ManifestFile, plainManifest, writeManifest } from '../compaction/manifest.ts'
import { manifestFile } from '../compaction/manifest-file.ts'
import {
  COMPACTED_AT_PROPERTY,
  LAST_RUN_PROPERTY,
  type Positions,
  positionsOf,
  positionsProperty,
  printPositions,
  REPLAYED_GONE_PROPERTY,
  REPLAYED_PROPERTY,
} from '../compaction/positions.ts'
import { printReplayed, REPLAYED_MEMBER } from '../compaction/refused/replayed.ts'
import { assertNotGivenBack } from './given-back.ts'
import { readable } from './json-manifests.ts'
import { assertStagingHolds, type PositionsSource, positionsAt } from './positions-at.ts'
import { runSummary } from './record-manifest.ts'
import { type ReplayedChange, replayedAt } from './replayed-at.ts'

export interface RollbackPlan {
  readonly target: Snapshot
  readonly current: Snapshot
  readonly reprocess: boolean
  /** Live at the target and not now, and the snapshot that added each. */
  readonly restored: readonly { readonly file: DataFile; readonly addedBy: SnapshotId }[]
  /** Live now and not at the target. */
  readonly removed: readonly DataFile[]
  readonly positions: { readonly before: Positions; readonly after: Positions }
  /** Which refused records are used up, and which count again; `undefined` where that stays. */
  readonly refused: ReplayedChange | undefined
}

export type RollbackOptions = PositionsSource

/**
 * @throws {FirnError} `FIRN_TABLE_EMPTY`, `FIRN_NOT_AN_ANCESTOR` (invalid); `FIRN_REPROCESS_IMPOSSIBLE`,
 *   `FIRN_ROLLBACK_REPEATS` (failed).
 */
export async function planRollback(
  options: RollbackOptions,
  target: Snapshot,
  { reprocess }: { readonly reprocess: boolean },
): Promise<RollbackPlan> {
  const { store, table, tableName, signal } = options
  const { metadata } = table
  const current = table.currentSnapshot()
  if (current === undefined) throw new FirnError('invalid', 'FIRN_TABLE_EMPTY', `${tableName} has no snapshot yet`)
  if (!stoodOn(metadata, target.snapshotId, current.snapshotId)) {
    const message = `snapshot ${target.snapshotId} is not in the history of main of ${tableName}`
    const ref = Object.entries(metadata.refs).find(([, held]) => held.snapshotId === target.snapshotId)?.[0]
    const copy =
      ref === undefined
        ? ''
        : `. Where snapshots between have expired, take it out instead: firn copy ${tableName} <location> --ref ${ref}`
    throw new FirnError('invalid', 'FIRN_NOT_AN_ANCESTOR', message, {
      help: `Going back is possible to snapshots that main stood on, as far as they are there: firn inspect history ${tableName}${copy}`,
    })
  }
  const now = await liveFiles(table, current, { signal })
  const then = await liveFiles(table, target, { signal })
  const before = positionsOf(metadata.properties)
  if (!reprocess) await assertNotGivenBack(options, target.snapshotId, current.snapshotId, before)
  const after = reprocess ? await positionsAt(options, target.snapshotId, current.snapshotId, before) : before
  if (reprocess) await assertStagingHolds(store, after, before, { signal })
  const refused = reprocess ? await replayedAt(options, target.snapshotId, current.snapshotId) : undefined
  return {
    target,
    current,
    reprocess,
    restored: [...then].filter(([path]) => !now.has(path)).map(([, live]) => live),
    removed: [...now].filter(([path]) => !then.has(path)).map(([, { file }]) => file),
    positions: { before, after },
    refused: refused !== undefined && isChange(refused) ? refused : undefined,
  }
}

const isChange = ({ replayed, takenBack }: ReplayedChange): boolean => replayed.length > 0 || takenBack.length > 0

/** True when the target is what the table holds already, and neither a position nor what counts as refused is to move. */
export const isNoRollback = ({ restored, removed, positions: { before, after }, refused }: RollbackPlan): boolean =>
  restored.length === 0 && removed.length === 0 && changedPositions(before, after).length === 0 && refused === undefined

type Live = RollbackPlan['restored'][number]

async function liveFiles(table: Table, of: Snapshot, options: AbortableOptions): Promise<Map<string, Live>> {
  const entries = await allEntries(table, { snapshotId: of.snapshotId }, options)
  const live = entries.filter(({ status }) => status !== 'deleted')
  return new Map(
    live.map((entry) => [entry.dataFile.filePath, { file: entry.dataFile, addedBy: snapshotId(entry.snapshotId) }]),
  )
}

function changedPositions(before: Positions, after: Positions): readonly (readonly [string, string])[] {
  return Object.entries(after)
    .map(([incarnation, shards]) => [incarnation, printPositions(shards)] as const)
    .filter(([incarnation, text]) => text !== printPositions(before[incarnation] ?? {}))
}

/**
 * Writes the JSON manifest, then commits. A run that consumed more meanwhile, or any change of files, is a conflict:
 * nobody asked to undo that.
 * @throws {FirnError} `FIRN_REQUIREMENT_FAILED`, `FIRN_COMMIT_CONFLICT` (conflict); as `Table.rollbackTo`.
 */
export async function runRollback(
  options: RollbackOptions & { readonly runId: RunId; readonly clock: Clock },
  plan: RollbackPlan,
): Promise<{ readonly snapshotId: SnapshotId; readonly table: Table }> {
  const { store, table, tableName, runId, clock, signal } = options
  const { target, positions, restored, removed, refused, reprocess } = plan
  const id = newSnapshotId(clock)
  const manifest = {
    ...plainManifest({
      table: tableName,
      table_uuid: table.metadata.tableUuid,
      snapshot_id: String(id),
      operation: 'overwrite',
      run_id: runId,
      added: await describeRestored(options, restored),
      removed: removed.map(({ filePath }) => filePath),
    }),
    positions,
    ...(refused === undefined ? {} : { replayed: refused.replayed, replayed_taken_back: refused.takenBack }),
    rolled_back_to: String(target.snapshotId),
  }
  await writeManifest(store, manifest, { signal })
  const { properties } = table.metadata
  const watched = [
    ...Object.keys(positions.before).map(positionsProperty),
    COMPACTED_AT_PROPERTY,
    LAST_RUN_PROPERTY,
    // a replay moves the run too, the cleaning up of what was replayed does not
    ...(reprocess ? [REPLAYED_PROPERTY, REPLAYED_GONE_PROPERTY] : []),
  ]
  const moved = changedPositions(positions.before, positions.after)
  const { table: after } = await table.rollbackTo(target.snapshotId, {
    snapshotId: id,
    summary: {
      ...runSummary(runId),
      ...(refused === undefined ? {} : { [REPLAYED_MEMBER]: String(refused.replayed.length) }),
    },
    // unchanged ones too: the JSON manifest says what they were
    requireProperties: Object.fromEntries(watched.map((name) => [name, properties[name]])),
    setProperties: {
      ...Object.fromEntries(moved.map(([incarnation, text]) => [positionsProperty(incarnation), text])),
      ...(refused === undefined ? {} : { [REPLAYED_PROPERTY]: printReplayed(refused.after) }),
    },
    signal,
  })
  return { snapshotId: id, table: after }
}

/** With the digests that the JSON manifests of the snapshots that added them know. */
async function describeRestored(
  { store, table, tableName, signal }: RollbackOptions,
  restored: readonly Live[],
): Promise<readonly ManifestFile[]> {
  const known = new Map<string, ManifestFile>()
  for (const id of new Set(restored.map(({ addedBy }) => addedBy))) {
    const manifest = await readable(store, tableName, id, { signal })
    // of a damaged one the digests are not known, and going back is no matter of digests
    if (manifest === undefined || manifest === 'damaged') continue
    for (const file of manifest.added) known.set(file.path, file)
  }
  return restored.map(
    ({ file }) => known.get(file.filePath) ?? manifestFile(file, { sha256: null, rowGroups: [] }, table.metadata),
  )
}
