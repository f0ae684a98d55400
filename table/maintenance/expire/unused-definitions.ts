/** Schemas and partition specs that no snapshot needs any more. */
import type { SnapshotId } from '../../ids.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
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
    ...sourceSchemas(metadata, usedSpecs),
  ])
  return { schemaIds: metadata.schemas.map((one) => one.schemaId).filter((id) => !usedSchemas.has(id)), specIds }
}

/** Schemas from which specs that stay take the types of columns that the table has dropped since. */
function sourceSchemas(metadata: TableMetadata, specIds: ReadonlySet<number>): readonly number[] {
  const current = schemaById(metadata, metadata.currentSchemaId)
  const fields = metadata.partitionSpecs.filter(({ specId }) => specIds.has(specId)).flatMap((spec) => spec.fields)
  const dropped = fields.map(({ sourceId }) => sourceId).filter((id) => fieldById(current, id) === undefined)
  return dropped.flatMap((id) => {
    const newest = metadata.schemas.findLast((schema) => fieldById(schema, id) !== undefined)
    return newest === undefined ? [] : [newest.schemaId]
  })
}
