import { describe, expect, test } from 'vitest'
import { type Config, loadConfig } from '../../jobs/config.ts'
import type { RunRecord, WorkResult } from '../../jobs/runs.ts'
import { type JobSpec, planJobs, runForever, runOnce, type ScheduleOptions } from '../../jobs/schedule.ts'
import { createLogger } from '../../jobs/telemetry.ts'
import { systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { openMemoryStore } from '../../table/io/memory.ts'

const config = (run: object, more: object = {}): Config =>
  loadConfig({ env: {}, cwd: '/nowhere', flags: { ...more, run } })

describe('planJobs', () => {
  test('lands every stream before it compacts every table', () => {
    const jobs = planJobs(
      config({
        land: { cron: '*/5 * * * *', streams: ['A', 'B'] },
        compact: {
          cron: '7 * * * *',
          tables: [{ table: 'n.a', dataset: 'articles', streams: ['A'] }, { table: 'n.b' }],
        },
      }),
      {},
    )
    expect(jobs).toEqual([
      { kind: 'land', cron: '*/5 * * * *', stream: 'A', start: 'TRIM_HORIZON' },
      { kind: 'land', cron: '*/5 * * * *', stream: 'B', start: 'TRIM_HORIZON' },
      { kind: 'compact', cron: '7 * * * *', table: 'n.a', dataset: 'articles', streams: ['A'] },
      { kind: 'compact', cron: '7 * * * *', table: 'n.b', dataset: undefined, streams: undefined },
    ])
  })

  test('flags beat settings, and the one stream and table of the settings serve when there is no list', () => {
    const settings = config({ land: { streams: ['A'] } }, { table: 'n.t', dataset: 'articles' })
    const jobs = planJobs(settings, { stream: ['X'], landCron: '0 0 * * *' })
    expect(jobs).toMatchObject([
      { kind: 'land', stream: 'X', cron: '0 0 * * *' },
      { kind: 'compact', table: 'n.t', dataset: 'articles', streams: ['X'] },
    ])
  })

  test('nothing to run is a usage error that names the flags', () => {
    expect(() => planJobs(config({}), {})).toThrow(
      expect.objectContaining({ code: 'FIRN_NOTHING_CONFIGURED', help: expect.stringContaining('--stream') }),
    )
  })

  test.each(['every minute', '* * * *', '61 * * * *', ''])('%j is no schedule', (cron) => {
    expect(() => planJobs(config({}), { stream: ['A'], landCron: cron })).toThrow(
      expect.objectContaining({ code: 'FIRN_CRON_INVALID' }),
    )
  })
})

const land = (stream: string): JobSpec => ({ kind: 'land', cron: '0 0 1 1 *', stream, start: 'TRIM_HORIZON' })
const compact = (table: string, streams?: readonly string[]): JobSpec => ({
  kind: 'compact',
  cron: '0 0 1 1 *',
  table,
  dataset: undefined,
  streams,
})
const ok: WorkResult<unknown> = { value: 1, json: {}, outcome: 'ok', text: '' }
let stores = 0

function options(jobs: readonly JobSpec[], runner: ScheduleOptions['runner'], signal = new AbortController().signal) {
  const records: RunRecord[] = []
  const lines: string[] = []
  const log = createLogger({ format: 'json', level: 'debug', clock: systemClock, write: (line) => lines.push(line) })
  const store = openMemoryStore(`schedule-test-${++stores}`, {})
  const onRecord = (record: RunRecord): void => void records.push(record)
  return { records, lines, given: { jobs, runner, store, clock: systemClock, log, signal, onRecord } }
}

describe('runOnce', () => {
  test('runs all jobs in order and hands back every failure', async () => {
    const down = new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', 'down')
    const unknown = new FirnError('unknown-commit', 'FIRN_COMMIT_STATE_UNKNOWN', 'who knows')
    const failures = new Map<string, FirnError>([
      ['B', down],
      ['n.t', unknown],
    ])
    const jobs = [land('A'), land('B'), land('C'), compact('n.t')]
    const { records, given } = options(jobs, async (job) => {
      const failure = failures.get(job.kind === 'land' ? job.stream : job.table)
      if (failure !== undefined) throw failure
      return ok
    })
    expect(await runOnce(given)).toEqual([down, unknown])
    expect(records.map(({ subject, outcome }) => [subject, outcome])).toEqual([
      ['A', 'ok'],
      ['B', 'failed'],
      ['C', 'ok'],
      ['n.t', 'failed'],
    ])
  })

  test('starts no further job after an interruption', async () => {
    const stop = new AbortController()
    const started: string[] = []
    const runner = async (job: JobSpec) => {
      started.push(job.kind === 'land' ? job.stream : job.table)
      stop.abort(new Error('stop'))
      return ok
    }
    const { given } = options([land('A'), land('B')], runner, stop.signal)
    await expect(runOnce(given)).rejects.toThrow('stop')
    expect(started).toEqual(['A'])
  })
})

describe('runForever', () => {
  test('catches up at once, then by schedule, never two runs of a job at a time, until the signal', async () => {
    const stop = new AbortController()
    let running = 0
    let most = 0
    let runs = 0
    const { records, lines, given } = options(
      [{ ...land('A'), cron: '* * * * * *' }],
      async () => {
        most = Math.max(most, ++running)
        if (++runs === 3) stop.abort()
        // Longer than the gap between two ticks.
        await systemClock.sleep(1200)
        running--
        return ok
      },
      stop.signal,
    )
    await runForever(given)
    expect(most).toBe(1)
    expect(running, 'a run under way at the signal is waited for').toBe(0)
    expect(records).toHaveLength(3)
    expect(lines.join('')).toContain('skipped: the previous run is still going')
  })

  test('a run that fails for a passing reason is logged, and the next tick tries again', async () => {
    const stop = new AbortController()
    let runs = 0
    const { records, lines, given } = options(
      [{ ...land('A'), cron: '* * * * * *' }],
      async () => {
        runs++
        if (runs === 3) {
          stop.abort()
          return ok
        }
        throw new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', 'the stream is down')
      },
      stop.signal,
    )
    await runForever(given)
    expect(records.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'ok'])
    expect(lines.join('')).toContain('the run failed')
  })

  // Kinesis is down, or still creating the stream, when the scheduler first comes up: nothing is landed, so nothing is
  // staged, and neither is a wrong setting.
  test.each([
    ['down', undefined],
    ['down', { stream: 'A' }],
    ['CREATING', { stream: 'A' }],
  ])('a stream that is %s at first boot is waited for: compaction finds nothing staged (%j)', async (why, detail) => {
    const stop = new AbortController()
    const jobs = [
      { ...land('A'), cron: '* * * * * *' },
      { ...compact('n.t', ['A']), cron: '* * * * * *' },
    ]
    let landed = false
    let landings = 0
    const { records, lines, given } = options(
      jobs,
      async (job) => {
        if (job.kind === 'land') {
          landed = ++landings > 1
          if (landed) return ok
          throw new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', `stream A is ${why}`)
        }
        if (!landed) throw new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'nothing staged', detail && { detail })
        stop.abort()
        return ok
      },
      stop.signal,
    )
    await runForever(given)
    expect(records.slice(0, 2).map(({ job, outcome }) => [job, outcome])).toEqual([
      ['land', 'failed'],
      ['compact', 'failed'],
    ])
    expect(records.at(-1)).toMatchObject({ job: 'compact', outcome: 'ok' })
    expect(lines.filter((line) => line.includes('the run failed')).length).toBeGreaterThanOrEqual(2)
  })

  test.each<[string, JobSpec[], FirnError]>([
    ['a stream that does not exist', [land('A')], new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', 'no stream')],
    ['no credentials', [land('A')], new FirnError('invalid', 'FIRN_NO_CREDENTIALS', 'none')],
    [
      'a stream to compact that no job lands',
      [land('A'), compact('n.t', ['Typo'])],
      new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'no stream', { detail: { stream: 'Typo' } }),
    ],
    [
      'nothing staged and nothing that lands',
      [compact('n.t')],
      new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'nothing has been landed yet'),
    ],
  ])('%s ends the scheduler at its first run', async (_what, jobs, failure) => {
    const { given } = options(jobs, async (job) => {
      if (job === jobs.at(-1)) throw failure
      return ok
    })
    await expect(runForever(given)).rejects.toBe(failure)
  })

  test('an object that a run missed is no wrong setting', async () => {
    const stop = new AbortController()
    const { given } = options(
      [land('A'), land('B')],
      async (job) => {
        if (job.kind === 'land' && job.stream === 'B') {
          stop.abort()
          return ok
        }
        throw new FirnError('not-found', 'FIRN_OBJECT_NOT_FOUND', 'pruned meanwhile')
      },
      stop.signal,
    )
    await runForever(given)
  })
})
