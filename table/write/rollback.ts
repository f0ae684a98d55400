/**
 * Going back: a new snapshot over the manifests of an old one. Its id is new, so a writer that stalled before the
 * rollback cannot take its branch for unchanged. Its parent is the old one, not what is undone: whoever cleans up along
 * parents, as other engines' expiry does, would take files that were removed and came back for removed.
 */
import { type Clock, newSnapshotId, newUuid } from '../clock.ts'
import { assertNotExpiring, ROLLED_BACK_FROM, ROLLED_BACK_TO, stoodOn } from '../commit/refs.ts'
import { totalsOf } from '../commit/summary.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { ObjectStore } from '../io/object-store.ts'
import { carriedManifests } from '../manifest/snapshot-manifests.ts'
import { snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { manifestCounts, publish, type SnapshotChange, snapshotRequirements } from './produce.ts'
import { headOf, isOwnSnapshot, type SnapshotOptions } from './snapshot-options.ts'

/**
 * @param target what the branch stands on, or stood on before another rollback.
 * @throws {FirnError} from its tries `FIRN_SNAPSHOT_NOT_FOUND` (not-found), `FIRN_NOT_AN_ANCESTOR` (invalid);
 *   `FIRN_COMMIT_CONFLICT` (conflict) when files came or went since the table was read: nobody asked to undo those.
 */
export function rollbackChange(
  store: ObjectStore,
  planned: TableMetadata,
  target: SnapshotId,
  clock: Clock,
  options: SnapshotOptions,
): SnapshotChange {
  const snapshotId = options.snapshotId ?? newSnapshotId(clock)
  const commitUuid = newUuid(clock)
  const abort = { signal: options.signal }
  return {
    snapshotId,
    isOwn: (metadata) => isOwnSnapshot(metadata, snapshotId, options),
    requirements: (base) => snapshotRequirements(base, planned, options),
    prepare: async (base, attempt, timestampMillis, committed = base) => {
      // Its files are about to go with it.
      assertNotExpiring(committed, target)
      const old = snapshotById(base, target)!
      const head = headOf(committed, options.branch)
      if (head === undefined || !stoodOn(base, target, head.snapshotId)) throw notAncestor(base, target, options.branch)
      await assertSameFiles(store, committed, headOf(planned, options.branch), head, abort)
      const manifests = await carriedManifests(store, base, old, abort)
      const listed = new Set(manifests.map((manifest) => manifest.manifestPath))
      const current = await carriedManifests(store, base, headOf(base, options.branch), abort)
      const replaced = current.filter((manifest) => !listed.has(manifest.manifestPath)).length
      const summary = {
        ...options.summary,
        ...manifestCounts(manifests, snapshotId, replaced),
        ...totalsOf(old),
        [ROLLED_BACK_TO]: String(target),
        [ROLLED_BACK_FROM]: String(headOf(base, options.branch)?.snapshotId),
        operation: 'overwrite',
      }
      const work = { snapshotId, parentSnapshotId: target, commitUuid, attempt, timestampMillis, manifests, summary }
      return publish(store, base, work, options)
    },
  }
}

/** A snapshot lists the same manifests as another exactly when it holds the same files. */
async function assertSameFiles(
  store: ObjectStore,
  base: TableMetadata,
  planned: Snapshot | undefined,
  head: Snapshot | undefined,
  options: { readonly signal: AbortSignal | undefined },
): Promise<void> {
  if (planned?.snapshotId === head?.snapshotId) return
  const pathsOf = async (snapshot: Snapshot | undefined): Promise<string> => {
    const manifests = await carriedManifests(store, base, snapshot, options)
    return manifests
      .map((manifest) => manifest.manifestPath)
      .sort()
      .join('\n')
  }
  const known = planned === undefined || snapshotById(base, planned.snapshotId) !== undefined
  if (known && (await pathsOf(planned)) === (await pathsOf(head))) return
  throw new FirnError('conflict', 'FIRN_COMMIT_CONFLICT', `table ${base.location} was changed since it was read`, {
    detail: { location: base.location },
    help: 'Look at the newest snapshots, then run the same command again.',
  })
}

const notAncestor = ({ location }: TableMetadata, id: SnapshotId, branch = 'main'): FirnError =>
  new FirnError('invalid', 'FIRN_NOT_AN_ANCESTOR', `snapshot ${id} is not in the history of ${branch} of ${location}`, {
    help: 'Going back is possible to snapshots that the branch stood on.',
  })
