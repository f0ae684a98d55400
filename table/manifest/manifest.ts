/** Manifests: which files a snapshot added, kept and removed. Spec: "Manifests". */

import { FirnError } from '../errors.ts'
import {
  type AvroComplexSchema,
  AvroFieldReader,
  type AvroFile,
  type AvroRecord,
  type AvroSchema,
  optional,
  readAvro,
  recordFields,
  required,
  writeAvro,
} from '../format/avro.ts'
import { type JsonObject, parseJson, printJson } from '../format/json.ts'
import { type SnapshotId, snapshotId } from '../ids.ts'
import { type PartitionSpec, printPartitionFields } from '../spec/partition.ts'
import { parseSchema, primitiveTypeOf, printSchema, type Schema } from '../spec/schema.ts'
import { transformResultType } from '../spec/transform.ts'
import { type DataFile, FILE_CONTENTS } from './data-file.ts'
import { partitionAvroSchema, partitionToAvro, valueFromAvro } from './partition-avro.ts'

export type EntryStatus = 'existing' | 'added' | 'deleted'
const STATUSES: readonly EntryStatus[] = ['existing', 'added', 'deleted']

export interface ManifestEntry {
  readonly status: EntryStatus
  /** The snapshot that added the file, or deleted it. `undefined`: inherited from the manifest list. */
  readonly snapshotId: SnapshotId | undefined
  /** `undefined` only on added entries: inherited from the manifest list. */
  readonly sequenceNumber: number | undefined
  readonly fileSequenceNumber: number | undefined
  readonly dataFile: DataFile
}

const intMap = (name: string, id: number, keyId: number, valueId: number, type: AvroSchema): JsonObject =>
  optional(name, id, {
    type: 'array',
    logicalType: 'map',
    items: {
      type: 'record',
      name: `k${keyId}_v${valueId}`,
      fields: [required('key', keyId, 'int'), required('value', valueId, type)],
    },
  })

function entrySchema(spec: PartitionSpec, schema: Schema): AvroComplexSchema {
  const dataFile = {
    type: 'record',
    name: 'r2',
    fields: [
      required('content', 134, 'int'),
      required('file_path', 100, 'string'),
      required('file_format', 101, 'string'),
      required('partition', 102, partitionAvroSchema(spec, schema)),
      required('record_count', 103, 'long'),
      required('file_size_in_bytes', 104, 'long'),
      intMap('column_sizes', 108, 117, 118, 'long'),
      intMap('value_counts', 109, 119, 120, 'long'),
      intMap('null_value_counts', 110, 121, 122, 'long'),
      intMap('nan_value_counts', 137, 138, 139, 'long'),
      intMap('lower_bounds', 125, 126, 127, 'bytes'),
      intMap('upper_bounds', 128, 129, 130, 'bytes'),
      optional('key_metadata', 131, 'bytes'),
      optional('split_offsets', 132, { type: 'array', items: 'long', 'element-id': 133 }),
      optional('equality_ids', 135, { type: 'array', items: 'int', 'element-id': 136 }),
      optional('sort_order_id', 140, 'int'),
      optional('referenced_data_file', 143, 'string'),
    ],
  }
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      required('status', 0, 'int'),
      optional('snapshot_id', 1, 'long'),
      optional('sequence_number', 3, 'long'),
      optional('file_sequence_number', 4, 'long'),
      required('data_file', 2, dataFile),
    ],
  }
}

/** @throws {FirnError} `FIRN_MANIFEST_EMPTY` (invalid): readers refuse a manifest without entries;
 *   `FIRN_DATA_FILE_INVALID` (invalid). */
export async function writeManifest(
  entries: readonly ManifestEntry[],
  spec: PartitionSpec,
  schema: Schema,
): Promise<Uint8Array> {
  if (entries.length === 0) throw new FirnError('invalid', 'FIRN_MANIFEST_EMPTY', 'a manifest needs at least one entry')
  const metadata = {
    schema: printJson(printSchema(schema)),
    'schema-id': String(schema.schemaId),
    'partition-spec': printJson(printPartitionFields(spec)),
    'partition-spec-id': String(spec.specId),
    'format-version': '2',
    content: entries[0]!.dataFile.content === 'data' ? 'data' : 'deletes',
  }
  const records = entries.map((entry) => entryToAvro(entry, spec, schema))
  try {
    return await writeAvro(entrySchema(spec, schema), metadata, records)
  } catch (cause) {
    const message = 'a manifest entry has a value that its type does not hold, in its partition or its counts'
    throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', message, { cause })
  }
}

