/** Who we say we are, when that runs out, and that no secret comes out. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { signingOfHost, sigv4Auth } from '../../../table/catalog/rest/auth-sigv4.ts'
import { openRestCatalog, type RestCatalogOptions } from '../../../table/catalog/rest.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { errorToWire, FirnError } from '../../../table/errors.ts'
import { epochMillis } from '../../../table/ids.ts'
import { DEFINITION, freshStore } from '../support.ts'
import { type RestServer, type RestServerOptions, startRestServer } from './rest-server.ts'

let server: RestServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})
const start = async (options: Partial<RestServerOptions> = {}): Promise<RestServer> => {
  server = await startRestServer({ location: freshStore().url, ...options })
  return server
}
const open = (options: Partial<RestCatalogOptions> = {}): ReturnType<typeof openRestCatalog> =>
  openRestCatalog({ uri: server!.uri, clock: systemClock, ...options })
const failureOf = (work: Promise<unknown>): Promise<FirnError> =>
  work.then(
    () => Promise.reject(new Error('nothing was thrown')),
    (error: unknown) => (FirnError.is(error) ? error : Promise.reject(error as Error)),
  )
/** Everything that a log could hold of an error. */
function everythingOf(error: FirnError): string {
  let text = JSON.stringify(errorToWire(error))
  for (let each: unknown = error; each instanceof Error; each = each.cause) text += `${each.message}\n${each.stack}`
  return text
}

describe('a bearer token', () => {
  test('goes with every request', async () => {
    await start({ authorized: ({ headers }) => headers.authorization === 'Bearer t0ken' })
    await open({ token: 't0ken' }).createTable('a.b', DEFINITION)
    expect(server!.requests.every(({ headers }) => headers.authorization === 'Bearer t0ken')).toBe(true)
  })

  test('that is refused is not tried again, and is not in the message that the server echoes it in', async () => {
    await start({ authorized: () => false })
    const error = await failureOf(open({ token: 's3cret-t0ken' }).listTables())
    expect(error).toMatchObject({ code: 'FIRN_CATALOG_UNAUTHORIZED', kind: 'invalid', help: expect.any(String) })
    expect(server!.requests).toHaveLength(1)
    expect(everythingOf(error)).toContain('not with Bearer …')
    expect(everythingOf(error)).not.toContain('s3cret')
  })
})

describe('OAuth2 client credentials', () => {
  const credential = 'client:s3cret'

  test('are exchanged once for all requests', async () => {
    await start({ oauth: { credential, expiresSeconds: 3600 } })
    const catalog = open({ credential })
    await Promise.all([catalog.listTables(), catalog.listNamespaces()])
    await catalog.createTable('a.b', DEFINITION)
    expect(server!.tokens).toEqual(['token-1'])
    const [request] = server!.requests
    expect(request!.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
    expect(Object.fromEntries(new URLSearchParams(request!.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client',
      client_secret: 's3cret',
      scope: 'catalog',
    })
  })

  test('a token is renewed before it runs out, by one of many who notice', async () => {
    let passed = 0
    const clock: Clock = { ...systemClock, monotonicMillis: () => systemClock.monotonicMillis() + passed }
    await start({ oauth: { credential, expiresSeconds: 600 } })
    const catalog = open({ credential, clock })
    await catalog.listTables()
    passed += 530_000
    await catalog.listTables()
    expect(server!.tokens).toHaveLength(1)
    passed += 20_000
    await Promise.all(Array.from({ length: 5 }, () => catalog.listTables()))
    expect(server!.tokens).toHaveLength(2)
  })

  test.each([401, 419])('after a %d one new token is asked for, and the request sent once more', async (status) => {
    await start({ oauth: { credential, expiresSeconds: 3600 } })
    const catalog = open({ credential })
    await catalog.listTables()
    let left = 1
    server!.fault = () => (left-- > 0 ? { status, effect: 'before' } : undefined)
    const table = await catalog.createTable('a.b', DEFINITION)
    expect(table.name).toBe('a.b')
    expect(server!.tokens).toHaveLength(2)
    server!.fault = () => ({ status, effect: 'before' })
    const before = server!.requests.length
    expect(await failureOf(catalog.loadTable('a.b'))).toMatchObject({ code: 'FIRN_CATALOG_UNAUTHORIZED' })
    expect(server!.requests.length - before).toBe(3)
  })

  test('a connection that breaks is tried again, a few times', async () => {
    await start({ oauth: { credential, expiresSeconds: 3600 } })
    const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() }
    const fetched = vi.spyOn(globalThis, 'fetch')
    try {
      const reset = new TypeError('fetch failed', { cause: Object.assign(new Error('gone'), { code: 'ECONNRESET' }) })
      fetched.mockRejectedValueOnce(reset).mockRejectedValueOnce(reset)
      expect(await open({ credential, clock }).listTables()).toEqual([])
      expect(server!.tokens).toHaveLength(1)
      fetched.mockClear()
      fetched.mockRejectedValue(reset)
      expect(await failureOf(open({ credential, clock }).listTables())).toMatchObject({
        code: 'FIRN_CATALOG_UNAVAILABLE',
        kind: 'unavailable',
        message: expect.stringContaining('ECONNRESET'),
      })
      expect(fetched).toHaveBeenCalledTimes(5)
    } finally {
      fetched.mockRestore()
    }
  })

  test('an answer without end is not read to its end, nor asked for again', async () => {
    await start()
    const fetched = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('x'.repeat(2 ** 21)))
    try {
      expect(await failureOf(open({ credential }).listTables())).toMatchObject({
        code: 'FIRN_CATALOG_ANSWER_INVALID',
        message: expect.stringContaining('more than 1048576 bytes'),
      })
      expect(fetched).toHaveBeenCalledTimes(1)
    } finally {
      fetched.mockRestore()
    }
  })

  test('a wrong secret is said to be wrong, without it', async () => {
    await start({ oauth: { credential: 'client:other', expiresSeconds: 3600 } })
    const error = await failureOf(open({ credential }).listTables())
    expect(error).toMatchObject({ code: 'FIRN_CATALOG_UNAUTHORIZED', help: expect.stringContaining('credential') })
    expect(everythingOf(error)).toContain('no such client')
    expect(everythingOf(error)).not.toContain('s3cret')
  })

  test('the tokens come from where the catalog or the user says', async () => {
    const tokens = await startRestServer({ location: 'memory://x', oauth: { credential, expiresSeconds: 3600 } })
    try {
      await start({ authorized: ({ headers }) => headers.authorization === 'Bearer token-1' })
      await open({ credential, oauth2ServerUri: `${tokens.uri}/v1/oauth/tokens`, scope: 'x y' }).listTables()
      expect(new URLSearchParams(tokens.requests[0]!.body).get('scope')).toBe('x y')
    } finally {
      await tokens.close()
    }
  })
})

