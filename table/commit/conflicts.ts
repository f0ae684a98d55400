/**
 * Whether a change that was planned on one snapshot may still be committed on a newer one. What came between is the
 * difference of the live files of the two, which is also right after a rollback or a moved branch.
 */
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { decodeLowerBound, decodeUpperBound } from '../manifest/bounds.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import type { Expression } from '../scan/expression.ts'
import { fileMayMatch } from '../scan/prune.ts'
import { compareStrings } from '../spec/compare.ts'
import { currentSchema, snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { partitionKey } from './summary.ts'

/** What a change was planned on, and what must not have come since. */
export interface Validation {
  /** `'empty'`: a branch without a snapshot. */
  readonly startSnapshotId: SnapshotId | 'empty'
  /** Data files that came and may hold a matching row. */
  readonly filter?: Expression | undefined
  /** Data files that came into one of these partitions, as `partitionKey` names them, or anywhere. */
  readonly partitions?: ReadonlySet<string> | 'all' | undefined
  /** Delete files that came and may apply to a file that the change removes. */
  readonly deletes: boolean
  /** Equality deletes keep applying to what replaces the file, since it keeps the old sequence number. */
  readonly ignoreEqualityDeletes: boolean
}

/**
 * @param head of the branch that is committed to. @param removed the entries that the change removes.
 * @throws {FirnError} `FIRN_COMMIT_CONFLICT` (conflict): plan anew on the table as it is now.
 */
export async function validateChange(
  store: ObjectStore,
  base: TableMetadata,
  head: Snapshot | undefined,
  validation: Validation,
  removed: readonly ResolvedEntry[],
  options: AbortableOptions = {},
): Promise<void> {
  const { startSnapshotId } = validation
  const headId = head?.snapshotId ?? 'empty'
  if (headId === startSnapshotId) return
  const start = startSnapshotId === 'empty' ? undefined : snapshotById(base, startSnapshotId)
  if (startSnapshotId !== 'empty' && start === undefined) {
    throw conflict(base, `snapshot ${startSnapshotId}, on which this was planned, has expired`)
  }
  const came = await filesSince(store, base, start, head, options)
  for await (const { dataFile } of came) {
    const problem = dataFile.content === 'data' ? addedData(base, validation, dataFile) : undefined
    const applies = dataFile.content === 'data' ? undefined : addedDelete(base, validation, dataFile, removed)
    if (problem !== undefined) throw conflict(base, `${dataFile.filePath} was added meanwhile, ${problem}`)
    if (applies !== undefined) throw conflict(base, `${dataFile.filePath} deletes rows of ${applies} since`)
  }
}

/** Live entries of `head` that are not live in `start`; manifests that both list are not read. */
async function* filesSince(
  store: ObjectStore,
  base: TableMetadata,
  start: Snapshot | undefined,
  head: Snapshot | undefined,
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
  if (news.length === 0) return
  const known = new Set<string>()
  for await (const entries of readEntries(store, base, without(before, after), options)) {
    for (const { status, dataFile } of entries) if (status !== 'deleted') known.add(fileIdentity(dataFile))
  }
  for await (const entries of readEntries(store, base, news, options)) {
    for (const entry of entries) {
      if (entry.status !== 'deleted' && !known.has(fileIdentity(entry.dataFile))) yield entry
    }
  }
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

/** The path of a removed data file to which `deletes` may apply. */
function addedDelete(
  base: TableMetadata,
  validation: Validation,
  deletes: DataFile,
  removed: readonly ResolvedEntry[],
): string | undefined {
  if (!validation.deletes) return undefined
  if (deletes.content === 'equality-deletes' && validation.ignoreEqualityDeletes) return undefined
  const everywhere = deletes.content === 'equality-deletes' && specById(base, deletes.specId).fields.length === 0
  const key = partitionKey(deletes)
  const hit = removed.find(({ dataFile }) => {
    if (dataFile.content !== 'data') return false
    if (deletes.referencedDataFile !== undefined) return deletes.referencedDataFile === dataFile.filePath
    if (!everywhere && partitionKey(dataFile) !== key) return false
    return deletes.content === 'equality-deletes' || mayName(deletes, dataFile.filePath)
  })
  return hit?.dataFile.filePath
}

/** Reserved id of the column `file_path` of position delete files. Spec: "Reserved Field IDs". */
const FILE_PATH_ID = 2147483546

function mayName(deletes: DataFile, path: string): boolean {
  const [low, high] = [deletes.lowerBounds.get(FILE_PATH_ID), deletes.upperBounds.get(FILE_PATH_ID)]
  const lower = low && (decodeLowerBound('string', low) as string)
  const upper = high && (decodeUpperBound('string', high) as string | undefined)
  return (
    (lower === undefined || compareStrings(lower, path) <= 0) &&
    (upper === undefined || compareStrings(path, upper) <= 0)
  )
}

const conflict = ({ location }: TableMetadata, problem: string): FirnError =>
  new FirnError('conflict', 'FIRN_COMMIT_CONFLICT', `table ${location}: ${problem}`, {
    detail: { location },
    help: 'Run the same command again: it plans on the table as it is now.',
  })
