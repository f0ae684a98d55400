/** `firn rewrite` beyond its flags: options from text, the plan and the result for people, the run itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FirnError } from '../../table/errors.ts'
import type { RunId } from '../../table/ids.ts'
import {
  evolveSort,
  planRewrite,
  type RewritePlan,
  type RewritePlanOptions,
  type RewriteResult,
  runRewrite,
  type SortColumn,
  type Table,
  type TableMetadata,
  type Transform,
} from '../../table/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { documentOf } from './document.ts'
import type { PreparedWork, TableWork } from './prepared.ts'
import { manifestRecorder, runSummary } from './record-manifest.ts'

const SORT_TERM = /^(?:(\w+(?:\[\d+\])?)\(([^()\s]+)\)|([^()\s]+))((?:\s+(?:asc|desc|nulls[ -]first|nulls[ -]last))*)$/i

/**
 * `publish_date desc, day(arrived_at), author nulls-last` as the columns of a sort order.
 * @throws {FirnError} `FIRN_SORT_ORDER_INVALID` (invalid).
 */
export function parseSortColumns(text: string): readonly SortColumn[] {
  return text.split(',').map((term) => {
    const match = SORT_TERM.exec(term.trim())
    if (match === null) {
      throw new FirnError('invalid', 'FIRN_SORT_ORDER_INVALID', `not a column to sort by: ${JSON.stringify(term)}`, {
        help: 'write them like: --sort-by "publish_date desc nulls-last, author"',
      })
    }
    const words = match[4]!.toLowerCase()
    const nulls = /nulls[ -](first|last)/.exec(words)?.[1]
    return {
      column: match[2] ?? match[3]!,
      ...(match[1] === undefined ? {} : { transform: match[1] as Transform }),
      direction: /\bdesc\b/.test(words) ? 'desc' : 'asc',
      ...(nulls === undefined ? {} : { nullOrder: `nulls-${nulls}` as 'nulls-first' | 'nulls-last' }),
    }
  })
}

/** The fields of a sort order on a table. @throws {FirnError} `FIRN_SORT_ORDER_INVALID`, `FIRN_COLUMN_NOT_FOUND`. */
export const sortFields = (
  metadata: TableMetadata,
  columns: readonly SortColumn[],
): ReturnType<typeof evolveSort>['sortOrder']['fields'] => evolveSort(metadata, columns).sortOrder.fields

/** The first groups of a plan. */
export function limitGroups(plan: RewritePlan, maxGroups: number | undefined): RewritePlan {
  if (maxGroups === undefined || plan.groups.length <= maxGroups) return plan
  const groups = plan.groups.slice(0, maxGroups)
  const sum = (of: (group: RewritePlan['groups'][number]) => number): number =>
    groups.reduce((total, group) => total + of(group), 0)
  const totals = {
    groups: groups.length,
    files: sum(({ inputs }) => inputs.length),
    bytes: sum(({ bytes }) => bytes),
    rows: sum(({ rows }) => rows),
  }
  return { ...plan, groups, totals }
}

export interface RewriteRun {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly table: Table
  readonly tableName: string
  readonly plan: RewritePlan
  readonly runId: RunId
  readonly memoryLimitBytes?: number | undefined
  readonly maxCommits?: number | undefined
  /** On a local disk; default: the machine's folder for temporary files. */
  readonly spillFolder?: string | undefined
  readonly onGroup?: ((done: number, of: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
  readonly commitSignal?: AbortSignal | undefined
}

export interface RewriteRunLimits {
  readonly maxGroups?: number | undefined
  readonly memoryLimitBytes?: number | undefined
  readonly maxCommits?: number | undefined
  readonly spillFolder?: string | undefined
}

/** @throws {FirnError} as `planRewrite`. */
export async function prepareRewrite(
  { store, table, tableName, log, signal, commitSignal }: TableWork,
  options: Omit<RewritePlanOptions, 'signal'>,
  { maxGroups, ...limits }: RewriteRunLimits = {},
): Promise<PreparedWork> {
  const plan = limitGroups(await planRewrite(table, { ...options, signal }), maxGroups)
  return {
    schema: 'firn.rewrite/1',
    table: tableName,
    plan: documentOf(plan),
    text: rewritePlanText(tableName, plan),
    nothingToDo: plan.groups.length === 0,
    question: 'Rewrite them?',
    run: async (runId) => {
      const onGroup = (done: number, of: number): void =>
        log.info({ table: tableName, done, of }, `group ${done} of ${of} is done`)
      const result = await rewriteTable({
        store,
        table,
        tableName,
        plan,
        runId,
        ...limits,
        onGroup,
        signal,
        commitSignal,
      })
      // groups that lost to another writer are planned anew by the next run
      const exitCode = result.totals.conflicts > 0 ? 3 : 0
      return { result: documentOf(result), text: rewriteText(tableName, result), exitCode }
    },
  }
}

/** Each commit has its JSON manifest before its first try. @throws {FirnError} as `runRewrite`. */
export async function rewriteTable(run: RewriteRun): Promise<RewriteResult> {
  const {
    store,
    table,
    tableName,
    plan,
    runId,
    signal,
    commitSignal = signal,
    memoryLimitBytes,
    maxCommits,
    onGroup,
  } = run
  const spillFolder = await mkdtemp(join(run.spillFolder ?? tmpdir(), 'firn-rewrite-'))
  let done = 0
  try {
    const { result } = await runRewrite(table, plan, {
      runId,
      spillFolder,
      summary: runSummary(runId),
      beforeCommit: manifestRecorder({ store, tableName, runId, metadata: table.metadata, signal: commitSignal }),
      onGroup: () => onGroup?.(++done, plan.groups.length),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      ...(maxCommits === undefined ? {} : { maxCommits }),
      ...(signal === undefined ? {} : { signal }),
      commitSignal,
    })
    return result
  } finally {
    await rm(spillFolder, { recursive: true, force: true })
  }
}

export function rewritePlanText(table: string, plan: RewritePlan): string {
  const { groups, totals, settings } = plan
  if (groups.length === 0) return `nothing to do: no file of ${table} is worth a rewrite (${settings.strategy})\n`
  const rows = groups.map((group) => ({
    partition: group.partition === null ? '(of older specs)' : group.partition || '(all)',
    why: group.reasons.join(', '),
    files: group.inputs.length,
    size: formatBytes(group.bytes),
    rows: group.rows,
    becomes: plural(group.outputFiles, 'file'),
  }))
  const files = `${plural(totals.files, 'file')} (${formatBytes(totals.bytes)})`
  return `${renderTable(rows)}${settings.strategy}: would rewrite ${files} of ${table} in ${plural(totals.groups, 'group')}\n`
}

export function rewriteText(table: string, { groups, totals, overlapDepth }: RewriteResult): string {
  const { filesBefore, filesAfter, bytesBefore, bytesAfter, rows } = totals
  const depth =
    overlapDepth.before === null || overlapDepth.before === overlapDepth.after
      ? ''
      : `, files over one sort key: ${overlapDepth.before} before, ${overlapDepth.after} now`
  const sizes = `(${formatBytes(bytesBefore)} to ${formatBytes(bytesAfter)})`
  const lost = groups.filter(({ outcome }) => outcome === 'conflict')
  const notes = lost
    .map(
      ({ partition, problem }) => `not rewritten: ${partition ?? 'older specs'}: ${problem ?? 'changed meanwhile'}\n`,
    )
    .join('')
  return `${table}: ${plural(filesBefore, 'file')} into ${filesAfter} ${sizes}, ${plural(rows, 'row')} unchanged${depth}\n${notes}`
}
