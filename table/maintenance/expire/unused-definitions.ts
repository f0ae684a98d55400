/** Schemas and partition specs that no snapshot needs any more. */
import type { SnapshotId } from '../../ids.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
import { pickEntries } from '../../manifest/entries.ts'
import type { ManifestEntry } from '../../manifest/manifest-entry.ts'
import type { ManifestFile } from '../../manifest/manifest-list.ts'
import { schemaById, type TableMetadata } from '../../spec/metadata.ts'
import { fieldById } from '../../spec/schema.ts'
import { filesOfSnapshots } from '../reachable.ts'

export interface UnusedDefinitions {
  readonly schemaIds: readonly number[]
  readonly specIds: readonly number[]
}

/** What is neither current nor used by a snapshot outside of `gone`. */
export async function unusedDefinitions(
  store: ObjectStore,
  metadata: TableMetadata,
  gone: ReadonlySet<SnapshotId>,
  options: AbortableOptions,
): Promise<UnusedDefinitions> {
  const staying = metadata.snapshots.filter(({ snapshotId }) => !gone.has(snapshotId))
  const { manifests } = await filesOfSnapshots(store, metadata, staying, { signal: options.signal })
  const usedSpecs = new Set([metadata.defaultSpecId, ...[...manifests.values()].map((one) => one.partitionSpecId)])
  const specIds = metadata.partitionSpecs.map(({ specId }) => specId).filter((id) => !usedSpecs.has(id))
  // A snapshot without a schema id may have been written with any of them.
  if (staying.some(({ schemaId }) => schemaId === undefined)) return { schemaIds: [], specIds }
  const usedSchemas = new Set<number | undefined>([
    metadata.currentSchemaId,
    ...staying.map(({ schemaId }) => schemaId),
    ...schemasOfDropped(metadata, sourceIds(metadata, usedSpecs)),
    ...schemasOfDropped(metadata, await equalityIds(store, metadata, [...manifests.values()], options)),
  ])
  return { schemaIds: metadata.schemas.map((one) => one.schemaId).filter((id) => !usedSchemas.has(id)), specIds }
}

function sourceIds({ partitionSpecs }: TableMetadata, specIds: ReadonlySet<number>): Iterable<number> {
  const fields = partitionSpecs.filter(({ specId }) => specIds.has(specId)).flatMap((spec) => spec.fields)
  return fields.map(({ sourceId }) => sourceId)
}

/** Columns by which live delete files of `manifests` tell rows. Without their types no row can be read. */
async function equalityIds(
  store: ObjectStore,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  options: AbortableOptions,
): Promise<ReadonlySet<number>> {
  const ids = new Set<number>()
  const deletes = manifests.filter(({ content }) => content === 'deletes')
  const pick = ({ status, dataFile }: ManifestEntry): undefined => {
    if (status !== 'deleted') for (const id of dataFile.equalityIds) ids.add(id)
  }
  for await (const _ of pickEntries(store, metadata, deletes, pick, { signal: options.signal }));
  return ids
}

/** Schemas that alone tell the types of columns that the table has dropped since: the newest that has each. */
function schemasOfDropped(metadata: TableMetadata, fieldIds: Iterable<number>): readonly number[] {
  const current = schemaById(metadata, metadata.currentSchemaId)
  const dropped = [...fieldIds].filter((id) => fieldById(current, id) === undefined)
  return dropped.flatMap((id) => {
    const newest = metadata.schemas.findLast((schema) => fieldById(schema, id) !== undefined)
    return newest === undefined ? [] : [newest.schemaId]
  })
}
