/** Changes of table metadata as data, and their pure application. Names as in the REST specification's TableUpdate. */
import { assertNever, FirnError } from '../errors.ts'
import { type EpochMillis, epochMillis, type SnapshotId } from '../ids.ts'
import type { SnapshotRef, TableMetadata } from '../spec/metadata.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { SortOrder } from '../spec/sort.ts'
import { applySnapshotUpdate, type SnapshotUpdate, withoutIntermediate } from './snapshot-updates.ts'

export type TableUpdate =
  | { readonly action: 'assign-uuid'; readonly uuid: string }
  | { readonly action: 'upgrade-format-version'; readonly formatVersion: 2 }
  | { readonly action: 'add-schema'; readonly schema: Schema; readonly lastColumnId: number }
  | { readonly action: 'set-current-schema'; readonly schemaId: number }
  | { readonly action: 'add-spec'; readonly spec: PartitionSpec }
  | { readonly action: 'set-default-spec'; readonly specId: number }
  | { readonly action: 'add-sort-order'; readonly sortOrder: SortOrder }
  | { readonly action: 'set-default-sort-order'; readonly sortOrderId: number }
  | { readonly action: 'add-snapshot'; readonly snapshot: Snapshot }
  | { readonly action: 'set-snapshot-ref'; readonly name: string; readonly ref: SnapshotRef }
  | { readonly action: 'remove-snapshot-ref'; readonly name: string }
  /** No ref may stand for them any more. Their log entries, and all older ones, and their statistics go with them. */
  | { readonly action: 'remove-snapshots'; readonly snapshotIds: readonly SnapshotId[] }
  | { readonly action: 'set-location'; readonly location: string }
  | { readonly action: 'set-properties'; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: 'remove-properties'; readonly removals: readonly string[] }
  | { readonly action: 'remove-partition-specs'; readonly specIds: readonly number[] }
  | { readonly action: 'remove-schemas'; readonly schemaIds: readonly number[] }

/** Previous metadata files that the log names, unless `write.metadata.previous-versions-max` says otherwise. */
const PREVIOUS_VERSIONS_MAX = 100

const SNAPSHOT_ACTIONS: ReadonlySet<string> = new Set<SnapshotUpdate['action']>([
  'add-snapshot',
  'set-snapshot-ref',
  'remove-snapshot-ref',
  'remove-snapshots',
])
const isSnapshotUpdate = (update: TableUpdate): update is SnapshotUpdate => SNAPSHOT_ACTIONS.has(update.action)

/**
 * Next metadata after `update`. Pure.
 * @param timestampMillis of the commit: when a ref came to stand for a snapshot that was there before.
 * @throws {FirnError} `FIRN_UPDATE_INVALID` (invalid) when it names what the table does not have, or has already.
 */
export function applyUpdate(
  metadata: TableMetadata,
  update: TableUpdate,
  timestampMillis: EpochMillis = metadata.lastUpdatedMillis,
): TableMetadata {
  return isSnapshotUpdate(update)
    ? applySnapshotUpdate(metadata, update, timestampMillis)
    : applyDefinitionUpdate(metadata, update)
}

function applyDefinitionUpdate(metadata: TableMetadata, update: Exclude<TableUpdate, SnapshotUpdate>): TableMetadata {
  switch (update.action) {
    case 'assign-uuid':
      check(metadata.tableUuid === '' || metadata.tableUuid === update.uuid, metadata, 'it has another uuid')
      return { ...metadata, tableUuid: update.uuid }
    case 'upgrade-format-version':
      check(metadata.formatVersion <= update.formatVersion, metadata, 'a format version is never lowered')
      return { ...metadata, formatVersion: update.formatVersion }
    case 'add-schema':
    case 'set-current-schema':
    case 'remove-schemas':
      return applySchemaUpdate(metadata, update)
    case 'add-spec':
    case 'set-default-spec':
    case 'remove-partition-specs':
      return applySpecUpdate(metadata, update)
    case 'add-sort-order': {
      const { sortOrder } = update
      const taken = metadata.sortOrders.some(({ orderId }) => orderId === sortOrder.orderId)
      check(!taken, metadata, `sort order ${sortOrder.orderId} exists already`)
      return { ...metadata, sortOrders: [...metadata.sortOrders, sortOrder] }
    }
    case 'set-default-sort-order': {
      const { sortOrderId } = update
      const known = metadata.sortOrders.some(({ orderId }) => orderId === sortOrderId)
      check(known, metadata, `there is no sort order ${sortOrderId}`)
      return { ...metadata, defaultSortOrderId: sortOrderId }
    }
    case 'set-location':
      return { ...metadata, location: update.location.replace(/\/+$/, '') }
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } }
    case 'remove-properties': {
      const kept = Object.entries(metadata.properties).filter(([key]) => !update.removals.includes(key))
      return { ...metadata, properties: Object.fromEntries(kept) }
    }
    default:
      return assertNever(update)
  }
}

