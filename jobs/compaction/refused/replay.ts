/**
 * One replay: refused records run through the rules as they are now. What passes becomes rows, what fails is
 * quarantined anew, and the objects that were read are used up, all by one commit: two replays at once do it once.
 *
 * An object is read whole or not at all, since the table remembers objects, not records.
 */
import { type Clock, newRunId } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import type { RunId } from '../../../table/ids.ts'
import type { Catalog, Table } from '../../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../../table/io/object-store.ts'
import { type DatasetDefinition, datasetOfProperties } from '../../datasets/index.ts'
import type { Executor } from '../../executors/executor.ts'
import { mendVersionHint } from '../../verify/version-hint.ts'
import { type Averages, averagesOf, NO_AVERAGES } from '../averages.ts'
import { type CommittedRun, commitRun, isOvertaken, type RunTotals } from '../commit.ts'
import type { CompactLog } from '../compact.ts'
import { utcMicros } from '../manifest-file.ts'
import { plannedTime } from '../planned-time.ts'
import { processInputs } from '../process.ts'
import { reasonsOf } from './quarantine.ts'
import { checkReasonPrefix } from './reasons.ts'
import { type RefusedObject, refusedObjects } from './refused-objects.ts'

export interface ReplayChoice {
  /** Objects with a record whose reason begins so. Default: every object. */
  readonly reasons?: readonly string[] | undefined
  /** Ids of objects. Default: all that count. */
  readonly objects?: readonly string[] | undefined
}

export interface ReplayOptions extends ReplayChoice, AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
  /** `namespace.name`. */
  readonly table: string
  readonly clock: Clock
  readonly executor: Executor
  /** Share of bad records above which the run fails, 0 to 1. Default: every share is accepted. */
  readonly maxBadRatio?: number | undefined
  /** File URL of the user's enrichment module. */
  readonly enrichment?: string | undefined
  /** Bytes that a process of the run takes at most, about. */
  readonly memoryLimitBytes?: number | undefined
  /** Tasks that share the work. Default 1. */
  readonly tasks?: number | undefined
  /** Where rows go that memory does not hold. */
  readonly spillFolder?: string | undefined
  /** Instead of `signal` once the commit has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
  readonly log?: CompactLog | undefined
  /** Called when the run is planned and its work begins; not when there is nothing to do. */
  readonly onBegin?: (() => void) | undefined
  /** Of this run alone: its files are named after it. Default: a new one. */
  readonly runId?: RunId | undefined
}

/** The JSON document of `firn replay`. */
export interface ReplayResult {
  readonly schema: 'firn.replay/1'
  readonly table: string
  readonly run_id: RunId
  /** Decimal; null when nothing was committed. */
  readonly snapshot_id: string | null
  /** Nothing was committed. */
  readonly nothing_to_do: boolean
  /** The records were run, and all fail again for the same reasons. */
  readonly unchanged: boolean
  readonly compacted_at: string | null
  /** Objects that were read. */
  readonly replayed: readonly string[]
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
  /** Times the run was planned: more than once when other runs were faster. */
  readonly plans: number
  readonly commit_attempts: number
  readonly averages: Averages
}

/** Plans of one run; each lost to a run that made progress. */
const MAX_PLANS = 5

/**
 * @throws {FirnError} `FIRN_TABLE_NOT_FOUND`, `FIRN_REFUSED_NOT_FOUND` (not-found); `FIRN_DATASET_UNKNOWN`,
 *   `FIRN_INVALID_OPTION` (invalid); `FIRN_MANIFEST_CORRUPT`, `FIRN_PROPERTY_INVALID` (corrupt); `FIRN_CLOCK_BEHIND`
 *   (failed); `FIRN_COMPACTION_RACE`, `FIRN_COMMIT_CONFLICT` (conflict); `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit);
 *   what `processInputs` throws.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { store, clock, table: tableName, signal } = options
  const runId = options.runId ?? newRunId(clock)
  let table = await options.catalog.loadTable(tableName, { signal })
  for (let plans = 1; plans <= MAX_PLANS; plans++) {
    signal?.throwIfAborted()
    // objects that were named may have been used up by the run that was faster
    const objects = await choose(options, table, plans === 1)
    const run: PlannedReplay = { tableName, runId, plans, objects }
    if (objects.length === 0) {
      // a run that was killed right after its commit is finished here
      await mendVersionHint(table, { signal })
      return resultOf(run, undefined, undefined, undefined)
    }
    options.onBegin?.()
    const compactedAt = plannedTime(table.metadata.properties, clock)
    const totals = await processInputs({
      store,
      table,
      tableName,
      dataset: datasetOf(table, tableName),
      runId,
      plans,
      compactedAt,
      inputs: objects.map(({ path, rows }) => ({ kind: 'quarantine', path, rows })),
      executor: options.executor,
      maxBadRatio: options.maxBadRatio ?? null,
      memoryLimitBytes: options.memoryLimitBytes,
      tasks: options.tasks,
      spillFolder: options.spillFolder,
      enrichment: options.enrichment,
      signal,
    })
    if (isUnchanged(objects, totals)) {
      await mendVersionHint(table, { signal })
      return resultOf(run, totals, undefined, undefined)
    }
    try {
      const moves = { kind: 'replayed', objects: objects.map(({ path }) => path) } as const
      signal?.throwIfAborted()
      const commit = { store, clock, table, tableName, runId, compactedAt, moves, totals }
      const committed = await commitRun({ ...commit, signal: options.commitSignal ?? signal })
      return resultOf(run, totals, committed, utcMicros(compactedAt))
    } catch (error) {
      if (!isOvertaken(error, totals)) throw error
      options.log?.info({ table: tableName, runId, plans }, 'another run was faster, planning anew')
    }
    table = await table.refresh({ signal })
  }
  throw new FirnError('conflict', 'FIRN_COMPACTION_RACE', `${tableName}: other runs were faster ${MAX_PLANS} times`, {
    help: 'let one scheduler change a table, then replay again',
  })
}

/** What `replay` would read now. @throws {FirnError} what `replay` throws up to its plan. */
export async function previewReplay(
  options: Pick<ReplayOptions, 'store' | 'catalog' | 'table' | 'signal' | 'log' | keyof ReplayChoice>,
): Promise<readonly RefusedObject[]> {
  const table = await options.catalog.loadTable(options.table, { signal: options.signal })
  return choose(options, table, true)
}

