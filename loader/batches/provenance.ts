/** What a model was trained on. */
import type { Snapshot, Table } from '../../table/index.ts'
import type { ResolvedBatch, ResolvedOptions } from '../options.ts'
import type { LoaderPlan } from '../source/plan.ts'

/** Plain JSON, to be kept beside the model. Ids are texts: they exceed the numbers of JSON. */
export interface Provenance {
  /** Of a folder: a hash of the names, sizes and ETags of its files, as the snapshot's id. */
  readonly tableUuid: string
  readonly table: string
  readonly snapshotId: string
  /** `null`: a folder has none of the following three. */
  readonly snapshotTimestampMillis: number | null
  readonly sequenceNumber: string | null
  readonly schemaId: number | null
  readonly columns: readonly string[]
  /** Canonical text, the range of a delta included. */
  readonly filter: string | null
  /** Buckets [from, to) of `bucket[buckets](column)`. */
  readonly split: {
    readonly column: string
    readonly buckets: number
    readonly from: number
    readonly to: number
  } | null
  /** Ids of snapshots, also where tags were named: those move. */
  readonly delta: { readonly after: string; readonly upTo: string } | null
  /** `null`: rows as they stand. */
  readonly shuffle: { readonly algorithm: string; readonly seed: number; readonly blockBytes: number } | null
  readonly batch: Omit<ResolvedBatch, 'kind'>
  readonly dropLast: boolean
  readonly shard: { readonly rank: number; readonly worldSize: number }
  readonly transform: string | null
  /** Rows of an epoch, where known. */
  readonly rows: number | null
  /** What this rank consumed since the dataset was opened. */
  readonly consumed: {
    /** Epochs that came to their end. */
    readonly epochs: number
    readonly batches: number
    readonly rows: number
    readonly rowsSkipped: number
  }
}

export interface ProvenanceParts {
  readonly options: ResolvedOptions
  readonly plan: LoaderPlan
  readonly table: Table | undefined
  readonly snapshot: Snapshot | undefined
  readonly columns: readonly string[]
  readonly rows: number | undefined
  readonly consumed: Provenance['consumed']
}

export function provenanceOf(parts: ProvenanceParts): Provenance {
  const { options, plan, table, snapshot, columns, consumed } = parts
  const { kind: _kind, ...batch } = options.batch
  const { delta } = options
  return {
    tableUuid: plan.tableUuid,
    table: plan.origin.name,
    snapshotId: String(plan.snapshotId),
    snapshotTimestampMillis: snapshot?.timestampMillis ?? null,
    sequenceNumber: snapshot === undefined ? null : String(snapshot.sequenceNumber),
    schemaId: snapshot === undefined ? null : plan.schema.schemaId,
    columns,
    filter: plan.origin.filter ?? null,
    split: options.split ?? null,
    delta:
      delta === undefined
        ? null
        : { after: String(table?.snapshotFor(delta.after)?.snapshotId), upTo: String(plan.snapshotId) },
    shuffle: options.shuffle ?? null,
    batch,
    dropLast: options.dropLast,
    shard: options.shard,
    transform: options.transform?.module ?? null,
    rows: parts.rows ?? null,
    consumed,
  }
}
