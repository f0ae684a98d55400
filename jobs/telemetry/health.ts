/**
 * The server of `firn run`: metrics, and answers to whoever watches over processes. Read-only, on this computer only
 * unless another address is given; it says nothing that needs to be kept secret, and takes nothing but GET and HEAD.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

export interface HealthOptions {
  /** `host:port`, `:port` or `port`; without a host 127.0.0.1. Port 0 means one that is free. */
  readonly listen: string
  readonly clock: Clock
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly status: () => unknown
  /** What has to answer before work can be done, by name; each rejects when it does not. */
  readonly ready: Readonly<Record<string, (signal: AbortSignal) => Promise<void>>>
}

export interface HealthServer {
  /** `http://127.0.0.1:9464`. */
  readonly url: string
  close(): Promise<void>
}

/** As long a look at store and catalog counts for every watcher. */
const READY_MILLIS = 5_000
const READY_TIMEOUT_MILLIS = 3_000

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** @throws {FirnError} `FIRN_LISTEN_FAILED` (invalid): no address, or one that is taken. */
export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  const { host, port } = parseListen(options.listen)
  const routes = routesOf(options)
  const server = createServer((request, response) => {
    const answer = answersTo(host, request.headers.host) ? answerOf(routes, request) : Promise.resolve(NOT_HERE)
    void answer.then((given) => send(response, request, given))
  })
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 5_000
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    throw new FirnError(
      'invalid',
      'FIRN_LISTEN_FAILED',
      `cannot listen on ${options.listen}: ${(cause as Error).message}`,
      {
        cause,
        help: 'choose another address with --listen, like 127.0.0.1:9464',
      },
    )
  }
  // A connection that cannot be accepted, for want of a file descriptor, must not end the jobs.
  server.on('error', () => {})
  return { url: urlOf(server), close: () => closed(server) }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host)

/**
 * Whether a request with the header `name` is answered by a server that listens on `host`. A page in a browser reaches a
 * server of this computer by a name of its own that leads here (DNS rebinding), and could read the answer: by such a name
 * there is none. On the network a service has names that this process does not know.
 */
export function answersTo(host: string, name: string | undefined): boolean {
  if (!isLoopback(host) || name === undefined) return true
  const bare = name.replace(/:\d*$/, '').replace(/^\[|\]$/g, '')
  return isIP(bare) !== 0 || /^(.+\.)?localhost$/i.test(bare)
}

const plain = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body })

const NOT_HERE: Answer = plain(421, 'ask for an address or for localhost, or listen on an address of the network\n')

/** @throws {FirnError} `FIRN_LISTEN_FAILED` (invalid). */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[\w.-]*):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    throw new FirnError('invalid', 'FIRN_LISTEN_FAILED', `not an address to listen on: ${JSON.stringify(text)}`, {
      help: 'give host and port, like 127.0.0.1:9464',
    })
  }
  const host = match[1] === undefined || match[1] === '' ? '127.0.0.1' : match[1].replace(/^\[|\]$/g, '')
  return { host, port }
}

function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  const { address: host, port, family } = address
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await ended
}

type Routes = ReadonlyMap<string, () => Promise<Answer>>

function routesOf({ metrics, status, ready, clock }: HealthOptions): Routes {
  const look = cached(clock, () => lookAround(ready, clock))
  return new Map([
    ['/metrics', async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() })],
    // whoever reads this has had an answer from the event loop
    ['/healthz', async () => plain(200, 'ok\n')],
    [
      '/readyz',
      async () => {
        const checks = await look()
        const isReady = Object.values(checks).every((check) => check === 'ok')
        return json(isReady ? 200 : 503, { ready: isReady, checks })
      },
    ],
    ['/status', async () => json(200, status())],
  ])
}

const json = (status: number, value: unknown): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value, undefined, 2)}\n`,
})

async function answerOf(routes: Routes, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '/').split('?', 1)[0]!
  const route = routes.get(path)
  if (route === undefined) return plain(404, `there is ${[...routes.keys()].join(', ')}\n`)
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'only GET and HEAD\n')
  try {
    return await route()
  } catch {
    return plain(500, 'this could not be answered\n')
  }
}

function send(response: ServerResponse, request: IncomingMessage, { status, type, body }: Answer): void {
  const headers = { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body)
}

/** `ok`, or the code of what is wrong: messages name hosts and accounts. */
type Checks = Readonly<Record<string, string>>

async function lookAround(ready: HealthOptions['ready'], clock: Clock): Promise<Checks> {
  const results = await Promise.all(
    Object.entries(ready).map(async ([name, check]) => [name, await checkOnce(check, clock)] as const),
  )
  return Object.fromEntries(results)
}

async function checkOnce(check: (signal: AbortSignal) => Promise<void>, clock: Clock): Promise<string> {
  const late = new AbortController()
  const done = new AbortController()
  const timeout = clock.sleep(READY_TIMEOUT_MILLIS, done.signal).then(
    () => {
      late.abort(new DOMException('no answer in time', 'TimeoutError'))
      return 'timeout'
    },
    () => 'ok', // the check was faster
  )
  const answer = check(late.signal).then(
    () => 'ok',
    (error: unknown) => (late.signal.aborted ? 'timeout' : FirnError.is(error) ? error.code : 'FIRN_UNEXPECTED'),
  )
  try {
    return await Promise.race([answer, timeout])
  } finally {
    done.abort()
  }
}

/** One look at a time, and its answer to all for a while: watchers must not become load. */
function cached(clock: Clock, look: () => Promise<Checks>): () => Promise<Checks> {
  let last: { readonly checks: Promise<Checks>; readonly atMillis: number } | undefined
  return () => {
    const now = clock.monotonicMillis()
    if (last === undefined || now - last.atMillis > READY_MILLIS) last = { checks: look(), atMillis: now }
    return last.checks
  }
}