const optionalLong = (value: number | bigint | undefined): bigint | null => (value === undefined ? null : BigInt(value))

function entryToAvro(entry: ManifestEntry, spec: PartitionSpec, schema: Schema): AvroRecord {
  const file = entry.dataFile
  const longs = (map: ReadonlyMap<number, number>): readonly AvroRecord[] =>
    [...map].map(([key, value]) => ({ key, value: BigInt(value) }))
  const bytes = (map: ReadonlyMap<number, Uint8Array>): readonly AvroRecord[] =>
    [...map].map(([key, value]) => ({ key, value: Buffer.from(value) }))
  return {
    status: STATUSES.indexOf(entry.status),
    snapshot_id: entry.snapshotId ?? null,
    sequence_number: optionalLong(entry.sequenceNumber),
    file_sequence_number: optionalLong(entry.fileSequenceNumber),
    data_file: {
      content: FILE_CONTENTS.indexOf(file.content),
      file_path: file.filePath,
      file_format: file.fileFormat,
      partition: partitionToAvro(spec, schema, file.partition),
      record_count: BigInt(file.recordCount),
      file_size_in_bytes: BigInt(file.fileSizeBytes),
      // Empty maps rather than null: PyIceberg's inspect.entries() fails on null.
      column_sizes: longs(file.columnSizes),
      value_counts: longs(file.valueCounts),
      null_value_counts: longs(file.nullValueCounts),
      nan_value_counts: longs(file.nanValueCounts),
      lower_bounds: bytes(file.lowerBounds),
      upper_bounds: bytes(file.upperBounds),
      key_metadata: file.keyMetadata === undefined ? null : Buffer.from(file.keyMetadata),
      split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets.map(BigInt),
      equality_ids: file.equalityIds.length === 0 ? null : file.equalityIds,
      sort_order_id: file.sortOrderId ?? null,
      referenced_data_file: file.referencedDataFile ?? null,
    },
  }
}

/**
 * @param where the manifest's URL, for messages.
 * @param specOf resolves the manifest's spec id; a manifest is read with its own spec, not the table's current one.
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt).
 */
export async function readManifest(
  bytes: Uint8Array,
  where: string,
  specId: number,
  spec: PartitionSpec,
  schema: Schema,
): Promise<readonly ManifestEntry[]> {
  const file = await readAvro(bytes, where)
  const entryFields = new AvroFieldReader(file.schema, where)
  const fileFields = new AvroFieldReader(entryFields.schemaOf(2), where)
  const context = { where, specId, spec, types: partitionTypesFor(file, spec, schema, where) }
  return file.records.map((record) => {
    const status = STATUSES[entryFields.number(record, 0)]
    if (status === undefined) throw corrupt(where, 'an entry has an unknown status')
    const id = entryFields.optional(record, 1)
    const sequenceNumber = entryFields.optional(record, 3)
    const fileSequenceNumber = entryFields.optional(record, 4)
    return {
      status,
      snapshotId: id === null ? undefined : snapshotId(BigInt(id as bigint)),
      sequenceNumber: sequenceNumber === null ? undefined : Number(sequenceNumber),
      fileSequenceNumber: fileSequenceNumber === null ? undefined : Number(fileSequenceNumber),
      dataFile: dataFileFromAvro(entryFields.required(record, 2) as AvroRecord, fileFields, context),
    }
  })
}

interface FileContext {
  readonly where: string
  readonly specId: number
  readonly spec: PartitionSpec
  readonly types: ReadonlyMap<number, ReturnType<typeof transformResultType>>
}

