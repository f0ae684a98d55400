/** Executes a plan, group by group; each commits by itself, so that what is done stays done. */
import { FirnError } from '../../errors.ts'
import { type RunId, type SnapshotId, snapshotId } from '../../ids.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { DataFile } from '../../manifest/data-file.ts'
import { type FileScanTask, planFiles } from '../../scan/plan.ts'
import { currentSchema } from '../../spec/metadata.ts'
import type { Table } from '../../table.ts'
import type { UpcomingSnapshot } from '../../write/snapshot-options.ts'
import type { WrittenFile } from '../../write/writer.ts'
import { type WrittenGroup, writeGroup } from './group-run.ts'
import type { RewriteReason } from './groups.ts'
import { sortBudget } from './memory.ts'
import { type PlannedGroup, planGroups, type RewritePlan } from './plan.ts'
import { assertStillThere } from './still-there.ts'

export const DEFAULT_MEMORY_LIMIT_BYTES: number = 1024 ** 3

export interface RewriteRunOptions extends AbortableOptions {
  /** Instead of `signal` for a commit that has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
  /** Unique to the run; part of every file name that it makes. */
  readonly runId: RunId
  /** A folder on a local disk with room for the uncompressed rows of the largest group. */
  readonly spillFolder: string
  /** Default: 1 GiB. */
  readonly memoryLimitBytes?: number
  /** Groups are committed together in at most so many commits; default: each by itself. */
  readonly maxCommits?: number
  /** Remove delete files that apply to nothing once these groups are rewritten. Default: true. */
  readonly removeDanglingDeletes?: boolean
  /** Extra members of every snapshot's summary. */
  readonly summary?: Readonly<Record<string, string>>
  /** Called before the first try of each commit, which its failure prevents. */
  readonly beforeCommit?: (upcoming: UpcomingRewrite) => Promise<void>
  /** Called after each group was committed or lost. */
  readonly onGroup?: (result: RewriteGroupResult) => void
}

/** One snapshot of a rewrite before its commit. */
export interface UpcomingRewrite extends UpcomingSnapshot {
  readonly added: readonly WrittenFile[]
}

export interface RewriteGroupResult {
  /** `conflict`: another writer changed its files meanwhile; they are as that one left them. */
  readonly outcome: 'committed' | 'conflict'
  readonly partition: string | null
  readonly reasons: readonly RewriteReason[]
  readonly inputs: readonly string[]
  /** Of a conflict: written, in no snapshot, and left to orphan removal. */
  readonly outputs: readonly {
    readonly path: string
    readonly sizeBytes: number
    readonly rows: number
    readonly sha256: string
  }[]
  readonly removedDeleteFiles: readonly string[]
  readonly rows: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Decimal; `null` for a conflict. */
  readonly snapshotId: string | null
  /** Of the rows as they were read, and again as they were written. */
  readonly digest: string
  /** Why it was lost. */
  readonly problem?: string
}

export interface RewriteResult {
  readonly groups: readonly RewriteGroupResult[]
  readonly totals: {
    readonly committed: number
    readonly conflicts: number
    readonly filesBefore: number
    readonly filesAfter: number
    readonly rows: number
    readonly bytesBefore: number
    readonly bytesAfter: number
  }
  readonly overlapDepth: { readonly before: number | null; readonly after: number | null }
}

/**
 * Rewrites the files of `plan`. Rows and values stay as they are: before each commit the output is read back, and a
 * digest of its rows compared with that of the rows that were read. It tells loss and damage on the way from one to
 * the other; rows that were read wrong, for example without a delete that applies to them, it does not. A death in the middle loses the running group only: a new plan goes on with the
 * rest. No file is ever deleted here: what a lost group wrote is left to orphan removal.
 * @param table of which `plan` was made, as it was then or newer.
 * @throws {FirnError} `FIRN_MEMORY_LIMIT_TOO_SMALL`, `FIRN_PLAN_STALE` (invalid), before anything is written;
 *   `FIRN_REWRITE_DIGEST_MISMATCH` (corrupt); `FIRN_REWRITE_OUTPUT_LOST` (failed); `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit): look before a new run.
 */
