/** How far a run is: driven by messages, on a clock that only the test moves. */
import { afterEach, expect, test } from 'vitest'
import type { RunRecord } from '../../../jobs/runs.ts'
import { type Progress, showProgress } from '../../../jobs/telemetry/progress.ts'
import { beginRun } from '../../../jobs/telemetry/run-channel.ts'
import { systemClock } from '../../../table/clock.ts'
import { compactionChannel, ingestChannel } from '../../../table/diagnostics.ts'

let nowMillis = 0
let written: string[] = []
let progress: Progress
const open = (terminal: boolean, columns?: number): void => {
  nowMillis = 0
  written = []
  const clock = { ...systemClock, monotonicMillis: () => nowMillis }
  progress = showProgress({ clock, terminal, columns: () => columns, write: (text) => void written.push(text) })
}
afterEach(() => progress.close())

const chunk = (records: number, bytes: number): void =>
  ingestChannel.publish({ kind: 'chunk', stream: 'Orders', shardId: 's', records, bytes })

test('without a terminal it is one plain line every 30 seconds', () => {
  open(false)
  for (nowMillis = 0; nowMillis <= 90_000; nowMillis += 1000) chunk(100, 1_000_000)
  expect(written).toHaveLength(3)
  expect(written[0]).toBe('landing Orders: 3,100 records, 29.6 MiB, 1.0 MB/s\n')
  expect(written.join('')).not.toContain('\u001b')
})

test('on a terminal the line overwrites itself, five times a second at most, and goes when the run ends', () => {
  open(true)
  const run = beginRun({ job: 'land', subject: 'Orders', startedAtMillis: 0 })
  for (nowMillis = 0; nowMillis < 1000; nowMillis += 10) chunk(1, 1000)
  const lines = written.filter((text) => text.startsWith('landing'))
  expect(lines).toHaveLength(4)
  expect(lines.every((line) => !line.includes('\n'))).toBe(true)
  expect(written.filter((text) => text === '\r\u001b[2K')).toHaveLength(3)
  run.end({ subject: 'Orders' } as RunRecord, true)
  expect(written.at(-1)).toBe('\r\u001b[2K')
  progress.clear()
  expect(written.filter((text) => text === '\r\u001b[2K')).toHaveLength(4)
})

test.each([1, 20, 40])('on a terminal of %i columns the line does not wrap', (columns) => {
  open(true, columns)
  for (nowMillis = 0; nowMillis < 1000; nowMillis += 10) chunk(1, 1000)
  const lines = written.filter((text) => !text.includes('\u001b'))
  expect(lines).toHaveLength(4)
  expect(lines.every((line) => line.length < columns)).toBe(true)
})

test('the end of one run leaves the numbers of the others as they are', () => {
  open(false)
  chunk(100, 1_000_000)
  beginRun({ job: 'land', subject: 'Clicks', startedAtMillis: 0 }).end({ subject: 'Clicks' } as RunRecord, true)
  nowMillis = 30_000
  chunk(100, 1_000_000)
  expect(written).toEqual(['landing Orders: 200 records, 1.9 MiB, 0.1 MB/s\n'])
})

test('a run that follows another of the same stream begins at nothing', () => {
  open(false)
  chunk(100, 1_000_000)
  beginRun({ job: 'land', subject: 'Orders', startedAtMillis: 0 }).end({ subject: 'Orders' } as RunRecord, true)
  chunk(1, 1000)
  nowMillis = 30_000
  chunk(1, 1000)
  expect(written).toEqual(['landing Orders: 2 records, 2.0 KiB, 0.0 MB/s\n'])
})

test('a compaction whose size is known says how long it will take', () => {
  open(false)
  const told = (bytes: number): void =>
    compactionChannel.publish({
      table: 'news.articles',
      runId: 'r',
      stage: 'read',
      records: bytes / 1000,
      bytes,
      rows: 0,
      totalBytes: 400_000_000,
    })
  told(0)
  nowMillis = 40_000
  told(100_000_000)
  expect(written).toEqual(['compacting news.articles: read: 100,000 records, 95.4 MiB, 2.5 MB/s, 2 min left\n'])
})

test('the stages after reading count rows, and end with those that were read', () => {
  open(false)
  const told = (stage: string, rows: number): void =>
    compactionChannel.publish({ table: 'news.articles', runId: 'r', stage, records: 9000, bytes: 8_000_000, rows })
  told('read', 8000)
  told('write', 0)
  nowMillis = 30_000
  told('write', 2000)
  expect(written).toEqual(['compacting news.articles: write: 2,000 rows, 2 min left\n'])
})

test('after closing nothing is written', () => {
  open(false)
  progress.close()
  nowMillis = 100_000
  chunk(1, 1)
  expect(written).toEqual([])
})
