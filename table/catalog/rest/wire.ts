/** Requests and answers in the REST catalog's JSON. The only file that knows its member names. Spec: REST catalog. */
import type { TableRequirement } from '../../commit/requirements.ts'
import type { TableUpdate } from '../../commit/updates.ts'
import { assertNever, FirnError } from '../../errors.ts'
import { type JsonObject, JsonReader, printJson } from '../../format/json.ts'
import { parseMetadata, type SnapshotRef, type TableMetadata } from '../../spec/metadata.ts'
import { printPartitionSpec } from '../../spec/partition.ts'
import { printSchema } from '../../spec/schema.ts'
import { printSnapshot } from '../../spec/snapshot.ts'
import { printSortOrder } from '../../spec/sort.ts'
import type { TableState } from '../catalog.ts'
import type { TableDefinition } from '../definition.ts'

/** What the catalog says about a table. */
export interface LoadedTable {
  readonly state: TableState
  /** How its files are reached, secrets among it. */
  readonly config: Readonly<Record<string, string>>
  readonly storageCredentials: readonly { readonly prefix: string; readonly config: Readonly<Record<string, string>> }[]
}

export interface CatalogConfig {
  readonly defaults: Readonly<Record<string, string>>
  readonly overrides: Readonly<Record<string, string>>
}

/** Levels are joined by the unit separator, percent-encoded. */
export const NAMESPACE_SEPARATOR = '\u001f'

export const printCommit = (
  requirements: readonly TableRequirement[],
  updates: readonly TableUpdate[],
): JsonObject => ({
  requirements: requirements.flatMap((requirement) => printRequirement(requirement) ?? []),
  updates: updates.flatMap(printUpdate),
})

/** `undefined` for what the protocol cannot say. */
export function printRequirement(requirement: TableRequirement): JsonObject | undefined {
  const { type } = requirement
  switch (type) {
    case 'assert-create':
      return { type }
    case 'assert-table-uuid':
      return { type, uuid: requirement.uuid }
    case 'assert-ref-snapshot-id':
      return { type, ref: requirement.ref, 'snapshot-id': requirement.snapshotId ?? null }
    case 'assert-last-assigned-field-id':
      return { type, 'last-assigned-field-id': requirement.lastAssignedFieldId }
    case 'assert-current-schema-id':
      return { type, 'current-schema-id': requirement.currentSchemaId }
    case 'assert-last-assigned-partition-id':
      return { type, 'last-assigned-partition-id': requirement.lastAssignedPartitionId }
    case 'assert-default-spec-id':
      return { type, 'default-spec-id': requirement.defaultSpecId }
    case 'assert-default-sort-order-id':
      return { type, 'default-sort-order-id': requirement.defaultSortOrderId }
    case 'assert-property':
      return undefined
    default:
      return assertNever(requirement)
  }
}

function printUpdate(update: TableUpdate): readonly JsonObject[] {
  const { action } = update
  switch (action) {
    case 'assign-uuid':
      return [{ action, uuid: update.uuid }]
    case 'upgrade-format-version':
      return [{ action, 'format-version': update.formatVersion }]
    case 'add-schema':
      return [{ action, schema: printSchema(update.schema), 'last-column-id': update.lastColumnId }]
    case 'set-current-schema':
      return [{ action, 'schema-id': update.schemaId }]
    case 'add-spec':
      return [{ action, spec: printPartitionSpec(update.spec) }]
    case 'set-default-spec':
      return [{ action, 'spec-id': update.specId }]
    case 'add-sort-order':
      return [{ action, 'sort-order': printSortOrder(update.sortOrder) }]
    case 'set-default-sort-order':
      return [{ action, 'sort-order-id': update.sortOrderId }]
    case 'add-snapshot':
      return [{ action, snapshot: printSnapshot(update.snapshot) }]
    case 'set-snapshot-ref':
      return [{ action, 'ref-name': update.name, ...printRef(update.ref) }]
    case 'remove-snapshot-ref':
      return [{ action, 'ref-name': update.name }]
    case 'remove-snapshots':
      // one each: older servers refuse a list of several
      return update.snapshotIds.map((id) => ({ action, 'snapshot-ids': [id] }))
    case 'set-location':
      return [{ action, location: update.location }]
    case 'set-properties':
      return [{ action, updates: update.updates }]
    case 'remove-properties':
      return [{ action, removals: update.removals }]
    case 'remove-partition-specs':
      return [{ action, 'spec-ids': update.specIds }]
    case 'remove-schemas':
      return [{ action, 'schema-ids': update.schemaIds }]
    default:
      return assertNever(update)
  }
}