/** By partition field id. A source column may have been dropped since: the manifest's own schema still knows it. */
function partitionTypesFor(file: AvroFile, spec: PartitionSpec, schema: Schema, where: string): FileContext['types'] {
  const own = file.metadata.get('schema')
  const sources = own === undefined ? schema : ownSchema(own, where)
  return new Map(
    spec.fields.map((field) => [
      field.fieldId,
      transformResultType(field.transform, primitiveTypeOf(sources, field.sourceId)),
    ]),
  )
}

function ownSchema(text: string, where: string): Schema {
  try {
    return parseSchema(parseJson(text), where)
  } catch (cause) {
    throw new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', `${where}: its schema cannot be read`, {
      cause,
      detail: { where },
    })
  }
}

function dataFileFromAvro(record: AvroRecord, fields: AvroFieldReader, context: FileContext): DataFile {
  const content = FILE_CONTENTS[Number(fields.optional(record, 134) ?? 0)]
  if (content === undefined) throw corrupt(context.where, 'a file has an unknown content type')
  const partitionFields = new AvroFieldReader(fields.schemaOf(102), context.where)
  const partition = fields.required(record, 102) as AvroRecord
  const sortOrderId = fields.optional(record, 140)
  const referenced = fields.optional(record, 143)
  const keyMetadata = fields.optional(record, 131)
  const long = (id: number): number | undefined => {
    const value = fields.optional(record, id)
    return value === null ? undefined : Number(value)
  }
  const [firstRowId, contentOffset, contentSizeBytes] = [long(142), long(144), long(145)]
  const map = (id: number): readonly (readonly [number, unknown])[] =>
    pairs(fields.optional(record, id), fields.has(id) ? fields.schemaOf(id) : 'null', context.where)
  const longs = (id: number): ReadonlyMap<number, number> =>
    new Map(map(id).map(([key, value]) => [key, Number(value)]))
  const bytes = (id: number): ReadonlyMap<number, Uint8Array> =>
    new Map(map(id).map(([key, value]) => [key, Uint8Array.from(value as Uint8Array)]))
  return {
    content,
    filePath: fields.required(record, 100) as string,
    fileFormat: (fields.required(record, 101) as string).toUpperCase(),
    specId: context.specId,
    partition: context.spec.fields.map((field) =>
      valueFromAvro(context.types.get(field.fieldId)!, partitionFields.optional(partition, field.fieldId)),
    ),
    recordCount: fields.number(record, 103),
    fileSizeBytes: fields.number(record, 104),
    columnSizes: longs(108),
    valueCounts: longs(109),
    nullValueCounts: longs(110),
    nanValueCounts: longs(137),
    lowerBounds: bytes(125),
    upperBounds: bytes(128),
    splitOffsets: ((fields.optional(record, 132) ?? []) as readonly bigint[]).map(Number),
    equalityIds: ((fields.optional(record, 135) ?? []) as readonly (number | bigint)[]).map(Number),
    ...(sortOrderId === null ? {} : { sortOrderId: Number(sortOrderId) }),
    ...(referenced === null ? {} : { referencedDataFile: referenced as string }),
    ...(contentOffset === undefined ? {} : { contentOffset }),
    ...(contentSizeBytes === undefined ? {} : { contentSizeBytes }),
    ...(firstRowId === undefined ? {} : { firstRowId }),
    ...(keyMetadata === null ? {} : { keyMetadata: Uint8Array.from(keyMetadata as Uint8Array) }),
  }
}

/** Key and value of a map that Avro stores as an array of records, whatever the writer named them. */
function pairs(value: unknown, schema: AvroSchema, where: string): readonly (readonly [number, unknown])[] {
  if (value === null) return []
  if (!Array.isArray(value)) throw corrupt(where, 'a map of statistics is not an array')
  const array = (Array.isArray(schema) ? schema.find((member) => member !== 'null') : schema) as { items: AvroSchema }
  const [key, item] = recordFields(array.items)
  return value.map((pair: AvroRecord) => [Number(pair[key?.name ?? 'key']), pair[item?.name ?? 'value']] as const)
}

const corrupt = (where: string, message: string): FirnError =>
  new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', `${where}: ${message}`, { detail: { where } })