describe('an encrypted catalog', () => {
  const credential = 'client:s3cret'
  afterEach(() => void vi.unstubAllGlobals())

  /** A catalog at https://catalog.example/rest that gives out `settings`; what was sent, and where. */
  function answering(settings: { defaults?: object; overrides?: object }): { url: string; body: string }[] {
    const sent: { url: string; body: string }[] = []
    vi.stubGlobal('fetch', async (url: string | URL, { body }: RequestInit) => {
      sent.push({ url: String(url), body: String(body ?? '') })
      const path = new URL(url).pathname
      if (path.endsWith('/config')) return Response.json({ defaults: {}, overrides: {}, ...settings })
      return Response.json(path.endsWith('/tokens') ? { access_token: 'given' } : { namespaces: [] })
    })
    return sent
  }
  const catalog = (more: Partial<RestCatalogOptions> = {}): ReturnType<typeof openRestCatalog> =>
    openRestCatalog({ uri: 'https://catalog.example/rest', clock: systemClock, credential, ...more })

  test.each(['defaults', 'overrides'])('cannot have the secret sent unencrypted: %s', async (where) => {
    const sent = answering({ [where]: { 'oauth2-server-uri': 'http://127.0.0.1/v1/oauth/tokens' } })
    const error = await failureOf(catalog().listTables())
    expect(error).toMatchObject({ code: 'FIRN_CATALOG_REFUSED', kind: 'invalid', help: expect.any(String) })
    expect(sent.every(({ url }) => url.startsWith('https:'))).toBe(true)
  })

  test('cannot move its clients to plain http, but its defaults may say what they like of that', async () => {
    answering({ overrides: { uri: 'http://catalog.example' } })
    expect(await failureOf(catalog().listTables())).toMatchObject({ code: 'FIRN_CATALOG_REFUSED' })
    answering({ defaults: { uri: 'http://catalog.example' } })
    expect(await catalog().listTables()).toEqual([])
  })

  test('names its token endpoint by a path below its own URI, too', async () => {
    const sent = answering({ overrides: { 'oauth2-server-uri': '/v1/other/tokens' } })
    await catalog().listTables()
    expect(sent.map(({ url }) => url)).toContain('https://catalog.example/rest/v1/other/tokens')
  })

  test('where the user says that tokens are had, they are had', async () => {
    const sent = answering({ overrides: { 'oauth2-server-uri': 'https://other.example/tokens' } })
    await catalog({ oauth2ServerUri: 'http://mine.example/tokens' }).listTables()
    expect(sent.filter(({ body }) => body.includes('s3cret')).map(({ url }) => new URL(url).host)).toEqual(
      expect.arrayContaining(['mine.example']),
    )
    expect(sent.some(({ url }) => url.includes('other.example'))).toBe(false)
  })
})

