/** The S3 adapter against answers that a well-behaved server does not give, or gives rarely. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startS3Server } from '../../../jobs/demo/s3-server.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { probeConditionalWrites } from '../../../table/io/probe.ts'
import { failureOf, keysOf, text, utf8 } from '../../contract/object-store.ts'

type Reply = (response: ServerResponse, request: IncomingMessage) => void

const saved = { ...process.env }
let server: Server
let endpoint: string
/** Answers in the order of the requests; the last one is repeated. */
let script: Reply[]
let requests: IncomingMessage[]

beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'test'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test'
  requests = []
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests.push(request)
      script[Math.min(requests.length, script.length) - 1]!(response, request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  process.env = { ...saved }
})

/** Pauses of the adapter take no time; those of the SDK are short. */
const hastyClock: Clock = { ...systemClock, sleep: async () => {} }

function open(options: { maxAttempts?: number } = {}): ObjectStore {
  return openStore('s3://my-bucket/wh', {
    s3: { endpoint, region: 'us-east-1', maxAttempts: options.maxAttempts ?? 1 },
    clock: hastyClock,
  })
}

const refuse =
  (status: number, code: string): Reply =>
  (response, request) => {
    const body = request.method === 'HEAD' ? '' : `<Error><Code>${code}</Code><Message>scripted</Message></Error>`
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
  }
const stored: Reply = (response) => response.writeHead(200, { etag: '"e1"' }).end()
const hangUp: Reply = (response) => response.socket!.destroy()

