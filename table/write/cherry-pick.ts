/** What one snapshot changed, again on a branch that does not have it. As Java's CherryPickOperation. */
import type { Clock } from '../clock.ts'
import type { Change } from '../commit/commit.ts'
import { ancestorsOf, assertNotExpiring, fastForwardRef, isAncestor } from '../commit/refs.ts'
import type { SnapshotOperation } from '../commit/summary.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { readEntries } from '../manifest/entries.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import { isUnpartitioned, partitionKey } from '../spec/partition.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { type ProducedChange, type ProduceOptions, produceSnapshot, snapshotRequirements } from './produce.ts'
import { headOf, isOwnSnapshot } from './snapshot-options.ts'

const SOURCE = 'source-snapshot-id'
/** Of a snapshot that was staged for review, and of the one that published it. */
const STAGED_WAP = 'wap.id'
const PUBLISHED_WAP = 'published-wap-id'

export type PickChange = Change & { readonly snapshotId: SnapshotId }

/**
 * An append is appended again. A dynamic overwrite is made again when its partitions have not changed since. Any other
 * snapshot can only be taken over as it is, when it stands on the branch's newest.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND` (not-found); `FIRN_PICK_UNSUPPORTED`, `FIRN_PICKED_ALREADY` (invalid);
 *   from its tries `FIRN_COMMIT_CONFLICT` (conflict).
 */
export async function cherryPick(
  store: ObjectStore,
  metadata: TableMetadata,
  source: SnapshotId,
  clock: Clock,
  options: ProduceOptions,
): Promise<PickChange> {
  const snapshot = snapshotById(metadata, source)
  if (snapshot === undefined) {
    throw new FirnError(
      'not-found',
      'FIRN_SNAPSHOT_NOT_FOUND',
      `snapshot ${source} is not in table ${metadata.location}`,
    )
  }
  const { operation } = snapshot.summary
  const dynamic = operation === 'overwrite' && snapshot.summary['replace-partitions'] === 'true'
  const branch = options.branch ?? 'main'
  if (operation !== 'append' && !dynamic) {
    if (headOf(metadata, branch)?.snapshotId !== snapshot.parentSnapshotId) {
      const message = `snapshot ${source} of ${metadata.location} is a ${operation ?? 'change'} that cannot be picked`
      throw new FirnError('invalid', 'FIRN_PICK_UNSUPPORTED', message, {
        detail: { snapshotId: String(source), operation: operation ?? '' },
        help: 'Only appends, dynamic overwrites, and snapshots that stand on the newest of the branch can be picked.',
      })
    }
    return takenOver(metadata, branch, source, options)
  }
  const check = (base: TableMetadata): void => {
    assertNotExpiring(base, source)
    checkNotPicked(base, snapshot, branch)
  }
  check(metadata)
  const { added, removed } = await filesOf(store, metadata, snapshot, options)
  const change: ProducedChange = {
    operation: operation as SnapshotOperation,
    added,
    removed,
    check,
    validation: dynamic
      ? {
          startSnapshotId: snapshot.parentSnapshotId ?? 'empty',
          // A file of an unpartitioned spec stood for the whole table.
          partitions: added.some((file) => isUnpartitioned(specById(metadata, file.specId)))
            ? 'all'
            : new Set([...added, ...removed].map(partitionKey)),
          deletes: true,
          ignoreEqualityDeletes: false,
        }
      : undefined,
  }
  return produceSnapshot(store, metadata, change, clock, { ...options, summary: pickedSummary(snapshot, options) })
}

/** The snapshot as it is: it has an id and a summary already. */
function takenOver(metadata: TableMetadata, branch: string, source: SnapshotId, options: ProduceOptions): PickChange {
  for (const name of ['snapshotId', 'summary', 'beforeCommit'] as const) {
    if (options[name] === undefined) continue
    const message = `${name}: snapshot ${source} of ${metadata.location} is taken over as it is`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, { help: `Pick it without ${name}.` })
  }
  const { setProperties } = options
  const move = fastForwardRef(metadata, branch, source)
  return {
    ...move,
    snapshotId: source,
    isOwn: (current) => move.isOwn(current) || isOwnSnapshot(current, undefined, options),
    requirements: (base) => snapshotRequirements(base, metadata, options),
    prepare: async (base, ...rest) => [
      ...(await move.prepare(base, ...rest)),
      ...(setProperties === undefined ? [] : [{ action: 'set-properties' as const, updates: setProperties }]),
    ],
  }
}

function pickedSummary(snapshot: Snapshot, options: ProduceOptions): Readonly<Record<string, string>> {
  const wap = snapshot.summary[STAGED_WAP]
  return {
    ...options.summary,
    ...(snapshot.summary['replace-partitions'] === 'true' ? { 'replace-partitions': 'true' } : {}),
    ...(wap === undefined ? {} : { [PUBLISHED_WAP]: wap }),
    [SOURCE]: String(snapshot.snapshotId),
  }
}

/** What the snapshot itself added and removed. */
async function filesOf(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  options: AbortableOptions,
): Promise<{ readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] }> {
  const abort = { signal: options.signal }
  const manifests = await snapshotManifests(store, metadata, snapshot, abort)
  const own = manifests.filter((manifest) => manifest.addedSnapshotId === snapshot.snapshotId)
  const added: DataFile[] = []
  const removed: DataFile[] = []
  for await (const entries of readEntries(store, metadata, own, abort)) {
    for (const { status, snapshotId, dataFile } of entries) {
      if (snapshotId !== snapshot.snapshotId) continue
      if (status === 'added') added.push(dataFile)
      else if (status === 'deleted') removed.push(dataFile)
    }
  }
  return { added, removed }
}

/** @throws {FirnError} `FIRN_PICKED_ALREADY` (invalid). */
function checkNotPicked(base: TableMetadata, snapshot: Snapshot, branch: string): void {
  const { snapshotId, summary } = snapshot
  const fail = (how: string): never => {
    const message = `snapshot ${snapshotId} is in branch ${branch} of ${base.location} already${how}`
    throw new FirnError('invalid', 'FIRN_PICKED_ALREADY', message, {
      detail: { snapshotId: String(snapshotId) },
      help: 'There is nothing to do. To have its rows twice, append its files again.',
    })
  }
  const head = headOf(base, branch)?.snapshotId
  if (isAncestor(base, snapshotId, head)) fail('')
  const wap = summary[STAGED_WAP]
  for (const id of ancestorsOf(base, head)) {
    const picked = snapshotById(base, id)?.summary
    if (picked?.[SOURCE] === String(snapshotId)) fail(`, picked as ${id}`)
    if (wap !== undefined && (picked?.[PUBLISHED_WAP] === wap || picked?.[STAGED_WAP] === wap)) {
      fail(`, published as ${wap}`)
    }
  }
}