async function choose(
  {
    store,
    table: tableName,
    signal,
    reasons,
    objects,
    log,
  }: Pick<ReplayOptions, 'store' | 'table' | 'signal' | 'log' | keyof ReplayChoice>,
  table: Table,
  mustExist: boolean,
): Promise<readonly RefusedObject[]> {
  for (const prefix of reasons ?? []) checkReasonPrefix(prefix)
  const counting = await refusedObjects({ store, table, tableName, signal }, (error) =>
    log?.warn(
      { table: tableName, err: error },
      'refused records of an expired run do not count: what it lists is damaged',
    ),
  )
  const unknown = (objects ?? []).find((id) => !counting.some((object) => object.id === id))
  if (mustExist && unknown !== undefined) {
    throw new FirnError(
      'not-found',
      'FIRN_REFUSED_NOT_FOUND',
      `${tableName} has no refused records to replay in ${unknown}`,
      {
        detail: { object: unknown },
        help: `see what there is: firn replay ${tableName} --dry-run`,
      },
    )
  }
  return counting.filter(
    (object) =>
      (objects === undefined || objects.includes(object.id)) &&
      (reasons === undefined ||
        Object.keys(object.reasons).some((reason) => reasons.some((prefix) => reason.startsWith(prefix)))),
  )
}

function datasetOf(table: Table, name: string): DatasetDefinition {
  const dataset = datasetOfProperties(table.metadata.properties, name)
  if (dataset !== undefined) return dataset
  const message = `table ${name} was not made by firn: it has no dataset definition`
  throw new FirnError('invalid', 'FIRN_DATASET_UNKNOWN', message, { help: 'replay into a table that firn init made' })
}

/** A snapshot that only says again what is known would use up the objects, and raise the attempts, for nothing. */
function isUnchanged(objects: readonly RefusedObject[], { rowsAdded, duplicates, quarantined }: RunTotals): boolean {
  if (rowsAdded > 0 || duplicates > 0) return false
  return JSON.stringify(reasonsOf(objects)) === JSON.stringify(reasonsOf(quarantined))
}

interface PlannedReplay {
  readonly tableName: string
  readonly runId: RunId
  readonly plans: number
  readonly objects: readonly RefusedObject[]
}

function resultOf(
  { tableName, runId, plans, objects }: PlannedReplay,
  totals: RunTotals | undefined,
  committed: CommittedRun | undefined,
  compactedAt: string | undefined,
): ReplayResult {
  // of a run that changed nothing the objects lie about unlisted: what counts is what was there before
  const quarantined = committed === undefined ? [] : (totals?.quarantined ?? [])
  return {
    schema: 'firn.replay/1',
    table: tableName,
    run_id: runId,
    snapshot_id: committed === undefined ? null : String(committed.snapshotId),
    nothing_to_do: committed === undefined,
    unchanged: totals !== undefined && committed === undefined,
    compacted_at: compactedAt ?? null,
    replayed: committed === undefined ? [] : objects.map(({ path }) => path),
    records_read: totals?.recordsRead ?? 0,
    rows_added: totals?.rowsAdded ?? 0,
    quarantined: reasonsOf(totals?.quarantined ?? []),
    quarantine_objects: quarantined.map((object) => object.path),
    duplicates: totals?.duplicates ?? 0,
    rows_replaced: totals?.replacement?.replacedRows ?? 0,
    files_added: totals?.files.length ?? 0,
    bytes_added: totals?.files.reduce((bytes, file) => bytes + file.dataFile.fileSizeBytes, 0) ?? 0,
    plans,
    commit_attempts: committed?.attempts ?? 0,
    averages: averagesOf(totals?.averages ?? NO_AVERAGES),
  }
}
