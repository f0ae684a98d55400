/** What the real client makes of servers and settings that are wrong: a code, and a next step. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { inspect } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { kinesisSource, land, openKinesis } from '../../../ingest/index.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import { virtualClock } from '../virtual-clock.ts'

const saved = process.env
let server: Server | undefined
beforeEach(() => {
  const { PATH } = saved
  // No profile of this machine, no metadata service: only what a test sets.
  process.env = { PATH, HOME: tmpdir(), AWS_EC2_METADATA_DISABLED: 'true', AWS_REGION: 'us-east-1' }
  process.env['AWS_ACCESS_KEY_ID'] = 'test'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test'
})
afterEach(async () => {
  process.env = saved
  server?.closeAllConnections()
  server?.close()
  server = undefined
})

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const answer = (status: number, body: string, type = 'application/x-amz-json-1.1'): RequestListener => {
  return (request, response) => {
    request.resume().on('end', () => response.writeHead(status, { 'content-type': type }).end(body))
  }
}
const failure = (name: string): string => JSON.stringify({ __type: name, message: `because ${name}` })

async function outcomeOf(endpoint: string): Promise<unknown> {
  const client = openKinesis({ endpoint })
  const error = await client.describeStream('orders').catch((thrown: unknown) => thrown)
  client.close()
  return error
}

test.each([
  ['ResourceNotFoundException', 400, 'FIRN_STREAM_NOT_FOUND', 'not-found'],
  ['LimitExceededException', 400, 'FIRN_STREAM_THROTTLED', 'unavailable'],
  ['ProvisionedThroughputExceededException', 400, 'FIRN_STREAM_THROTTLED', 'unavailable'],
  ['KMSThrottlingException', 400, 'FIRN_STREAM_THROTTLED', 'unavailable'],
  ['ExpiredIteratorException', 400, 'FIRN_ITERATOR_EXPIRED', 'unavailable'],
  ['ExpiredNextTokenException', 400, 'FIRN_ITERATOR_EXPIRED', 'unavailable'],
  ['InternalFailureException', 500, 'FIRN_STREAM_UNAVAILABLE', 'unavailable'],
  ['ServiceUnavailable', 503, 'FIRN_STREAM_UNAVAILABLE', 'unavailable'],
  ['UnrecognizedClientException', 400, 'FIRN_STREAM_DENIED', 'invalid'],
  ['ExpiredTokenException', 400, 'FIRN_STREAM_DENIED', 'invalid'],
  ['AccessDeniedException', 400, 'FIRN_STREAM_DENIED', 'invalid'],
  ['InvalidArgumentException', 400, 'FIRN_STREAM_REQUEST_INVALID', 'invalid'],
])('%s (%i) is %s', async (name, status, code, kind) => {
  const error = await outcomeOf(await serve(answer(status, failure(name))))
  expect(error).toMatchObject({ code, kind, message: expect.stringContaining('orders') })
})

test.each([
  ['a page of a proxy', answer(502, '<html>Bad gateway</html>', 'text/html')],
  ['a web server', answer(200, '<html>Hello</html>', 'text/html')],
  ['another JSON service', answer(200, '{}')],
  ['an empty error', answer(500, '')],
  ['a connection closed at once', (request) => request.socket.destroy()],
] as [string, RequestListener][])('%s is no answer from Kinesis', async (_what, listener) => {
  const error = await outcomeOf(await serve(listener))
  expect(error).toMatchObject({ code: 'FIRN_STREAM_UNAVAILABLE', help: expect.stringContaining('endpoint') })
})

test('an endpoint that nobody serves is unavailable, with its address, after a few tries', async () => {
  const endpoint = await serve(answer(200, ''))
  server?.close()
  const clock = virtualClock()
  const source = kinesisSource({ stream: 'orders', client: { endpoint }, start: { type: 'TRIM_HORIZON' }, clock })
  const store = openMemoryStore('unreachable')
  await expect(land({ store, source, clock })).rejects.toMatchObject({
    code: 'FIRN_STREAM_UNAVAILABLE',
    message: expect.stringContaining(endpoint),
  })
  expect(clock.slept).toHaveLength(3)
})

test.each([
  ['AccessDeniedException', /Allow kinesis:DescribeStreamSummary .*kinesis:GetShardIterator, kinesis:GetRecords/],
  ['KMSAccessDeniedException', /kms:Decrypt/],
  ['ExpiredTokenException', /credentials/],
  ['InvalidSignatureException', /time/],
])('%s says what to do about it, and which action was refused', async (name, help) => {
  const error = await outcomeOf(await serve(answer(400, failure(name))))
  expect(error).toMatchObject({
    message: expect.stringContaining(`stream orders: DescribeStreamSummary was refused (${name})`),
    help: expect.stringMatching(help),
  })
})

test('a publisher that is refused is told of the permission to publish', async () => {
  const client = openKinesis({ endpoint: await serve(answer(400, failure('AccessDeniedException'))) })
  const put = client.putRecords('orders', [{ partitionKey: 'k', data: Buffer.from('x') }])
  await expect(put).rejects.toMatchObject({ help: expect.stringMatching(/^Allow kinesis:PutRecords /) })
  client.close()
})

/** Everything that a log line or a run record may show of an error. */
function shown(error: unknown): string {
  const parts: unknown[] = []
  for (let each = error; each instanceof Error; each = each.cause) parts.push(each.stack, inspect(each, { depth: 9 }))
  return parts.join('\n')
}

test.each([
  ['nobody serves', 'http://amy:hunter2@127.0.0.1:9', 'FIRN_STREAM_UNAVAILABLE'],
  ['answers with an error', 'http://amy:hunter2@HOST', 'FIRN_STREAM_UNAVAILABLE'],
  ['has an @ in its password', 'http://amy:p@hunter2@127.0.0.1:9/path', 'FIRN_STREAM_UNAVAILABLE'],
  ['is no URL', 'http://amy:hunter2@127.0.0.1:port', 'FIRN_BAD_ENDPOINT'],
])('user and password of an endpoint that %s are not shown', async (_what, template, code) => {
  const host = new URL(await serve(answer(500, failure('InternalFailure')))).host
  const error = await outcomeOf(template.replace('HOST', host))
  expect(error).toMatchObject({ code, message: expect.stringContaining('http://[redacted]@127.0.0.1:') })
  expect(shown(error)).not.toMatch(/hunter2|amy/)
})

test('no credentials are reported as such, with where to put them', async () => {
  delete process.env['AWS_ACCESS_KEY_ID']
  delete process.env['AWS_SECRET_ACCESS_KEY']
  const error = await outcomeOf(await serve(answer(200, '{}')))
  expect(error).toMatchObject({
    code: 'FIRN_NO_CREDENTIALS',
    kind: 'invalid',
    help: expect.stringContaining('AWS_ACCESS_KEY_ID'),
  })
})

test('no region is reported as such', async () => {
  delete process.env['AWS_REGION']
  const error = await outcomeOf(await serve(answer(200, '{}')))
  expect(error).toMatchObject({ code: 'FIRN_NO_REGION', kind: 'invalid', help: expect.stringContaining('AWS_REGION') })
})

test('an abort ends a hanging call with its reason', async () => {
  const stop = new AbortController()
  const reason = new Error('enough')
  const client = openKinesis({ endpoint: await serve(() => stop.abort(reason)) })
  await expect(client.describeStream('orders', { signal: stop.signal })).rejects.toBe(reason)
  client.close()
})
