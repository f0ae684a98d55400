/**
 * `firn maintain`: every part of the maintenance of one table, by policy, in the order in which each profits from the
 * one before. Rewrite and manifests make new snapshots; expiry lets old ones go, and the files that only they led to;
 * the removal of orphans takes what tries and dead runs left, also of an expiry before; pruning goes by the history
 * that expiry left; leftovers belong to nobody. Each part is planned when its turn comes, on the table as it is then.
 * A part that fails keeps no other from running.
 */
import { type Clock, newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { epochMillis, type RunId } from '../../table/ids.ts'
import type { Catalog, Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { Config } from '../config.ts'
import { combined, exitCodeOf, gravestOf } from '../exit.ts'
import type { WorkResult } from '../runs.ts'
import { MAINTAIN_PARTS, type MaintainPart, type MaintainPolicy, policyOf } from '../settings/maintain.ts'
import { sizeArgument } from '../sizes.ts'
import type { Logger } from '../telemetry.ts'
import { durationArgument } from '../times.ts'
import { prepareExpire } from './expire.ts'
import { prepareLeftovers } from './leftovers.ts'
import { prepareManifests } from './manifests.ts'
import { prepareOrphans } from './orphans.ts'
import type { PreparedWork, TableWork } from './prepared.ts'
import { streamsReadBy } from './prune/needs.ts'
import { preparePrune } from './prune/report.ts'
import { parseSortColumns, prepareRewrite, sortFields } from './rewrite.ts'
import { shardLister } from './shard-lister.ts'

export interface MaintainOptions extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
  /** `namespace.name` */
  readonly table: string
  /** `maintain` has the policy, `kinesis` where to ask which shards there are. */
  readonly config: Config
  /** Of those that the policy has; default: all of them. */
  readonly only?: readonly MaintainPart[] | undefined
  /** Default: a new one. */
  readonly runId?: RunId | undefined
  readonly clock: Clock
  readonly log: Logger
  /** Instead of `signal` once a commit has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
  /** Called when something is about to be changed. */
  readonly onBegin?: (() => void) | undefined
}

/** The JSON document of `firn maintain`. */
export interface MaintainResult {
  readonly schema: 'firn.maintain/1'
  readonly table: string
  readonly run_id: RunId
  readonly nothing_to_do: boolean
  readonly parts: readonly PartResult[]
}

export interface PartResult {
  readonly part: MaintainPart
  readonly outcome: 'ok' | 'nothing-to-do' | 'failed'
  /** As the part's own command prints it; null where it could not be planned. */
  readonly plan: unknown
  /** As the part's own command prints it; null where nothing was done, or it failed. */
  readonly result: unknown
  readonly errors: readonly {
    readonly kind: string
    readonly code: string
    readonly message: string
    readonly help: string | null
  }[]
}

export interface MaintainRun {
  readonly result: MaintainResult
  readonly text: string
  /** What the parts threw, and streams that could not be pruned. */
  readonly failures: readonly Error[]
  /** The gravest of all parts; 3 also for a part that lost some of its work to another writer. */
  readonly exitCode: number
}

/** Parts that the policy has and `only` names, in the order in which they run. */
export const partsOf = (policy: MaintainPolicy, only?: readonly MaintainPart[]): readonly MaintainPart[] =>
  MAINTAIN_PARTS.filter((part) => policy[part].enabled && (only === undefined || only.includes(part)))

/** What each part would do to the table as it is now. Changes nothing. @throws nothing that one part alone throws. */
export async function previewMaintain(
  options: MaintainOptions,
): Promise<readonly { readonly part: MaintainPart; readonly prepared: PreparedWork | Error }[]> {
  const found: { part: MaintainPart; prepared: PreparedWork | Error }[] = []
  await options.catalog.loadTable(options.table, { signal: options.signal })
  for (const part of partsOf(policyOf(options.config.maintain, options.table), options.only)) {
    try {
      found.push({ part, prepared: await preparePart(options, part, true) })
    } catch (error) {
      options.signal?.throwIfAborted()
      found.push({ part, prepared: asError(error) })
    }
  }
  return found
}

/**
 * Run every part.
 * @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found) and other failures of the catalog before the first part; on
 *   abort `signal.reason`. What a part throws is in `failures`.
 */
export async function maintain(options: MaintainOptions): Promise<MaintainRun> {
  const { table, catalog, config, clock, log, signal, only } = options
  await catalog.loadTable(table, { signal })
  const { runId = newRunId(clock) } = options
  const parts: PartResult[] = []
  const failures: Error[] = []
  const codes: number[] = []
  let text = ''
  for (const part of partsOf(policyOf(config.maintain, table), only)) {
    const done = await runPart(options, part, runId)
    // a signal must not hide a commit that nobody could tell about
    if (signal?.aborted) throw done.failures.find(isUnknownCommit) ?? signal.reason
    for (const error of done.failures) log.error({ err: error, table, part }, 'a part of the maintenance failed')
    parts.push(done.result)
    failures.push(...done.failures)
    codes.push(...done.failures.map(exitCodeOf), done.exitCode)
    text += `${part}: ${done.text}`
  }
  const nothingToDo = parts.every(({ outcome }) => outcome === 'nothing-to-do')
  const result = { schema: 'firn.maintain/1', table, run_id: runId, nothing_to_do: nothingToDo, parts } as const
  return { result, text, failures, exitCode: gravestOf(codes) }
}

/** `maintain` as `recordRun` wants it: a run of which a part failed has failed, and has its result all the same. */
export async function maintainWork(options: MaintainOptions): Promise<WorkResult<MaintainRun>> {
  const value = await maintain(options)
  const { result, failures, text } = value
  const outcome = result.nothing_to_do ? 'nothing-to-do' : 'ok'
  return { value, json: result, outcome, text, runId: result.run_id, failure: combined(failures) }
}

interface RanPart {
  readonly result: PartResult
  readonly text: string
  readonly failures: readonly Error[]
  readonly exitCode: number
}

async function runPart(options: MaintainOptions, part: MaintainPart, runId: RunId): Promise<RanPart> {
  let prepared: PreparedWork | undefined
  const failures: Error[] = []
  const ended = (outcome: PartResult['outcome'], result: unknown, text: string, exitCode = 0): RanPart => ({
    result: { part, outcome, plan: prepared?.plan ?? null, result, errors: failures.map(describe) },
    text,
    failures,
    exitCode,
  })
  try {
    prepared = await preparePart(options, part, false)
    failures.push(...(prepared.failures ?? []))
    const missed = failures.map(({ message }) => `${message}\n`).join('')
    if (prepared.nothingToDo) {
      return ended(failures.length > 0 ? 'failed' : 'nothing-to-do', null, missed || 'nothing to do\n')
    }
    options.onBegin?.()
    const done = await prepared.run(runId)
    return ended(failures.length > 0 ? 'failed' : 'ok', done.result, `${done.text}${missed}`, done.exitCode)
  } catch (error) {
    failures.push(asError(error))
    return ended('failed', null, `failed: ${failures.at(-1)!.message}\n`)
  }
}

const isUnknownCommit = (error: Error): boolean => FirnError.is(error) && error.kind === 'unknown-commit'

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

function describe(error: Error): PartResult['errors'][number] {
  if (!FirnError.is(error)) return { kind: 'unexpected', code: 'FIRN_UNEXPECTED', message: error.message, help: null }
  const { kind, code, message, help = null } = error
  return { kind, code, message, help }
}

/** @param preview say what would go, where that costs reading. */
async function preparePart(options: MaintainOptions, part: MaintainPart, preview: boolean): Promise<PreparedWork> {
  const { store, catalog, table: tableName, clock, log, signal, commitSignal, config } = options
  const policy = policyOf(config.maintain, tableName)
  if (part === 'leftovers') {
    const [spillMinAgeMillis, runsMinAgeMillis] = [
      durationArgument(policy.leftovers.spillOlderThan),
      durationArgument(policy.leftovers.runsOlderThan),
    ]
    return await prepareLeftovers({ store, clock, tableName, spillMinAgeMillis, runsMinAgeMillis, signal })
  }
  if (part === 'prune') {
    const streams = await streamsReadBy(store, tableName, { signal })
    const minAgeMillis = durationArgument(policy.prune.olderThan)
    const listShards = shardLister(config, clock)
    return await preparePrune({ store, catalog, clock, streams, minAgeMillis, listShards, signal }, tableName)
  }
  const table = await catalog.loadTable(tableName, { signal })
  return await prepareTablePart({ store, table, tableName, clock, log, signal, commitSignal }, part, policy, preview)
}

async function prepareTablePart(
  work: TableWork,
  part: Exclude<MaintainPart, 'leftovers' | 'prune'>,
  policy: MaintainPolicy,
  preview: boolean,
): Promise<PreparedWork> {
  switch (part) {
    case 'rewrite':
      return await prepareRewrite(work, ...rewriteOptions(work.table, policy.rewrite))
    case 'manifests':
      return await prepareManifests(work, { rewriteAll: false })
    case 'expire': {
      const { olderThan, retainLast, cleanMetadata } = policy.expire
      const isKept = Object.hasOwn(work.table.metadata.properties, 'history.expire.min-snapshots-to-keep')
      return await prepareExpire(work, {
        olderThan:
          olderThan === undefined ? undefined : epochMillis(work.clock.nowMillis() - durationArgument(olderThan)),
        retainLast: retainLast ?? (isKept ? undefined : DEFAULT_RETAIN_LAST),
        cleanMetadata,
        preview,
      })
    }
    case 'orphans':
      return await prepareOrphans(work, { minAgeMillis: durationArgument(policy.orphans.olderThan), force: false })
  }
}

/** A table that is written rarely must not lose what it could go back to. */
const DEFAULT_RETAIN_LAST = 10

function rewriteOptions(
  table: Table,
  policy: MaintainPolicy['rewrite'],
): [Parameters<typeof prepareRewrite>[1], Parameters<typeof prepareRewrite>[2]] {
  const { strategy, sortBy, targetFileSize, minInputFiles, maxFiles, memoryLimit } = policy
  const columns = sortBy === undefined ? undefined : parseSortColumns(sortBy)
  const isZorder = strategy === 'zorder'
  return [
    {
      ...(strategy === undefined ? (columns === undefined ? {} : { strategy: 'sort' as const }) : { strategy }),
      ...(columns === undefined || isZorder ? {} : { sortOrder: sortFields(table.metadata, columns) }),
      ...(columns === undefined || !isZorder ? {} : { zorderColumns: columns.map(({ column }) => column) }),
      ...(targetFileSize === undefined ? {} : { targetFileSizeBytes: sizeArgument(targetFileSize) }),
      ...(minInputFiles === undefined ? {} : { minInputFiles }),
      ...(maxFiles === undefined ? {} : { maxFilesToRewrite: maxFiles }),
    },
    { memoryLimitBytes: memoryLimit === undefined ? undefined : sizeArgument(memoryLimit) },
  ]
}
