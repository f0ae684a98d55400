/**
 * From what a run reads to written data files and totals: the part that a compaction and a replay share. Reads, opens
 * aggregates, enriches, deduplicates, sorts, writes. Commits nothing.
 */
import { tmpdir } from 'node:os'
import { compactionChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
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
import type { Executor, OnProgress } from '../executors/executor.ts'
import { checkBadRatio, type RunTotals, totalsOf } from './commit.ts'
import {
  type ExchangePlace,
  openExchange,
  removeAbandoned,
  removeExchange,
  spillFolderOf,
} from './exchange/exchange.ts'
import { type ExistingRows, openExisting } from './existing/existing-rows.ts'
import { DEFAULT_MEMORY_LIMIT_BYTES, taskBudget } from './memory.ts'
import type { PlannedInput } from './plan.ts'
import { refuseRenamedColumns } from './renamed-columns.ts'
import { objectBytes, sharesOf } from './shares.ts'
import { type RunTasks, runStages } from './staged-run.ts'
import { isOfTable } from './stages/read.ts'
import type { CompactionTask } from './task.ts'

/** Quarantine objects of one plan have numbers of their own below this. */
export const QUARANTINE_NUMBERS = 1_000_000
const MAX_TASKS = 64

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
  /** Share of bad records above which the run fails, 0 to 1; null: every share is accepted. */
  readonly maxBadRatio: number | null
  /** Bytes that a process of the run takes at most, about. Default 1 GiB. */
  readonly memoryLimitBytes?: number | undefined
  /** Tasks that share the work. Default 1. */
  readonly tasks?: number | undefined
  /**
   * Where rows go that memory does not hold. Default: the machine's folder for temporary files when one task does
   * everything, `_spill/` of the warehouse when several share the work; a folder must then be seen by all.
   */
  readonly spillFolder?: string | undefined
  /** File URL of the user's enrichment module. */
  readonly enrichment?: string | undefined
}

/**
 * @throws {FirnError} `FIRN_TOO_MANY_BAD_RECORDS`, `FIRN_ACCOUNTING_FAILED`, `FIRN_TASK_CRASHED` (failed);
 *   `FIRN_MEMORY_LIMIT_TOO_SMALL` (invalid); `FIRN_SPILL_FAILED` (unavailable);
 *   `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT`, `FIRN_QUARANTINE_CORRUPT` (corrupt); what the stores throw.
 */
export async function processInputs(request: ProcessRequest): Promise<RunTotals> {
  const { table, maxBadRatio, tableName, signal, executor, store } = request
  refuseRenamedColumns(request.dataset, table.metadata, tableName)
  const ownStore = (await table.workerStoreOptions()) !== undefined
  const shares = sharesOf(request.inputs, taskCount(request.tasks))
  const task = taskOf(request, ownStore, shares.length)
  const progress = progressPublisher(request)
  const run: RunTasks = async (tasks, stage) => {
    // anew for each stage: what a catalog gives out for a table runs out
    const tableStoreOptions = await table.workerStoreOptions()
    return await executor.run(tasks, { signal, tableStoreOptions, onProgress: progress?.(stage) })
  }
  try {
    if (task.exchange.kind === 'folder') await removeAbandoned(task.exchange.path)
    const existing = await existingRows(request, task)
    const isWhole = existing === undefined && shares.length <= 1
    const { results, replacement } = isWhole
      ? { results: await run([task], 0), replacement: undefined }
      : await runStages(task, shares, run, request, existing)
    const totals = { ...totalsOf(results), replacement }
    if (maxBadRatio !== null) checkBadRatio(totals, maxBadRatio, tableName)
    return totals
  } finally {
    // a task that was stopped or has died cannot do it
    await removeExchange(task.exchange, store)
  }
}

/** Rows of the table matter where a key has one row in all of it, and the run may have any. */
async function existingRows(request: ProcessRequest, task: CompactionTask): Promise<ExistingRows | undefined> {
  const { table, dataset, inputs, store, signal } = request
  if (!isOfTable(dataset) || inputs.length === 0) return undefined
  const exchange = openExchange(task.exchange, store)
  const filterBytes = Math.floor(task.budget.runBytes / 4)
  return await openExisting({ table, dataset, exchange, filterBytes, fileNamePrefix: task.filePrefix, signal })
}

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). */
function taskCount(tasks = 1): number {
  if (Number.isInteger(tasks) && tasks >= 1 && tasks <= MAX_TASKS) return tasks
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `tasks must be 1 to ${MAX_TASKS}, got ${tasks}`)
}

/** Records and bytes are read in the first stage; later ones add rows. */
function progressPublisher({ tableName, runId }: ProcessRequest): ((stage: number) => OnProgress) | undefined {
  if (!compactionChannel.hasSubscribers) return undefined
  let [records, bytes] = [0, 0]
  return () => (progress) => {
    records = Math.max(records, progress.records)
    bytes = Math.max(bytes, progress.bytes)
    compactionChannel.publish({ table: tableName, runId, stage: progress.stage, records, bytes, rows: progress.rows })
  }
}

function taskOf(request: ProcessRequest, ownStore: boolean, tasks: number): CompactionTask {
  const { table, runId, plans, enrichment, executor } = request
  const { metadata } = table
  const targetFileSizeBytes = sizeProperty(
    metadata.properties,
    TARGET_FILE_SIZE_PROPERTY,
    DEFAULT_TARGET_FILE_SIZE_BYTES,
  )
  const inputBytes = objectBytes(request.inputs).reduce((sum, size) => sum + size, 0)
  const inOneProcess = Math.min(tasks, executor.tasksPerProcess ?? 1)
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
    targetFileSizeBytes,
    rowGroupRows: sizeProperty(metadata.properties, ROW_GROUP_ROWS_PROPERTY, DEFAULT_ROW_GROUP_ROWS),
    compactedAt: String(request.compactedAt),
    filePrefix: `${runId}-${plans}`,
    firstQuarantine: (plans - 1) * QUARANTINE_NUMBERS,
    maxBadRatio: request.maxBadRatio,
    budget: taskBudget(request.memoryLimitBytes ?? DEFAULT_MEMORY_LIMIT_BYTES, {
      targetFileSizeBytes,
      inputBytes,
      maxRecordBytes: request.dataset.maxRecordBytes,
      inOneProcess: Math.max(1, inOneProcess),
    }),
    exchange: exchangePlace(request, tasks),
    inputs: request.inputs,
  }
}

/** One task keeps its rows on the local disk; several meet in the warehouse, unless a folder is named that all see. */
function exchangePlace({ runId, plans, spillFolder }: ProcessRequest, tasks: number): ExchangePlace {
  if (tasks > 1 && spillFolder === undefined) return { kind: 'warehouse', prefix: `_spill/${runId}/${plans}/` }
  return { kind: 'folder', path: spillFolderOf(spillFolder ?? tmpdir(), runId, plans) }
}