describe('the answer decides kind and code', () => {
  test.each([
    [404, 'NoSuchBucket', 'not-found', 'FIRN_BUCKET_NOT_FOUND'],
    [403, 'AccessDenied', 'invalid', 'FIRN_ACCESS_DENIED'],
    [403, 'InvalidAccessKeyId', 'invalid', 'FIRN_ACCESS_DENIED'],
    [403, 'SignatureDoesNotMatch', 'invalid', 'FIRN_ACCESS_DENIED'],
    [400, 'ExpiredToken', 'invalid', 'FIRN_ACCESS_DENIED'],
    [400, 'AuthorizationHeaderMalformed', 'invalid', 'FIRN_WRONG_REGION'],
    [400, 'InvalidRequest', 'invalid', 'FIRN_STORE_REFUSED'],
    [400, 'BadDigest', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [500, 'InternalError', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [502, 'BadGateway', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [503, 'SlowDown', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [504, 'GatewayTimeout', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [429, 'TooManyRequests', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
    [501, 'NotImplemented', 'invalid', 'FIRN_STORE_UNSUPPORTED'],
  ])('%i %s is %s %s for every operation that has a body to say so', async (status, code, kind, expected) => {
    script = [refuse(status, code)]
    const store = open()
    const calls = [
      () => store.put('k', utf8('x')),
      () => store.get('k'),
      () => store.delete('k'),
      () => keysOf(store, ''),
    ]
    for (const call of calls) {
      const error = await failureOf(call())
      expect(error).toMatchObject({ kind, code: expected })
      expect(error.message).toMatch(/my-bucket/)
      expect(error.help).toBeDefined()
    }
  })

  test('an HTML page of a proxy in place of an answer is unavailable', async () => {
    script = [(response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<html><p>Bad Gateway')]
    expect(await failureOf(open().get('k'))).toMatchObject({ kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE' })
  })

  test('a refused connection and a dropped one are unavailable', async () => {
    script = [hangUp]
    expect((await failureOf(open().put('k', utf8('x')))).code).toBe('FIRN_STORE_UNAVAILABLE')
    const nowhere = openStore('s3://my-bucket', { s3: { endpoint: 'http://127.0.0.1:1', region: 'x', maxAttempts: 1 } })
    const error = await failureOf(nowhere.get('k'))
    expect(error).toMatchObject({ kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE' })
    expect(error.message).toContain('ECONNREFUSED')
  })

  test('no credentials and no region are configuration errors with the variable to set', async () => {
    delete process.env['AWS_ACCESS_KEY_ID']
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
    process.env['AWS_CONFIG_FILE'] = '/nonexistent'
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/nonexistent'
    const error = await failureOf(open().get('k'))
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_NO_CREDENTIALS' })
    expect(error.help).toContain('AWS_ACCESS_KEY_ID')
    delete process.env['AWS_REGION']
    delete process.env['AWS_DEFAULT_REGION']
    const regionless = await failureOf(openStore('s3://my-bucket', { s3: { endpoint } }).get('k'))
    expect(regionless).toMatchObject({ kind: 'invalid', code: 'FIRN_NO_REGION' })
    expect(regionless.help).toContain('AWS_REGION')
  })

  test('endpoint and region are found in the environment', async () => {
    process.env['AWS_ENDPOINT_URL_S3'] = endpoint
    process.env['AWS_REGION'] = 'eu-central-1'
    script = [stored]
    await openStore('s3://my-bucket/wh').put('a b', utf8('x'))
    expect(requests[0]!.url).toMatch(/^\/my-bucket\/wh\/a%20b(\?|$)/)
    expect(requests[0]!.headers.authorization).toContain('/eu-central-1/s3/')
  })
})

describe('conditional puts', () => {
  test('404 to If-Match means the object is gone: a lost race', async () => {
    script = [refuse(404, 'NoSuchKey')]
    const error = await failureOf(open().put('k', utf8('x'), { ifMatch: '"e"' }))
    expect(error).toMatchObject({ kind: 'conflict', code: 'FIRN_PRECONDITION_FAILED' })
  })

  test('404 NoSuchBucket to a conditional put is not a lost race', async () => {
    script = [refuse(404, 'NoSuchBucket')]
    const error = await failureOf(open().put('k', utf8('x'), { ifNoneMatch: '*' }))
    expect(error.code).toBe('FIRN_BUCKET_NOT_FOUND')
  })

  test('409 ConditionalRequestConflict repeats the same put until it is decided', async () => {
    const conflict = refuse(409, 'ConditionalRequestConflict')
    script = [conflict, conflict, conflict, stored]
    expect(await open().put('k', utf8('x'), { ifNoneMatch: '*' })).toEqual({ etag: '"e1"' })
    expect(requests).toHaveLength(4)
    for (const request of requests) expect(request.headers['if-none-match']).toBe('*')
    requests = []
    script = [conflict, refuse(412, 'PreconditionFailed')]
    expect((await failureOf(open().put('k', utf8('x'), { ifNoneMatch: '*' }))).code).toBe('FIRN_PRECONDITION_FAILED')
  })

  test('409 without end is unavailable, and stops', async () => {
    script = [refuse(409, 'ConditionalRequestConflict')]
    const error = await failureOf(open().put('k', utf8('x'), { ifMatch: '"e"' }))
    expect(error).toMatchObject({ kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE' })
    expect(requests.length).toBeLessThan(20)
  })

  // The SDK repeats a put whose answer was lost; the server then refuses it because of its own first attempt. The
  // interface says so, and callers read back: this test holds that the adapter does not hide or "repair" it.
  test('a create whose answer is lost is refused by its own object on the second attempt', async () => {
    script = [hangUp, refuse(412, 'PreconditionFailed')]
    const error = await failureOf(open({ maxAttempts: 3 }).put('k', utf8('x'), { ifNoneMatch: '*' }))
    expect(error.code).toBe('FIRN_PRECONDITION_FAILED')
    expect(requests).toHaveLength(2)
  })

  test('a put carries its SHA-256', async () => {
    script = [stored]
    await open().put('k', utf8('abc'))
    expect(requests[0]!.headers['x-amz-checksum-sha256']).toBe('ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=')
  })

  test('503 and dropped connections are retried by the SDK', async () => {
    script = [refuse(503, 'SlowDown'), hangUp, stored]
    expect(await open({ maxAttempts: 4 }).put('k', utf8('x'))).toEqual({ etag: '"e1"' })
  })

  test('an endpoint that ignores conditions is found out by the probe', async () => {
    const ignoring = await startS3Server({ buckets: ['my-bucket'], ignoreConditions: true })
    try {
      const store = openStore('s3://my-bucket/wh', { s3: { endpoint: ignoring.url, region: 'us-east-1' } })
      for (let again = 0; again < 2; again++) {
        const error = await failureOf(probeConditionalWrites(store))
        expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_CONDITIONAL_WRITES_IGNORED' })
        expect(error.help).toContain('AWS S3')
      }
    } finally {
      await ignoring.close()
    }
  })

  test('an endpoint that honours If-None-Match but ignores If-Match is found out too', async () => {
    script = [
      (response, { headers }) =>
        (headers['if-none-match'] ? refuse(412, 'PreconditionFailed') : stored)(response, requests.at(-1)!),
    ]
    const error = await failureOf(probeConditionalWrites(open()))
    expect(error).toMatchObject({ code: 'FIRN_CONDITIONAL_WRITES_IGNORED', detail: { header: 'If-Match' } })
  })

  test('an endpoint that answers conditions with 501 is told apart from one that is down', async () => {
    script = [refuse(501, 'NotImplemented')]
    expect((await failureOf(probeConditionalWrites(open()))).code).toBe('FIRN_CONDITIONAL_WRITES_IGNORED')
    script = [refuse(503, 'SlowDown')]
    expect((await failureOf(probeConditionalWrites(open()))).code).toBe('FIRN_STORE_UNAVAILABLE')
  })
})

describe('gets', () => {
  const whole: Reply = (response) => response.writeHead(200, { etag: '"e"', 'content-length': '10' }).end('abcdefghij')
  const cutOff: Reply = (response) => {
    response.writeHead(200, { etag: '"e"', 'content-length': '10' })
    response.write('abc', () => response.socket!.destroy())
  }
  const part =
    (contentRange: string, body: string): Reply =>
    (response) =>
      response.writeHead(206, { etag: '"e"', 'content-range': contentRange, 'content-length': body.length }).end(body)

  test('a body that breaks off is asked for again, and arrives whole', async () => {
    script = [cutOff, cutOff, whole]
    expect(text((await open().get('k')).bytes)).toBe('abcdefghij')
  })

  test('a body that always breaks off is unavailable', async () => {
    script = [cutOff]
    expect((await failureOf(open().get('k'))).code).toBe('FIRN_STORE_UNAVAILABLE')
    expect(requests).toHaveLength(4)
  })

  test('a server that ignores ranges gives the same bytes', async () => {
    script = [whole]
    expect(text((await open().get('k', { range: { start: 2, end: 5 } })).bytes)).toBe('cde')
    expect(text((await open().get('k', { range: { start: 8, end: 99 } })).bytes)).toBe('ij')
  })

  test.each([
    ['another start', 'bytes 1-3/10', 'bcd'],
    ['too few bytes', 'bytes 2-3/10', 'cd'],
    ['too many bytes', 'bytes 2-5/10', 'cdef'],
    ['no sense', 'bytes banana', 'cde'],
  ])('a part with %s is not taken for the one asked for', async (_, contentRange, body) => {
    script = [part(contentRange, body)]
    expect((await failureOf(open().get('k', { range: { start: 2, end: 5 } }))).code).toBe('FIRN_STORE_UNAVAILABLE')
    script = [part(contentRange, body), part('bytes 2-4/10', 'cde')]
    requests = []
    expect(text((await open().get('k', { range: { start: 2, end: 5 } })).bytes)).toBe('cde')
  })

  test('an object whose bytes do not have its checksum is not returned', async () => {
    script = [
      (response) =>
        response
          .writeHead(200, { etag: '"e"', 'x-amz-checksum-sha256': 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=' })
          .end('abd'),
    ]
    expect((await failureOf(open().get('k'))).code).toBe('FIRN_STORE_UNAVAILABLE')
  })

  test('an abort while the body is under way rejects with the reason', async () => {
    const stop = new AbortController()
    script = [
      (response) => {
        response.writeHead(200, { etag: '"e"', 'content-length': '10' })
        response.write('abc', () => setTimeout(() => stop.abort(new Error('stop now')), 20))
      },
    ]
    await expect(open().get('k', { signal: stop.signal })).rejects.toThrow('stop now')
  })
})

describe('listings', () => {
  const page =
    (keys: readonly string[], next?: string): Reply =>
    (response) => {
      const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`)
      const more = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`
      const body = `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${contents.join('')}</ListBucketResult>`
      response.writeHead(200, { 'content-type': 'application/xml' }).end(body)
    }

  test('a page is asked for only when the one before was taken', async () => {
    script = [page(['wh/a', 'wh/b'], 't1'), page(['wh/c'])]
    const seen: string[] = []
    for await (const { key } of open().list('')) {
      seen.push(key)
      if (key === 'b') expect(requests).toHaveLength(1)
    }
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(requests[1]!.url).toContain('continuation-token=t1')
  })

  test('a server that ignores start-after still gives only what comes after', async () => {
    script = [page(['wh/a', 'wh/b', 'wh/c'])]
    expect(await keysOf(open(), '', 'b')).toEqual(['c'])
  })

  test('an unordered listing is refused instead of missing keys', async () => {
    script = [page(['wh/b', 'wh/a'])]
    expect(await failureOf(keysOf(open(), ''))).toMatchObject({ kind: 'invalid', code: 'FIRN_STORE_UNSUPPORTED' })
  })

  test('folder markers and names that no key can have are passed over', async () => {
    script = [page(['wh/', 'wh/a', 'wh/dir/', 'wh/dir//x', 'wh/dir/y'])]
    expect(await keysOf(open(), '')).toEqual(['a', 'dir/y'])
  })
})

describe('conditional delete', () => {
  const found =
    (etag: string): Reply =>
    (response) =>
      response.writeHead(200, { etag, 'content-length': '1' }).end()
  const gone: Reply = (response) => response.writeHead(404).end()
  const deleted: Reply = (response) => response.writeHead(204).end()
  const methods = (): (string | undefined)[] => requests.map(({ method }) => method)

  test('sends the condition, for the server to hold it against writers that come between', async () => {
    script = [found('"e1"'), deleted]
    await open().delete('k', { ifMatch: '"e1"' })
    expect(requests[1]?.headers['if-match']).toBe('"e1"')
    expect(methods()).toEqual(['HEAD', 'DELETE'])
  })

  test('a server that ignores the condition is not asked to delete what is another object already', async () => {
    script = [found('"e2"'), deleted]
    expect((await failureOf(open().delete('k', { ifMatch: '"e1"' }))).code).toBe('FIRN_PRECONDITION_FAILED')
    expect(methods()).toEqual(['HEAD'])
  })

  test('a server that refuses the header gets the request without it', async () => {
    script = [found('"e1"'), refuse(501, 'NotImplemented'), deleted]
    await open().delete('k', { ifMatch: '"e1"' })
    expect(requests.map(({ headers }) => headers['if-match'])).toEqual([undefined, '"e1"', undefined])
  })

  test('a refusal because the object went meanwhile is a success, because it was replaced is not', async () => {
    script = [found('"e1"'), refuse(412, 'PreconditionFailed'), gone]
    await open().delete('k', { ifMatch: '"e1"' })
    requests = []
    script = [found('"e1"'), refuse(412, 'PreconditionFailed'), found('"e2"')]
    expect((await failureOf(open().delete('k', { ifMatch: '"e1"' }))).code).toBe('FIRN_PRECONDITION_FAILED')
    expect(methods()).toEqual(['HEAD', 'DELETE', 'HEAD'])
  })
})
