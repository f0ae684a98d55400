/**
 * A local Kinesis for the demo and the tests: the npm package `kinesis-local` as a child process.
 *
 * Left alone it listens on **all** interfaces (its host 0.0.0.0 is hard-coded), on a plain and a TLS port. A preloaded
 * line narrows both to 127.0.0.1; whoever starts the package by other means opens an unauthenticated server to the
 * network. It keeps every record in memory and slows down as streams grow: right for a few thousand records.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

export interface KinesisLocalOptions {
  /** Shards by stream name; the streams are active when the promise resolves. */
  readonly streams: Readonly<Record<string, number>>
  /** Plain HTTP port; default: a free one. */
  readonly port?: number
  readonly clock?: Clock
  readonly signal?: AbortSignal | undefined
}

export interface KinesisLocal {
  /** For `AWS_ENDPOINT_URL_KINESIS`. */
  readonly endpoint: string
  /** Process id of the server. */
  readonly pid: number
  /** Ends the server; its records are gone. */
  close(): Promise<void>
}

export const kinesisLocalRegion = 'us-east-1'

const START_TIMEOUT_MILLIS = 30_000
const POLL_MILLIS = 50
const KILL_AFTER_MILLIS = 3_000
const LOG_TAIL_BYTES = 4_000

/**
 * Runs before the package: loopback only, and no life after our own (the pipe to its stdin closes when we die). By
 * signal, because the package's runtime takes over `process.exit` and needs seconds for it.
 */
const PRELOAD = `
import net from 'node:net'
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest.filter((argument) => typeof argument === 'function'))
}
const die = () => process.kill(process.pid, 'SIGKILL')
process.stdin.on('end', die).on('error', die).resume()
`

/** @throws {FirnError} `FIRN_DEMO_KINESIS` (unavailable) when the server does not come up, with what it printed. */
export async function startKinesisLocal(options: KinesisLocalOptions): Promise<KinesisLocal> {
  const { streams, clock = systemClock, signal } = options
  const port = options.port ?? (await freePort())
  const tlsPort = await freePort()
  const main = createRequire(import.meta.url).resolve('kinesis-local/main.js')
  const child = spawn(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(PRELOAD)}`, main], {
    env: {
      KINESIS_MOCK_CERT_PATH: join(dirname(main), 'server.json'), // it looks in the working directory otherwise
      KINESIS_MOCK_PLAIN_PORT: String(port),
      KINESIS_MOCK_TLS_PORT: String(tlsPort),
      ...initialStreams(streams),
      AWS_REGION: kinesisLocalRegion,
      CREATE_STREAM_DURATION: '0ms',
      DELETE_STREAM_DURATION: '0ms',
      SPLIT_SHARD_DURATION: '0ms',
      MERGE_SHARDS_DURATION: '0ms',
      LOG_LEVEL: 'ERROR',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let log = ''
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (bytes: Buffer) => {
      log = (log + bytes.toString()).slice(-LOG_TAIL_BYTES)
    })
  }
  child.on('error', (error) => {
    log += error.message
  })
  child.stdin.on('error', () => {}) // it may be gone before us
  const endpoint = `http://127.0.0.1:${port}`
  try {
    await untilActive(endpoint, Object.keys(streams), child, clock, signal)
  } catch (error) {
    await stop(child, clock)
    signal?.throwIfAborted()
    throw new FirnError(
      'unavailable',
      'FIRN_DEMO_KINESIS',
      `kinesis-local did not start: ${(error as Error).message}`,
      {
        detail: { endpoint, log },
        help: 'Run npm ci; see that nothing else uses the port.',
        cause: error,
      },
    )
  }
  return { endpoint, pid: child.pid as number, close: () => stop(child, clock) }
}

/** An empty list would stop the server. */
function initialStreams(streams: Readonly<Record<string, number>>): { INITIALIZE_STREAMS?: string } {
  const list = Object.entries(streams).map(([name, shards]) => `${name}:${shards}`)
  return list.length === 0 ? {} : { INITIALIZE_STREAMS: list.join(',') }
}

async function untilActive(
  endpoint: string,
  streams: readonly string[],
  child: ChildProcess,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  const giveUp = clock.monotonicMillis() + START_TIMEOUT_MILLIS
  const waiting = [...streams]
  for (;;) {
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`it exited with ${child.exitCode}`)
    const answers = await Promise.all(waiting.map((name) => isActive(endpoint, name, signal)))
    if (waiting.length > 0 ? answers.every(Boolean) : await isHealthy(endpoint, signal)) return
    if (clock.monotonicMillis() > giveUp) throw new Error(`no answer within ${START_TIMEOUT_MILLIS} ms`)
    await clock.sleep(POLL_MILLIS, signal)
  }
}

const isHealthy = (endpoint: string, signal: AbortSignal | undefined): Promise<boolean> =>
  fetch(`${endpoint}/healthcheck`, { signal: signal ?? null }).then(
    (answer) => answer.ok,
    () => false,
  )

async function isActive(endpoint: string, stream: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const answer = await callKinesisLocal(endpoint, 'DescribeStreamSummary', { StreamName: stream }, { signal })
    const summary = answer['StreamDescriptionSummary'] as { StreamStatus?: string } | undefined
    return summary?.StreamStatus === 'ACTIVE'
  } catch {
    return false // not listening yet, or not created yet
  }
}

/**
 * One request to the local server in Kinesis' JSON protocol, for what the product itself never calls (creating and
 * resharding streams). The server wants a signature's shape, and does not check it.
 */
export async function callKinesisLocal(
  endpoint: string,
  operation: string,
  input: Readonly<Record<string, unknown>>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Record<string, unknown>> {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Kinesis_20131202.${operation}`,
      'x-amz-date': '20260101T000000Z',
      authorization: `AWS4-HMAC-SHA256 Credential=local/20260101/${kinesisLocalRegion}/kinesis/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(input),
    signal: options.signal ?? null,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${operation}: ${answer.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function stop(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.stdin?.destroy() // see PRELOAD
  const patience = new AbortController()
  const timer = clock.sleep(KILL_AFTER_MILLIS, patience.signal).then(
    () => child.kill('SIGKILL'),
    () => {},
  )
  await gone
  patience.abort()
  await timer
}
