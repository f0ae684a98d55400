/** A compaction run for people, and as the scheduler and the command record it. */
import { averagesText } from '../commands/averages.ts'
import { formatBytes, formatCount, plural } from '../render.ts'
import type { WorkResult } from '../runs.ts'
import { type CompactOptions, type CompactResult, compact, type UnreadStream } from './compact.ts'
import { type ReplayOptions, type ReplayResult, replay } from './refused/replay.ts'

/** `compact` as `recordRun` wants it. */
export async function compactionWork(options: CompactOptions): Promise<WorkResult<CompactResult>> {
  const value = await compact(options)
  const outcome = value.nothing_to_do ? 'nothing-to-do' : 'ok'
  return { value, json: value, outcome, text: compactText(value), runId: value.run_id }
}

/** `replay` as `recordRun` wants it. */
export async function replayWork(options: ReplayOptions): Promise<WorkResult<ReplayResult>> {
  const value = await replay(options)
  const outcome = value.nothing_to_do ? 'nothing-to-do' : 'ok'
  return { value, json: value, outcome, text: replayText(value), runId: value.run_id }
}

function replayText(result: ReplayResult): string {
  const { table, unchanged, records_read, rows_added, replayed, snapshot_id } = result
  if (unchanged) {
    return `nothing changed: ${plural(records_read, 'record')} of ${table} would be refused again for the same reasons\n${reasonText(result.quarantined)}`
  }
  if (result.nothing_to_do) return `nothing to do: ${table} has no such refused records\n`
  const files = `${plural(result.files_added, 'file')} (${formatBytes(result.bytes_added)})`
  const head = `${table}: replayed ${plural(records_read, 'record')} of ${plural(replayed.length, 'object')}, added ${plural(rows_added, 'row')} in ${files}, snapshot ${snapshot_id}\n`
  return `${head}${versionText(result)}${quarantineText(result)}${averagesText(result.averages)}`
}

/** What a person reads after `firn compact`. */
export function compactText(result: CompactResult): string {
  const notes = [...result.gaps.map(gapNote), ...result.late_starts.map(lateNote)].join('')
  const left = result.chunks_left === 0 ? '' : `${plural(result.chunks_left, 'chunk')} left for the next run\n`
  const unread = unreadText(result.unread_streams)
  if (result.nothing_to_do) return `${notes}${nothingToDo(result.table, result.streams)}${left}${unread}`
  const files = `${plural(result.files_added, 'file')} (${formatBytes(result.bytes_added)})`
  const head = `${result.table}: read ${plural(result.records_read, 'record')}, added ${plural(result.rows_added, 'row')} in ${files}, snapshot ${result.snapshot_id}\n`
  return `${head}${versionText(result)}${quarantineText(result)}${notes}${left}${unread}${averagesText(result.averages)}`
}

function versionText({ duplicates, rows_replaced }: Pick<CompactResult, 'duplicates' | 'rows_replaced'>): string {
  const left = duplicates === 0 ? '' : `${plural(duplicates, 'duplicate')}: another version of the same key stays\n`
  if (rows_replaced === 0) return left
  return `${left}${plural(rows_replaced, 'row')} of the table replaced by another version of the same key\n`
}

/** Of the streams that were read only: staging may hold others. */
export const nothingToDo = (table: string, streams: readonly string[]): string =>
  `nothing to do: ${table} has everything of ${streams.join(', ')} that is in staging\n`

/** A back-fill beside a stream is easily forgotten: the run reads what the table read before. */
export const unreadText = (unread: readonly UnreadStream[]): string =>
  unread
    .map(({ stream, command }) => `note: ${stream} is in staging too and was not read; to read it: ${command}\n`)
    .join('')

function quarantineText({
  quarantined,
  quarantine_objects,
}: Pick<CompactResult, 'quarantined' | 'quarantine_objects'>): string {
  const total = Object.values(quarantined).reduce((sum, rows) => sum + rows, 0)
  if (total === 0) return ''
  return `${plural(total, 'record')} quarantined in ${quarantine_objects.join(', ')}\n${reasonText(quarantined)}`
}

const reasonText = (quarantined: CompactResult['quarantined']): string =>
  Object.entries(quarantined)
    .map(([reason, rows]) => `  ${reason}: ${formatCount(rows)}\n`)
    .join('')

type Place = CompactResult['gaps'][number]

const gapNote = ({ stream, shard_id, after }: Place): string =>
  `warning: records after ${after} of shard ${shard_id} of ${stream} were lost before they could be landed\n`

const lateNote = ({ stream, shard_id, after }: Place): string =>
  `note: shard ${shard_id} of ${stream} begins after ${after}; what came before had been pruned from staging\n`
