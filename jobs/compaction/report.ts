/** A compaction run for people, and as the scheduler and the command record it. */
import { averagesText } from '../commands/averages.ts'
import { formatBytes, formatCount, plural } from '../render.ts'
import type { WorkResult } from '../runs.ts'
import { type CompactOptions, type CompactResult, compact, type UnreadStream } from './compact.ts'

/** `compact` as `recordRun` wants it. */
export async function compactionWork(options: CompactOptions): Promise<WorkResult<CompactResult>> {
  const value = await compact(options)
  const outcome = value.nothing_to_do ? 'nothing-to-do' : 'ok'
  return { value, json: value, outcome, text: compactText(value), runId: value.run_id }
}

/** What a person reads after `firn compact`. */
export function compactText(result: CompactResult): string {
  const notes = [...result.gaps.map(gapNote), ...result.late_starts.map(lateNote)].join('')
  const left = result.chunks_left === 0 ? '' : `${plural(result.chunks_left, 'chunk')} left for the next run\n`
  const unread = unreadText(result.unread_streams)
  if (result.nothing_to_do) return `${notes}${nothingToDo(result.table, result.streams)}${left}${unread}`
  const files = `${plural(result.files_added, 'file')} (${formatBytes(result.bytes_added)})`
  const head = `${result.table}: read ${plural(result.records_read, 'record')}, added ${plural(result.rows_added, 'row')} in ${files}, snapshot ${result.snapshot_id}\n`
  const duplicates =
    result.duplicates === 0
      ? ''
      : `${plural(result.duplicates, 'duplicate')}: an older version of an article that came again in this run\n`
  return `${head}${duplicates}${quarantineText(result)}${notes}${left}${unread}${averagesText(result.averages)}`
}

/** Of the streams that were read only: staging may hold others. */
export const nothingToDo = (table: string, streams: readonly string[]): string =>
  `nothing to do: ${table} has everything of ${streams.join(', ')} that is in staging\n`

/** A back-fill beside a stream is easily forgotten: the run reads what the table read before. */
export const unreadText = (unread: readonly UnreadStream[]): string =>
  unread
    .map(({ stream, command }) => `note: ${stream} is in staging too and was not read; to read it: ${command}\n`)
    .join('')

function quarantineText({ quarantined, quarantine_objects }: CompactResult): string {
  const reasons = Object.entries(quarantined)
  if (reasons.length === 0) return ''
  const total = reasons.reduce((sum, [, rows]) => sum + rows, 0)
  const list = reasons.map(([reason, rows]) => `  ${reason}: ${formatCount(rows)}\n`).join('')
  return `${plural(total, 'record')} quarantined in ${quarantine_objects.join(', ')}\n${list}`
}

type Place = CompactResult['gaps'][number]

const gapNote = ({ stream, shard_id, after }: Place): string =>
  `warning: records after ${after} of shard ${shard_id} of ${stream} were lost before they could be landed\n`

const lateNote = ({ stream, shard_id, after }: Place): string =>
  `note: shard ${shard_id} of ${stream} begins after ${after}; what came before had been pruned from staging\n`
