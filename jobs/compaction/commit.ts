/**
 * From the results of the tasks to one snapshot. Everything that may refuse the run comes before the first write to
 * the table: accounting, the share of bad records.
 */
import { type Clock, newSnapshotId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMicros, epochMicros, type RunId, type SnapshotId } from '../../table/ids.ts'
import { dataFileFromJson, type Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { averagesOf, mergeAverages, NO_AVERAGES } from './averages.ts'
import { type JsonManifest, writeManifest } from './manifest.ts'
import { manifestFile, utcMicros } from './manifest-file.ts'
import type { CompactionPlan } from './plan.ts'
import {
  COMPACTED_AT_PROPERTY,
  incarnationName,
  LAST_RUN_PROPERTY,
  positionsProperty,
  printPositions,
  STREAMS_PROPERTY,
} from './positions.ts'
import { reasonsOf } from './quarantine.ts'
import { streamsOf } from './staged.ts'
import type { CompactionTaskResult } from './task.ts'

/** How far the table's newest run may be ahead of this clock before the clock is not believed. */
const MAX_CLOCK_LAG_MICROS = 3_600_000_000n

/**
 * The planned time of a run on `table`: now, but after every earlier run, so that a range of `compacted_at` between
 * two snapshots is exactly what was added between them.
 * @throws {FirnError} `FIRN_CLOCK_BEHIND` (failed).
 */
export function plannedTime(properties: Readonly<Record<string, string>>, clock: Clock): EpochMicros {
  const now = BigInt(clock.nowMillis()) * 1000n
  const text = properties[COMPACTED_AT_PROPERTY]
  if (text === undefined) return epochMicros(now)
  if (!/^\d+$/.test(text)) {
    throw new FirnError(
      'corrupt',
      'FIRN_PROPERTY_INVALID',
      `table property ${COMPACTED_AT_PROPERTY} is "${text}", expected microseconds`,
    )
  }
  const last = BigInt(text)
  if (last - now > MAX_CLOCK_LAG_MICROS) {
    throw new FirnError(
      'failed',
      'FIRN_CLOCK_BEHIND',
      `the table's newest run was planned at ${utcMicros(last)}, this machine's clock says ${utcMicros(now)}`,
      { help: 'set the clock of this machine; if it is right, an earlier run was made with a wrong one' },
    )
  }
  return epochMicros(now > last ? now : last + 1n)
}

export type RunTotals = Pick<
  CompactionTaskResult,
  'kinesisRecords' | 'recordsRead' | 'rowsAdded' | 'duplicates' | 'quarantined' | 'gaps' | 'averages' | 'files'
>

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

export interface RunCommit extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** As the run was planned on. */
  readonly table: Table
  readonly tableName: string
  readonly runId: RunId
  readonly compactedAt: EpochMicros
  readonly plan: CompactionPlan
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
 * Write the JSON manifest, then commit. Positions, planned time and run id move only together with the snapshot, and
 * only while they are what the run was planned on.
 * @throws {FirnError} `FIRN_REQUIREMENT_FAILED` (conflict): another run was faster; plan anew. What `append` throws.
 */
export async function commitRun(commit: RunCommit): Promise<CommittedRun> {
  const { table, totals, plan, runId, compactedAt, signal } = commit
  const snapshotId = newSnapshotId(commit.clock)
  await writeManifest(commit.store, jsonManifest(commit, String(snapshotId)), { signal })
  const properties = propertiesOf(commit)
  const planned = Object.keys(properties).map((name) => [name, table.metadata.properties[name]] as const)
  const {
    table: next,
    attempts,
    recovered,
  } = await table.append(
    totals.files.map((file) => dataFileFromJson(file.dataFile)),
    {
      snapshotId,
      summary: {
        'firn.run-id': runId,
        'firn.compacted-at': String(compactedAt),
        'firn.records-read': String(totals.recordsRead),
        'firn.records-quarantined': String(quarantinedRows(totals)),
        'firn.records-duplicate': String(totals.duplicates),
        'firn.gaps': String(plan.lateStarts.length + totals.gaps.length),
      },
      setProperties: properties,
      requireProperties: Object.fromEntries(planned),
      runMarker: { property: LAST_RUN_PROPERTY, value: runId },
      signal,
    },
  )
  return { table: next, snapshotId, attempts, recovered }
}

/** Every property that a run moves. */
function propertiesOf({ table, tableName, plan, runId, compactedAt }: RunCommit): Record<string, string> {
  const positions = Object.entries(plan.positions.after)
    .map(([incarnation, shards]) => [positionsProperty(incarnation), printPositions(shards)] as const)
    // a stream of which nothing is landed yet leaves no trace
    .filter(([name, text]) => text !== '{}' || table.metadata.properties[name] !== undefined)
  const read = Object.keys(plan.positions.after).map((incarnation) => incarnation.replace(/@\d+$/, ''))
  const streams = [...new Set([...(streamsOf(table.metadata.properties, tableName) ?? []), ...read])].sort()
  return {
    ...Object.fromEntries(positions),
    [COMPACTED_AT_PROPERTY]: String(compactedAt),
    [LAST_RUN_PROPERTY]: runId,
    [STREAMS_PROPERTY]: JSON.stringify(streams),
  }
}

function jsonManifest(commit: RunCommit, snapshotId: string): JsonManifest {
  const { totals, plan, compactedAt } = commit
  return {
    schema: 'firn.manifest/1',
    table: commit.tableName,
    table_uuid: commit.table.metadata.tableUuid,
    snapshot_id: snapshotId,
    operation: 'append',
    run_id: commit.runId,
    compacted_at: utcMicros(compactedAt),
    compacted_at_micros: String(compactedAt),
    positions: plan.positions,
    gaps: totals.gaps.map((gap) => ({ stream: incarnationName(gap), shard_id: gap.shardId, after: gap.after })),
    records: {
      kinesis_records: totals.kinesisRecords,
      read: totals.recordsRead,
      added: totals.rowsAdded,
      quarantined: quarantinedRows(totals),
      duplicates: totals.duplicates,
    },
    added: totals.files.map((file) => manifestFile(dataFileFromJson(file.dataFile), file, commit.table.metadata)),
    removed: [],
    quarantined: totals.quarantined,
    averages: averagesOf(totals.averages),
  }
}
