/**
 * From the results of the tasks to one snapshot. Everything that may refuse the run comes before the first write to
 * the table: accounting, the share of bad records.
 */
import { type Clock, newSnapshotId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { EpochMicros, RunId, SnapshotId } from '../../table/ids.ts'
import { dataFileFromJson, type FileChange, type Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { averagesOf, mergeAverages, NO_AVERAGES } from './averages.ts'
import type { Replacement } from './existing/existing-rows.ts'
import { type JsonManifest, REPLACED_MEMBER, writeManifest } from './manifest.ts'
import { manifestFile, utcMicros } from './manifest-file.ts'
import type { CompactionPlan } from './plan.ts'
import { acceptedTime } from './planned-time.ts'
import {
  COMPACTED_AT_PROPERTY,
  incarnationName,
  LAST_RUN_PROPERTY,
  POSITIONS_PREFIX,
  positionsOf,
  positionsProperty,
  printPositions,
  REPLAYED_PROPERTY,
  STREAMS_PROPERTY,
} from './positions.ts'
import { quarantineId, reasonsOf } from './refused/quarantine.ts'
import { markSnapshot } from './refused/refused-objects.ts'
import { printReplayed, REPLAYED_MEMBER, replayedOf } from './refused/replayed.ts'
import { streamsOf } from './staged.ts'
import type { CompactionTaskResult } from './task.ts'

export interface RunTotals
  extends Pick<
    CompactionTaskResult,
    'kinesisRecords' | 'recordsRead' | 'rowsAdded' | 'duplicates' | 'quarantined' | 'gaps' | 'averages' | 'files'
  > {
  /** What goes out of files of the table; there when the run was held against the table's rows, even if nothing goes. */
  readonly replacement?: Replacement | undefined
}

/** One run of all its tasks. @throws {FirnError} `FIRN_ACCOUNTING_FAILED` (failed): a record is unaccounted for. */
export function totalsOf(results: readonly CompactionTaskResult[]): RunTotals {
  const sum = (count: (result: CompactionTaskResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0)
  const totals: RunTotals = {
    kinesisRecords: sum((result) => result.kinesisRecords),
    recordsRead: sum((result) => result.recordsRead),
    rowsAdded: sum((result) => result.rowsAdded),
    duplicates: sum((result) => result.duplicates),
    quarantined: results.flatMap((result) => result.quarantined),
    gaps: results.flatMap((result) => result.gaps),
    averages: results.map((result) => result.averages).reduce(mergeAverages, NO_AVERAGES),
    files: results.flatMap((result) => result.files),
  }
  const quarantined = quarantinedRows(totals)
  const refused = results.some((result) => result.refused)
  const inFiles = totals.files.reduce((rows, file) => rows + file.dataFile.recordCount, 0)
  const { recordsRead, rowsAdded, duplicates } = totals
  if (recordsRead !== rowsAdded + quarantined + duplicates || (!refused && inFiles !== rowsAdded)) {
    throw new FirnError(
      'failed',
      'FIRN_ACCOUNTING_FAILED',
      `${recordsRead} records read, but ${rowsAdded} rows added (${inFiles} in files) + ${quarantined} quarantined + ${duplicates} duplicates`,
      { help: 'nothing was committed; please report this: it is a fault in firn' },
    )
  }
  return totals
}

export const quarantinedRows = (totals: RunTotals): number =>
  totals.quarantined.reduce((rows, object) => rows + object.rows, 0)

/** @throws {FirnError} `FIRN_TOO_MANY_BAD_RECORDS` (failed). */
export function checkBadRatio(totals: RunTotals, maxBadRatio: number, table: string): void {
  const bad = quarantinedRows(totals)
  if (bad <= maxBadRatio * totals.recordsRead) return
  const reasons = Object.entries(reasonsOf(totals.quarantined)).map(([reason, rows]) => `${reason} ${rows}`)
  const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`
  throw new FirnError(
    'failed',
    'FIRN_TOO_MANY_BAD_RECORDS',
    `${table}: ${bad} of ${totals.recordsRead} records are bad (${percent(bad / totals.recordsRead)}, at most ${percent(maxBadRatio)} are accepted): ${reasons.join(', ')}; the table is unchanged`,
    {
      detail: { bad, records: totals.recordsRead, maxBadRatio },
      help: `look at ${totals.quarantined[0]?.path}; then correct the producer, or accept them with --max-bad-ratio`,
    },
  )
}

/** What a run moves together with its snapshot: how far the streams are read, or which refused records are used up. */
export type RunMoves =
  | { readonly kind: 'positions'; readonly plan: CompactionPlan }
  | {
      readonly kind: 'replayed'
      /** Keys of the quarantine objects that the run read. */
      readonly objects: readonly string[]
    }

export interface RunCommit extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** As the run was planned on. */
  readonly table: Table
  readonly tableName: string
  readonly runId: RunId
  readonly compactedAt: EpochMicros
  readonly moves: RunMoves
  readonly totals: RunTotals
  readonly clock: Clock
}

export interface CommittedRun {
  readonly table: Table
  readonly snapshotId: SnapshotId
  readonly attempts: number
  readonly recovered: boolean
}

/**
 * Write the JSON manifest, then commit. What the run moves, planned time and run id move only together with the
 * snapshot, and only while they are what the run was planned on.
 * @throws {FirnError} `FIRN_REQUIREMENT_FAILED` (conflict): another run was faster; plan anew. What `append` throws.
 */
export async function commitRun(commit: RunCommit): Promise<CommittedRun> {
  const { table, totals, moves, runId, compactedAt, signal } = commit
  const snapshotId = newSnapshotId(commit.clock)
  await writeManifest(commit.store, jsonManifest(commit, String(snapshotId)), { signal })
  const properties = propertiesOf(commit)
  const planned = watchedBy(commit, properties).map((name) => [name, table.metadata.properties[name]] as const)
  const lateStarts = moves.kind === 'positions' ? moves.plan.lateStarts.length : 0
  const {
    table: next,
    attempts,
    recovered,
  } = await table.commitFiles(fileChange(totals), {
    snapshotId,
    summary: {
      'firn.run-id': runId,
      'firn.compacted-at': String(compactedAt),
      'firn.records-read': String(totals.recordsRead),
      'firn.records-quarantined': String(quarantinedRows(totals)),
      'firn.records-duplicate': String(totals.duplicates),
      ...(totals.replacement === undefined ? {} : { [REPLACED_MEMBER]: String(totals.replacement.replacedRows) }),
      'firn.gaps': String(lateStarts + totals.gaps.length),
      ...(moves.kind === 'replayed' ? { [REPLAYED_MEMBER]: String(moves.objects.length) } : {}),
    },
    setProperties: properties,
    requireProperties: Object.fromEntries(planned),
    runMarker: { property: LAST_RUN_PROPERTY, value: runId },
    signal,
  })
  if (quarantinedRows(totals) > 0) await markRun(commit, snapshotId)
  return { table: next, snapshotId, attempts, recovered }
}

/** Other engines make no mark when they let a snapshot expire; where this fails, the next expiry here does it. */
async function markRun(source: RunCommit, snapshotId: SnapshotId): Promise<void> {
  await markSnapshot(source, snapshotId).catch((error: unknown) => {
    if (!FirnError.is(error) && source.signal?.aborted !== true) throw error
  })
}

/**
 * Whether a commit failed because the table is no longer what the run was planned on, so that it is to be planned anew.
 * A conflict of files is that too where the run depends on the table's rows.
 */
export const isOvertaken = (error: unknown, { replacement }: RunTotals): boolean =>
  FirnError.is(error, 'FIRN_REQUIREMENT_FAILED') ||
  (replacement !== undefined && FirnError.is(error, 'FIRN_COMMIT_CONFLICT'))

/** A run that was held against the table's rows is only right while they are what they were. */
function fileChange({ files, replacement }: RunTotals): FileChange {
  const added = files.map((file) => dataFileFromJson(file.dataFile))
  if (replacement === undefined) return { operation: 'append', added, removed: [] }
  const { removed, written } = replacement
  return {
    operation: removed.length === 0 ? 'append' : 'overwrite',
    added: [...added, ...written.map(({ dataFile }) => dataFile)],
    removed,
    sameFiles: true,
  }
}

/** Every property that a run moves. */
function propertiesOf({ table, tableName, moves, runId, compactedAt, clock }: RunCommit): Record<string, string> {
  const { properties } = table.metadata
  const moved =
    moves.kind === 'positions' ? positionsMoved(moves.plan, properties, tableName) : usedUp(moves, properties)
  return {
    ...moved,
    [COMPACTED_AT_PROPERTY]: String(compactedAt),
    [LAST_RUN_PROPERTY]: runId,
    ...acceptedTime(compactedAt, clock),
  }
}

function positionsMoved(
  plan: CompactionPlan,
  properties: Readonly<Record<string, string>>,
  tableName: string,
): Record<string, string> {
  const positions = Object.entries(plan.positions.after)
    .map(([incarnation, shards]) => [positionsProperty(incarnation), printPositions(shards)] as const)
    // a stream of which nothing is landed yet leaves no trace
    .filter(([name, text]) => text !== '{}' || properties[name] !== undefined)
  const read = Object.keys(plan.positions.after).map((incarnation) => incarnation.replace(/@\d+$/, ''))
  const streams = [...new Set([...(streamsOf(properties, tableName) ?? []), ...read])].sort()
  return { ...Object.fromEntries(positions), [STREAMS_PROPERTY]: JSON.stringify(streams) }
}

const usedUp = (
  { objects }: Extract<RunMoves, { kind: 'replayed' }>,
  properties: Readonly<Record<string, string>>,
): Record<string, string> => ({
  [REPLAYED_PROPERTY]: printReplayed([...replayedOf(properties), ...objects.map(quarantineId)]),
})

/** What must be as the run was planned on: what it moves and, of a replay, the positions that its manifest states. */
function watchedBy({ table, moves }: RunCommit, moved: Readonly<Record<string, string>>): readonly string[] {
  if (moves.kind === 'positions') return Object.keys(moved)
  const positions = Object.keys(table.metadata.properties).filter((name) => name.startsWith(POSITIONS_PREFIX))
  return [...Object.keys(moved), ...positions]
}

function jsonManifest(commit: RunCommit, snapshotId: string): JsonManifest {
  const { totals, moves, compactedAt } = commit
  const { removed = [], written = [] } = totals.replacement ?? {}
  const standing = positionsOf(commit.table.metadata.properties)
  return {
    schema: 'firn.manifest/1',
    table: commit.tableName,
    table_uuid: commit.table.metadata.tableUuid,
    snapshot_id: snapshotId,
    operation: removed.length === 0 ? 'append' : 'overwrite',
    run_id: commit.runId,
    compacted_at: utcMicros(compactedAt),
    compacted_at_micros: String(compactedAt),
    positions: moves.kind === 'positions' ? moves.plan.positions : { before: standing, after: standing },
    gaps: totals.gaps.map((gap) => ({ stream: incarnationName(gap), shard_id: gap.shardId, after: gap.after })),
    records: {
      kinesis_records: totals.kinesisRecords,
      read: totals.recordsRead,
      added: totals.rowsAdded,
      quarantined: quarantinedRows(totals),
      duplicates: totals.duplicates,
      ...(totals.replacement === undefined
        ? {}
        : { replaced: totals.replacement.replacedRows, kept: totals.replacement.keptRows }),
    },
    added: [
      ...totals.files.map((file) => manifestFile(dataFileFromJson(file.dataFile), file, commit.table.metadata)),
      ...written.map((file) => manifestFile(file.dataFile, file, commit.table.metadata)),
    ],
    removed: removed.map(({ filePath }) => filePath),
    quarantined: totals.quarantined,
    ...(moves.kind === 'replayed' ? { replayed: moves.objects } : {}),
    averages: averagesOf(totals.averages),
  }
}
