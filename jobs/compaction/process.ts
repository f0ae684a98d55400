/**
 * From what a run reads to written data files and totals: the part that a compaction and a replay share. Reads, opens
 * aggregates, enriches, deduplicates, sorts, writes. Commits nothing.
 */
import type { EpochMicros, RunId } from '../../table/ids.ts'
import {
  currentSchema,
  defaultSortOrder,
  defaultSpec,
  printPartitionSpec,
  printSchema,
  printSortOrder,
  type Table,
} from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import {
  type DatasetDefinition,
  DEFAULT_ROW_GROUP_ROWS,
  DEFAULT_TARGET_FILE_SIZE_BYTES,
  ROW_GROUP_ROWS_PROPERTY,
  sizeProperty,
  TARGET_FILE_SIZE_PROPERTY,
} from '../datasets/index.ts'
import type { Executor } from '../executor.ts'
import { checkBadRatio, type RunTotals, totalsOf } from './commit.ts'
import type { PlannedInput } from './plan.ts'
import type { CompactionTask } from './task.ts'

/** Quarantine objects of one plan have numbers of their own below this. */
export const QUARANTINE_NUMBERS = 1_000_000

export interface ProcessRequest extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** As the run was planned on. */
  readonly table: Table
  /** `namespace.name`. */
  readonly tableName: string
  readonly dataset: DatasetDefinition
  readonly runId: RunId
  /** Number of this plan within the run, from 1: names of different plans never meet. */
  readonly plans: number
  readonly compactedAt: EpochMicros
  readonly inputs: readonly PlannedInput[]
  readonly executor: Executor
  /** Share of bad records above which the run fails, 0 to 1; null: any share is accepted. */
  readonly maxBadRatio: number | null
  /** Bytes that a process of the run takes at most, about. Default 1 GiB. */
  readonly memoryLimitBytes?: number | undefined
  /** Tasks that share the work. Default 1. */
  readonly tasks?: number | undefined
  /** File URL of the user's enrichment module. */
  readonly enrichment?: string | undefined
}

/**
 * @throws {FirnError} `FIRN_TOO_MANY_BAD_RECORDS`, `FIRN_ACCOUNTING_FAILED`, `FIRN_TASK_CRASHED` (failed);
 *   `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT`, `FIRN_QUARANTINE_CORRUPT` (corrupt); what the stores throw.
 */
export async function processInputs(request: ProcessRequest): Promise<RunTotals> {
  const { executor, table, maxBadRatio, tableName, signal } = request
  const tableStoreOptions = await table.workerStoreOptions()
  const task = taskOf(request, tableStoreOptions !== undefined)
  const totals = totalsOf(await executor.run([task], { signal, tableStoreOptions }))
  if (maxBadRatio !== null) checkBadRatio(totals, maxBadRatio, tableName)
  return totals
}

function taskOf(request: ProcessRequest, ownStore: boolean): CompactionTask {
  const { table, runId, plans, enrichment } = request
  const { metadata } = table
  return {
    schema: 'firn.compaction-task/1',
    runId,
    table: request.tableName,
    location: table.location,
    ...(ownStore ? { ownStore: true as const } : {}),
    dataset: request.dataset,
    ...(enrichment === undefined ? {} : { enrichment }),
    tableSchema: printSchema(currentSchema(metadata)),
    partitionSpec: printPartitionSpec(defaultSpec(metadata)),
    sortOrder: printSortOrder(defaultSortOrder(metadata)),
    metricsProperties: Object.fromEntries(
      Object.entries(metadata.properties).filter(([key]) => key.startsWith('write.metadata.metrics.')),
    ),
    targetFileSizeBytes: sizeProperty(metadata.properties, TARGET_FILE_SIZE_PROPERTY, DEFAULT_TARGET_FILE_SIZE_BYTES),
    rowGroupRows: sizeProperty(metadata.properties, ROW_GROUP_ROWS_PROPERTY, DEFAULT_ROW_GROUP_ROWS),
    compactedAt: String(request.compactedAt),
    filePrefix: `${runId}-${plans}`,
    firstQuarantine: (plans - 1) * QUARANTINE_NUMBERS,
    maxBadRatio: request.maxBadRatio,
    inputs: request.inputs,
  }
}
