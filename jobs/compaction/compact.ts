/**
 * One compaction run: plan, run the tasks, commit once. When another run moved the table's positions meanwhile, this
 * one's files are abandoned and it plans anew on what is left.
 */
import { registerConsumer, type StreamIncarnation } from '../../ingest/index.ts'
import { type Clock, newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { EpochMicros, RunId } from '../../table/ids.ts'
import type { Catalog, Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { createTableFor, type DatasetDefinition, datasetDifferences, datasetOfProperties } from '../datasets/index.ts'
import type { Executor } from '../executors/executor.ts'
import { mendVersionHint } from '../verify/version-hint.ts'
import type { Averages } from './averages.ts'
import { averagesOf, NO_AVERAGES } from './averages.ts'
import { type CommittedRun, commitRun, isOvertaken, type RunTotals } from './commit.ts'
import { utcMicros } from './manifest-file.ts'
import { type CompactionPlan, planCompaction } from './plan.ts'
import { plannedTime } from './planned-time.ts'
import { incarnationName, positionsOf } from './positions.ts'
import { processInputs } from './process.ts'
import { type QuarantineObject, reasonsOf } from './refused/quarantine.ts'
import { chooseStreams, listStaging, type StreamChoice } from './staged.ts'
import { tellUnconsumed } from './unconsumed.ts'

export interface CompactOptions extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
  /** `namespace.name`. */
  readonly table: string
  /** What to create the table from when there is none; an existing table keeps its own, and a warning says how it differs. */
  readonly dataset?: DatasetDefinition | undefined
  /** What to create the table from when there is none and no `dataset` is given. */
  readonly fallbackDataset?: DatasetDefinition | undefined
  /** Default: what the table read before, else the only stream in staging. */
  readonly streams?: readonly string[] | undefined
  readonly clock: Clock
  readonly executor: Executor
  /** Share of bad records above which the run fails, 0 to 1. Default 0.05. */
  readonly maxBadRatio?: number | undefined
  /** Bytes of memory that a process of the run takes, about. Default: 1 GiB. */
  readonly memoryLimitBytes?: number | undefined
  /** Tasks that share the work, 1 to 64. Default 1. */
  readonly tasks?: number | undefined
  /** Where rows go that memory does not hold; default: see `ProcessRequest`. */
  readonly spillFolder?: string | undefined
  /** File URL of the module that fills columns from `enrichment`. */
  readonly enrichment?: string | undefined
  /** Compressed staging bytes that one run reads at most; the rest is left for the next. Default: everything. */
  readonly maxReadBytes?: number | undefined
  /** Go on from the time of an earlier run though it is yet to come: that run had a wrong clock, this one is right. */
  readonly acceptClock?: boolean | undefined
  readonly log?: CompactLog | undefined
  /** Instead of `signal` once the commit has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
  /** Called when the run is planned and its work begins; not when there is nothing to do. */
  readonly onBegin?: (() => void) | undefined
  /** Of this run alone: its files are named after it. Default: a new one. */
  readonly runId?: RunId | undefined
}

export interface CompactLog {
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
}

/** The JSON document of `firn compact`. */
export interface CompactResult {
  readonly schema: 'firn.compact/1'
  readonly table: string
  readonly run_id: RunId
  /** Decimal; null when there was nothing to do. */
  readonly snapshot_id: string | null
  readonly nothing_to_do: boolean
  readonly compacted_at: string | null
  readonly kinesis_records: number
  readonly records_read: number
  readonly rows_added: number
  /** Records by reason. */
  readonly quarantined: Readonly<Record<string, number>>
  readonly quarantine_objects: readonly string[]
  readonly duplicates: number
  /** Rows of the table in whose place others of their keys came: with dedup scope `table`. */
  readonly rows_replaced: number
  readonly files_added: number
  readonly bytes_added: number
  /** Places where records were lost before they could be landed. */
  readonly gaps: readonly { readonly stream: string; readonly shard_id: string; readonly after: string }[]
  /** Shards whose beginning had been pruned before the table first read them. */
  readonly late_starts: readonly { readonly stream: string; readonly shard_id: string; readonly after: string }[]
  /** Chunks that a read limit left for the next run. */
  readonly chunks_left: number
  /** Streams that were read. */
  readonly streams: readonly string[]
  /** Streams in staging that were not, each with the command that reads it. */
  readonly unread_streams: readonly UnreadStream[]
  /** Times the run was planned: more than once when other runs were faster. */
  readonly plans: number
  readonly commit_attempts: number
  readonly averages: Averages
}

export interface UnreadStream {
  readonly stream: string
  readonly command: string
}

/** Plans of one run; each lost to a run that made progress. */
const MAX_PLANS = 5
const DEFAULT_MAX_BAD_RATIO = 0.05

/**
 * @throws {FirnError} `FIRN_TOO_MANY_BAD_RECORDS`, `FIRN_CLOCK_BEHIND`, `FIRN_ACCOUNTING_FAILED` (failed);
 *   `FIRN_STREAM_AMBIGUOUS`, `FIRN_DATASET_UNKNOWN` (invalid); `FIRN_TABLE_NOT_FOUND`, `FIRN_STREAM_NOT_STAGED`
 *   (not-found); `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT` (corrupt); `FIRN_COMPACTION_RACE`, `FIRN_COMMIT_CONFLICT`
 *   (conflict); `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit).
 */
export async function compact(options: CompactOptions): Promise<CompactResult> {
  const { maxBadRatio = DEFAULT_MAX_BAD_RATIO, signal } = options
  if (!(maxBadRatio >= 0 && maxBadRatio <= 1)) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `maxBadRatio must be 0 to 1, got ${maxBadRatio}`)
  }
  const runId = options.runId ?? newRunId(options.clock)
  let table = await loadOrCreate(options)
  for (let plans = 1; plans <= MAX_PLANS; plans++) {
    signal?.throwIfAborted()
    const run = await planRun(options, table, runId, plans)
    if (run.plan.nothingToDo) {
      // a run that was killed right after its commit is finished here
      await mendVersionHint(table, { signal })
      run.tellDone()
      return resultOf(run, undefined, undefined)
    }
    options.onBegin?.()
    const { store, clock, table: tableName, executor } = options
    const { compactedAt, plan, dataset } = run
    const { inputs } = plan
    const { memoryLimitBytes, tasks, spillFolder, enrichment } = options
    const work = { inputs, executor, memoryLimitBytes, tasks, spillFolder, enrichment }
    const request = { store, table, tableName, dataset, runId, plans, compactedAt, maxBadRatio, ...work }
    const totals = await processInputs({ ...request, signal })
    try {
      const moves = { kind: 'positions', plan } as const
      signal?.throwIfAborted()
      const commit = { store, clock, table, tableName, runId, compactedAt, moves, totals }
      const committed = await commitRun({ ...commit, signal: options.commitSignal ?? signal })
      run.tellDone()
      return resultOf(run, totals, committed)
    } catch (error) {
      if (!isOvertaken(error, totals)) throw error
      options.log?.info({ table: options.table, runId, plans }, 'another run was faster, planning anew')
    }
    table = await table.refresh({ signal })
  }
  throw new FirnError(
    'conflict',
    'FIRN_COMPACTION_RACE',
    `${options.table}: other runs were faster ${MAX_PLANS} times`,
    {
      help: 'let one scheduler compact a table; what is left is compacted by the next run',
    },
  )
}

