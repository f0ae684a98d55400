/**
 * How far a table had consumed its streams when one of its snapshots was made, and whether staging still holds what
 * came after. Properties have no history; JSON manifests do.
 */
import { comparePositions, type StreamIncarnation } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { lineOf, predecessorOf, ROLLED_BACK_TO, snapshotById, type Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, readManifest } from '../compaction/manifest.ts'
import { planCompaction } from '../compaction/plan.ts'
import {
  COMPACTED_AT_PROPERTY,
  isEnded,
  type Positions,
  positionsProperty,
  printPositions,
  type ShardPositions,
  sequenceOf,
} from '../compaction/positions.ts'
import { listStaging } from '../compaction/staged.ts'
import { Findings } from '../verify/problems.ts'
import { verifyStaging } from '../verify/staging.ts'

const refuse = (message: string, help: string): FirnError =>
  new FirnError('failed', 'FIRN_REPROCESS_IMPOSSIBLE', message, { help })

const WITHOUT = 'Go back without --reprocess: the files are restored, nothing is compacted again.'

/**
 * The positions after `target` was committed: of its own JSON manifest, else of the nearest one that main stood on before
 * it and that has them. What has expired before it is not needed: the next run that read a stream says where it began.
 * @param current positions of the table now; their incarnations are the ones looked for.
 * @param head the snapshot that they are of; it came after `target`.
 * @throws {FirnError} `FIRN_REPROCESS_IMPOSSIBLE` (failed) when an incarnation's position then cannot be told;
 *   `FIRN_MANIFEST_CORRUPT` (corrupt).
 */
export async function positionsAt(
  { store, table, tableName, signal }: PositionsSource,
  target: SnapshotId,
  head: SnapshotId,
  current: Positions,
): Promise<Positions> {
  const { metadata } = table
  const found: Record<string, ShardPositions> = {}
  const wanted = new Set(Object.keys(current))
  const take = (positions: Positions): void => {
    for (const [incarnation, shards] of Object.entries(positions)) {
      if (wanted.delete(incarnation)) found[incarnation] = shards
    }
  }
  /** `lost`: of a snapshot that may have moved them, which then nobody can tell. */
  const moved = async (id: SnapshotId): Promise<JsonManifest['positions'] | 'lost'> => {
    const { summary } = snapshotById(metadata, id)!
    const manifest = await readManifest(store, tableName, id, { signal })
    // one that was made again may lack them
    if (manifest !== undefined && manifest.positions !== null) return manifest.positions
    return (summary[COMPACTED_AT_PROPERTY] ?? summary[ROLLED_BACK_TO]) === undefined ? null : 'lost'
  }
  let oldest: SnapshotId | undefined = target
  for (const id of lineOf(metadata, target)) {
    if (wanted.size === 0) break
    const positions = await moved(id)
    oldest = positions === 'lost' ? undefined : id
    if (positions === 'lost') break
    take(positions?.after ?? {})
  }
  if (wanted.size === 0) return found
  if (oldest !== undefined && predecessorOf(snapshotById(metadata, oldest)!) === undefined) {
    // The whole history is there, and nothing of these had been read.
    take(Object.fromEntries([...wanted].map((incarnation) => [incarnation, {}])))
    return found
  }
  const unknown = (why: string): FirnError =>
    refuse(
      `positions of ${[...wanted].join(', ')} at snapshot ${target} of ${tableName} are not known: ${why}`,
      WITHOUT,
    )
  const later = since(table, target, head)
  if (later === undefined) throw unknown('snapshots after it have expired')
  for (const id of later) {
    if (wanted.size === 0) return found
    const positions = await moved(id)
    if (positions === 'lost') throw unknown(`snapshot ${id} has lost its JSON manifest`)
    take(positions?.before ?? {})
  }
  take(current)
  return found
}

/** What main stood on after `target`, up to `head`; `undefined` when not all of it is there. */
function since({ metadata }: Table, target: SnapshotId, head: SnapshotId): readonly SnapshotId[] | undefined {
  const path: SnapshotId[] = []
  for (const id of lineOf(metadata, head)) {
    if (id === target) return path.reverse()
    path.push(id)
  }
  return undefined
}

export interface PositionsSource extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly table: Table
  readonly tableName: string
}

/**
 * That a compaction which starts at `from` reads every record up to `to`, and beyond.
 * @throws {FirnError} `FIRN_REPROCESS_IMPOSSIBLE` (failed): chunks have been pruned, or are damaged.
 */
export async function assertStagingHolds(
  store: ObjectStore,
  from: Positions,
  to: Positions,
  options: AbortableOptions = {},
): Promise<void> {
  const incarnations = Object.keys(from).map(parseIncarnation)
  const staging = await listStaging(store, incarnations, from, options)
  const plan = planned(staging, from)
  const [late] = plan.lateStarts
  if (late !== undefined)
    throw pruned(`${late.stream}@${late.created}, shard ${late.shardId}: begins after ${late.after}`)
  for (const [incarnation, shards] of Object.entries(to)) {
    for (const [shardId, position] of Object.entries(shards)) {
      const reached = plan.positions.after[incarnation]?.[shardId] ?? from[incarnation]?.[shardId]
      if (reached === undefined || isBefore(reached, position)) {
        throw pruned(
          `${incarnation}, shard ${shardId}: the table stands at ${position}, staging ends at ${reached ?? 'nothing'}`,
        )
      }
    }
  }
  // Every link of every chain, also of chains that begin after `from`.
  const starts = staging.map(({ stream, created, chains }) => {
    const incarnation = `${stream}@${created}`
    const begun = chains.map(({ shardId, chunks }) => [shardId, chunks[0]!.after] as const)
    return [positionsProperty(incarnation), printPositions({ ...Object.fromEntries(begun), ...from[incarnation] })]
  })
  const findings = new Findings()
  await verifyStaging(store, Object.fromEntries(starts) as Record<string, string>, findings, options)
  const [problem] = findings.problems
  if (problem !== undefined) throw pruned(`${problem.object}: ${problem.message}`)
}

function planned(...args: Parameters<typeof planCompaction>): ReturnType<typeof planCompaction> {
  try {
    return planCompaction(...args)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_CHAIN_BROKEN')) throw error
    throw pruned(error.message)
  }
}

const pruned = (what: string): FirnError =>
  refuse(`staging no longer holds what would be compacted again: ${what}`, WITHOUT)

function isBefore(a: string, b: string): boolean {
  const order = comparePositions(sequenceOf(a), sequenceOf(b))
  return order < 0 || (order === 0 && isEnded(b) && !isEnded(a))
}

function parseIncarnation(name: string): StreamIncarnation {
  const at = name.lastIndexOf('@')
  return { stream: name.slice(0, at), created: Number(name.slice(at + 1)) }
}
