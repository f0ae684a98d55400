/** Manifests: which files a snapshot added, kept and removed. Spec: "Manifests". */

import { FirnError } from '../errors.ts'
import {
  type AvroComplexSchema,
  type AvroRecord,
  type AvroSchema,
  optional,
  required,
  writeAvro,
} from '../format/avro.ts'
import { avroCorrupt, openAvro } from '../format/avro-container.ts'
import { AvroCursor, AvroDecodeError } from '../format/avro-cursor.ts'
import { type JsonObject, parseJson, printJson } from '../format/json.ts'
import { type PartitionSpec, printPartitionFields } from '../spec/partition.ts'
import { fieldById, parseSchema, primitiveTypeOf, printSchema, type Schema } from '../spec/schema.ts'
import { transformResultType } from '../spec/transform.ts'
import type { PrimitiveType } from '../spec/types.ts'
import { FILE_CONTENTS } from './data-file.ts'
import { compileEntries, STATUSES } from './entry-decoder.ts'
import type { ManifestEntry } from './manifest-entry.ts'
import { partitionAvroSchema, partitionToAvro } from './partition-avro.ts'

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
 *   `FIRN_DATA_FILE_INVALID` (invalid): a value that its type does not hold, data and delete files together, an
 *   older entry without sequence numbers. */
export async function writeManifest(
  entries: readonly ManifestEntry[],
  spec: PartitionSpec,
  schema: Schema,
): Promise<Uint8Array> {
  if (entries.length === 0) throw new FirnError('invalid', 'FIRN_MANIFEST_EMPTY', 'a manifest needs at least one entry')
  const isData = entries[0]!.dataFile.content === 'data'
  for (const entry of entries) checkWritable(entry, isData)
  const metadata = {
    schema: printJson(printSchema(schema)),
    'schema-id': String(schema.schemaId),
    'partition-spec': printJson(printPartitionFields(spec)),
    'partition-spec-id': String(spec.specId),
    'format-version': '2',
    content: isData ? 'data' : 'deletes',
  }
  const records = entries.map((entry) => entryToAvro(entry, spec, schema))
  try {
    return await writeAvro(entrySchema(spec, schema), metadata, records)
  } catch (cause) {
    const message = 'a manifest entry has a value that its type does not hold, in its partition or its counts'
    throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', message, { cause })
  }
}

/** Only what this commit adds may inherit: an older entry would take the numbers of the commit that rewrites it. */
function checkWritable({ status, dataFile, snapshotId, ...numbers }: ManifestEntry, isData: boolean): void {
  const refuse = (why: string): FirnError =>
    new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `${dataFile.filePath}: ${why}`)
  if ((dataFile.content === 'data') !== isData) throw refuse('data files and delete files share no manifest')
  if (status === 'added') return
  const { sequenceNumber, fileSequenceNumber } = numbers
  if (snapshotId === undefined || sequenceNumber === undefined || fileSequenceNumber === undefined) {
    throw refuse(`its entry is ${status} and needs its snapshot id and sequence numbers`)
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
 * Every entry in order, as soon as it is decoded: what `visit` does not keep takes no memory.
 * @param where the manifest's URL, for messages.
 * @param spec the manifest's own, not the table's current one.
 * @param schema has the source columns as the table has them now; one that it lacks is taken from the manifest.
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt); `FIRN_AVRO_CODEC_UNSUPPORTED` (invalid).
 */
export async function visitManifest(
  bytes: Uint8Array,
  where: string,
  specId: number,
  spec: PartitionSpec,
  schema: Schema,
  visit: (entry: ManifestEntry) => void,
): Promise<void> {
  const file = openAvro(bytes, where)
  const types = partitionTypesFor(file.metadata.get('schema'), spec, schema, where)
  try {
    const read = compileEntries(file.schema, { specId, spec, types })
    for await (const { count, data, later } of file.blocks()) {
      const cursor = new AvroCursor(data)
      for (let index = 0; index < count; index++) visit(read(cursor, later))
      if (cursor.remaining !== 0) throw new AvroDecodeError('a block holds more than its records')
    }
  } catch (cause) {
    throw avroCorrupt(where, bytes.length, cause)
  }
}

/** All entries of a manifest; see `visitManifest`. */
export async function readManifest(
  bytes: Uint8Array,
  where: string,
  specId: number,
  spec: PartitionSpec,
  schema: Schema,
): Promise<readonly ManifestEntry[]> {
  const entries: ManifestEntry[] = []
  await visitManifest(bytes, where, specId, spec, schema, (entry) => entries.push(entry))
  return entries
}

/** A source column may have been dropped since: the manifest's own schema still knows it. */
function partitionTypesFor(
  own: string | undefined,
  spec: PartitionSpec,
  schema: Schema,
  where: string,
): readonly PrimitiveType[] {
  let fallback: Schema | undefined
  return spec.fields.map((field) => {
    const isKnown = fieldById(schema, field.sourceId) !== undefined
    if (!isKnown && own !== undefined) fallback ??= ownSchema(own, where)
    return transformResultType(
      field.transform,
      primitiveTypeOf(isKnown ? schema : (fallback ?? schema), field.sourceId),
    )
  })
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
