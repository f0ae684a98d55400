/** One log line for each commit and scan, for machines always and for people when they ask. */
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '../../../jobs/telemetry/logs.ts'
import { logReports } from '../../../jobs/telemetry/report-lines.ts'
import { systemClock } from '../../../table/clock.ts'
import { type CommitMessage, commitChannel } from '../../../table/diagnostics.ts'
import { type Home, makeHome } from '../cli-support.ts'

const SECRET = 'a-sentence-that-only-the-records-have'
let home: Home
beforeAll(async () => {
  home = makeHome()
  const record = { article_id: SECRET, title: SECRET, publish_date: '2026-01-31T12:00:00Z', content: SECRET }
  const records = [JSON.stringify(record), `${SECRET} is no JSON`]
  writeFileSync(home.path('a.ndjson'), `${records.join('\n')}\n`)
})
afterAll(() => home.remove())

type Line = Record<string, unknown>
const linesOf = (stderr: string): Line[] =>
  stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

describe('with --log-format json', () => {
  test('commits and scans have the members of Iceberg reports, with the numbers of the run; no line has a record', async () => {
    const json = [
      '--log-format',
      'json',
      '-v',
      '--lineage',
      home.path('e.ndjson'),
      '--metrics-file',
      home.path('m.prom'),
    ]
    const land = await home.firn(['land', '--from', home.path('a.ndjson'), ...json])
    const compact = await home.firn([
      ...['compact', 'news.articles', '--max-bad-ratio', '0.5', '--output', 'json'],
      ...json,
    ])
    const sample = await home.firn(['sample', 'news.articles', ...json])
    const result = JSON.parse(compact.stdout) as Line
    const [commit, ...more] = linesOf(compact.stderr).filter(({ msg }) => msg === 'commit ok')
    expect(more).toEqual([])
    expect(commit).toMatchObject({
      level: 'info',
      table: 'news.articles',
      'snapshot-id': result['snapshot_id'],
      operation: 'append',
      attempts: result['commit_attempts'],
      'added-data-files': result['files_added'],
      'added-records': result['rows_added'],
      'added-files-size-bytes': result['bytes_added'],
      'total-records': result['rows_added'],
    })
    expect(commit!['total-duration-ms']).toBeGreaterThan(0)
    const [scan] = linesOf(sample.stderr).filter(({ msg }) => msg === 'scan planned')
    expect(scan).toMatchObject({
      table: 'news.articles',
      'snapshot-id': result['snapshot_id'],
      'result-data-files': 1,
      'scanned-data-manifests': 1,
      'total-file-size-in-bytes': result['bytes_added'],
    })
    const told = land.stderr + compact.stderr + sample.stderr
    expect(
      told + readFileSync(home.path('e.ndjson'), 'utf8') + readFileSync(home.path('m.prom'), 'utf8'),
    ).not.toContain(SECRET)
    expect(sample.stdout, 'the check can fail').toContain(SECRET)
  })

  test('--quiet leaves them out', async () => {
    const { stderr } = await home.firn(['sample', 'news.articles', '--log-format', 'json', '--quiet'])
    expect(stderr).toBe('')
  })
})

test('people see them with -v only', async () => {
  expect((await home.firn(['sample', 'news.articles'])).stderr).toBe('')
  expect((await home.firn(['sample', 'news.articles', '-v'])).stderr).toMatch(
    /^debug scan planned table=news.articles .*result-data-files=1/m,
  )
})

test('a commit that does not end well is a warning with its code, at any level of detail', () => {
  let written = ''
  const log = createLogger({ format: 'text', level: 'info', clock: systemClock, write: (line) => (written += line) })
  const end = logReports(log, 'debug')
  const message: CommitMessage = {
    table: 'news.articles',
    operation: 'append',
    outcome: 'unknown',
    durationMillis: 12.34,
    attempts: 3,
    recovered: false,
    snapshotId: undefined,
    sequenceNumber: undefined,
    counts: undefined,
    totals: undefined,
    errorCode: 'FIRN_COMMIT_STATE_UNKNOWN',
  }
  commitChannel.publish(message)
  end()
  commitChannel.publish(message)
  expect(written).toBe(
    'warn commit unknown table=news.articles operation=append outcome=unknown total-duration-ms=12.3 attempts=3 code=FIRN_COMMIT_STATE_UNKNOWN\n',
  )
})