export interface CompactionPreview {
  readonly plan: CompactionPlan
  readonly streams: readonly string[]
  readonly unreadStreams: readonly UnreadStream[]
}

/**
 * The plan of the run that `compact` would make now. Changes nothing: no table is created, none registered.
 * @throws what `compact` throws up to its plan.
 */
export async function previewCompaction(options: Omit<CompactOptions, 'executor'>): Promise<CompactionPreview> {
  const { catalog, store, signal, table: name } = options
  const table = await catalog.loadTable(name, { signal }).catch((error: unknown) => {
    if (FirnError.is(error, 'FIRN_TABLE_NOT_FOUND') && datasetToCreate(options) !== undefined) return undefined
    throw error
  })
  if (table !== undefined) warnOfOtherDataset(options, table)
  const properties = table?.metadata.properties ?? {}
  const choice = await chooseStreams(store, name, properties, options.streams, { signal })
  const positions = positionsOf(properties)
  const staging = await listStaging(store, choice.incarnations, positions, { signal })
  const plan = planCompaction(staging, positions, { maxBytes: options.maxReadBytes })
  return { plan, streams: choice.streams, unreadStreams: unreadStreams(name, choice) }
}

const unreadStreams = (table: string, { unread }: StreamChoice): readonly UnreadStream[] =>
  unread.map((stream) => ({ stream, command: `firn compact ${table} --stream ${stream}` }))

interface PlannedRun {
  readonly options: CompactOptions
  readonly runId: RunId
  readonly plans: number
  readonly plan: CompactionPlan
  readonly choice: StreamChoice
  readonly compactedAt: EpochMicros
  /** Tells what is left in staging, once the run has committed. */
  readonly tellDone: () => void
  readonly dataset: DatasetDefinition
}

