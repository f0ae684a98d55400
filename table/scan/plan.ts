/** From a snapshot and a filter to the data files that may hold matching rows. Spec: "Scan Planning". */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { readEntries } from '../manifest/entries.ts'
import { mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { snapshotManifests } from '../manifest/snapshot-manifests.ts'
import { currentSchema, schemaById, specById, type TableMetadata } from '../spec/metadata.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Expression } from './expression.ts'
import { fileMayMatch, manifestMayMatch } from './prune.ts'

export interface FileScanTask {
  readonly file: DataFile
  /** Always empty: tables with delete files are refused. */
  readonly deletes: readonly DataFile[]
}

/** The schema that a snapshot is read with: its own, as it was when it was written. */
export const schemaOfSnapshot = (metadata: TableMetadata, snapshot: Snapshot | undefined): Schema =>
  snapshot?.schemaId === undefined ? currentSchema(metadata) : schemaById(metadata, snapshot.schemaId)

/**
 * Live data files of `snapshot`, in manifest order, without those that cannot match `filter`.
 * @throws {FirnError} `FIRN_DELETES_UNSUPPORTED` (invalid): rows that were deleted must not come back.
 */
export async function planFiles(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot | undefined,
  filter: Expression | undefined,
  options: AbortableOptions = {},
): Promise<readonly FileScanTask[]> {
  if (snapshot === undefined) return []
  const manifests = await snapshotManifests(store, metadata, snapshot, options)
  const deletes = manifests.find((manifest) => manifest.content === 'deletes' && mayHaveLiveFiles(manifest))
  if (deletes !== undefined) {
    throw new FirnError(
      'invalid',
      'FIRN_DELETES_UNSUPPORTED',
      `snapshot ${snapshot.snapshotId} of ${metadata.location} has delete files, which are not applied yet`,
      { detail: { manifest: deletes.manifestPath }, help: 'Rewrite the table without delete files first.' },
    )
  }
  const schema = schemaOfSnapshot(metadata, snapshot)
  const wanted = manifests.filter(
    (manifest) =>
      mayHaveLiveFiles(manifest) &&
      (filter === undefined ||
        manifestMayMatch(filter, manifest, specById(metadata, manifest.partitionSpecId), schema)),
  )
  const tasks: FileScanTask[] = []
  for await (const entries of readEntries(store, metadata, wanted, options)) {
    for (const { status, dataFile } of entries) {
      if (status === 'deleted') continue
      const spec = specById(metadata, dataFile.specId)
      if (filter === undefined || fileMayMatch(filter, dataFile, spec, schema))
        tasks.push({ file: dataFile, deletes: [] })
    }
  }
  return tasks
}
