/**
 * How far a run is, on standard error: one line that overwrites itself on a terminal, else a plain line every half
 * minute. Moved by what the libraries tell, so that it can show only what was done.
 */
import type { Clock } from '../../table/clock.ts'
import { type CompactionProgress, compactionChannel, ingestChannel } from '../../table/diagnostics.ts'
import { formatBytes, formatCount } from '../render.ts'
import { subscribeToRuns } from './run-channel.ts'
import { subscribeToTraining } from './training-channel.ts'

export interface ProgressOptions {
  readonly clock: Clock
  readonly terminal: boolean
  /** Width of the terminal now; `undefined` when it does not tell. */
  readonly columns?: () => number | undefined
  readonly write: (text: string) => void
}

export interface Progress {
  /** Take the line away, so that another can be written in its place. */
  clear(): void
  close(): void
}

const TERMINAL_MILLIS = 200
const PLAIN_MILLIS = 30_000
/** Back to the beginning of the line, and forget what is on it. */
const CLEAR_LINE = '\r\u001b[2K'

/** One stream that lands, or one stage of a compaction. */
interface Work {
  readonly what: string
  /** The stream or the table. */
  readonly subject: string
  readonly startedMillis: number
  shownMillis: number
  /** Done so far; `done` and `total` are bytes or rows. */
  count: string
  done: number
  total: number | undefined
  readonly unit: 'bytes' | 'rows'
}

export function showProgress({ clock, terminal, columns, write }: ProgressOptions): Progress {
  const works = new Map<string, Work>()
  let shown = false
  const clear = (): void => {
    if (shown) write(CLEAR_LINE)
    shown = false
  }
  /** Rows that the reading stage of a table's run found: as many go through the others, but for duplicates. */
  const found = new Map<string, number>()
  const landed = new Map<string, number>()
  const workOf = (what: string, subject: string, unit: Work['unit']): Work => {
    const known = works.get(what)
    if (known !== undefined) return known
    const now = clock.monotonicMillis()
    const times = { startedMillis: now, shownMillis: now }
    const work: Work = { what, subject, ...times, count: '', done: 0, total: undefined, unit }
    works.set(what, work)
    return work
  }
  const moveCompaction = (message: CompactionProgress): void => {
    const { table, stage, records, bytes, rows, totalBytes } = message
    // records and bytes move in the stages that read, and stand still in the others
    const reads = stage === 'read'
    const work = workOf(`compacting ${table}: ${stage}`, table, reads ? 'bytes' : 'rows')
    if (reads) found.set(table, rows)
    work.count = reads ? `${formatCount(records)} records` : `${formatCount(rows)} rows`
    work.done = reads ? bytes : rows
    work.total = reads ? totalBytes : found.get(table)
    show(work)
  }
  const show = (work: Work): void => {
    const now = clock.monotonicMillis()
    if (now - work.shownMillis < (terminal ? TERMINAL_MILLIS : PLAIN_MILLIS)) return
    work.shownMillis = now
    const line = progressLine(work, now - work.startedMillis)
    clear()
    // a line that the terminal wraps could not be taken away again; some say that they have no columns
    const width = columns?.() || Number.POSITIVE_INFINITY
    write(terminal ? line.slice(0, width - 1) : `${line}\n`)
    shown = terminal
  }
  const subscriptions = [
    ingestChannel.subscribe((message) => {
      if (message.kind !== 'chunk') return
      const { stream, records, bytes } = message
      const work = workOf(`landing ${stream}`, stream, 'bytes')
      landed.set(stream, (landed.get(stream) ?? 0) + records)
      work.count = `${formatCount(landed.get(stream) ?? 0)} records`
      work.done += bytes
      show(work)
    }),
    compactionChannel.subscribe((message) => {
      if (message.kind === undefined) moveCompaction(message)
    }),
    subscribeToTraining((message) => {
      const what = `training on ${message.table}`
      if (message.phase === 'end') {
        works.delete(what)
        clear()
        return
      }
      const work = workOf(what, message.table, 'rows')
      work.count = message.text
      work.done = message.done
      work.total = message.total
      show(work)
    }),
    subscribeToRuns((message) => {
      if (message.phase !== 'end') return
      const { subject } = message.record
      // others may be in the middle of their work
      for (const work of [...works.values()]) if (work.subject === subject) works.delete(work.what)
      found.delete(subject)
      landed.delete(subject)
      clear()
    }),
  ]
  return {
    clear,
    close: () => {
      clear()
      for (const end of subscriptions) end()
    },
  }
}

/** `landing MyStream: 120,000 records, 96 MiB, 12.3 MB/s` or `compacting news.articles: write: 5,000 rows, 12 s left` */
function progressLine({ what, count, done, total, unit }: Work, elapsedMillis: number): string {
  const rate = done / (Math.max(elapsedMillis, 1) / 1000)
  const left = total === undefined || rate === 0 ? undefined : Math.max(0, total - done) / rate
  const parts = [
    count,
    ...(unit === 'bytes' ? [formatBytes(done), `${(rate / 1e6).toFixed(1)} MB/s`] : []),
    ...(left === undefined ? [] : [`${durationText(left)} left`]),
  ]
  return `${what}: ${parts.join(', ')}`
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