describe('SigV4', () => {
  const keys = { accessKeyId: 'AKID', secretAccessKey: 's3cret', sessionToken: 'sessi0n' }

  test('every request is signed for the service and region', async () => {
    await start({})
    await open({ sigv4: { signingName: 'glue', signingRegion: 'eu-west-1', credentials: keys } }).createTable(
      'a.b',
      DEFINITION,
    )
    for (const { headers, method } of server!.requests) {
      expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/glue\/aws4_request, /)
      expect(headers.authorization).toMatch(/SignedHeaders=[^,]*host;[^,]*x-amz-date;x-amz-security-token/)
      expect(headers['x-amz-security-token']).toBe('sessi0n')
      if (method === 'POST') expect(headers.authorization).toContain('content-type;')
    }
  })

  // the signature that botocore gives for this request; test/interop compares many more
  test('the path is encoded twice, as every service but S3 wants it', async () => {
    const clock: Clock = { ...systemClock, nowMillis: () => epochMillis(Date.UTC(2026, 10, 21, 12)) }
    const auth = sigv4Auth({ service: 'glue', region: 'us-east-1', credentials: async () => keys, clock })
    const url = new URL('https://glue.us-east-1.amazonaws.com/iceberg/v1/namespaces/a%1Fb/tables?pageToken=x%20%2B')
    const { authorization } = await auth.authorize({ method: 'GET', url, headers: {}, body: undefined }, {})
    expect(authorization).toMatch(/Signature=f3037443c9a92883d41375dab089dbad551f7e31a701cbabcf7157beb4f39577$/)
  })

  test.each([
    ['https://glue.eu-west-1.amazonaws.com/iceberg', { service: 'glue', region: 'eu-west-1' }],
    ['https://s3tables.us-east-2.amazonaws.com/iceberg', { service: 's3tables', region: 'us-east-2' }],
    ['https://abc123.execute-api.us-west-2.amazonaws.com/prod', { service: 'execute-api', region: 'us-west-2' }],
    ['https://glue.cn-north-1.amazonaws.com.cn/iceberg', { service: 'glue', region: 'cn-north-1' }],
    ['https://catalog.example.com', {}],
    ['https://glue.eu-west-1.amazonaws.com.evil.example/iceberg', {}],
  ])('%s is signed for what its host says', (uri, expected) => {
    expect(signingOfHost(uri)).toEqual(expected)
  })

  test('without a region nothing is sent', async () => {
    await start()
    expect(await failureOf(open({ sigv4: { credentials: keys } }).listTables())).toMatchObject({
      code: 'FIRN_INVALID_OPTION',
    })
    expect(server!.requests).toEqual([])
  })
})

describe('what a server says', () => {
  const esc = String.fromCharCode(27)

  test('is shown without what moves a terminal, without secrets, and not at any length', async () => {
    await start()
    const error = {
      type: `s3cret-t0ken${'x'.repeat(2_000)}`,
      message: `${esc}[31mred\r\nfirn: all is well\u202e\u0007`,
    }
    server!.fault = () => ({ status: 403, body: JSON.stringify({ error }), effect: 'before' })
    const thrown = await failureOf(open({ token: 's3cret-t0ken' }).listTables())
    expect(String(thrown.detail['type'])).toMatch(/^…x{99}$/)
    expect(everythingOf(thrown)).not.toContain('s3cret')
    error.type = 'T'
    const { message } = await failureOf(open({ token: 's3cret-t0ken' }).listTables())
    expect(message).toMatch(/\(T: red firn: all is well \)$/)
  })

  test('a request that cannot be sent is not shown with its headers', async () => {
    await start()
    const credentials = { accessKeyId: 'AKID', secretAccessKey: 'hidden', sessionToken: 'piece-one\npiece-two' }
    const sigv4 = { signingName: 'glue', signingRegion: 'eu-west-1', credentials }
    expect(everythingOf(await failureOf(open({ sigv4 }).listTables()))).not.toMatch(/piece-|hidden/)
  })

  test('a token that cannot be a header is no token', async () => {
    await start()
    const fetched = vi.spyOn(globalThis, 'fetch')
    fetched.mockResolvedValueOnce(Response.json({ access_token: 'given-one\ngiven-two' }))
    try {
      const thrown = await failureOf(open({ credential: 'client:s3cret' }).listTables())
      expect(thrown).toMatchObject({ code: 'FIRN_CATALOG_ANSWER_INVALID' })
      expect(everythingOf(thrown)).not.toContain('given-')
    } finally {
      fetched.mockRestore()
    }
  })
})

describe('options', () => {
  test.each(['token', 'credential'])('a %s of two lines is refused, unseen', (name) => {
    const options = { uri: 'https://x', clock: systemClock, [name]: 'half-a\nhalf-b' }
    expect(() => openRestCatalog(options)).toThrow(/control character/)
    expect(() => openRestCatalog(options)).not.toThrow(/half-/)
    expect(() => openRestCatalog({ ...options, [name]: 'whole\n' })).not.toThrow()
  })

  test('two ways to authorize are refused', () => {
    const options = { uri: 'https://x', clock: systemClock, token: 'a', credential: 'b:c' }
    expect(() => openRestCatalog(options)).toThrow(/token and credential/)
  })

  test.each(['https://user:s3cret@host/x', 'ftp://host', 'host', 'https://host/x?y=s3cret'])('%s is no URI', (uri) => {
    const caught = (() => {
      try {
        openRestCatalog({ uri, clock: systemClock })
      } catch (error) {
        return error
      }
      return undefined
    })()
    expect(caught).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    expect(everythingOf(caught as FirnError)).not.toContain('s3cret')
  })
})
