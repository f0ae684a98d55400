/** From a snapshot and a filter to the data files that may hold matching rows. Spec: "Scan Planning". */
import { type Clock, systemClock } from '../clock.ts'
import { type ScanMessage, scanChannel } from '../diagnostics.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { pickEntries, type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { currentSchema, schemaById, specById, type TableMetadata } from '../spec/metadata.ts'
import { type NameMapping, nameMappingOf } from '../spec/name-mapping.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { type DeleteFileTask, type DeleteIndex, indexDeletes } from './delete-index.ts'
import type { Expression } from './expression.ts'
import { fileMayMatch, manifestMayMatch } from './prune.ts'

/** One data file of a snapshot with all that its rows depend on; plain data. */
export interface FileScanTask {
  readonly file: DataFile
  /** Delete files that may take rows from it; `openFileTask` applies them. */
  readonly deletes: readonly DeleteFileTask[]
  readonly dataSequenceNumber: number
  /** That the file was written with: its `identity` fields stand for columns that the file does not have. */
  readonly spec?: PartitionSpec
  /** For columns of files without field ids. */
  readonly nameMapping?: NameMapping
}

export interface PlanOptions extends AbortableOptions {
  /** That rows will be read with: the columns of equality deletes are read as it has them, so that they compare. */
  readonly schema: Schema
  /** `namespace.table`, for the report of the scan; default: the table's location. */
  readonly tableName?: string | undefined
  /** Times the planning for the report. */
  readonly clock?: Clock | undefined
}

/** The schema that a snapshot is read with: its own, as it was when it was written. */
export const schemaOfSnapshot = (metadata: TableMetadata, snapshot: Snapshot | undefined): Schema =>
  snapshot?.schemaId === undefined ? currentSchema(metadata) : schemaById(metadata, snapshot.schemaId)

/**
 * Live data files of `snapshot` with the delete files that apply to them, in manifest order, without those that cannot
 * match `filter`.
 * @throws {FirnError} `FIRN_DELETES_UNSUPPORTED` (invalid): a delete file of a kind that is not read;
 *   `FIRN_DELETES_CORRUPT` (corrupt).
 */
export async function planFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot | undefined,
  filter: Expression | undefined,
  options: PlanOptions,
): Promise<readonly FileScanTask[]> {
  if (snapshot === undefined) return []
  const { schema, clock = systemClock } = options
  const started = clock.monotonicMillis()
  // A partition without matching rows has no deletes that matter: pruning holds for both kinds of manifests.
  const listed = await snapshotManifests(store, metadata, snapshot, options)
  const manifests = listed.filter(
    (manifest) =>
      mayHaveLiveFiles(manifest) &&
      (filter === undefined || manifestMayMatch(filter, manifest, specById(metadata, manifest.partitionSpecId))),
  )
  const deletes = await planDeletes(store, metadata, manifests, schema, options)
  const nameMapping = nameMappingOf(metadata.properties)
  const data = manifests.filter((manifest) => manifest.content === 'data')
  let skippedFiles = 0
  const taskFor = ({ status, dataFile, sequenceNumber }: ResolvedEntry): FileScanTask | undefined => {
    if (status === 'deleted') return undefined
    const spec = specById(metadata, dataFile.specId)
    if (filter !== undefined && !fileMayMatch(filter, dataFile, spec, schema)) {
      skippedFiles++
      return undefined
    }
    return taskOf(dataFile, deletes.deletesFor(dataFile, sequenceNumber), sequenceNumber, spec, nameMapping)
  }
  const tasks: FileScanTask[] = []
  for await (const some of pickEntries(store, metadata, data, taskFor, options)) {
    for (const task of some) tasks.push(task)
  }
  if (scanChannel.hasSubscribers) {
    const planningMillis = clock.monotonicMillis() - started
    const table = options.tableName ?? metadata.location
    const read = { listed, data, skippedFiles, tasks }
    scanChannel.publish({ table, snapshotId: String(snapshot.snapshotId), planningMillis, ...countsOf(read) })
  }
  return tasks
}

interface Planned {
  /** The snapshot's manifests, and those of data files that were read. */
  readonly listed: readonly ManifestFile[]
  readonly data: readonly ManifestFile[]
  readonly skippedFiles: number
  readonly tasks: readonly FileScanTask[]
}

function countsOf({
  listed,
  data,
  skippedFiles,
  tasks,
}: Planned): Omit<ScanMessage, 'table' | 'snapshotId' | 'planningMillis'> {
  const totalDataManifests = listed.filter(({ content }) => content === 'data').length
  return {
    totalDataManifests,
    totalDeleteManifests: listed.length - totalDataManifests,
    scannedDataManifests: data.length,
    skippedDataManifests: totalDataManifests - data.length,
    resultDataFiles: tasks.length,
    // one delete file may apply to many data files
    resultDeleteFiles: new Set(tasks.flatMap(({ deletes }) => deletes.map(({ file }) => file.filePath))).size,
    skippedDataFiles: skippedFiles,
    totalFileSizeBytes: tasks.reduce((sum, { file }) => sum + file.fileSizeBytes, 0),
  }
}

/** @param spec of the file. @param nameMapping of the table. */
export const taskOf = (
  file: DataFile,
  deletes: readonly DeleteFileTask[],
  dataSequenceNumber: number,
  spec: PartitionSpec,
  nameMapping: NameMapping | undefined,
): FileScanTask =>
  nameMapping === undefined
    ? { file, deletes, dataSequenceNumber, spec }
    : { file, deletes, dataSequenceNumber, spec, nameMapping }

async function planDeletes(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  schema: Schema,
  options: AbortableOptions,
): Promise<DeleteIndex> {
  const live: ResolvedEntry[] = []
  const deletes = manifests.filter((manifest) => manifest.content === 'deletes')
  for await (const entries of readEntries(store, metadata, deletes, options)) {
    for (const entry of entries) if (entry.status !== 'deleted') live.push(entry)
  }
  return indexDeletes(live, metadata, schema)
}
