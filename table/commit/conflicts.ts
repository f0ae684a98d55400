/**
 * Whether a change that was planned on one snapshot may still be committed on a newer one. What came between is the
 * difference of the live files of the two, which is also right after a rollback or a moved branch.
 */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { indexDeletes, mayName } from '../scan/delete-index.ts'
import type { Expression } from '../scan/expression.ts'
import { fileMayMatch } from '../scan/prune.ts'
import { currentSchema, snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import { isUnpartitioned, partitionKey } from '../spec/partition.ts'
import type { Snapshot } from '../spec/snapshot.ts'

/** What a change was planned on, and what must not have come since. */
export interface Validation {
  /** `'empty'`: a branch without a snapshot. */
  readonly startSnapshotId: SnapshotId | 'empty'
  /** Data files that came and may hold a matching row. */
  readonly filter?: Expression | undefined
  /** Data files that came into one of these partitions, as `partitionKey` names them, or anywhere. */
  readonly partitions?: ReadonlySet<string> | 'all' | undefined
  /**
   * Delete files that came and may apply to a file that the change removes, or that went and applied to such a file or
   * to one that may hold a row matching `filter`: that row is back, and was not seen.
   */
  readonly deletes: boolean
  /** Equality deletes keep applying to what replaces the file, which keeps the old sequence number and its partition. */
  readonly ignoreEqualityDeletes: boolean
  /** Any file that came or went is a conflict: the change depends on all rows. */
  readonly sameFiles?: boolean | undefined
}

/** What a change takes out and puts in. */
export interface Files {
  readonly removed: readonly ResolvedEntry[]
  readonly added: readonly DataFile[]
}

/**
 * @param head of the branch that is committed to. @param change what it removes and adds.
 * @throws {FirnError} `FIRN_COMMIT_CONFLICT` (conflict): plan anew on the table as it is now.
 */
export async function validateChange(
  store: ObjectStore,
  base: TableMetadata,
  head: Snapshot | undefined,
  validation: Validation,
  change: Files,
  options: AbortableOptions = {},
): Promise<void> {
  const { startSnapshotId } = validation
  const headId = head?.snapshotId ?? 'empty'
  if (headId === startSnapshotId) return
  const start = startSnapshotId === 'empty' ? undefined : snapshotById(base, startSnapshotId)
  if (startSnapshotId !== 'empty' && start === undefined) {
    throw conflict(base, `snapshot ${startSnapshotId}, on which this was planned, has expired`)
  }
  if (validation.sameFiles === true) {
    const changed = await changedFile(store, base, start, head, options)
    if (changed !== undefined) throw conflict(base, `${changed} came or went meanwhile, and this depends on all rows`)
    return
  }
  const removedDeletes = change.removed.filter(({ dataFile }) => dataFile.content !== 'data')
  const { came, gone } = filesSince(store, base, start, head, options)
  for await (const entry of came) {
    const { dataFile } = entry
    if (dataFile.content === 'data') {
      const problem = addedData(base, validation, dataFile)
      if (problem !== undefined) throw conflict(base, `${dataFile.filePath} was added meanwhile, ${problem}`)
      const missed = missedDelete(base, entry, removedDeletes)
      if (missed !== undefined) throw conflict(base, `${dataFile.filePath} came back, to which ${missed} applies`)
    } else {
      const applies = addedDelete(base, validation, dataFile, change)
      if (applies !== undefined) throw conflict(base, `${dataFile.filePath} deletes rows of ${applies} since`)
    }
  }
  const restored = await restoredFile({ store, base, head }, validation, [...gone.values()], change, options)
  if (restored !== undefined) throw conflict(base, `deletes of ${restored} were taken back meanwhile`)
}

interface Difference {
  /** Live entries of the head that are not live in the start. */
  readonly came: AsyncIterable<ResolvedEntry>
  /** Delete files the other way round; known once all that came is. */
  readonly gone: ReadonlyMap<string, ResolvedEntry>
}

/** A file that is live in one of the snapshots only. Rewritten manifests change none. */
async function changedFile(
  store: ObjectStore,
  base: TableMetadata,
  start: Snapshot | undefined,
  head: Snapshot | undefined,
  options: AbortableOptions,
): Promise<string | undefined> {
  const live = async (snapshot: Snapshot | undefined): Promise<readonly ManifestFile[]> =>
    snapshot === undefined
      ? []
      : (await snapshotManifests(store, base, snapshot, options)).filter((manifest) => mayHaveLiveFiles(manifest))
  const [before, after] = [await live(start), await live(head)]
  const pathsOf = async (some: readonly ManifestFile[], others: readonly ManifestFile[]): Promise<Set<string>> => {
    const shared = new Set(others.map(({ manifestPath }) => manifestPath))
    const own = some.filter(({ manifestPath }) => !shared.has(manifestPath))
    const files = new Set<string>()
    for await (const entries of readEntries(store, base, own, options)) {
      for (const { status, dataFile } of entries) if (status !== 'deleted') files.add(fileIdentity(dataFile))
    }
    return files
  }
  const [gone, came] = [await pathsOf(before, after), await pathsOf(after, before)]
  return [...gone].find((file) => !came.has(file)) ?? [...came].find((file) => !gone.has(file))
}

/** Manifests that both snapshots list are not read. */
function filesSince(
  store: ObjectStore,
  base: TableMetadata,
  start: Snapshot | undefined,
  head: Snapshot | undefined,
  options: AbortableOptions,
): Difference {
  const gone = new Map<string, ResolvedEntry>()
  return { came: filesThatCame(store, base, start, head, gone, options), gone }
}

async function* filesThatCame(
  store: ObjectStore,
  base: TableMetadata,
  start: Snapshot | undefined,
  head: Snapshot | undefined,
  gone: Map<string, ResolvedEntry>,
  options: AbortableOptions,
): AsyncGenerator<ResolvedEntry, void, undefined> {
  const manifestsOf = async (snapshot: Snapshot | undefined): Promise<readonly ManifestFile[]> =>
    snapshot === undefined
      ? []
      : (await snapshotManifests(store, base, snapshot, options)).filter((manifest) => mayHaveLiveFiles(manifest))
  const [before, after] = [await manifestsOf(start), await manifestsOf(head)]
  const without = (some: readonly ManifestFile[], others: readonly ManifestFile[]): readonly ManifestFile[] => {
    const paths = new Set(others.map((manifest) => manifest.manifestPath))
    return some.filter((manifest) => !paths.has(manifest.manifestPath))
  }
  const news = without(after, before)
  // Data files that went count for nothing: those that the change removes are looked up when it is applied.
  const olds = without(before, after).filter(({ content }) => content === 'deletes' || news.length > 0)
  const known = new Set<string>()
  for await (const entries of readEntries(store, base, olds, options)) {
    for (const entry of entries) {
      if (entry.status === 'deleted') continue
      const identity = fileIdentity(entry.dataFile)
      known.add(identity)
      if (entry.dataFile.content !== 'data') gone.set(identity, entry)
    }
  }
  for await (const entries of readEntries(store, base, news, options)) {
    for (const entry of entries) {
      if (entry.status === 'deleted') continue
      const identity = fileIdentity(entry.dataFile)
      gone.delete(identity)
      if (!known.has(identity)) yield entry
    }
  }
}

/**
 * A data file that the change is about and from which `gone` took rows: a rollback brought them back, so the change
 * was planned without them. Deletes also go once rewriting has applied them, but then their data files go too.
 */
async function restoredFile(
  { store, base, head }: { store: ObjectStore; base: TableMetadata; head: Snapshot | undefined },
  { deletes, filter }: Validation,
  gone: readonly ResolvedEntry[],
  change: Files,
  options: AbortableOptions,
): Promise<string | undefined> {
  if (!deletes || gone.length === 0) return undefined
  const schema = currentSchema(base)
  const index = indexDeletes(gone, base, schema)
  const isRestored = ({ dataFile, sequenceNumber }: ResolvedEntry): boolean =>
    dataFile.content === 'data' && index.deletesFor(dataFile, sequenceNumber).length > 0
  const removed = change.removed.find(isRestored)
  if (removed !== undefined || filter === undefined || head === undefined) return removed?.dataFile.filePath
  const manifests = (await snapshotManifests(store, base, head, options)).filter(
    (manifest) => manifest.content === 'data' && mayHaveLiveFiles(manifest),
  )
  for await (const entries of readEntries(store, base, manifests, options)) {
    for (const entry of entries) {
      if (entry.status === 'deleted' || !isRestored(entry)) continue
      const { dataFile } = entry
      if (fileMayMatch(filter, dataFile, specById(base, dataFile.specId), schema)) return dataFile.filePath
    }
  }
  return undefined
}

/** Several deletion vectors may lie in one file. */
const fileIdentity = ({ filePath, referencedDataFile }: DataFile): string => `${filePath} ${referencedDataFile ?? ''}`

function addedData(base: TableMetadata, validation: Validation, file: DataFile): string | undefined {
  const { filter, partitions } = validation
  if (partitions === 'all' || partitions?.has(partitionKey(file)) === true) return 'in a partition that is replaced'
  if (filter === undefined) return undefined
  const matches = fileMayMatch(filter, file, specById(base, file.specId), currentSchema(base))
  return matches ? 'and may hold rows that this change is about' : undefined
}

/** The path of a data file to which `deletes` may apply, and may not: a removed one, or one in its place. */
function addedDelete(
  base: TableMetadata,
  validation: Validation,
  deletes: DataFile,
  change: Files,
): string | undefined {
  if (!validation.deletes) return undefined
  const removed = change.removed.filter(({ dataFile }) => dataFile.content === 'data')
  if (deletes.content === 'equality-deletes' && validation.ignoreEqualityDeletes) {
    if (isUnpartitioned(specById(base, deletes.specId))) return undefined
    // Where the rows stay in their partition. From another spec, rows would come to which these deletes never applied;
    // to another one, rows would go from where they do.
    const keys = new Set(removed.map(({ dataFile }) => partitionKey(dataFile)))
    const isWithin = (file: DataFile): boolean => file.specId === deletes.specId && keys.has(partitionKey(file))
    if (removed.every(({ dataFile }) => isWithin(dataFile)) && change.added.every(isWithin)) return undefined
    const taken = change.added.find((file) => partitionKey(file) === partitionKey(deletes))
    if (taken !== undefined) return taken.filePath
  }
  return removed.find(({ dataFile }) => mayApply(base, deletes, dataFile))?.dataFile.filePath
}

/** Whether `deletes` may apply to `data`, sequence numbers aside. */
function mayApply(base: TableMetadata, deletes: DataFile, data: DataFile): boolean {
  if (deletes.referencedDataFile !== undefined) return deletes.referencedDataFile === data.filePath
  const isEquality = deletes.content === 'equality-deletes'
  if (isEquality && isUnpartitioned(specById(base, deletes.specId))) return true
  return partitionKey(deletes) === partitionKey(data) && (isEquality || mayName(deletes, data.filePath))
}

/** The path of a removed delete file that takes rows of `entry`, a data file that came: without it they are back. */
function missedDelete(
  base: TableMetadata,
  entry: ResolvedEntry,
  removedDeletes: readonly ResolvedEntry[],
): string | undefined {
  const hit = removedDeletes.find(({ dataFile, sequenceNumber }) => {
    const least = dataFile.content === 'equality-deletes' ? entry.sequenceNumber + 1 : entry.sequenceNumber
    return sequenceNumber >= least && mayApply(base, dataFile, entry.dataFile)
  })
  return hit?.dataFile.filePath
}

const conflict = ({ location }: TableMetadata, problem: string): FirnError =>
  new FirnError('conflict', 'FIRN_COMMIT_CONFLICT', `table ${location}: ${problem}`, {
    detail: { location },
    help: 'Run the same command again: it plans on the table as it is now.',
  })
