/**
 * A small S3 on the loopback interface, for the demo and the tests: the commit protocol needs conditional writes
 * that are atomic under concurrency, which none of the S3 servers on npm has.
 *
 * Objects live in memory, with an optional copy on disk. Path-style requests only. **Signatures are not checked**:
 * whoever reaches the port may read and write, so it binds to 127.0.0.1 and nothing else.
 *
 * Atomic because Node runs one callback at a time: a body is read whole first, then the conditions are checked and
 * the object is put in place without an `await` between them (`storeObject`).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, systemClock } from '../../table/clock.ts'
import { readBody } from './s3/body.ts'
import { DiskMirror } from './s3/disk.ts'
import { decodePath, type S3Answer, type S3Call, S3Error } from './s3/protocol.ts'
import { operationOf } from './s3/route.ts'
import { createBucket, type S3State } from './s3/state.ts'
import { xmlDocument } from './s3/xml.ts'

export interface S3ServerOptions {
  /** Created at start when missing. */
  readonly buckets?: readonly string[]
  /** Default 0: a free port. */
  readonly port?: number
  /** Folder of the copy on disk, loaded at start. One server at a time may use it. */
  readonly dir?: string
  /**
   * Fault switch: accept `If-None-Match` and `If-Match` on writes and ignore them, as several S3 look-alikes do.
   * For tests of what must refuse such an endpoint; never for data.
   */
  readonly ignoreConditions?: boolean
  readonly clock?: Clock
}

export interface S3Server {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** Stops listening, drops open connections, and waits for what is being written to disk. */
  close(): Promise<void>
}

export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const state: S3State = {
    clock: options.clock ?? systemClock,
    buckets: new Map(),
    uploads: new Map(),
    disk: options.dir === undefined ? undefined : new DiskMirror(options.dir),
    ignoreConditions: options.ignoreConditions ?? false,
  }
  if (state.disk !== undefined) {
    for await (const { bucket, objects } of state.disk.load()) {
      await createBucket(state, bucket)
      for (const object of objects) state.buckets.get(bucket)?.objects.set(object)
    }
  }
  for (const bucket of options.buckets ?? []) await createBucket(state, bucket)
  // Longer than clients keep idle sockets, so that they close first and no request meets a closing socket.
  const running = new Set<Promise<void>>()
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    const run = serve(state, request, response)
    running.add(run)
    void run.finally(() => running.delete(run))
  })
  const port = await listen(server, options.port ?? 0)
  return { url: `http://127.0.0.1:${port}`, port, close: () => close(server, running) }
}

async function serve(state: S3State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = Buffer.from(state.clock.randomBytes(8)).toString('hex').toUpperCase()
  let answer: S3Answer
  try {
    answer = await handle(state, request)
  } catch (error) {
    // The client went away in the middle of its body: nothing was stored, nobody is listening.
    if (request.destroyed && !request.complete) return
    answer = errorAnswer(error, request.url ?? '/', requestId)
  }
  send(response, request.method ?? 'GET', answer, requestId)
}

async function handle(state: S3State, request: IncomingMessage): Promise<S3Answer> {
  // Read before anything is refused: a client that is still sending would not see the answer.
  const body = await readBody(request)
  const target = { method: request.method ?? 'GET', ...parseTarget(request.url ?? '/') }
  const call: S3Call = { ...target, state, headers: request.headers, body: body.bytes, checksums: body.checksums }
  return operationOf(call)(call)
}

/** Not `new URL`, which would resolve `..` and `//` that are part of a key. */
function parseTarget(target: string): { bucket: string; key: string; query: URLSearchParams } {
  const mark = target.indexOf('?')
  const path = (mark < 0 ? target : target.slice(0, mark)).replace(/^\//, '')
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
  const slash = path.indexOf('/')
  const bucket = decodePath(slash < 0 ? path : path.slice(0, slash))
  return { bucket, key: slash < 0 ? '' : decodePath(path.slice(slash + 1)), query }
}

function errorAnswer(error: unknown, resource: string, requestId: string): S3Answer {
  const failure =
    error instanceof S3Error
      ? error
      : new S3Error('InternalError', error instanceof Error ? error.message : String(error))
  const content = { Code: failure.code, Message: failure.message, Resource: resource, RequestId: requestId }
  return { status: failure.status, headers: failure.headers, body: xmlDocument('Error', content, { bare: true }) }
}

function send(response: ServerResponse, method: string, answer: S3Answer, requestId: string): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : (answer.body ?? Buffer.alloc(0))
  const type = typeof answer.body === 'string' ? { 'content-type': 'application/xml' } : {}
  const hasLength = answer.status !== 204 && answer.status !== 304
  response.writeHead(answer.status, {
    ...type,
    ...answer.headers,
    ...(hasLength ? { 'content-length': String(body.length) } : {}),
    'x-amz-request-id': requestId,
    server: 'firn-embedded-s3',
  })
  if (method === 'HEAD' || !hasLength) response.end()
  else response.end(body)
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** A request that was received whole may still be writing its copy to disk when its connection is dropped. */
async function close(server: Server, running: ReadonlySet<Promise<void>>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)))
    server.closeAllConnections()
  })
  await Promise.allSettled(running)
}
