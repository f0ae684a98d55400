/** Where lineage events go, and that nothing waits for them or learns of their failure but the log. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunRecord } from '../../../jobs/runs.ts'
import { type Lineage, type LineageOptions, safeTarget, startLineage, uuidV7 } from '../../../jobs/telemetry/lineage.ts'
import { datasetAt, endEvent } from '../../../jobs/telemetry/lineage-events.ts'
import { beginRun } from '../../../jobs/telemetry/run-channel.ts'
import { systemClock } from '../../../table/clock.ts'
import { runId } from '../../../table/ids.ts'

const warnings: { err: { code?: string; message: string }; target: string }[] = []
let lineage: Lineage | undefined
afterEach(async () => {
  await lineage?.close()
  warnings.length = 0
})

function start(target: string, change: Partial<LineageOptions> = {}): Lineage {
  lineage = startLineage({
    target,
    clock: systemClock,
    log: { warn: (detail: unknown) => void warnings.push(detail as (typeof warnings)[number]) },
    surroundings: {
      jobNamespace: 'prod',
      warehouse: 's3://lake/w',
      kinesisHost: 'eu-west-1',
      locationOf: (name) => `s3://lake/w/${name.replace('.', '/')}`,
    },
    describeTable: async () => undefined,
    ...change,
  })
  return lineage
}

const run = (change: Partial<RunRecord>): void =>
  beginRun({ job: 'compact', subject: 'news.articles', startedAtMillis: 1_795_262_400_000 }).end(
    {
      schema: 'firn.run/1',
      job: 'compact',
      run_id: runId('0123456789abcdef'),
      subject: 'news.articles',
      started_at: '2026-11-21T12:00:00.000Z',
      finished_at: '2026-11-21T12:01:00.500Z',
      duration_ms: 60_500,
      outcome: 'ok',
      ...change,
    },
    true,
  )

interface Heard {
  readonly eventType: string
  readonly job: { readonly namespace: string }
  readonly run: { readonly facets: Record<string, { message?: string; programmingLanguage?: string }> }
  readonly outputs: readonly { readonly namespace: string; readonly name: string }[]
}

describe('to a file', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'firn-lineage-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))
  const read = (): Heard[] =>
    readFileSync(join(dir, 'e.ndjson'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Heard)

  test('one line an event, in order; how a run ended is its type', async () => {
    start(join(dir, 'e.ndjson'))
    run({})
    run({ outcome: 'nothing-to-do' })
    run({ outcome: 'interrupted', error: { kind: 'unexpected', code: 'FIRN_UNEXPECTED', message: 'stopped' } })
    run({ outcome: 'failed', error: { kind: 'failed', code: 'FIRN_TOO_MANY_BAD_RECORDS', message: '9 of 10 are bad' } })
    await lineage!.close()
    const events = read()
    expect(events.map(({ eventType }) => eventType)).toEqual(
      ['COMPLETE', 'COMPLETE', 'ABORT', 'FAIL'].flatMap((end) => ['START', end]),
    )
    expect(events.every(({ job }) => job.namespace === 'prod')).toBe(true)
    expect(events[7]!.run.facets['errorMessage']).toMatchObject({
      message: 'FIRN_TOO_MANY_BAD_RECORDS: 9 of 10 are bad',
      programmingLanguage: 'JAVASCRIPT',
    })
    expect(events[1]!.outputs).toMatchObject([{ namespace: 's3://lake', name: 'w/news/articles' }])
    expect(warnings).toEqual([])
  })

  test('a table that cannot be looked at only lacks its columns', async () => {
    start(join(dir, 'e.ndjson'), { describeTable: () => Promise.reject(new Error('gone')) })
    run({})
    await lineage!.close()
    expect(read()).toHaveLength(2)
    expect(warnings).toEqual([])
  })

  test('a folder that is not there is a warning for each event', async () => {
    start(join(dir, 'none', 'e.ndjson'))
    run({})
    await lineage!.close()
    expect(warnings).toHaveLength(2)
  })
})

describe('to a server', () => {
  let server: Server
  let asked: { path: string; authorization: string | undefined; body: Heard }[]
  let answer: { status: number; headers?: Record<string, string> }
  let host: string
  beforeEach(async () => {
    asked = []
    answer = { status: 201 }
    server = createServer((request: IncomingMessage, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', (part: string) => (text += part))
      request.on('end', () => {
        const { authorization } = request.headers
        asked.push({ path: request.url ?? '', authorization, body: JSON.parse(text) as Heard })
        response.writeHead(answer.status, answer.headers).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(() => {
    server.close()
    server.closeAllConnections()
  })

  test('posts to the usual path, and gives user and password as a header', async () => {
    start(`http://mary:p%40ss@${host}`)
    run({})
    await lineage!.close()
    expect(asked.map(({ path, body }) => [path, body.eventType])).toEqual([
      ['/api/v1/lineage', 'START'],
      ['/api/v1/lineage', 'COMPLETE'],
    ])
    expect(asked[0]!.authorization).toBe(`Basic ${Buffer.from('mary:p@ss').toString('base64')}`)
  })

  test('keeps a path that is given', async () => {
    start(`http://${host}/hooks/lineage?key=k`)
    run({})
    await lineage!.close()
    expect(asked[0]!.path).toBe('/hooks/lineage?key=k')
    expect(asked[0]!.authorization).toBeUndefined()
  })

  test('follows no redirect, and no secret of the URL is in the warning', async () => {
    answer = { status: 307, headers: { location: `http://${host}/elsewhere` } }
    start(`http://mary:hunter2@${host}/in?key=hunter3`)
    run({})
    await lineage!.close()
    expect(asked.map(({ path }) => path)).toEqual(['/in?key=hunter3', '/in?key=hunter3'])
    expect(warnings).toHaveLength(2)
    expect(warnings[0]!.err.code).toBe('FIRN_LINEAGE_REFUSED')
    expect(warnings[0]!.target).toBe(`http://${host}/in`)
    expect(JSON.stringify(warnings) + warnings.map(({ err }) => err.message).join()).not.toMatch(/hunter/)
  })

  test('a server that does not answer is given up in time', async () => {
    server.removeAllListeners('request').on('request', () => {})
    start(`http://${host}`, { clock: { ...systemClock, sleep: async () => {} } })
    run({})
    await lineage!.close()
    expect(warnings).toHaveLength(2)
  })

  test('many events for a server that hangs hold up the end of a command for one time only', async () => {
    server.removeAllListeners('request').on('request', () => {})
    const slept: number[] = []
    const release: (() => void)[] = []
    const sleep = (millis: number): Promise<void> => {
      slept.push(millis)
      // time passes for the end of the command alone
      return new Promise((resolve) => (millis === 10_000 ? resolve() : release.push(resolve)))
    }
    start(`http://${host}`, { clock: { ...systemClock, sleep } })
    for (let n = 0; n < 50; n++) run({})
    await lineage!.close()
    expect(warnings).toHaveLength(100)
    expect(slept.filter((millis) => millis === 5000).length).toBeLessThan(5)
  })
})

test('a table that hangs, whatever it is told, holds up the end of a command for one time only', async () => {
  let asked = 0
  const describeTable = (): Promise<never> => {
    asked++
    return new Promise(() => {})
  }
  const sleep = async (millis: number): Promise<void> => (millis === 10_000 ? undefined : new Promise(() => {}))
  start('http://127.0.0.1:9/in', { describeTable, clock: { ...systemClock, sleep } })
  for (let n = 0; n < 3; n++) run({})
  await lineage!.close()
  expect(asked).toBeLessThanOrEqual(1)
  expect(warnings.length).toBeGreaterThanOrEqual(5)
})

test.each(['ftp://host/x', 'http://', 's3://b/k', 'http://a%zz:b@host/', 'file://host/x'])('refuses %s', (target) => {
  expect(() => start(target)).toThrow(expect.objectContaining({ code: 'FIRN_LINEAGE_TARGET' }))
})

test('datasets are named as the specification names them', () => {
  expect(datasetAt('s3://lake/w/news/articles')).toEqual({ namespace: 's3://lake', name: 'w/news/articles' })
  expect(datasetAt('file:///data/w%20x/t')).toEqual({ namespace: 'file', name: '/data/w x/t' })
  expect(datasetAt('memory://lake')).toEqual({ namespace: 'memory://lake', name: '/' })
})

test('a landing of files and of objects reads each of them; its rows are not split among them', () => {
  const shard_ids = ['file:///data/a.ndjson', 's3://firehose/2026/01/x.gz'].map(encodeURIComponent)
  const shards = shard_ids.map((shard_id) => ({ shard_id }))
  const run = { runId: uuidV7(systemClock), job: 'land', subject: 'backfill', startedAtMillis: 0 }
  const context = { jobNamespace: 'n', warehouse: 's3://lake/w', kinesisHost: 'h', arnOf: () => undefined }
  const record = {
    outcome: 'ok',
    finished_at: '2026-11-21T12:00:00Z',
    result: { records: 2, bytes: 9, chunks: 2, shards },
  }
  const event = endEvent(run, record as unknown as RunRecord, { ...context, locationOf: () => undefined })
  expect(event).toMatchObject({
    inputs: [
      { namespace: 'file', name: '/data/a.ndjson' },
      { namespace: 's3://firehose', name: '2026/01/x.gz' },
    ],
    outputs: [{ namespace: 's3://lake', name: 'w/_staging/backfill' }],
  })
  expect(JSON.stringify((event as { inputs: unknown }).inputs)).not.toContain('rowCount')
})

test('run ids sort by time', () => {
  const at = (millis: number): string => uuidV7({ ...systemClock, nowMillis: () => millis as never })
  const ids = [1, 2 ** 32, 1_795_262_400_000, 1_795_262_400_001].map(at)
  expect([...ids].sort()).toEqual(ids)
  expect(parseInt(ids[2]!.replaceAll('-', '').slice(0, 12), 16)).toBe(1_795_262_400_000)
})

test('a target is printed without what may be secret', () => {
  expect(safeTarget('https://u:p@host:1/a?key=1#x')).toBe('https://host:1/a')
  expect(safeTarget('/var/lib/e.ndjson')).toBe('/var/lib/e.ndjson')
})
