/** `firn run --listen` as a process: it answers while it runs, and the server ends with it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BIN, bareEnvironment, makeHome } from '../cli-support.ts'
import { samplesOf } from './prometheus-text.ts'

const record = { article_id: 'a', title: 't', publish_date: '2026-01-31T12:00:00Z', content: 'Some words.' }

test('metrics, health, readiness and status of the scheduler, until a signal', async () => {
  const home = makeHome()
  try {
    writeFileSync(home.path('a.ndjson'), `${JSON.stringify(record)}\n`)
    await home.json(['land', '--from', home.path('a.ndjson')])
    const args = ['run', '--table', 'news.articles', '--listen', '127.0.0.1:0', '--log-format', 'json']
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: home.dir,
      env: bareEnvironment(home.dir),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (text: Buffer) => {
      stderr += String(text)
    })
    const firstRun = once(child.stdout, 'data')
    const closed = once(child, 'close')
    await Promise.race([firstRun, closed])
    const url = /"url":"(http:\/\/127\.0\.0\.1:\d+)"/.exec(stderr)?.[1]
    expect(url, stderr).toBeDefined()
    const get = async (path: string): Promise<Response> => await fetch(`${url}${path}`)
    expect((await get('/healthz')).status).toBe(200)
    expect(await (await get('/readyz')).json()).toEqual({ ready: true, checks: { store: 'ok', catalog: 'ok' } })
    const samples = samplesOf(await (await get('/metrics')).text())
    expect(samples.get('firn_job_runs_total{job="compact",outcome="ok"}')).toBe(1)
    expect(samples.get('firn_table_files{content="data",table="news.articles"}')).toBe(1)
    expect(await (await get('/status')).json()).toMatchObject({
      schema: 'firn.status/1',
      last_runs: { 'compact news.articles': { outcome: 'ok' } },
      scheduler: {
        state: 'running',
        jobs: [{ job: 'compact', subject: 'news.articles', runs: 1, failing: 0 }],
      },
    })
    child.kill('SIGTERM')
    await closed
    await expect(get('/healthz')).rejects.toThrow()
  } finally {
    home.remove()
  }
}, 60_000)

test('an address that cannot be listened on ends the command before any run', async () => {
  const home = makeHome()
  try {
    const { code, stderr } = await home.firn(['run', '--once', '--table', 'news.articles', '--listen', 'nowhere'])
    expect([code, /^code: (.*)$/m.exec(stderr)?.[1]]).toEqual([2, 'FIRN_LISTEN_FAILED'])
    expect(home.files()).toEqual([])
  } finally {
    home.remove()
  }
})
