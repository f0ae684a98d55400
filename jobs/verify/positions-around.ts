/** Positions, and what was replayed, before and after a commit, from the metadata files on both sides of it. */
import type { Clock } from '../../table/clock.ts'
import type { SnapshotId } from '../../table/ids.ts'
import { openTableAt, type Snapshot, snapshotById, type Table, type TableMetadata } from '../../table/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { JsonManifest } from '../compaction/manifest.ts'
import { positionsOf, printPositions } from '../compaction/positions.ts'
import { quarantineKey } from '../compaction/refused/quarantine.ts'
import { replayedOf } from '../compaction/refused/replayed.ts'
import { metadataVersions } from './version-hint.ts'

/**
 * @param always also when the commit left the positions alone.
 * @returns `undefined` when the positions did not move, or when the metadata files are gone, as they are once trimmed.
 */
export async function positionsAround(
  { snapshotId }: Snapshot,
  always: boolean,
  { table, clock, signal }: { readonly table: Table; readonly clock: Clock } & AbortableOptions,
): Promise<JsonManifest['positions'] | undefined> {
  const around = await metadataAround(snapshotId, { table, clock, signal })
  if (around === undefined) return undefined
  const after = positionsOf(around.young.properties)
  // A stream that the run was the first to read had none.
  const none = Object.fromEntries(Object.keys(after).map((name) => [name, {}]))
  const positions = { before: { ...none, ...positionsOf(around.old.properties) }, after }
  return always || textOf(positions.before) !== textOf(positions.after) ? positions : undefined
}

/** What a commit did to the property `firn.replayed`; `undefined` when the metadata files are gone. */
export async function replayedAround(
  { snapshotId }: Snapshot,
  options: { readonly table: Table; readonly clock: Clock } & AbortableOptions,
): Promise<Required<Pick<JsonManifest, 'replayed' | 'replayed_taken_back'>> | undefined> {
  const around = await metadataAround(snapshotId, options)
  if (around === undefined) return undefined
  const [old, young] = [replayedOf(around.old.properties), replayedOf(around.young.properties)]
  const only = (some: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] =>
    [...some].filter((id) => !others.has(id)).map((id) => quarantineKey(options.table.name!, id))
  return { replayed: only(young, old), replayed_taken_back: only(old, young) }
}

/** The metadata on both sides of the commit that made a snapshot. */
async function metadataAround(
  snapshotId: SnapshotId,
  { table, clock, signal }: { readonly table: Table; readonly clock: Clock } & AbortableOptions,
): Promise<{ readonly old: TableMetadata; readonly young: TableMetadata } | undefined> {
  const versions = await metadataVersions(table.store, { signal })
  const numbers = [...versions.keys()].sort((a, b) => a - b)
  const load = async (version: number): Promise<TableMetadata> =>
    (await openTableAt(table.store, { clock, metadataFile: versions.get(version)!, signal })).metadata
  // A snapshot is in all versions from its commit on: it has not expired.
  let [low, high] = [0, numbers.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (snapshotById(await load(numbers[middle]!), snapshotId) === undefined) low = middle + 1
    else high = middle
  }
  const at = numbers[low]
  if (at === undefined || numbers[low - 1] !== at - 1) return undefined
  const [old, young] = [await load(at - 1), await load(at)]
  return snapshotById(young, snapshotId) === undefined ? undefined : { old, young }
}

const textOf = (positions: Record<string, Readonly<Record<string, string>>>): string =>
  Object.entries(positions)
    .map(([name, shards]) => `${name} ${printPositions(shards)}`)
    .sort()
    .join('\n')
