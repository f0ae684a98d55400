/** Manifest lists: the manifests of one snapshot with enough about each to skip it. Spec: "Manifest Lists". */

import { FirnError } from '../errors.ts'
import {
  type AvroComplexSchema,
  AvroFieldReader,
  type AvroRecord,
  type AvroSchema,
  optional,
  readAvro,
  required,
  writeAvro,
} from '../format/avro.ts'
import { avroCorrupt } from '../format/avro-container.ts'
import { type SnapshotId, snapshotId } from '../ids.ts'
import { compareValues } from '../spec/compare.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import { partitionTypes } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { encodeBound } from './bounds.ts'
import type { ManifestEntry } from './manifest-entry.ts'

/** What the partition values of a manifest's entries have in common, for one partition field. */
export interface PartitionSummary {
  readonly containsNull: boolean
  readonly containsNan?: boolean
  readonly lowerBound?: Uint8Array
  readonly upperBound?: Uint8Array
}

export interface ManifestFile {
  readonly manifestPath: string
  readonly manifestLength: number
  readonly partitionSpecId: number
  readonly content: 'data' | 'deletes'
  readonly sequenceNumber: number
  readonly minSequenceNumber: number
  readonly addedSnapshotId: SnapshotId
  /** The counts are `undefined` where a list of format version 1 does not have them. */
  readonly addedFilesCount: number | undefined
  readonly existingFilesCount: number | undefined
  readonly deletedFilesCount: number | undefined
  readonly addedRowsCount: number | undefined
  readonly existingRowsCount: number | undefined
  readonly deletedRowsCount: number | undefined
  /** One per field of the spec. */
  readonly partitions: readonly PartitionSummary[]
  readonly keyMetadata?: Uint8Array
  /** Format version 3: row id of its first row that has none of its own. */
  readonly firstRowId?: number
}

const LIST_SCHEMA: AvroComplexSchema = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    required('manifest_path', 500, 'string'),
    required('manifest_length', 501, 'long'),
    required('partition_spec_id', 502, 'int'),
    required('content', 517, 'int'),
    required('sequence_number', 515, 'long'),
    required('min_sequence_number', 516, 'long'),
    required('added_snapshot_id', 503, 'long'),
    required('added_files_count', 504, 'int'),
    required('existing_files_count', 505, 'int'),
    required('deleted_files_count', 506, 'int'),
    required('added_rows_count', 512, 'long'),
    required('existing_rows_count', 513, 'long'),
    required('deleted_rows_count', 514, 'long'),
    optional('partitions', 507, {
      type: 'array',
      'element-id': 508,
      // Java casts to this very record name.
      items: {
        type: 'record',
        name: 'r508',
        fields: [
          required('contains_null', 509, 'boolean'),
          optional('contains_nan', 518, 'boolean'),
          optional('lower_bound', 510, 'bytes'),
          optional('upper_bound', 511, 'bytes'),
        ],
      },
    }),
    optional('key_metadata', 519, 'bytes'),
  ],
}

/** The list entry of a manifest written by this commit, whose sequence number is not known before its try. */
export function describeManifest(
  path: string,
  lengthBytes: number,
  entries: readonly ManifestEntry[],
  spec: PartitionSpec,
  schema: Schema,
  added: { readonly snapshotId: SnapshotId; readonly sequenceNumber: number },
): ManifestFile {
  const of = (status: ManifestEntry['status']): readonly ManifestEntry[] => entries.filter((e) => e.status === status)
  const rows = (some: readonly ManifestEntry[]): number => some.reduce((sum, e) => sum + e.dataFile.recordCount, 0)
  // An inherited sequence number counts as this commit's.
  const live = entries.filter((e) => e.status !== 'deleted').map((e) => e.sequenceNumber ?? added.sequenceNumber)
  return {
    manifestPath: path,
    manifestLength: lengthBytes,
    partitionSpecId: spec.specId,
    content: entries[0]?.dataFile.content === 'data' ? 'data' : 'deletes',
    sequenceNumber: added.sequenceNumber,
    minSequenceNumber: live.reduce((min, value) => Math.min(min, value), added.sequenceNumber),
    addedSnapshotId: added.snapshotId,
    addedFilesCount: of('added').length,
    existingFilesCount: of('existing').length,
    deletedFilesCount: of('deleted').length,
    addedRowsCount: rows(of('added')),
    existingRowsCount: rows(of('existing')),
    deletedRowsCount: rows(of('deleted')),
    partitions: summarisePartitions(entries, spec, schema),
  }
}

function summarisePartitions(
  entries: readonly ManifestEntry[],
  spec: PartitionSpec,
  schema: Schema,
): readonly PartitionSummary[] {
  const types = partitionTypes(spec, schema)
  return types.map((type, index) => {
    const all = entries.map((entry) => entry.dataFile.partition[index] ?? null)
    const isNan = (value: unknown): boolean => typeof value === 'number' && Number.isNaN(value)
    const values = all.filter((value) => value !== null && !isNan(value))
    const lower = values.reduce((a, b) => (compareValues(type, a, b) <= 0 ? a : b), values[0] ?? null)
    const upper = values.reduce((a, b) => (compareValues(type, a, b) >= 0 ? a : b), values[0] ?? null)
    return {
      containsNull: all.includes(null),
      ...(type === 'float' || type === 'double' ? { containsNan: all.some(isNan) } : {}),
      ...(lower === null ? {} : { lowerBound: encodeBound(type, lower) }),
      ...(upper === null ? {} : { upperBound: encodeBound(type, upper) }),
    }
  })
}

/** Whether the manifest has live files; true where the list does not say. */
export const mayHaveLiveFiles = ({ addedFilesCount, existingFilesCount }: ManifestFile): boolean =>
  addedFilesCount === undefined || existingFilesCount === undefined || addedFilesCount + existingFilesCount > 0

