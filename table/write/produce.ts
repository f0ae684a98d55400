/**
 * The one way to a new snapshot: manifests of the added files, copies of those that held a removed one, the rest
 * carried over or merged, and a summary. Spec: "Snapshots", "Manifests", "Commit Conflict Resolution".
 */
import { type Clock, newSnapshotId, newUuid } from '../clock.ts'
import type { Change } from '../commit/commit.ts'
import { type Validation, validateChange } from '../commit/conflicts.ts'
import { refOf, sameTable, type TableRequirement } from '../commit/requirements.ts'
import { type SnapshotOperation, snapshotSummary } from '../commit/summary.ts'
import type { TableUpdate } from '../commit/updates.ts'
import type { EpochMillis, SnapshotId } from '../ids.ts'
import type { ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { ResolvedEntry } from '../manifest/entries.ts'
import { type ManifestFile, writeManifestList } from '../manifest/manifest-list.ts'
import { carriedManifests } from '../manifest/snapshot-manifests.ts'
import { keyOfPath } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { checkAddedFiles, checkReplacement, checkSequenceNumber } from './check-files.ts'
import { type ManifestFilter, manifestFilter, pathOf, type RemovedFile } from './filter-manifests.ts'
import { atSequenceNumber, draftWriter, type ManifestDraft, writeDrafts } from './manifest-draft.ts'
import { type ManifestMerger, manifestMerger } from './merge-manifests.ts'
import { headOf, isOwnSnapshot, nextSnapshot, ownRef, type SnapshotOptions } from './snapshot-options.ts'
import type { WrittenFile } from './writer.ts'

/** A change of the table's files, as one snapshot. */
export interface ProducedChange {
  readonly operation: SnapshotOperation
  readonly added: readonly DataFile[]
  readonly removed: readonly RemovedFile[]
  /** What is known of added files beyond their entries. */
  readonly written?: readonly WrittenFile[] | undefined
  /** Of the added files; `undefined`: they inherit the snapshot's. */
  readonly dataSequenceNumber?: number | undefined
  readonly validation?: Validation | undefined
  /** Throws when the change does not fit the base of a try. */
  readonly check?: ((base: TableMetadata) => void) | undefined
}

export interface ProduceOptions extends SnapshotOptions {
  /** False: never merge manifests; default: as the table's properties say. */
  readonly merge?: boolean | undefined
}

export interface SnapshotChange extends Change {
  readonly snapshotId: SnapshotId
}

/**
 * Writes the manifests of the added files; the rest follows with each try.
 * @param store rooted at the table's folder.
 * @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid); from its tries `FIRN_COMMIT_CONFLICT` (conflict).
 */
export async function produceSnapshot(
  store: ObjectStore,
  metadata: TableMetadata,
  change: ProducedChange,
  clock: Clock,
  options: ProduceOptions,
): Promise<SnapshotChange> {
  checkAddedFiles(metadata, change.added)
  const snapshotId = options.snapshotId ?? newSnapshotId(clock)
  const commitUuid = newUuid(clock)
  const writer = draftWriter(store, commitUuid, snapshotId)
  const abort = { signal: options.signal }
  const { dataSequenceNumber } = change
  const entries = change.added.map((dataFile) => {
    return {
      status: 'added' as const,
      snapshotId,
      sequenceNumber: dataSequenceNumber,
      fileSequenceNumber: undefined,
      dataFile,
    }
  })
  const drafts = await writeDrafts(writer, metadata, entries, abort)
  const filter = manifestFilter(store, writer, snapshotId, change.removed)
  const merger = manifestMerger(store, writer, snapshotId, dataSequenceNumber)

  const written = new Map(change.written?.map((file) => [file.dataFile.filePath, file]))
  await options.beforeCommit?.({
    snapshotId,
    operation: change.operation,
    added: change.added.map((dataFile) => written.get(dataFile.filePath) ?? { dataFile }),
    // A path may be live twice, in tables of other writers: both go.
    removed: [...new Set(change.removed.map(pathOf))],
  })
  const parts: TryParts = { store, change, options, drafts, filter, merger }

  return {
    snapshotId,
    isOwn: (current) => isOwnSnapshot(current, snapshotId, options),
    requirements: (base) => snapshotRequirements(base, metadata, options),
    prepare: async (base, attempt, timestampMillis, committed = base) => {
      change.check?.(committed)
      // Expiry may have dropped their partition spec since: then nobody could read the manifest.
      checkAddedFiles(base, change.added)
      checkSequenceNumber(base, dataSequenceNumber)
      const head = headOf(base, options.branch)
      const { manifests, removed, replaced } = await manifestsOfTry(parts, base, head, committed)
      const removedFiles = removed.map((entry) => entry.dataFile)
      if (change.operation === 'replace') checkReplacement(base, change.added, removedFiles)
      const summary = snapshotSummary(head, change.operation, change.added, removedFiles, {
        ...options.summary,
        ...manifestCounts(manifests, snapshotId, replaced),
      })
      return publish(store, base, { snapshotId, commitUuid, attempt, timestampMillis, manifests, summary }, options)
    },
  }
}

/** What tries have in common. */
interface TryParts {
  readonly store: ObjectStore
  readonly change: ProducedChange
  readonly options: ProduceOptions
  readonly drafts: readonly ManifestDraft[]
  readonly filter: ManifestFilter
  readonly merger: ManifestMerger
}

interface TryManifests {
  readonly manifests: readonly ManifestFile[]
  readonly removed: readonly ResolvedEntry[]
  /** Manifests of the base that others stand for now. */
  readonly replaced: number
}

/** @param committed the table's own metadata; `base` may have earlier changes of the same transaction in it. */
async function manifestsOfTry(
  { store, change, options, drafts, filter, merger }: TryParts,
  base: TableMetadata,
  head: Snapshot | undefined,
  committed: TableMetadata,
): Promise<TryManifests> {
  const abort = { signal: options.signal }
  const sequenceNumber = base.lastSequenceNumber + 1
  const carried = await carriedManifests(store, base, head, abort)
  const filtered = await filter.apply(base, carried, sequenceNumber, abort)
  if (change.validation !== undefined) {
    // Earlier changes of the same transaction are no conflict.
    const before = headOf(committed, options.branch)
    const files = { removed: filtered.removed, added: change.added }
    await validateChange(store, committed, before, change.validation, files, abort)
  }
  const own = drafts.map((draft) => atSequenceNumber(draft, sequenceNumber))
  const listed = [...own, ...filtered.manifests]
  const manifests: ManifestFile[] = []
  let { replaced } = filtered
  for (const content of ['data', 'deletes'] as const) {
    const some = listed.filter((manifest) => manifest.content === content)
    const merged =
      options.merge === false ? { manifests: some, replaced: 0 } : await merger.apply(base, some, sequenceNumber, abort)
    manifests.push(...merged.manifests)
    replaced += merged.replaced
  }
  return { manifests, removed: filtered.removed, replaced }
}

/** The members of a summary about manifests, and who wrote it. */
export function manifestCounts(
  manifests: readonly ManifestFile[],
  snapshotId: SnapshotId,
  replaced: number,
): Readonly<Record<string, string>> {
  const created = manifests.filter((manifest) => manifest.addedSnapshotId === snapshotId).length
  return {
    'manifests-created': String(created),
    'manifests-kept': String(manifests.length - created),
    'manifests-replaced': String(replaced),
    'engine-name': 'firn',
  }
}

export interface PublishedTry {
  readonly snapshotId: SnapshotId
  /** Default: the branch's newest. */
  readonly parentSnapshotId?: SnapshotId
  readonly commitUuid: string
  readonly attempt: number
  readonly timestampMillis: EpochMillis
  readonly manifests: readonly ManifestFile[]
  readonly summary: Readonly<Record<string, string>>
}

/** Write the manifest list of one try and return the updates that make its snapshot the branch's newest. */
export async function publish(
  store: ObjectStore,
  base: TableMetadata,
  work: PublishedTry,
  options: SnapshotOptions,
): Promise<readonly TableUpdate[]> {
  // A name per try: the list of a try that nobody can tell about must not be overwritten by the next.
  const manifestList = `${base.location}/metadata/snap-${work.snapshotId}-${work.attempt}-${work.commitUuid}.avro`
  const snapshot = nextSnapshot(base, options.branch, { ...work, manifestList })
  const bytes = await writeManifestList(snapshot, work.manifests)
  await store.put(keyOfPath(base.location, manifestList), bytes, { signal: options.signal })
  const { setProperties } = options
  return [
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', ...ownRef(base, options.branch, work.snapshotId) },
    ...(setProperties === undefined ? [] : [{ action: 'set-properties' as const, updates: setProperties }]),
  ]
}

/** That the table is the same, its branch is where the try found it, and the properties have the caller's values. */
export function snapshotRequirements(
  base: TableMetadata,
  planned: TableMetadata,
  options: SnapshotOptions,
): readonly TableRequirement[] {
  const properties = Object.entries(options.requireProperties ?? {}).map(
    ([key, value]) => ({ type: 'assert-property', key, value }) as const,
  )
  const ref = options.branch ?? 'main'
  return [
    sameTable(planned),
    ...properties,
    { type: 'assert-ref-snapshot-id', ref, snapshotId: refOf(base, ref)?.snapshotId },
  ]
}
