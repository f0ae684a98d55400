/** Schedulers as processes, on a warehouse of files: two at once, killed, and told to end. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunRecord } from '../../jobs/runs.ts'
import { type FirnProcess, firnJson, startFirn } from '../firn-process.ts'

let dir: string
let options: { cwd: string; warehouse: string }
const started: FirnProcess[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'firn-schedulers-'))
  options = { cwd: dir, warehouse: pathToFileURL(join(dir, 'wh')).href }
})
afterEach(async () => {
  for (const { child } of started.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

let lines = 0
async function landSome(): Promise<void> {
  writeFileSync(join(dir, 'a.ndjson'), `${JSON.stringify({ article_id: `a${lines}`, content: 'two words' })}\n`, {
    flag: 'a',
  })
  lines++
  await firnJson(['land', '--from', join(dir, 'a.ndjson')], options)
}

const everySecond = ['run', 'compact', 'news.articles', '--compact-cron', '* * * * * *', '--lease-ttl', '2s']

function start(args: readonly string[] = everySecond): FirnProcess {
  const firn = startFirn(args, { ...options, env: { FIRN_OUTPUT: 'jsonl', FIRN_LOG_FORMAT: 'json' } })
  started.push(firn)
  return firn
}

/** Until `holds` of what the process has written; fails when the process ends before. */
async function until(firn: FirnProcess, holds: (written: string) => boolean): Promise<void> {
  let written = ''
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = (chunk: Buffer): void => {
    written += String(chunk)
    if (holds(written)) resolve()
  }
  firn.child.stdout?.on('data', look)
  firn.child.stderr?.on('data', look)
  void firn.ended.then(({ code, stderr }) => reject(new Error(`ended with ${code}: ${stderr}`)))
  await promise
}

function stored(job = 'compact'): RunRecord[] {
  const folder = join(dir, 'wh/_runs', job)
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as RunRecord)
}
const lease = (name = 'compact.news.articles'): Record<string, unknown> =>
  JSON.parse(readFileSync(join(dir, `wh/_leases/${name}.json`), 'utf8')) as Record<string, unknown>
const runs = (count: number) => (written: string) => written.split('"firn.run/1"').length > count

test('two at once do no slot twice, end with 0 when nothing is cut short, and leave the lease free', async () => {
  await landSome()
  const two = [start(), start()]
  await Promise.race(two.map((each) => until(each, runs(4))))
  const ends = two.map(({ child, ended }) => {
    child.kill('SIGTERM')
    return ended
  })
  const codes = (await Promise.all(ends)).map(({ code }) => code)
  const records = stored()
  const ticks = records.filter(({ outcome }) => outcome !== 'interrupted').map(({ lease: under }) => under?.slot)
  // the catch-up of the second process may fall into the slot of the first
  const slots = new Set(ticks)
  expect(slots.size).toBeGreaterThanOrEqual(ticks.length - 2)
  expect(records.filter(({ outcome }) => outcome === 'ok')).toHaveLength(1)
  expect(codes.every((code) => code === 0 || records.some(({ outcome }) => outcome === 'interrupted'))).toBe(true)
  expect(lease()).toMatchObject({ released: true })
  const averages = await firnJson<{ articles: number }>(['averages', 'news.articles'], options)
  expect(averages.articles).toBe(lines)
})

test('after kill -9 of the one that holds the lease another takes it over', async () => {
  await landSome()
  const first = start()
  await until(first, runs(1))
  first.child.kill('SIGKILL')
  await first.ended
  const left = lease()
  // as it is when it is killed in the middle of a run
  const path = join(dir, 'wh/_leases/compact.news.articles.json')
  writeFileSync(path, JSON.stringify({ ...left, released: false }))
  const other = await firnJson<RunRecord[]>(['run', '--once', 'compact', 'news.articles'], options)
  expect(other).toMatchObject([{ outcome: 'nothing-to-do', lease: { epoch: Number(left['epoch']) + 1 } }])
})

describe('told to end', () => {
  const yearly = ['run', 'compact', 'news.articles', '--compact-cron', '0 0 1 1 *']

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s while nothing runs, it ends with 0', async (signal) => {
    await landSome()
    const one = start(yearly)
    await until(one, runs(1))
    one.child.kill(signal)
    const { code, stderr } = await one.ended
    expect(code, stderr).toBe(0)
    expect(lease()).toMatchObject({ released: true })
  })

  /** A scheduler that lands from a Kinesis that takes connections and never says anything. */
  async function landingFromNobody(args = ['run', 'land', 'S']): Promise<{ one: FirnProcess; close(): void }> {
    const connections = new Set<Socket>()
    const hung = createServer((socket) => {
      connections.add(socket)
      socket.on('error', () => {})
    })
    hung.listen(0, '127.0.0.1')
    await once(hung, 'listening')
    const env = {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test-secret',
      FIRN_KINESIS__ENDPOINT: `http://127.0.0.1:${(hung.address() as AddressInfo).port}`,
    }
    const one = startFirn(args, { ...options, env })
    started.push(one)
    await once(hung, 'connection')
    const close = (): void => {
      for (const socket of connections) socket.destroy()
      hung.close()
    }
    return { one, close }
  }

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)(
    'by %s in a run that it has to cut short, it says so: record, lease and code %i',
    async (signal, expected) => {
      const { one, close } = await landingFromNobody()
      try {
        one.child.kill(signal)
        const { code, stderr } = await one.ended
        expect(code, stderr).toBe(expected)
        expect(stored('land')).toMatchObject([{ outcome: 'interrupted', lease: { name: 'land.S', lost: false } }])
        expect(lease('land.S')).toMatchObject({ released: true, last_slot: null })
      } finally {
        close()
      }
    },
  )

  test('run --once prints what it has records of, also when it is interrupted', async () => {
    const { one, close } = await landingFromNobody(['run', '--once', 'land', 'S'])
    try {
      one.child.kill('SIGTERM')
      const { code, stdout } = await one.ended
      expect([code, JSON.parse(stdout)]).toMatchObject([143, [{ job: 'land', outcome: 'interrupted' }]])
    } finally {
      close()
    }
  })

  test('by two signals, it ends at once', async () => {
    const { one, close } = await landingFromNobody()
    try {
      one.child.kill('SIGTERM')
      one.child.kill('SIGINT')
      const { code, signal } = await one.ended
      expect([code === 130 || code === 143, signal]).toEqual([true, null])
    } finally {
      close()
    }
  })
})

test('run --once of a job that somebody else holds ends with 0 and says that it was skipped', async () => {
  await landSome()
  await firnJson(['compact', 'news.articles'], options)
  const first = start(['run', 'compact', 'news.articles', '--compact-cron', '0 0 1 1 *', '--lease-ttl', '2s'])
  await until(first, runs(1))
  // held by a process that renews it: this one
  const path = join(dir, 'wh/_leases/compact.news.articles.json')
  let counter = Number(lease()['counter'])
  const renew = (): void => writeFileSync(path, JSON.stringify({ ...lease(), released: false, counter: ++counter }))
  renew()
  const renewals = setInterval(renew, 200)
  try {
    const skipped = await firnJson<RunRecord[]>(['run', '--once', 'compact', 'news.articles'], options)
    expect(skipped).toMatchObject([{ outcome: 'skipped', skipped: 'lease' }])
  } finally {
    clearInterval(renewals)
  }
  first.child.kill('SIGTERM')
  expect((await first.ended).code).toBe(0)
})
