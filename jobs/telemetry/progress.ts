/**
 * How far a run is, on standard error: one line that overwrites itself on a terminal, else a plain line every half
 * minute. Moved by what the libraries tell, so that it can show only what was done.
 */
import type { Clock } from '../../table/clock.ts'
import { type CompactionProgress, compactionChannel, ingestChannel } from '../../table/diagnostics.ts'
import { formatBytes, formatCount } from '../render.ts'
import { subscribeToRuns } from './run-channel.ts'

export interface ProgressOptions {
  readonly clock: Clock
  readonly terminal: boolean
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

interface Work {
  readonly what: string
  readonly startedMillis: number
  shownMillis: number
  records: number
  bytes: number
  totalBytes: number | undefined
}

export function showProgress({ clock, terminal, write }: ProgressOptions): Progress {
  const works = new Map<string, Work>()
  let shown = false
  const clear = (): void => {
    if (shown) write(CLEAR_LINE)
    shown = false
  }
  const workOf = (what: string): Work => {
    const known = works.get(what)
    if (known !== undefined) return known
    const now = clock.monotonicMillis()
    const work = { what, startedMillis: now, shownMillis: now, records: 0, bytes: 0, totalBytes: undefined }
    works.set(what, work)
    return work
  }
  const show = (work: Work): void => {
    const now = clock.monotonicMillis()
    if (now - work.shownMillis < (terminal ? TERMINAL_MILLIS : PLAIN_MILLIS)) return
    work.shownMillis = now
    const line = progressLine(work, now - work.startedMillis)
    clear()
    write(terminal ? line : `${line}\n`)
    shown = terminal
  }
  const subscriptions = [
    ingestChannel.subscribe((message) => {
      if (message.kind !== 'chunk') return
      const work = workOf(`landing ${message.stream}`)
      work.records += message.records
      work.bytes += message.bytes
      show(work)
    }),
    compactionChannel.subscribe((message) => {
      if (message.kind === undefined) show(moved(workOf(`compacting ${message.table}: ${message.stage}`), message))
    }),
    subscribeToRuns(({ phase }) => {
      if (phase !== 'end') return
      works.clear()
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

function moved(work: Work, { records, bytes, totalBytes }: CompactionProgress): Work {
  work.records = records
  work.bytes = bytes
  work.totalBytes = totalBytes
  return work
}

/** `landing MyStream: 120,000 records, 96 MB, 12.3 MB/s, 45 s left` */
function progressLine({ what, records, bytes, totalBytes }: Work, elapsedMillis: number): string {
  const seconds = Math.max(elapsedMillis, 1) / 1000
  const rate = bytes / seconds
  const left = totalBytes === undefined || rate === 0 ? undefined : Math.max(0, totalBytes - bytes) / rate
  const parts = [
    `${formatCount(records)} records`,
    formatBytes(bytes),
    `${(rate / 1e6).toFixed(1)} MB/s`,
    ...(left === undefined ? [] : [`${durationText(left)} left`]),
  ]
  return `${what}: ${parts.join(', ')}`
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