export async function runRewrite(
  table: Table,
  plan: RewritePlan,
  options: RewriteRunOptions,
): Promise<{ readonly table: Table; readonly result: RewriteResult }> {
  const run = await prepare(table, plan, options)
  const results: RewriteGroupResult[] = []
  const perCommit =
    options.maxCommits === undefined ? 1 : Math.ceil(plan.groups.length / Math.max(1, options.maxCommits))
  let pending: FinishedGroup[] = []
  const commit = async (): Promise<void> => {
    for (const result of await commitGroups(run, pending)) {
      results.push(result)
      options.onGroup?.(result)
    }
    pending = []
  }
  for (const [index, group] of plan.groups.entries()) {
    options.signal?.throwIfAborted()
    pending.push({ group, written: await runGroup(run, group, index) })
    if (pending.length >= perCommit) await commit()
  }
  if (pending.length > 0) await commit()
  return { table: run.table, result: await summarise(run, results) }
}

interface Run {
  readonly plan: RewritePlan
  readonly options: RewriteRunOptions
  readonly startSnapshotId: SnapshotId | undefined
  readonly tasks: ReadonlyMap<string, FileScanTask>
  /** By path of a delete file: the data files that it still applies to. */
  readonly deletes: ReadonlyMap<string, Set<string>>
  /** As it was planned: what others change of schema and partitions meanwhile is not for these files. */
  readonly source: Table
  /** As it is after the last commit. */
  table: Table
}

async function prepare(table: Table, plan: RewritePlan, options: RewriteRunOptions): Promise<Run> {
  checkPlan(table, plan)
  for (const group of plan.groups) sortBudget(memoryLimit(options), group, plan.settings)
  const startSnapshotId = plan.snapshotId === null ? undefined : snapshotId(BigInt(plan.snapshotId))
  const snapshot = startSnapshotId === undefined ? undefined : table.snapshotFor({ snapshotId: startSnapshotId })
  // As the rows are read, which are then written with the current schema.
  const schema = currentSchema(table.metadata)
  const files = await planFiles(table.store, table.metadata, snapshot, undefined, {
    schema,
    tableName: table.name,
    signal: options.signal,
  })
  const deletes = new Map<string, Set<string>>()
  for (const task of files) {
    for (const { file } of task.deletes) {
      const users = deletes.get(file.filePath) ?? new Set()
      deletes.set(file.filePath, users.add(task.file.filePath))
    }
  }
  return {
    plan,
    options,
    startSnapshotId,
    tasks: new Map(files.map((task) => [task.file.filePath, task])),
    deletes,
    source: table,
    table,
  }
}

function checkPlan({ metadata, location }: Table, plan: RewritePlan): void {
  const stale = (problem: string): never => {
    throw new FirnError('invalid', 'FIRN_PLAN_STALE', `table ${location}: ${problem}`, { help: 'Plan again.' })
  }
  if (plan.tableUuid !== metadata.tableUuid) stale('the plan is of another table')
  if (plan.schemaId !== metadata.currentSchemaId) stale('the schema changed since the plan')
  if (plan.specId !== metadata.defaultSpecId) stale('the partition spec changed since the plan')
  if (metadata.formatVersion !== 2) {
    const message = `table ${location} has format version ${metadata.formatVersion}; only version 2 is written`
    throw new FirnError('invalid', 'FIRN_FORMAT_VERSION_UNSUPPORTED', message, {
      help: 'Upgrade it with the engine that made it: set the table property format-version to 2.',
    })
  }
}

const memoryLimit = ({ memoryLimitBytes }: RewriteRunOptions): number => memoryLimitBytes ?? DEFAULT_MEMORY_LIMIT_BYTES

async function runGroup(run: Run, group: PlannedGroup, index: number): Promise<WrittenGroup> {
  const { plan, options } = run
  const tasks = group.inputs.map(({ path }) => {
    const task = run.tasks.get(path)
    if (task !== undefined) return task
    throw new FirnError('invalid', 'FIRN_PLAN_STALE', `${path} is not in snapshot ${plan.snapshotId}`, {
      help: 'Plan again.',
    })
  })
  const work = {
    table: run.source,
    tasks,
    settings: plan.settings,
    isRepartitioned: group.partition === null,
    budget: sortBudget(memoryLimit(options), group, plan.settings),
    spillFolder: options.spillFolder,
    fileNamePrefix: `${options.runId}-${index}`,
  }
  return writeGroup(work, { signal: options.signal })
}

interface FinishedGroup {
  readonly group: PlannedGroup
  readonly written: WrittenGroup
}

const dataFileOf = ({ dataFile }: WrittenFile): DataFile => dataFile

