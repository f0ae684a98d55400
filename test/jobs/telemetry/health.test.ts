/** The server of `firn run`, on this computer's own interface. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import {
  answersTo,
  type HealthOptions,
  type HealthServer,
  parseListen,
  startHealthServer,
} from '../../../jobs/telemetry/health.ts'
import { prometheusSink } from '../../../jobs/telemetry/prometheus.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'

const open: HealthServer[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

async function serve(options: Partial<HealthOptions> = {}): Promise<HealthServer> {
  const defaults = {
    listen: '127.0.0.1:0',
    clock: systemClock,
    metrics: prometheusSink(),
    status: () => ({}),
    ready: {},
  }
  const server = await startHealthServer({ ...defaults, ...options })
  open.push(server)
  return server
}

test('is on this computer only unless another address is given', async () => {
  expect((await serve({ listen: '0' })).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(parseListen(':9464')).toEqual({ host: '127.0.0.1', port: 9464 })
  expect(parseListen('9464')).toEqual({ host: '127.0.0.1', port: 9464 })
  expect(parseListen('[::1]:9464')).toEqual({ host: '::1', port: 9464 })
  expect(parseListen('0.0.0.0:80')).toEqual({ host: '0.0.0.0', port: 80 })
})

test.each(['', 'x', '127.0.0.1', '1:2:3', '127.0.0.1:70000', 'http://a:1', '127.0.0.1:-1'])(
  'refuses to listen on %o',
  (text) => expect(() => parseListen(text)).toThrow(expect.objectContaining({ code: 'FIRN_LISTEN_FAILED' })),
)

test('an address that is taken is an error that names it', async () => {
  const { url } = await serve()
  const listen = url.replace('http://', '')
  await expect(serve({ listen })).rejects.toMatchObject({
    code: 'FIRN_LISTEN_FAILED',
    message: expect.stringContaining(`${listen}: listen EADDRINUSE`),
  })
})

test('answers while the event loop turns, gives metrics as text and the status as JSON', async () => {
  const { url } = await serve({ status: () => ({ schema: 'firn.status/1', jobs: [] }) })
  const alive = await fetch(`${url}/healthz`)
  expect([alive.status, await alive.text()]).toEqual([200, 'ok\n'])
  const metrics = await fetch(`${url}/metrics?x=1`)
  expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(await metrics.text()).toContain('# TYPE firn_job_runs_total counter')
  expect(await (await fetch(`${url}/status`)).json()).toEqual({ schema: 'firn.status/1', jobs: [] })
})

test('takes nothing but GET and HEAD, and knows no other path', async () => {
  const { url } = await serve()
  expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405)
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
  for (const path of ['/', '/metrics/', '/../etc/passwd', '/__proto__']) {
    expect((await fetch(`${url}${path}`)).status, path).toBe(404)
  }
})

/** `fetch` gives no other name than that of the address. */
async function askAs(url: string, name: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.end(`GET /status HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

test.each([
  'evil.example',
  'evil.example:9464',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  '[::1].evil.example',
  '',
])('on this computer only, a page that came here by the name %o is told nothing', async (name) => {
  const answer = await askAs((await serve({ status: () => ({ secret: 1 }) })).url, name)
  expect(answer).toMatch(/^HTTP\/1\.1 421 /)
  expect(answer).not.toContain('secret')
})

test.each(['127.0.0.1:9464', 'localhost:9464', 'LOCALHOST', '[::1]:9464', '10.0.0.7'])(
  'the name %o is that of a computer',
  async (name) => expect(await askAs((await serve()).url, name)).toMatch(/^HTTP\/1\.1 200 /),
)

test('on an address of the network every name is taken: a service has names that this process does not know', () => {
  expect(answersTo('0.0.0.0', 'firn.jobs.svc.cluster.local:9464')).toBe(true)
  expect(answersTo('localhost', 'firn.jobs.svc.cluster.local:9464')).toBe(false)
})

test('what fails inside is an answer of 500 without a word of why', async () => {
  const { url } = await serve({
    status: () => {
      throw new Error('the password is hunter2')
    },
  })
  const answer = await fetch(`${url}/status`)
  expect([answer.status, await answer.text()]).toEqual([500, 'this could not be answered\n'])
})

describe('readiness', () => {
  test('is all checks, by code and not by message', async () => {
    let broken = true
    let nowMillis = 0
    const clock: Clock = { ...systemClock, monotonicMillis: () => nowMillis }
    const { url } = await serve({
      clock,
      ready: {
        store: async () => {},
        catalog: async () => {
          if (broken) throw new FirnError('unavailable', 'FIRN_CATALOG_UNAVAILABLE', 'no answer of secret.host')
        },
      },
    })
    const answer = await fetch(`${url}/readyz`)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toEqual({
      ready: false,
      checks: { store: 'ok', catalog: 'FIRN_CATALOG_UNAVAILABLE' },
    })
    broken = false
    nowMillis = 6_000
    const again = await fetch(`${url}/readyz`)
    expect([again.status, await again.json()]).toEqual([200, { ready: true, checks: { store: 'ok', catalog: 'ok' } }])
  })

  test('one look serves every watcher for some seconds', async () => {
    let looks = 0
    let nowMillis = 0
    const clock: Clock = { ...systemClock, monotonicMillis: () => nowMillis }
    const { url } = await serve({
      clock,
      ready: {
        store: async () => {
          looks++
        },
      },
    })
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/readyz`)))
    expect(looks).toBe(1)
    nowMillis = 5_001
    await fetch(`${url}/readyz`)
    expect(looks).toBe(2)
  })

  test('a store that hangs is a time-out, and its request is aborted', async () => {
    let aborted = false
    const clock: Clock = { ...systemClock, sleep: async () => {} }
    const { url } = await serve({
      clock,
      ready: {
        store: (signal) =>
          new Promise(() => {
            signal.addEventListener('abort', () => {
              aborted = true
            })
          }),
      },
    })
    const answer = await fetch(`${url}/readyz`)
    expect([answer.status, await answer.json()]).toEqual([503, { ready: false, checks: { store: 'timeout' } }])
    expect(aborted).toBe(true)
  })
})

test('closing ends connections that are kept open', async () => {
  const server = await serve()
  open.splice(0)
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(socket, 'data')
  const closed = once(socket, 'close')
  await server.close()
  await closed
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
})
