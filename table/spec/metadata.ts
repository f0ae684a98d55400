/**
 * Table metadata: the immutable document that one commit replaces by the next. Spec: "Table Metadata", Appendix C.
 * What this version does not know (statistics, encryption keys, row lineage, …) is carried over unchanged.
 */
import { FirnError } from '../errors.ts'
import { type JsonObject, JsonReader, parseJson, printJson } from '../format/json.ts'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../ids.ts'
import { checkMetadata } from './metadata-check.ts'
import {
  NO_PARTITION_ID,
  type PartitionField,
  type PartitionSpec,
  parsePartitionFields,
  parsePartitionSpec,
  printPartitionSpec,
} from './partition.ts'
import { fieldById, parseSchema, printSchema, type Schema } from './schema.ts'
import { parseSnapshot, printSnapshot, type Snapshot } from './snapshot.ts'
import { parseSortOrder, printSortOrder, type SortOrder, UNSORTED } from './sort.ts'

export interface SnapshotRef {
  readonly snapshotId: SnapshotId
  readonly type: 'branch' | 'tag'
  readonly maxRefAgeMillis?: number
  readonly maxSnapshotAgeMillis?: number
  readonly minSnapshotsToKeep?: number
}

export interface SnapshotLogEntry {
  readonly timestampMillis: EpochMillis
  readonly snapshotId: SnapshotId
}

export interface MetadataLogEntry {
  readonly timestampMillis: EpochMillis
  readonly metadataFile: string
}

export interface TableMetadata {
  /** Version 3 is read; writing it is refused. */
  readonly formatVersion: 1 | 2 | 3
  readonly tableUuid: string
  /** URL of the table's folder, no trailing slash. */
  readonly location: string
  readonly lastSequenceNumber: number
  readonly lastUpdatedMillis: EpochMillis
  readonly lastColumnId: number
  readonly schemas: readonly Schema[]
  readonly currentSchemaId: number
  readonly partitionSpecs: readonly PartitionSpec[]
  readonly defaultSpecId: number
  readonly lastPartitionId: number
  readonly sortOrders: readonly SortOrder[]
  readonly defaultSortOrderId: number
  readonly properties: Readonly<Record<string, string>>
  readonly currentSnapshotId?: SnapshotId
  readonly snapshots: readonly Snapshot[]
  readonly snapshotLog: readonly SnapshotLogEntry[]
  readonly metadataLog: readonly MetadataLogEntry[]
  readonly refs: Readonly<Record<string, SnapshotRef>>
  readonly unknown: JsonObject
}

const KNOWN = [
  'format-version',
  'table-uuid',
  'location',
  'last-sequence-number',
  'last-updated-ms',
  'last-column-id',
  'schema',
  'schemas',
  'current-schema-id',
  'partition-spec',
  'partition-specs',
  'default-spec-id',
  'last-partition-id',
  'sort-orders',
  'default-sort-order-id',
  'properties',
  'current-snapshot-id',
  'snapshots',
  'snapshot-log',
  'metadata-log',
  'refs',
]

/**
 * @param where the file's name, for messages.
 * @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt); `FIRN_FORMAT_VERSION_UNSUPPORTED` (invalid) above version 3.
 */
