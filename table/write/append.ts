/** Append data files as one snapshot. Spec: "Snapshots", "Manifests", "Commit Conflict Resolution". */

import type { TableOperations, TableState } from '../catalog/catalog.ts'
import type { Clock } from '../clock.ts'
import { newSnapshotId, newUuid } from '../clock.ts'
import { type Change, type CommitOutcome, commitChange } from '../commit/commit.ts'
import type { TableRequirement } from '../commit/requirements.ts'
import type { TableUpdate } from '../commit/updates.ts'
import { FirnError } from '../errors.ts'
import type { EpochMillis, SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { type ManifestEntry, writeManifest } from '../manifest/manifest.ts'
import { describeManifest, type ManifestFile, mayHaveLiveFiles, writeManifestList } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { keyInTable, keyOfPath } from '../spec/location.ts'
import { currentSchema, currentSnapshotOf, snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import { nextSummary, type Snapshot } from '../spec/snapshot.ts'

export interface AppendOptions extends AbortableOptions {
  /** Chosen by the caller when it must know the id before the commit; fresh otherwise. */
  readonly snapshotId?: SnapshotId
  /** Extra members of the snapshot's summary. */
  readonly summary?: Readonly<Record<string, string>>
  /** Table properties that change with this snapshot and only with it. */
  readonly setProperties?: Readonly<Record<string, string>>
  /** Properties that must have these values (`undefined`: not be set) at every try. */
  readonly requireProperties?: Readonly<Record<string, string | undefined>>
  /**
   * A property of `setProperties` whose value names this run: it proves that an earlier try took effect even after the
   * snapshot has expired.
   */
  readonly runMarker?: { readonly property: string; readonly value: string }
}

/** Manifests of the added files: written once, used by every try, since sequence numbers are inherited. */
interface PreparedManifest {
  readonly path: string
  readonly lengthBytes: number
  readonly entries: readonly ManifestEntry[]
  readonly spec: PartitionSpec
}

/**
 * @param store rooted at the table's folder.
 * @throws {FirnError} as `commitChange`; `FIRN_DATA_FILE_INVALID` (invalid).
 */
export async function appendFiles(
  store: ObjectStore,
  operations: TableOperations,
  base: TableState,
  files: readonly DataFile[],
  clock: Clock,
  options: AppendOptions,
): Promise<CommitOutcome & { readonly snapshotId: SnapshotId }> {
  const { metadata } = base
  checkFiles(metadata, files)
  const snapshotId = options.snapshotId ?? newSnapshotId(clock)
  const commitUuid = newUuid(clock)
  const manifests = await writeManifests(store, metadata, files, snapshotId, commitUuid, options)
  const requirements: TableRequirement[] = [{ type: 'assert-table-uuid', uuid: metadata.tableUuid }]
  for (const [key, value] of Object.entries(options.requireProperties ?? {})) {
    requirements.push({ type: 'assert-property', key, value })
  }
  const change: Change = {
    isOwn: (current) => isOwnAppend(current, snapshotId, options),
    requirements,
    prepare: (current, attempt, timestampMillis) =>
      prepareTry(store, current, { snapshotId, commitUuid, attempt, timestampMillis, files, manifests, options }),
  }
  const outcome = await commitChange(operations, change, clock, { signal: options.signal })
  return { ...outcome, snapshotId }
}

function isOwnAppend(metadata: TableMetadata, snapshotId: SnapshotId, options: AppendOptions): boolean {
  if (snapshotById(metadata, snapshotId) !== undefined) return true
  const marker = options.runMarker
  return marker !== undefined && metadata.properties[marker.property] === marker.value
}

function checkFiles(metadata: TableMetadata, files: readonly DataFile[]): void {
  const paths = new Set<string>()
  for (const file of files) {
    keyInTable(metadata.location, file.filePath)
    const fail = (what: string): never => {
      throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot append ${file.filePath}: ${what}`)
    }
    const values = metadata.partitionSpecs.find((spec) => spec.specId === file.specId)?.fields.length
    if (file.content !== 'data') fail(`it holds ${file.content}`)
    if (values === undefined) fail(`the table has no partition spec ${file.specId}`)
    if (file.partition.length !== values) fail(`its partition has ${file.partition.length} values`)
    if (paths.has(file.filePath)) fail('it is listed twice')
    paths.add(file.filePath)
  }
}

async function writeManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  files: readonly DataFile[],
  snapshotId: SnapshotId,
  commitUuid: string,
  options: AbortableOptions,
): Promise<readonly PreparedManifest[]> {
  const specIds = [...new Set(files.map((file) => file.specId))]
  const manifests: PreparedManifest[] = []
  for (const [index, specId] of specIds.entries()) {
    const spec = specById(metadata, specId)
    const entries = files
      .filter((file) => file.specId === specId)
      .map((dataFile): ManifestEntry => {
        return { status: 'added', snapshotId, sequenceNumber: undefined, fileSequenceNumber: undefined, dataFile }
      })
    const bytes = await writeManifest(entries, spec, currentSchema(metadata))
    const path = `${metadata.location}/metadata/${commitUuid}-m${index}.avro`
    await store.put(keyOfPath(metadata.location, path), bytes, { signal: options.signal })
    manifests.push({ path, lengthBytes: bytes.length, entries, spec })
  }
  return manifests
}

interface Try {
  readonly snapshotId: SnapshotId
  readonly commitUuid: string
  readonly attempt: number
  readonly timestampMillis: EpochMillis
  readonly files: readonly DataFile[]
  readonly manifests: readonly PreparedManifest[]
  readonly options: AppendOptions
}

async function prepareTry(store: ObjectStore, base: TableMetadata, work: Try): Promise<readonly TableUpdate[]> {
  const { snapshotId, options, files } = work
  const parent = currentSnapshotOf(base)
  const sequenceNumber = base.lastSequenceNumber + 1
  const schema = currentSchema(base)
  const added = work.manifests.map((manifest) =>
    describeManifest(manifest.path, manifest.lengthBytes, manifest.entries, manifest.spec, schema, {
      snapshotId,
      sequenceNumber,
    }),
  )
  const kept = await liveManifests(store, base, parent, options)
  // A name per try: the list of a try that nobody can tell about must not be overwritten by the next.
  const manifestList = `${base.location}/metadata/snap-${snapshotId}-${work.attempt}-${work.commitUuid}.avro`
  const snapshot: Snapshot = {
    snapshotId,
    ...(parent === undefined ? {} : { parentSnapshotId: parent.snapshotId }),
    sequenceNumber,
    timestampMillis: work.timestampMillis,
    manifestList,
    summary: nextSummary(parent, summaryChange(files), {
      ...options.summary,
      'manifests-created': String(added.length),
      'manifests-kept': String(kept.length),
      'engine-name': 'firn',
    }),
    schemaId: schema.schemaId,
  }
  const bytes = await writeManifestList(snapshot, [...added, ...kept])
  await store.put(keyOfPath(base.location, manifestList), bytes, { signal: options.signal })
  const { setProperties } = options
  return [
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', name: 'main', ref: { ...base.refs['main'], snapshotId, type: 'branch' } },
    ...(setProperties === undefined ? [] : [{ action: 'set-properties' as const, updates: setProperties }]),
  ]
}

function summaryChange(files: readonly DataFile[]): Parameters<typeof nextSummary>[1] {
  const partitionKey = (file: DataFile): string =>
    JSON.stringify([file.specId, file.partition.map((value) => (value === null ? null : String(value)))])
  return {
    operation: 'append',
    addedFiles: files.length,
    addedRows: files.reduce((sum, file) => sum + file.recordCount, 0),
    addedBytes: files.reduce((sum, file) => sum + file.fileSizeBytes, 0),
    removedFiles: 0,
    removedRows: 0,
    removedBytes: 0,
    changedPartitions: new Set(files.map(partitionKey)).size,
  }
}

/** The parent's manifests, entries unchanged, without those that no longer hold a live file. */
async function liveManifests(
  store: ObjectStore,
  base: TableMetadata,
  parent: Snapshot | undefined,
  options: AbortableOptions,
): Promise<readonly ManifestFile[]> {
  if (parent === undefined) return []
  return (await snapshotManifests(store, base, parent, options)).filter((manifest) => mayHaveLiveFiles(manifest))
}
