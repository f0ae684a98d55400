/**
 * What a rollback that reprocesses gave back is read again by the runs after it. Its rows are not restored as well,
 * unless positions, and what counts as refused, are restored with them: each record is in the table once.
 */
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { isAncestor, lineOf, ROLLED_BACK_TO, snapshotById } from '../../table/index.ts'
import { type JsonManifest, manifestKey, readManifest } from '../compaction/manifest.ts'
import { type Positions, printPositions } from '../compaction/positions.ts'
import { quarantineId } from '../compaction/refused/quarantine.ts'
import { type PositionsSource, positionsAt } from './positions-at.ts'
import { isPast } from './read-again.ts'
import { usedUpAt } from './replayed-at.ts'

/**
 * For going back to `target` while positions stay.
 * @param head what main stands on. @param now positions of the table.
 * @throws {FirnError} `FIRN_ROLLBACK_REPEATS` (failed); `FIRN_REPROCESS_IMPOSSIBLE` (failed) and
 *   `FIRN_MANIFEST_CORRUPT` (corrupt) when it cannot be told.
 */
export async function assertNotGivenBack(
  source: PositionsSource,
  target: SnapshotId,
  head: SnapshotId,
  now: Positions,
): Promise<void> {
  const gifts = await giftsSince(source, target, head)
  if (gifts.length === 0) return
  const then = await positionsAt(source, target, head, now)
  const used = await usedUpAt(source, target, head)
  for (const { snapshot_id, positions, replayed_taken_back = [] } of gifts) {
    const shard = firstPast(then, positions?.after ?? {})
    const object = replayed_taken_back.map(quarantineId).find((id) => used.has(id))
    if (shard === undefined && object === undefined) continue
    const what = shard === undefined ? `the refused ones of ${object}` : `from ${shard} on`
    throw new FirnError(
      'failed',
      'FIRN_ROLLBACK_REPEATS',
      `snapshot ${target} of ${source.tableName} has rows of records that rollback ${snapshot_id} had read again: ${what}`,
      { help: 'Add --reprocess: positions, and what counts as refused, are then those of that snapshot too.' },
    )
  }
}

/** Rollbacks after `target` that took back more than files; none when main still stands on `target`. */
async function giftsSince(
  { store, table, tableName, signal }: PositionsSource,
  target: SnapshotId,
  head: SnapshotId,
): Promise<readonly JsonManifest[]> {
  const { metadata } = table
  if (isAncestor(metadata, target, head)) return []
  const gifts: JsonManifest[] = []
  for (const id of lineOf(metadata, head)) {
    if (id === target) break
    if (snapshotById(metadata, id)!.summary[ROLLED_BACK_TO] === undefined) continue
    const manifest = await readManifest(store, tableName, id, { signal })
    if (manifest === undefined) {
      const message = `JSON manifest ${store.url}/${manifestKey(tableName, id)} of a rollback is missing: what it gave back is not known`
      throw new FirnError('corrupt', 'FIRN_MANIFEST_CORRUPT', message, {
        detail: { key: manifestKey(tableName, id) },
        help: `make it again: firn verify ${tableName} --repair`,
      })
    }
    if (isGift(manifest)) gifts.push(manifest)
  }
  return gifts
}

/** One that was made again without positions may have moved them. */
const isGift = ({ positions, replayed_taken_back = [] }: JsonManifest): boolean =>
  positions === null || textOf(positions.before) !== textOf(positions.after) || replayed_taken_back.length > 0

const textOf = (positions: Positions): string =>
  JSON.stringify(
    Object.entries(positions)
      .map(([name, shards]) => [name, printPositions(shards)])
      .sort(),
  )

/** A shard of which `a` has more than `b`. */
function firstPast(a: Positions, b: Positions): string | undefined {
  for (const [incarnation, shards] of Object.entries(a)) {
    for (const [shardId, position] of Object.entries(shards)) {
      const from = b[incarnation]?.[shardId]
      if (isPast(position, from)) return `${incarnation}, shard ${shardId}, position ${from ?? '0'}`
    }
  }
  return undefined
}
