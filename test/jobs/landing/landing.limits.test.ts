/** `firn land` with a budget, with losses, and when a signal comes: in processes of its own, over a Kinesis on loopback. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import { runLanding } from '../../../jobs/landing/landing.ts'
import { createLogger } from '../../../jobs/telemetry.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { type KinesisDoor, openKinesisDoor } from '../../contract/kinesis-door.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { BIN, bareEnvironment, complaint, type Home, makeHome } from '../cli-support.ts'

const SHARD = 'shardId-000000000000'
let kinesis: MemoryKinesis
let door: KinesisDoor
let home: Home
let environment: Record<string, string>
/** Called before every page that Kinesis hands out. */
let onPage: (call: number) => void
beforeEach(async () => {
  onPage = () => {}
  kinesis = new MemoryKinesis({
    clock: systemClock,
    pageRecords: 5,
    fault: (operation, call) => operation === 'getRecords' && onPage(call),
  })
  kinesis.createStream('Orders', 1)
  door = await openKinesisDoor(kinesis)
  environment = {
    ...{ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' },
    AWS_ENDPOINT_URL_KINESIS: door.endpoint,
  }
  home = makeHome(environment)
})
afterEach(async () => {
  home.remove()
  await door.close()
})
const put = (count: number): void => {
  for (let i = 0; i < count; i++) kinesis.putInto('Orders', SHARD, '{}')
}
const land = async (...args: string[]) => {
  const outcome = await home.spawn(['land', '--stream', 'Orders', '--output', 'json', ...args])
  return { ...outcome, json: outcome.code === 0 ? (JSON.parse(outcome.stdout) as Record<string, unknown>) : undefined }
}
const lastRun = (): Record<string, unknown> => {
  const folder = home.path('.firn/warehouse/_runs/land')
  const [newest] = readdirSync(folder).sort().reverse()
  return JSON.parse(readFileSync(`${folder}/${newest}`, 'utf8')) as Record<string, unknown>
}

test('a loss fails run after run with --fail-on-data-loss, until --accept-gap records it', async () => {
  put(3)
  expect(await land()).toMatchObject({ code: 0, json: { records: 3, ended_by: 'tip', gaps: [] } })
  put(6)
  kinesis.trim('Orders', SHARD, 6)
  writeFileSync(home.path('firn.config.json'), '{"run":{"land":{"failOnDataLoss":true}}}')
  for (const args of [['--fail-on-data-loss'], []]) {
    const outcome = await land(...args)
    expect({ exit: outcome.code, ...complaint(outcome) }).toMatchObject({
      ...{ exit: 1, code: 'FIRN_DATA_LOSS' },
      error: expect.stringContaining(`records of shard ${SHARD} of stream Orders after `),
      help: expect.stringContaining('firn land --stream Orders --accept-gap'),
    })
    expect(lastRun()).toMatchObject({ outcome: 'failed', error: { code: 'FIRN_DATA_LOSS' } })
  }
  // A decision about one loss does not come from the environment, where it would hold for every later one.
  const set = await home.spawn(['land', '--stream', 'Orders'], { FIRN_ACCEPT_GAP: '1' })
  expect(set).toMatchObject({ code: 2, stderr: expect.stringContaining('FIRN_ACCEPT_GAP') })
  const accepted = await land('--accept-gap')
  expect(accepted.json).toMatchObject({ records: 3, gaps: [{ shard_id: SHARD, after: expect.any(String) }] })
  expect((await land()).json).toMatchObject({ records: 0, gaps: [] })
}, 60_000)

test('a budget of flags, variables or settings ends the run with exit code 0, and says so', async () => {
  put(20)
  expect(await land('--max-records', '4')).toMatchObject({ code: 0, json: { records: 4, ended_by: 'budget' } })
  writeFileSync(home.path('firn.config.json'), '{"run":{"land":{"maxRecords":2,"maxBytes":"1KiB"}}}')
  expect(await land()).toMatchObject({ code: 0, json: { records: 2, ended_by: 'budget' } })
  expect((await land('--max-records', '5')).json).toMatchObject({ records: 5, ended_by: 'budget' })
  const text = await home.spawn(['land', '--stream', 'Orders'], { FIRN_MAX_BYTES: '6' })
  expect(text).toMatchObject({ code: 0, stdout: expect.stringContaining('the budget of the run ended it') })
  expect(text.stdout).toMatch(/^landed 2 records /)
  expect((await land('--max-duration', '10m', '--max-records', '1000', '--max-bytes', '1GB')).json).toMatchObject({
    ...{ records: 7, ended_by: 'tip' },
  })
  expect(complaint(await land('--shard-concurrency', '65'))).toMatchObject({ code: 'FIRN_USAGE' })
  writeFileSync(home.path('firn.config.json'), '{"run":{"land":{"maxBytes":"lots"}}}')
  expect(complaint(await land())).toMatchObject({
    code: 'FIRN_CONFIG_INVALID',
    error: expect.stringContaining('512MiB'),
  })
}, 60_000)

describe('SIGTERM', () => {
  const signalled = async (at: number): Promise<{ code: number | null; stdout: string }> => {
    const env = { ...bareEnvironment(home.dir), ...environment }
    const args = [BIN, 'land', '--stream', 'Orders', '--output', 'json']
    const child = spawn(process.execPath, args, { cwd: home.dir, env, stdio: ['ignore', 'pipe', 'ignore'] })
    onPage = (call) => call === at && child.kill('SIGTERM')
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const [code] = (await once(child, 'close')) as [number | null]
    onPage = () => {}
    return { code, stdout }
  }

  test('keeps what was read so far: the next run goes on from there', async () => {
    put(200) // 40 pages, 200 ms apart
    const { code, stdout } = await signalled(4)
    expect(code).toBe(143)
    const { records, ended_by } = JSON.parse(stdout) as { records: number; ended_by: string }
    expect(ended_by).toBe('stop')
    expect(records).toBeGreaterThanOrEqual(15)
    expect(records).toBeLessThan(50)
    expect(lastRun()).toMatchObject({ result: { records, ended_by: 'stop' } })
    expect((await land()).json).toMatchObject({ records: 200 - records, ended_by: 'tip' })
  }, 60_000)

  test('does not wait for a store that does not answer: after 8 s the run ends with what it has', async () => {
    const stop = new AbortController()
    const reason = new Error('SIGTERM')
    const pauses: number[] = []
    const clock: Clock = {
      ...systemClock,
      sleep: async (millis, signal) => {
        signal?.throwIfAborted()
        pauses.push(millis)
      },
    }
    const memory = openMemoryStore('silent', { clock })
    const silent: ObjectStore = {
      url: memory.url,
      get: (...args) => memory.get(...args),
      head: (...args) => memory.head(...args),
      list: (...args) => memory.list(...args),
      delete: (...args) => memory.delete(...args),
      put: (key, body, options) => {
        if (!key.endsWith('.zst')) return memory.put(key, body, options)
        stop.abort(reason)
        return new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        })
      },
    }
    writeFileSync(home.path('a.ndjson'), '{}\n')
    const config = loadConfig({ env: {}, cwd: home.dir })
    const log = createLogger({ format: 'json', level: 'error', clock, write: () => {} })
    const target = { kind: 'files', paths: [home.path('a.ndjson')], as: 'files' } as const
    const run = runLanding({ store: silent, target, config, clock, log, signal: stop.signal })
    await expect(run).rejects.toBe(reason)
    expect(pauses).toEqual([8_000])
    dropMemoryStore('silent')
  })
})