/** All in one snapshot; when they lose to another writer, each by itself, so that only what is touched is lost. */
async function commitGroups(run: Run, groups: readonly FinishedGroup[]): Promise<readonly RewriteGroupResult[]> {
  const { options, plan } = run
  const removed = groups.flatMap(({ group }) => group.inputs.map(({ path }) => path))
  const dangling = options.removeDanglingDeletes === false ? [] : danglingDeletes(run, removed)
  const added = groups.flatMap(({ written }) => written.files)
  const { beforeCommit } = options
  await assertStillThere(run.table, added.map(dataFileOf), { signal: options.signal })
  options.signal?.throwIfAborted()
  try {
    const { table, snapshot } = await run.table.replaceFiles([...removed, ...dangling], added.map(dataFileOf), {
      startSnapshotId: run.startSnapshotId!,
      dataSequenceNumber: plan.sequenceNumber,
      summary: { 'firn.rewrite-strategy': plan.settings.strategy, ...options.summary },
      ...(beforeCommit && { beforeCommit: (upcoming) => beforeCommit({ ...upcoming, added }) }),
      signal: options.commitSignal ?? options.signal,
    })
    run.table = table
    forget(run, removed, dangling)
    return groups.map((finished, index) =>
      describe(finished, { snapshotId: snapshot?.snapshotId, removedDeleteFiles: index === 0 ? dangling : [] }),
    )
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT')) throw error
    if (groups.length === 1) return [describe(groups[0]!, { problem: error.message })]
  }
  const results: RewriteGroupResult[] = []
  for (const finished of groups) results.push(...(await commitGroups(run, [finished])))
  return results
}

/**
 * Delete files that apply to `removed` alone. Data files that came since are newer than they are, and the output of
 * another rewrite has them applied.
 */
function danglingDeletes(run: Run, removed: readonly string[]): readonly string[] {
  const gone = new Set(removed)
  return [...run.deletes].filter(([, users]) => [...users].every((path) => gone.has(path))).map(([path]) => path)
}

function forget(run: Run, removed: readonly string[], dangling: readonly string[]): void {
  const deletes = run.deletes as Map<string, Set<string>>
  for (const path of dangling) deletes.delete(path)
  for (const users of deletes.values()) for (const path of removed) users.delete(path)
}

function describe(
  { group, written }: FinishedGroup,
  outcome: { snapshotId?: SnapshotId | undefined; removedDeleteFiles?: readonly string[]; problem?: string },
): RewriteGroupResult {
  const { problem } = outcome
  return {
    outcome: problem === undefined ? 'committed' : 'conflict',
    partition: group.partition,
    reasons: group.reasons,
    inputs: group.inputs.map(({ path }) => path),
    outputs: written.files.map(({ dataFile, sha256 }: WrittenFile) => ({
      path: dataFile.filePath,
      sizeBytes: dataFile.fileSizeBytes,
      rows: dataFile.recordCount,
      sha256,
    })),
    removedDeleteFiles: outcome.removedDeleteFiles ?? [],
    rows: written.digest.rows,
    bytesBefore: group.bytes,
    bytesAfter: written.files.reduce((sum, { dataFile }) => sum + dataFile.fileSizeBytes, 0),
    snapshotId: outcome.snapshotId === undefined ? null : String(outcome.snapshotId),
    digest: written.digest.hash,
    ...(problem === undefined ? {} : { problem }),
  }
}

async function summarise(run: Run, groups: readonly RewriteGroupResult[]): Promise<RewriteResult> {
  const { table, plan, options } = run
  const done = groups.filter(({ outcome }) => outcome === 'committed')
  const sum = (of: (group: RewriteGroupResult) => number): number => done.reduce((total, group) => total + of(group), 0)
  const files = await planFiles(table.store, table.metadata, table.currentSnapshot(), undefined, {
    schema: currentSchema(table.metadata),
    tableName: table.name,
    signal: options.signal,
  })
  const after = planGroups(table.metadata, files, plan.settings).overlapDepth
  return {
    groups,
    totals: {
      committed: done.length,
      conflicts: groups.length - done.length,
      filesBefore: sum(({ inputs }) => inputs.length),
      filesAfter: sum(({ outputs }) => outputs.length),
      rows: sum(({ rows }) => rows),
      bytesBefore: sum(({ bytesBefore }) => bytesBefore),
      bytesAfter: sum(({ bytesAfter }) => bytesAfter),
    },
    overlapDepth: { before: plan.overlapDepth, after },
  }
}