export function parseMetadata(text: string, where: string): TableMetadata {
  try {
    return metadataFrom(text, where)
  } catch (cause) {
    if (!FirnError.is(cause)) {
      const message = `${where}: it cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', message, { cause, detail: { where } })
    }
    if (cause.message.includes(where)) throw cause
    // Parsers of types and transforms do not know whose they are.
    const { kind, code, message, detail, help } = cause
    const options = { cause, detail: { ...detail, where }, ...(help === undefined ? {} : { help }) }
    throw new FirnError(kind, code, `${where}: ${message}`, options)
  }
}

function metadataFrom(text: string, where: string): TableMetadata {
  let json: unknown
  try {
    json = parseJson(text)
  } catch (cause) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: not JSON`, { cause, detail: { where } })
  }
  const reader = new JsonReader(json, where)
  const formatVersion = reader.integer('format-version')
  if (formatVersion !== 1 && formatVersion !== 2 && formatVersion !== 3) {
    throw new FirnError(
      'invalid',
      'FIRN_FORMAT_VERSION_UNSUPPORTED',
      `${where}: Iceberg format version ${formatVersion}; versions 1 to 3 are read`,
      { detail: { where, formatVersion } },
    )
  }
  const schemas = reader.has('schemas')
    ? reader.array('schemas').map((item, index) => parseSchema(item, `${where}.schemas[${index}]`))
    : [parseSchema(reader.value['schema'], `${where}.schema`)]
  const partitionSpecs = reader.has('partition-specs')
    ? reader
        .array('partition-specs')
        .map((item, index) => parsePartitionSpec(item, `${where}.partition-specs[${index}]`))
    : [{ specId: 0, fields: parsePartitionFields(reader.objects('partition-spec')) }]
  if (schemas.length === 0 || partitionSpecs.length === 0) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: no schema or no partition spec`, {
      detail: { where },
    })
  }
  const current = currentId(reader)
  const metadata: TableMetadata = {
    formatVersion,
    tableUuid: reader.optionalString('table-uuid') ?? '',
    location: reader.string('location').replace(/\/+$/, ''),
    lastSequenceNumber: reader.optionalInteger('last-sequence-number') ?? 0,
    lastUpdatedMillis: epochMillis(reader.integer('last-updated-ms')),
    lastColumnId: reader.integer('last-column-id'),
    schemas,
    currentSchemaId: reader.optionalInteger('current-schema-id') ?? schemas[0]!.schemaId,
    partitionSpecs,
    defaultSpecId: reader.optionalInteger('default-spec-id') ?? partitionSpecs[0]!.specId,
    lastPartitionId: reader.optionalInteger('last-partition-id') ?? highestPartitionId(partitionSpecs),
    sortOrders: reader.has('sort-orders')
      ? reader.array('sort-orders').map((item, index) => parseSortOrder(item, `${where}.sort-orders[${index}]`))
      : [UNSORTED],
    defaultSortOrderId: reader.optionalInteger('default-sort-order-id') ?? 0,
    properties: reader.strings('properties'),
    ...(current === undefined ? {} : { currentSnapshotId: current }),
    snapshots: optionalArray(reader, 'snapshots').map((item, i) => parseSnapshot(item, `${where}.snapshots[${i}]`)),
    snapshotLog: optionalObjects(reader, 'snapshot-log').map((item) => ({
      timestampMillis: epochMillis(item.integer('timestamp-ms')),
      snapshotId: snapshotId(item.long('snapshot-id')),
    })),
    metadataLog: optionalObjects(reader, 'metadata-log').map((item) => ({
      timestampMillis: epochMillis(item.integer('timestamp-ms')),
      metadataFile: item.string('metadata-file'),
    })),
    refs: parseRefs(reader, current),
    unknown: Object.fromEntries(Object.entries(reader.value).filter(([key]) => !KNOWN.includes(key))),
  }
  return checkMetadata(metadata, where)
}

/** @throws {FirnError} `FIRN_FORMAT_VERSION_UNSUPPORTED` (invalid) for version 3, whose row lineage is not written. */
export function printMetadata(metadata: TableMetadata): string {
  if (metadata.formatVersion === 3) {
    throw new FirnError(
      'invalid',
      'FIRN_FORMAT_VERSION_UNSUPPORTED',
      `table ${metadata.location} has format version 3, which is read but not written`,
      { help: 'Write to it with the engine that upgraded it.' },
    )
  }
  const document = {
    ...metadata.unknown,
    'format-version': metadata.formatVersion,
    'table-uuid': metadata.tableUuid,
    location: metadata.location,
    'last-sequence-number': metadata.lastSequenceNumber,
    'last-updated-ms': metadata.lastUpdatedMillis,
    'last-column-id': metadata.lastColumnId,
    'current-schema-id': metadata.currentSchemaId,
    schemas: metadata.schemas.map(printSchema),
    'default-spec-id': metadata.defaultSpecId,
    'partition-specs': metadata.partitionSpecs.map(printPartitionSpec),
    'last-partition-id': metadata.lastPartitionId,
    'default-sort-order-id': metadata.defaultSortOrderId,
    'sort-orders': metadata.sortOrders.map(printSortOrder),
    properties: metadata.properties,
    'current-snapshot-id': metadata.currentSnapshotId ?? -1,
    refs: Object.fromEntries(Object.entries(metadata.refs).map(([name, ref]) => [name, printRef(ref)])),
    snapshots: metadata.snapshots.map(printSnapshot),
    'snapshot-log': metadata.snapshotLog.map((entry) => ({
      'timestamp-ms': entry.timestampMillis,
      'snapshot-id': entry.snapshotId,
    })),
    'metadata-log': metadata.metadataLog.map((entry) => ({
      'timestamp-ms': entry.timestampMillis,
      'metadata-file': entry.metadataFile,
    })),
  }
  return printJson(document, 2)
}

export const currentSchema = (metadata: TableMetadata): Schema => schemaById(metadata, metadata.currentSchemaId)

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` when no schema has that id. */
export function schemaById(metadata: TableMetadata, id: number): Schema {
  return byId(
    metadata,
    metadata.schemas.find((schema) => schema.schemaId === id),
    `schema ${id}`,
  )
}

export const defaultSpec = (metadata: TableMetadata): PartitionSpec => specById(metadata, metadata.defaultSpecId)

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` when no spec has that id. */
export function specById(metadata: TableMetadata, id: number): PartitionSpec {
  return byId(
    metadata,
    metadata.partitionSpecs.find((spec) => spec.specId === id),
    `partition spec ${id}`,
  )
}

/** URLs of the statistics files of every snapshot that has any: live objects that no manifest names. */
export function statisticsPaths(metadata: TableMetadata): readonly string[] {
  return ['statistics', 'partition-statistics'].flatMap((key) => {
    const reader = new JsonReader(metadata.unknown, `table ${metadata.location}`)
    return optionalObjects(reader, key).map((item) => item.string('statistics-path'))
  })
}

/**
 * A schema that has every source column of `spec`: `preferred`, else the newest of the table's. A column that an old
 * spec partitions by may have been dropped since. Where no schema has them all, `preferred` with the rest added to it.
 */
export function schemaForSpec(metadata: TableMetadata, spec: PartitionSpec, preferred: Schema): Schema {
  const missingIn = (schema: Schema): readonly PartitionField[] =>
    spec.fields.filter((field) => fieldById(schema, field.sourceId) === undefined)
  const missing = missingIn(preferred)
  if (missing.length === 0) return preferred
  const whole = metadata.schemas.findLast((schema) => missingIn(schema).length === 0)
  if (whole !== undefined) return whole
  const found = missing.map(({ sourceId }) =>
    metadata.schemas.map((schema) => fieldById(schema, sourceId)).findLast((field) => field !== undefined),
  )
  const added = found.filter((field, index) => field !== undefined && found.indexOf(field) === index)
  return { ...preferred, fields: [...preferred.fields, ...added.map((field) => field!)] }
}

export function defaultSortOrder(metadata: TableMetadata): SortOrder {
  const id = metadata.defaultSortOrderId
  return byId(
    metadata,
    metadata.sortOrders.find((order) => order.orderId === id),
    `sort order ${id}`,
  )
}

export const snapshotById = (metadata: TableMetadata, id: SnapshotId): Snapshot | undefined =>
  metadata.snapshots.find((snapshot) => snapshot.snapshotId === id)

export const currentSnapshotOf = (metadata: TableMetadata): Snapshot | undefined =>
  metadata.currentSnapshotId === undefined ? undefined : snapshotById(metadata, metadata.currentSnapshotId)

function byId<T>(metadata: TableMetadata, found: T | undefined, what: string): T {
  if (found === undefined) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `table ${metadata.location}: there is no ${what}`)
  }
  return found
}

/** Absent, null and -1 all mean "no snapshot yet". */
function currentId(reader: JsonReader): SnapshotId | undefined {
  if (!reader.has('current-snapshot-id')) return undefined
  const id = reader.long('current-snapshot-id')
  return id === -1n ? undefined : snapshotId(id)
}

function parseRefs(reader: JsonReader, current: SnapshotId | undefined): Readonly<Record<string, SnapshotRef>> {
  const main = current === undefined ? {} : { main: { snapshotId: current, type: 'branch' as const } }
  if (!reader.has('refs')) return main
  const refs = reader.object('refs')
  return Object.fromEntries(
    Object.keys(refs.value).map((name) => {
      const ref = refs.object(name)
      const maxRefAgeMillis = ref.optionalInteger('max-ref-age-ms')
      const maxSnapshotAgeMillis = ref.optionalInteger('max-snapshot-age-ms')
      const minSnapshotsToKeep = ref.optionalInteger('min-snapshots-to-keep')
      const parsed: SnapshotRef = {
        snapshotId: snapshotId(ref.long('snapshot-id')),
        type: refType(ref),
        ...(maxRefAgeMillis === undefined ? {} : { maxRefAgeMillis }),
        ...(maxSnapshotAgeMillis === undefined ? {} : { maxSnapshotAgeMillis }),
        ...(minSnapshotsToKeep === undefined ? {} : { minSnapshotsToKeep }),
      }
      return [name, parsed]
    }),
  )
}

function refType(ref: JsonReader): 'branch' | 'tag' {
  const type = ref.string('type')
  if (type === 'branch' || type === 'tag') return type
  throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `a ref is a branch or a tag, not "${type.slice(0, 40)}"`)
}

const printRef = (ref: SnapshotRef): JsonObject => ({
  'snapshot-id': ref.snapshotId,
  type: ref.type,
  ...(ref.maxRefAgeMillis === undefined ? {} : { 'max-ref-age-ms': ref.maxRefAgeMillis }),
  ...(ref.maxSnapshotAgeMillis === undefined ? {} : { 'max-snapshot-age-ms': ref.maxSnapshotAgeMillis }),
  ...(ref.minSnapshotsToKeep === undefined ? {} : { 'min-snapshots-to-keep': ref.minSnapshotsToKeep }),
})

const optionalArray = (reader: JsonReader, key: string): readonly unknown[] =>
  reader.has(key) ? reader.array(key) : []
const optionalObjects = (reader: JsonReader, key: string): readonly JsonReader[] =>
  reader.has(key) ? reader.objects(key) : []

const highestPartitionId = (specs: readonly PartitionSpec[]): number =>
  Math.max(NO_PARTITION_ID, ...specs.flatMap((spec) => spec.fields.map((field) => field.fieldId)))