type SchemaUpdate = Extract<TableUpdate, { action: 'add-schema' | 'set-current-schema' | 'remove-schemas' }>

function applySchemaUpdate(metadata: TableMetadata, update: SchemaUpdate): TableMetadata {
  const known = (id: number): boolean => metadata.schemas.some(({ schemaId }) => schemaId === id)
  if (update.action === 'add-schema') {
    const { schema, lastColumnId } = update
    check(!known(schema.schemaId), metadata, `schema ${schema.schemaId} exists already`)
    check(lastColumnId >= metadata.lastColumnId, metadata, 'the last column id is never lowered')
    return { ...metadata, schemas: [...metadata.schemas, schema], lastColumnId }
  }
  if (update.action === 'set-current-schema') {
    check(known(update.schemaId), metadata, `there is no schema ${update.schemaId}`)
    return { ...metadata, currentSchemaId: update.schemaId }
  }
  const { schemaIds } = update
  check(!schemaIds.includes(metadata.currentSchemaId), metadata, 'the current schema cannot be removed')
  return { ...metadata, schemas: metadata.schemas.filter(({ schemaId }) => !schemaIds.includes(schemaId)) }
}

type SpecUpdate = Extract<TableUpdate, { action: 'add-spec' | 'set-default-spec' | 'remove-partition-specs' }>

function applySpecUpdate(metadata: TableMetadata, update: SpecUpdate): TableMetadata {
  const known = (id: number): boolean => metadata.partitionSpecs.some(({ specId }) => specId === id)
  if (update.action === 'add-spec') {
    const { spec } = update
    check(!known(spec.specId), metadata, `partition spec ${spec.specId} exists already`)
    const lastPartitionId = Math.max(metadata.lastPartitionId, ...spec.fields.map((field) => field.fieldId))
    return { ...metadata, partitionSpecs: [...metadata.partitionSpecs, spec], lastPartitionId }
  }
  if (update.action === 'set-default-spec') {
    check(known(update.specId), metadata, `there is no partition spec ${update.specId}`)
    return { ...metadata, defaultSpecId: update.specId }
  }
  const { specIds } = update
  check(!specIds.includes(metadata.defaultSpecId), metadata, 'the default partition spec cannot be removed')
  return { ...metadata, partitionSpecs: metadata.partitionSpecs.filter(({ specId }) => !specIds.includes(specId)) }
}

function check(holds: boolean, { location }: TableMetadata, problem: string): void {
  if (!holds)
    throw new FirnError('invalid', 'FIRN_UPDATE_INVALID', `table ${location} cannot be changed so: ${problem}`)
}

/** A commit's timestamp: never before the base's, so that clocks that disagree leave the logs sorted. */
export const nextTimestamp = (base: TableMetadata, now: EpochMillis): EpochMillis =>
  epochMillis(Math.max(now, base.lastUpdatedMillis + 1))

/** `base` with all updates applied and the file that it came from in the log. Pure. */
export function applyUpdates(
  base: TableMetadata,
  baseLocation: string,
  updates: readonly TableUpdate[],
  timestampMillis: EpochMillis,
): TableMetadata {
  const next = withoutIntermediate(
    base,
    updates.reduce((metadata, update) => applyUpdate(metadata, update, timestampMillis), base),
  )
  const configured = Number(next.properties['write.metadata.previous-versions-max'] ?? PREVIOUS_VERSIONS_MAX)
  const keep = Number.isInteger(configured) && configured > 0 ? configured : PREVIOUS_VERSIONS_MAX
  const metadataLog = [...base.metadataLog, { timestampMillis: base.lastUpdatedMillis, metadataFile: baseLocation }]
  return {
    ...next,
    lastUpdatedMillis: epochMillis(Math.max(next.lastUpdatedMillis, timestampMillis)),
    metadataLog: metadataLog.slice(-keep),
  }
}