async function loadOrCreate(options: CompactOptions): Promise<Table> {
  const { catalog, signal } = options
  const dataset = datasetToCreate(options)
  try {
    const table = await catalog.loadTable(options.table, { signal })
    warnOfOtherDataset(options, table)
    return table
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_TABLE_NOT_FOUND') || dataset === undefined) throw error
  }
  // a wrong stream name must not leave an empty table behind
  await chooseStreams(options.store, options.table, {}, options.streams, { signal })
  try {
    const table = await createTableFor(catalog, options.table, dataset, { signal })
    options.log?.info({ table: options.table, location: table.location, dataset: dataset.name }, 'created the table')
    return table
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_TABLE_EXISTS')) throw error
    return await catalog.loadTable(options.table, { signal })
  }
}

const datasetToCreate = ({ dataset, fallbackDataset }: Partial<CompactOptions>): DatasetDefinition | undefined =>
  dataset ?? fallbackDataset

/** A changed definition file does nothing to a table that exists; whoever gives one expects that it does. */
function warnOfOtherDataset({ dataset, log, table: name }: Omit<CompactOptions, 'executor'>, table: Table): void {
  const stored = dataset === undefined ? undefined : datasetOfProperties(table.metadata.properties, name)
  if (dataset === undefined || stored === undefined) return
  const differences = datasetDifferences(stored, dataset)
  if (differences.length === 0) return
  log?.warn(
    { table: name, differences },
    `${name} keeps the definition it was made with; the given dataset ${dataset.name} differs and is not used`,
  )
}

async function planRun(options: CompactOptions, table: Table, runId: RunId, plans: number): Promise<PlannedRun> {
  const { store, signal } = options
  const { properties } = table.metadata
  const dataset = datasetOfProperties(properties, options.table)
  if (dataset === undefined) {
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_UNKNOWN',
      `table ${options.table} was not made by firn: it has no dataset definition`,
      {
        help: 'compact into a table that firn init made',
      },
    )
  }
  const choice = await chooseStreams(store, options.table, properties, options.streams, { signal })
  await registerEverywhere(options, table, choice.incarnations)
  const positions = positionsOf(properties)
  const staging = await listStaging(store, choice.incarnations, positions, { signal })
  const plan = planCompaction(staging, positions, { maxBytes: options.maxReadBytes })
  const told = (when: 'planned' | 'done'): void =>
    tellUnconsumed(
      { table: options.table, streams: choice.streams, when },
      staging,
      plan.positions[when === 'planned' ? 'before' : 'after'],
    )
  told('planned')
  const compactedAt = plannedTime(properties, options.clock, options.acceptClock)
  return { options, runId, plans, plan, choice, compactedAt, dataset, tellDone: () => told('done') }
}

/** Before the first plan: from then on nothing that this table has not read is pruned from staging. */
async function registerEverywhere(
  { store, catalog, clock, signal, table: name }: CompactOptions,
  table: Table,
  incarnations: readonly StreamIncarnation[],
): Promise<void> {
  const consumer = {
    table: name,
    tableUuid: table.metadata.tableUuid,
    catalog: catalog.kind,
    location: table.location,
  } as const
  for (const incarnation of incarnations) await registerConsumer(store, incarnation, consumer, { clock, signal })
}

function resultOf(run: PlannedRun, totals: RunTotals | undefined, committed: CommittedRun | undefined): CompactResult {
  const quarantined: readonly QuarantineObject[] = totals?.quarantined ?? []
  const place = (each: { stream: string; created: number; shardId: string; after: string }) => ({
    stream: incarnationName(each),
    shard_id: each.shardId,
    after: each.after,
  })
  return {
    schema: 'firn.compact/1',
    table: run.options.table,
    run_id: run.runId,
    snapshot_id: committed === undefined ? null : String(committed.snapshotId),
    nothing_to_do: committed === undefined,
    compacted_at: committed === undefined ? null : utcMicros(run.compactedAt),
    kinesis_records: totals?.kinesisRecords ?? 0,
    records_read: totals?.recordsRead ?? 0,
    rows_added: totals?.rowsAdded ?? 0,
    quarantined: reasonsOf(quarantined),
    quarantine_objects: quarantined.map((object) => object.path),
    duplicates: totals?.duplicates ?? 0,
    rows_replaced: totals?.replacement?.replacedRows ?? 0,
    files_added: totals?.files.length ?? 0,
    bytes_added: totals?.files.reduce((bytes, file) => bytes + file.dataFile.fileSizeBytes, 0) ?? 0,
    gaps: (totals?.gaps ?? []).map(place),
    late_starts: run.plan.lateStarts.map(place),
    chunks_left: run.plan.chunksLeft,
    streams: run.choice.streams,
    unread_streams: unreadStreams(run.options.table, run.choice),
    plans: run.plans,
    commit_attempts: committed?.attempts ?? 0,
    averages: averagesOf(totals?.averages ?? NO_AVERAGES),
  }
}
