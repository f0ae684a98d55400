/** Snapshots and their summary. Spec: "Snapshots", Appendix F "Optional Snapshot Summary Fields". */
import { type JsonObject, JsonReader } from '../format/json.ts'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../ids.ts'

export interface Snapshot {
  readonly snapshotId: SnapshotId
  readonly parentSnapshotId?: SnapshotId
  /** 0 in tables of format version 1. */
  readonly sequenceNumber: number
  readonly timestampMillis: EpochMillis
  /** URL of the manifest list; absent in old version 1 snapshots, which name their manifests. */
  readonly manifestList?: string
  readonly manifests?: readonly string[]
  /** `operation` and counters, all strings. */
  readonly summary: Readonly<Record<string, string>>
  readonly schemaId?: number
  readonly unknown?: JsonObject
}

const KNOWN = [
  'snapshot-id',
  'parent-snapshot-id',
  'sequence-number',
  'timestamp-ms',
  'manifest-list',
  'manifests',
  'summary',
  'schema-id',
]

export function parseSnapshot(json: unknown, where: string): Snapshot {
  const reader = new JsonReader(json, where)
  const unknown = Object.fromEntries(Object.entries(reader.value).filter(([key]) => !KNOWN.includes(key)))
  return {
    snapshotId: snapshotId(reader.long('snapshot-id')),
    ...(reader.has('parent-snapshot-id') ? { parentSnapshotId: snapshotId(reader.long('parent-snapshot-id')) } : {}),
    sequenceNumber: reader.optionalInteger('sequence-number') ?? 0,
    timestampMillis: epochMillis(reader.integer('timestamp-ms')),
    ...(reader.has('manifest-list') ? { manifestList: reader.string('manifest-list') } : {}),
    ...(reader.has('manifests') ? { manifests: reader.array('manifests').map(String) } : {}),
    summary: reader.strings('summary'),
    ...(reader.has('schema-id') ? { schemaId: reader.integer('schema-id') } : {}),
    ...(Object.keys(unknown).length === 0 ? {} : { unknown }),
  }
}

export function printSnapshot(snapshot: Snapshot): JsonObject {
  return {
    ...snapshot.unknown,
    'sequence-number': snapshot.sequenceNumber,
    'snapshot-id': snapshot.snapshotId,
    ...(snapshot.parentSnapshotId === undefined ? {} : { 'parent-snapshot-id': snapshot.parentSnapshotId }),
    'timestamp-ms': snapshot.timestampMillis,
    summary: snapshot.summary,
    ...(snapshot.manifestList === undefined ? {} : { 'manifest-list': snapshot.manifestList }),
    ...(snapshot.manifests === undefined ? {} : { manifests: snapshot.manifests }),
    ...(snapshot.schemaId === undefined ? {} : { 'schema-id': snapshot.schemaId }),
  }
}
