/** Snapshots and their summary. Spec: "Snapshots", Appendix F "Optional Snapshot Summary Fields". */
import { type JsonObject, JsonReader, printJson } from '../format/json.ts'
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

/** What one commit changed. Rows and bytes of data files; delete files are counted apart. */
export interface SummaryChange {
  readonly operation: 'append' | 'replace' | 'overwrite' | 'delete'
  readonly addedFiles: number
  readonly addedRows: number
  readonly addedBytes: number
  readonly removedFiles: number
  readonly removedRows: number
  readonly removedBytes: number
  readonly changedPartitions: number
}

const TOTALS = [
  ['total-records', 'addedRows', 'removedRows'],
  ['total-files-size', 'addedBytes', 'removedBytes'],
  ['total-data-files', 'addedFiles', 'removedFiles'],
] as const
const DELETE_TOTALS = ['total-delete-files', 'total-position-deletes', 'total-equality-deletes']

/**
 * The summary of a snapshot on top of `parent`. A zero counter is left out; a total is written only when it follows
 * from the parent's, which is how Java does it: a wrong total is worse than none.
 */
export function nextSummary(
  parent: Snapshot | undefined,
  change: SummaryChange,
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  // The counters come last: nobody's extra members may stand in for them.
  const summary: Record<string, string> = { ...extra, operation: change.operation }
  const counter = (name: string, value: number): void => {
    if (value > 0) summary[name] = String(value)
    else delete summary[name]
  }
  counter('added-data-files', change.addedFiles)
  counter('deleted-data-files', change.removedFiles)
  counter('added-records', change.addedRows)
  counter('deleted-records', change.removedRows)
  counter('added-files-size', change.addedBytes)
  counter('removed-files-size', change.removedBytes)
  summary['changed-partition-count'] = String(change.changedPartitions)
  for (const [name, added, removed] of TOTALS) {
    const before = previousTotal(parent, name)
    const after = before === undefined ? undefined : before + BigInt(change[added]) - BigInt(change[removed])
    if (after !== undefined && after >= 0n) summary[name] = after.toString()
  }
  for (const name of DELETE_TOTALS) {
    const before = previousTotal(parent, name)
    if (before !== undefined) summary[name] = before.toString()
  }
  return summary
}

function previousTotal(parent: Snapshot | undefined, name: string): bigint | undefined {
  if (parent === undefined) return 0n
  const text = parent.summary[name]
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined
}

/** Snapshot ids in messages and JSON are decimal text. */
export const snapshotIdText = (id: SnapshotId): string => printJson(id)