export async function writeManifestList(
  snapshot: Pick<Snapshot, 'snapshotId' | 'parentSnapshotId' | 'sequenceNumber'>,
  manifests: readonly ManifestFile[],
): Promise<Uint8Array> {
  const metadata = {
    'snapshot-id': String(snapshot.snapshotId),
    'parent-snapshot-id': snapshot.parentSnapshotId === undefined ? 'null' : String(snapshot.parentSnapshotId),
    'sequence-number': String(snapshot.sequenceNumber),
    'format-version': '2',
  }
  return writeAvro(LIST_SCHEMA, metadata, manifests.map(manifestToAvro))
}

const bytesOrNull = (bytes: Uint8Array | undefined): Buffer | null => (bytes === undefined ? null : Buffer.from(bytes))

function manifestToAvro(manifest: ManifestFile): AvroRecord {
  const known = (count: number | undefined): number => {
    if (count !== undefined) return count
    throw new FirnError(
      'invalid',
      'FIRN_FORMAT_VERSION_UNSUPPORTED',
      `${manifest.manifestPath} comes from format version 1 without file counts and cannot be carried over`,
      { help: 'Rewrite the manifests with the engine that made the table.' },
    )
  }
  return {
    manifest_path: manifest.manifestPath,
    manifest_length: BigInt(manifest.manifestLength),
    partition_spec_id: manifest.partitionSpecId,
    content: manifest.content === 'data' ? 0 : 1,
    sequence_number: BigInt(manifest.sequenceNumber),
    min_sequence_number: BigInt(manifest.minSequenceNumber),
    added_snapshot_id: manifest.addedSnapshotId as bigint,
    added_files_count: known(manifest.addedFilesCount),
    existing_files_count: known(manifest.existingFilesCount),
    deleted_files_count: known(manifest.deletedFilesCount),
    added_rows_count: BigInt(known(manifest.addedRowsCount)),
    existing_rows_count: BigInt(known(manifest.existingRowsCount)),
    deleted_rows_count: BigInt(known(manifest.deletedRowsCount)),
    partitions: manifest.partitions.map((summary) => ({
      contains_null: summary.containsNull,
      contains_nan: summary.containsNan ?? null,
      lower_bound: bytesOrNull(summary.lowerBound),
      upper_bound: bytesOrNull(summary.upperBound),
    })),
    key_metadata: bytesOrNull(manifest.keyMetadata),
  }
}

/** @param where the list's URL, for messages. @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt). */
export async function readManifestList(bytes: Uint8Array, where: string): Promise<readonly ManifestFile[]> {
  const file = await readAvro(bytes, where)
  try {
    const fields = new AvroFieldReader(file.schema, where)
    const summaries = fields.has(507) ? summaryReader(fields.schemaOf(507), where) : undefined
    return file.records.map((record) => manifestFromAvro(record, fields, summaries))
  } catch (cause) {
    throw avroCorrupt(where, bytes.length, cause)
  }
}

function manifestFromAvro(
  record: AvroRecord,
  fields: AvroFieldReader,
  summaries: AvroFieldReader | undefined,
): ManifestFile {
  const count = (id: number): number | undefined => {
    const value = fields.optional(record, id)
    return value === null ? undefined : toNumber(value, id)
  }
  const number = (id: number): number => count(id) ?? 0
  const path = fields.required(record, 500)
  if (typeof path !== 'string') throw new Error('field id 500 is no text')
  const keyMetadata = fields.optional(record, 519)
  const firstRowId = count(520)
  return {
    manifestPath: path,
    manifestLength: toNumber(fields.required(record, 501), 501),
    partitionSpecId: toNumber(fields.required(record, 502), 502),
    content: number(517) === 0 ? 'data' : 'deletes',
    sequenceNumber: number(515),
    minSequenceNumber: number(516),
    addedSnapshotId: snapshotId(BigInt((fields.optional(record, 503) ?? 0n) as bigint)),
    addedFilesCount: count(504),
    existingFilesCount: count(505),
    deletedFilesCount: count(506),
    addedRowsCount: count(512),
    existingRowsCount: count(513),
    deletedRowsCount: count(514),
    partitions: summaries === undefined ? [] : summariesFromAvro(fields, record, summaries),
    ...(keyMetadata === null ? {} : { keyMetadata: Uint8Array.from(keyMetadata as Uint8Array) }),
    ...(firstRowId === undefined ? {} : { firstRowId }),
  }
}

function toNumber(value: unknown, id: number): number {
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value)
  throw new Error(`field id ${id} is no number`)
}

/** Of the records in a list's member 507. */
function summaryReader(schema: AvroSchema, where: string): AvroFieldReader {
  const array = Array.isArray(schema) ? schema.find((member) => member !== 'null') : schema
  return new AvroFieldReader((array as AvroComplexSchema)['items'] as AvroSchema, where)
}

function summariesFromAvro(
  fields: AvroFieldReader,
  record: AvroRecord,
  members: AvroFieldReader,
): readonly PartitionSummary[] {
  const value = (fields.optional(record, 507) ?? []) as readonly AvroRecord[]
  return value.map((summary) => {
    const nan = members.optional(summary, 518)
    const lower = members.optional(summary, 510)
    const upper = members.optional(summary, 511)
    return {
      containsNull: members.required(summary, 509) as boolean,
      ...(nan === null ? {} : { containsNan: nan as boolean }),
      ...(lower === null ? {} : { lowerBound: Uint8Array.from(lower as Uint8Array) }),
      ...(upper === null ? {} : { upperBound: Uint8Array.from(upper as Uint8Array) }),
    }
  })
}
