/** Scans of one table: what is read, by which schema, and as what: files, batches or a count. */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import type { EpochMillis, SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { currentSchema, type TableMetadata } from '../spec/metadata.ts'
import { projectSchema, type Schema } from '../spec/schema.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import { pathTo } from './columns.ts'
import { countRows } from './count.ts'
import { columnsOf, type Expression } from './expression.ts'
import { planAppends } from './incremental.ts'
import { type FileScanTask, type PlanOptions, planFiles, schemaOfSnapshot } from './plan.ts'
import { readTasks } from './read.ts'

/** At most one of the three; none means the current snapshot. */
export interface SnapshotSelector {
  readonly snapshotId?: SnapshotId | undefined
  /** The snapshot that was current at this time. */
  readonly asOf?: EpochMillis | undefined
  /** A branch or tag. */
  readonly ref?: string | undefined
}

export interface ScanOptions extends SnapshotSelector {
  /**
   * Only what append snapshots after this one added, up to the selected snapshot. Snapshots that are no appends count
   * for nothing: neither what they added nor what they deleted.
   */
  readonly fromSnapshotId?: SnapshotId | undefined
  /** Default: all. Batches have them in schema order. */
  readonly columns?: readonly string[] | undefined
  readonly where?: Expression | undefined
  /** Rows at most. */
  readonly limit?: number | undefined
}

export interface TableScan {
  /** The columns that come out. */
  readonly schema: Schema
  /** `undefined`: the table has no snapshot yet, and the scan no rows. */
  readonly snapshot: Snapshot | undefined
  /**
   * The files that may hold matching rows, with the delete files that apply to them.
   * @throws {FirnError} `FIRN_AVRO_CORRUPT`, `FIRN_DELETES_CORRUPT` (corrupt); `FIRN_DELETES_UNSUPPORTED` (invalid)
   *   for delete files of a kind that is not read; `FIRN_SNAPSHOT_NOT_ANCESTOR` (invalid) for `fromSnapshotId`.
   */
  planFiles(options?: AbortableOptions): Promise<readonly FileScanTask[]>
  /**
   * The rows, a batch per row group, file after file.
   * @param options.depth row groups read ahead, 1 to 64; memory is about that many.
   */
  batches(options?: AbortableOptions & { readonly depth?: number }): AsyncIterable<RecordBatch>
  /** Rows that `batches` would give; data files are read only where their metadata does not prove their count. */
  count(options?: AbortableOptions): Promise<number>
}

/**
 * The schema that a selector reads with: the table's current one at the head of a branch, which new rows will have;
 * the snapshot's own for a snapshot, a time or a tag. A snapshot that does not say is read with the current one.
 */
export function schemaFor(metadata: TableMetadata, selector: SnapshotSelector, snapshot: Snapshot | undefined): Schema {
  const { snapshotId, asOf, ref } = selector
  const isTag = ref !== undefined && Object.hasOwn(metadata.refs, ref) && metadata.refs[ref]!.type === 'tag'
  if (snapshotId === undefined && asOf === undefined && !isTag) return currentSchema(metadata)
  return schemaOfSnapshot(metadata, snapshot)
}

/**
 * @param snapshot that `options` select.
 * @param report for the message that tells of each planning.
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND` (invalid).
 */
export function openScan(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot | undefined,
  options: ScanOptions,
  report: Pick<PlanOptions, 'tableName' | 'clock'> = {},
): TableScan {
  const { where, fromSnapshotId: from, limit } = options
  const schema = schemaFor(metadata, options, snapshot)
  const projected = projectSchema(schema, options.columns)
  for (const id of where === undefined ? [] : columnsOf(where)) {
    if (pathTo(schema.fields, id) !== undefined) continue
    const message = `the filter names column ${id}, which schema ${schema.schemaId} does not have`
    throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', message)
  }
  const plan = async ({ signal }: AbortableOptions = {}): Promise<readonly FileScanTask[]> => {
    if (from === undefined) return planFiles(store, metadata, snapshot, where, { schema, signal, ...report })
    return snapshot === undefined ? [] : planAppends(store, metadata, from, snapshot, where, schema, { signal })
  }
  return {
    schema: projected,
    snapshot,
    planFiles: plan,
    batches: async function* (read = {}) {
      const tasks = await plan(read)
      yield* readTasks(store, metadata.location, tasks, schema, projected, where, limit, read)
    },
    count: async (read = {}) => {
      const rows = await countRows(store, metadata.location, await plan(read), schema, where, read)
      return Math.min(rows, limit ?? rows)
    },
  }
}
