/** The command line on S3 and Kinesis: what doctor and the first commit say when something is not right there. */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KinesisLocal, startKinesisLocal } from '../../jobs/demo/kinesis.ts'
import { type S3Server, startS3Server } from '../../jobs/demo/s3-server.ts'
import { complaint, type Home, makeHome, type Outcome } from './cli-support.ts'

interface Check {
  check: string
  ok: boolean
  detail: string
  fix: string | null
}

let good: S3Server
let careless: S3Server
let kinesis: KinesisLocal
let home: Home
beforeAll(async () => {
  good = await startS3Server({ buckets: ['lake'] })
  careless = await startS3Server({ buckets: ['lake'], ignoreConditions: true })
  kinesis = await startKinesisLocal({ streams: { MyStream: 2 } })
  home = makeHome()
  writeFileSync(home.path('a.ndjson'), '{"article_id":"a","content":"one two"}\n')
})
afterAll(async () => {
  home.remove()
  await Promise.all([good.close(), careless.close(), kinesis.close()])
})

const on = (s3: S3Server, more: Record<string, string> = {}): Record<string, string> => ({
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test-secret',
  AWS_ENDPOINT_URL_S3: s3.url,
  AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  FIRN_WAREHOUSE: 's3://lake/w',
  ...more,
})

/** Keys in a bucket of an embedded server, asked without the product. */
async function keysIn(s3: S3Server, bucket: string): Promise<string[]> {
  const answer = await fetch(`${s3.url}/${bucket}?list-type=2`)
  return [...(await answer.text()).matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1]!)
}

async function doctor(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number | null; checks: Check[] }> {
  const { code, stdout } = await home.spawn(['doctor', '--output', 'jsonl', ...args], env)
  return {
    code,
    checks: stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Check),
  }
}
const failed = (checks: readonly Check[]): string[] => checks.filter(({ ok }) => !ok).map(({ check }) => check)

function expectRefusal(outcome: Outcome, code: string, exit = 2): void {
  expect({ exit: outcome.code, code: complaint(outcome).code, stdout: outcome.stdout }).toEqual({
    exit,
    code,
    stdout: '',
  })
  expect(complaint(outcome).help).not.toBe('')
}

describe('doctor', () => {
  test('finds nothing wrong with a store and a stream that work, and leaves next to nothing', async () => {
    const { code, checks } = await doctor(on(good), '--stream', 'MyStream')
    expect({ code, failed: failed(checks) }).toEqual({ code: 0, failed: [] })
    expect(checks.map(({ check }) => check)).toEqual([
      'warehouse',
      'credentials',
      'bucket',
      'clock',
      'conditional-writes',
      'catalog',
      'stream',
    ])
    expect(await keysIn(good, 'lake'), 'the probe of conditional writes stays').toEqual([
      'w/_leases/conditional-writes.json',
    ])
  })

  test('refuses an endpoint that ignores conditional writes', async () => {
    const { code, checks } = await doctor(on(careless))
    expect({ code, failed: failed(checks) }).toEqual({ code: 2, failed: ['conditional-writes'] })
    expect(checks.at(-1)?.fix).toContain('conditional writes')
  })

  test('names a missing bucket and a missing stream, both with what to do', async () => {
    const { code, checks } = await doctor(on(good, { FIRN_WAREHOUSE: 's3://absent/w' }), '--stream', 'Nope')
    expect({ code, failed: failed(checks) }).toEqual({ code: 2, failed: ['bucket', 'stream'] })
    for (const check of checks.filter(({ ok }) => !ok)) expect(check.fix, check.check).toMatch(/\w/)
  })

  test('tells a store that is down from a wrong setting: exit 1', async () => {
    const gone = await startS3Server()
    await gone.close()
    const { code, checks } = await doctor(on(gone, { AWS_MAX_ATTEMPTS: '1' }))
    expect({ code, failed: failed(checks) }).toEqual({ code: 1, failed: ['bucket'] })
  })
})

describe('commands', () => {
  test('no credentials', async () => {
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...env } = on(good)
    expectRefusal(await home.spawn(['scan', 'news.articles'], env), 'FIRN_NO_CREDENTIALS')
    expect(failed((await doctor(env)).checks)).toEqual(['credentials'])
    const before = home.files()
    const local = { ...env, FIRN_WAREHOUSE: pathToFileURL(home.path('lake')).href }
    expectRefusal(await home.spawn(['land', '--stream', 'MyStream'], local), 'FIRN_NO_CREDENTIALS')
    expect(home.files()).toEqual(before)
  })

  test('missing bucket', async () => {
    const env = on(good, { FIRN_WAREHOUSE: 's3://absent/w' })
    expectRefusal(await home.spawn(['init', 'news.articles', '--dataset', 'articles'], env), 'FIRN_BUCKET_NOT_FOUND')
    expectRefusal(await home.spawn(['land', '--from', 'a.ndjson'], env), 'FIRN_BUCKET_NOT_FOUND')
  })

  test('missing stream: nothing is staged, no run is recorded', async () => {
    const before = await keysIn(good, 'lake')
    expectRefusal(await home.spawn(['land', '--stream', 'Nope'], on(good)), 'FIRN_STREAM_NOT_FOUND')
    expect(await keysIn(good, 'lake')).toEqual(before)
  })

  test('the first commit refuses an endpoint that ignores conditional writes', async () => {
    expectRefusal(
      await home.spawn(['init', 'news.articles', '--dataset', 'articles'], on(careless)),
      'FIRN_CONDITIONAL_WRITES_IGNORED',
    )
    expect((await home.spawn(['land', '--from', 'a.ndjson'], on(careless))).code).toBe(0)
    expectRefusal(await home.spawn(['compact', 'news.articles'], on(careless)), 'FIRN_CONDITIONAL_WRITES_IGNORED')
    const keys = await keysIn(careless, 'lake')
    expect(keys.filter((key) => key.startsWith('w/news/'))).toEqual([])
  })

  test('a store that is down: try again later, exit 3', async () => {
    const gone = await startS3Server()
    await gone.close()
    expectRefusal(
      await home.spawn(['scan', 'news.articles'], on(gone, { AWS_MAX_ATTEMPTS: '1' })),
      'FIRN_STORE_UNAVAILABLE',
      3,
    )
  })

  test('export names the endpoint, and no secret', async () => {
    await home.spawn(['init', 'news.articles', '--dataset', 'articles'], on(good))
    for (const engine of ['duckdb', 'pyiceberg', 'spark']) {
      const { code, stdout } = await home.spawn(['export', 'news.articles', '--for', engine], on(good))
      expect(code).toBe(0)
      expect(stdout).toContain(new URL(good.url).host)
      expect(stdout).not.toContain('test-secret')
    }
  })
})