const printRef = (ref: SnapshotRef): JsonObject => ({
  type: ref.type,
  'snapshot-id': ref.snapshotId,
  ...(ref.maxRefAgeMillis === undefined ? {} : { 'max-ref-age-ms': ref.maxRefAgeMillis }),
  ...(ref.maxSnapshotAgeMillis === undefined ? {} : { 'max-snapshot-age-ms': ref.maxSnapshotAgeMillis }),
  ...(ref.minSnapshotsToKeep === undefined ? {} : { 'min-snapshots-to-keep': ref.minSnapshotsToKeep }),
})

export const printCreateTable = (name: string, definition: TableDefinition, location?: string): JsonObject => ({
  name,
  ...(location === undefined ? {} : { location }),
  schema: printSchema(definition.schema),
  'partition-spec': printPartitionSpec(definition.partitionSpec),
  'write-order': printSortOrder(definition.sortOrder),
  'stage-create': false,
  properties: { 'format-version': '2', ...definition.properties },
})

/** `{namespace, name}` of a table. */
export const printIdentifier = (namespace: readonly string[], name: string): JsonObject => ({ namespace, name })

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt), `FIRN_FORMAT_VERSION_UNSUPPORTED` (invalid). */
export function parseLoadedTable(json: unknown, where: string): LoadedTable {
  const reader = new JsonReader(json, where)
  const credentials = reader.has('storage-credentials') ? reader.objects('storage-credentials') : []
  return {
    state: parseTableState(json, where),
    config: reader.strings('config'),
    storageCredentials: credentials.map((each) => ({ prefix: each.string('prefix'), config: each.strings('config') })),
  }
}

/** Of an answer to a load or a commit. */
export function parseTableState(json: unknown, where: string): TableState {
  const reader = new JsonReader(json, where)
  const metadataLocation = reader.optionalString('metadata-location')
  if (metadataLocation === undefined) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: the catalog names no metadata file`)
  }
  const metadata: TableMetadata = parseMetadata(printJson(reader.value['metadata'] ?? null), where)
  return { metadata, metadataLocation, version: versionOf(metadataLocation) }
}

/** N of `000N-<uuid>.metadata.json` or `vN.metadata.json`, 0 of other names; for people only. */
const versionOf = (location: string): number => Number(/\/v?(\d+)[^/]*\.metadata\.json/.exec(location)?.[1] ?? 0)

export function parseConfig(json: unknown, where: string): CatalogConfig {
  const reader = new JsonReader(json, where)
  return { defaults: reader.strings('defaults'), overrides: reader.strings('overrides') }
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Of the next page. */
  readonly nextToken: string | undefined
}

export function parseNamespaces(json: unknown, where: string): Page<readonly string[]> {
  const reader = new JsonReader(json, where)
  const items = reader
    .array('namespaces')
    .map((levels) => (Array.isArray(levels) ? levels.map(String) : [String(levels)]))
  return { items, nextToken: nextToken(reader) }
}

export function parseIdentifiers(json: unknown, where: string): Page<string> {
  const reader = new JsonReader(json, where)
  const items = reader
    .objects('identifiers')
    .map((each) => [...each.array('namespace').map(String), each.string('name')].join('.'))
  return { items, nextToken: nextToken(reader) }
}

const nextToken = (reader: JsonReader): string | undefined => reader.optionalString('next-page-token') || undefined
