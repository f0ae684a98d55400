/** Schemas and partition specs that no snapshot needs any more. */
import type { TableUpdate } from '../commit/updates.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { filesOfSnapshots } from './reachable.ts'

/** Updates that drop what is neither current nor used by a snapshot outside of `gone`. */
export async function unusedDefinitions(
  store: ObjectStore,
  metadata: TableMetadata,
  gone: ReadonlySet<SnapshotId>,
  options: AbortableOptions,
): Promise<readonly TableUpdate[]> {
  const staying = metadata.snapshots.filter(({ snapshotId }) => !gone.has(snapshotId))
  const { manifests } = await filesOfSnapshots(store, metadata, staying, { signal: options.signal })
  const usedSpecs = new Set([metadata.defaultSpecId, ...[...manifests.values()].map((one) => one.partitionSpecId)])
  // A snapshot without a schema id may have been written with any of them.
  const anySchema = staying.some(({ schemaId }) => schemaId === undefined)
  const usedSchemas = new Set([metadata.currentSchemaId, ...staying.map(({ schemaId }) => schemaId)])
  const specIds = metadata.partitionSpecs.map(({ specId }) => specId).filter((id) => !usedSpecs.has(id))
  const schemaIds = anySchema ? [] : metadata.schemas.map((one) => one.schemaId).filter((id) => !usedSchemas.has(id))
  return [
    ...(specIds.length === 0 ? [] : [{ action: 'remove-partition-specs' as const, specIds }]),
    ...(schemaIds.length === 0 ? [] : [{ action: 'remove-schemas' as const, schemaIds }]),
  ]
}
