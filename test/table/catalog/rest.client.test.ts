/** Settings, names, pages, repeats: what a client of a REST catalog asks for, and when. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTableStore } from '../../../table/catalog/rest/table-store.ts'
import { openRestCatalog, type RestCatalogOptions } from '../../../table/catalog/rest.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import { DEFINITION, freshStore } from '../support.ts'
import { type RestServer, type RestServerOptions, startRestServer } from './rest-server.ts'

let server: RestServer
const start = async (options: Partial<RestServerOptions> = {}): Promise<void> => {
  await server.close()
  server = await startRestServer({ location: freshStore().url, ...options })
}
beforeEach(async () => {
  server = await startRestServer({ location: freshStore().url })
})
afterEach(() => server.close())

/** Waits take no time; what was waited is kept. */
const waits: number[] = []
const hasty: Clock = {
  ...systemClock,
  sleep: (millis) => {
    waits.push(millis)
    return Promise.resolve()
  },
}
const open = (options: Partial<RestCatalogOptions> = {}): ReturnType<typeof openRestCatalog> =>
  openRestCatalog({ uri: server.uri, clock: hasty, ...options })
const urls = (): string[] => server.requests.map(({ method, url }) => `${method} ${url}`)

describe('settings of the catalog', () => {
  test('are asked for once, with the warehouse; the prefix goes as it came', async () => {
    await start({ prefix: 'arn%3Aaws%2Fbucket' })
    const catalog = open({ uri: `${server.uri}/`, warehouse: 'arn:aws:s3tables:a/b c' })
    await catalog.createTable('a.b', DEFINITION)
    expect(urls()).toEqual([
      'GET /v1/config?warehouse=arn%3Aaws%3As3tables%3Aa%2Fb%20c',
      'POST /v1/arn%3Aaws%2Fbucket/namespaces/a/tables',
      'POST /v1/arn%3Aaws%2Fbucket/namespaces',
      'POST /v1/arn%3Aaws%2Fbucket/namespaces/a/tables',
    ])
  })

  test("the catalog's override beats the user's prefix, which beats its default", async () => {
    await start({ prefix: 'over', config: { defaults: { prefix: 'default' } } })
    await open({ prefix: 'mine' }).listTables()
    expect(urls().at(-1)).toMatch(/^GET \/v1\/over\/namespaces/)
  })

  test('a default moves nobody, an override does', async () => {
    const elsewhere = await startRestServer({ location: freshStore().url })
    try {
      await start({ config: { defaults: { uri: elsewhere.uri } } })
      await open().listTables()
      expect(elsewhere.requests).toEqual([])
      expect(urls().at(-1)).toMatch(/namespaces/)
      await start({ config: { overrides: { uri: elsewhere.uri } } })
      await open().listTables()
      expect(elsewhere.requests.map(({ url }) => url)).toEqual(['/v1/namespaces?pageToken='])
    } finally {
      await elsewhere.close()
    }
  })

  test('a failure is not kept: the next call asks again', async () => {
    const catalog = open()
    server.fault = () => ({ status: 403, effect: 'before' })
    await expect(catalog.listTables()).rejects.toMatchObject({ code: 'FIRN_ACCESS_DENIED' })
    server.fault = () => undefined
    expect(await catalog.listTables()).toEqual([])
  })

  test("one caller's abort does not fail another", async () => {
    const catalog = open()
    const stop = new AbortController()
    const aborted = catalog.listTables({ signal: stop.signal })
    const other = catalog.listTables()
    stop.abort(new Error('stop'))
    await expect(aborted).rejects.toThrow('stop')
    expect(await other).toEqual([])
  })

  test('what is not a catalog is told so', async () => {
    server.fault = () => ({ status: 200, body: '<html>', effect: 'before' })
    await expect(open().listTables()).rejects.toMatchObject({ kind: 'corrupt' })
    server.fault = () => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' }, effect: 'before' })
    await expect(open().listTables()).rejects.toMatchObject({ code: 'FIRN_CATALOG_REFUSED' })
    await expect(open({ uri: `${server.uri}/else` }).listTables()).rejects.toMatchObject({ kind: 'invalid' })
  })
})

describe('names', () => {
  test('levels of a namespace are joined by the unit separator, everything else is encoded', async () => {
    const name = "outer ü.in%ner.t'able"
    await open().createTable(name, DEFINITION)
    await open().loadTable(name)
    expect(urls().at(-1)).toBe('GET /v1/namespaces/outer%20%C3%BC%1Fin%25ner/tables/t%27able')
    expect(await open().listTables()).toEqual([name])
    expect(await open().listNamespaces()).toEqual(['outer ü', 'outer ü.in%ner'])
  })

  test('a catalog with one level is not asked in vain: its refusal of a parent means none', async () => {
    await open().createTable('a.b', DEFINITION)
    server.fault = ({ url }) => (url.includes('parent=') ? { status: 400, effect: 'before' } : undefined)
    expect(await open().listTables()).toEqual(['a.b'])
    server.fault = ({ url }) => (url.includes('parent=') ? { status: 403, effect: 'before' } : undefined)
    await expect(open().listTables()).rejects.toMatchObject({ code: 'FIRN_ACCESS_DENIED' })
  })

  test('a catalog that ignores the parent, or repeats a page, is not asked for ever', async () => {
    await open().createTable('a.b', DEFINITION)
    const all = { status: 200, body: '{"namespaces":[["a"]]}', effect: 'before' as const }
    server.fault = ({ url }) => (url.includes('parent=') ? all : undefined)
    expect(await open().listTables()).toEqual(['a.b'])
    const page = { status: 200, body: '{"namespaces":[["a"]],"next-page-token":"again"}', effect: 'before' as const }
    server.fault = ({ url }) => (url.includes('/namespaces?') ? page : undefined)
    await expect(open().listTables()).rejects.toMatchObject({ code: 'FIRN_CATALOG_ANSWER_INVALID' })
  })

  test('every page is read', async () => {
    await start({ pageSize: 2 })
    const names = ['a.1', 'a.2', 'a.3', 'a.4', 'a.5', 'b.1', 'c.1']
    for (const name of names) await open().createTable(name, DEFINITION)
    expect(await open().listTables()).toEqual(names)
  })

  test('rename, drop and register', async () => {
    const catalog = open()
    await catalog.createTable('a.b', DEFINITION)
    await catalog.createTable('a.taken', DEFINITION)
    await expect(catalog.renameTable('a.b', 'a.taken')).rejects.toMatchObject({ code: 'FIRN_TABLE_EXISTS' })
    await catalog.renameTable('a.b', 'a.c')
    expect(await catalog.listTables()).toEqual(['a.c', 'a.taken'])
    await catalog.dropTable('a.c', { purge: true })
    expect(urls().at(-1)).toBe('DELETE /v1/namespaces/a/tables/a.c'.replace('a.c', 'c?purgeRequested=true'))
    await expect(catalog.dropTable('a.c')).rejects.toMatchObject({ code: 'FIRN_TABLE_NOT_FOUND' })
  })
})

describe('repeats', () => {
  test.each([429, 500, 502, 503, 504])('a read that is answered %d is repeated, a few times', async (status) => {
    let left = 3
    server.fault = () => (left-- > 0 ? { status, effect: 'before' } : undefined)
    expect(await open().listTables()).toEqual([])
    server.fault = () => ({ status, effect: 'before' })
    const before = server.requests.length
    await expect(open().listTables()).rejects.toMatchObject({ code: 'FIRN_CATALOG_UNAVAILABLE', retryable: true })
    expect(server.requests.length - before).toBe(5)
  })

  test('a broken connection of a read is repeated', async () => {
    let left = 2
    server.fault = () => (left-- > 0 ? { reset: left === 0 ? 'half-way' : 'before' } : undefined)
    expect(await open().listTables()).toEqual([])
  })

  test('Retry-After is honoured, within bounds', async () => {
    for (const [header, expected] of [
      ['7', 7_000],
      ['86400', 30_000],
    ] as const) {
      waits.length = 0
      let left = 1
      server.fault = () =>
        left-- > 0 ? { status: 503, headers: { 'retry-after': header }, effect: 'before' } : undefined
      await open().listTables()
      expect(waits).toEqual([expected])
    }
  })

  test('an abort ends the wait for an answer', async () => {
    const stop = new AbortController()
    const catalog = open()
    await catalog.listTables()
    server.fault = () => {
      stop.abort(new Error('stop'))
      return { reset: 'never' }
    }
    await expect(catalog.loadTable('a.b', { signal: stop.signal })).rejects.toThrow('stop')
  })
})

describe('the store of a table is opened as the catalog says', () => {
  const loaded = (
    config: Record<string, string>,
    storageCredentials: { prefix: string; config: Record<string, string> }[] = [],
  ) => ({
    state: { metadata: { location: 's3a://lake/a/b/' }, metadataLocation: '', version: 0 } as never,
    config,
    storageCredentials,
  })
  const keys = (id: string, more: Record<string, string> = {}): Record<string, string> => ({
    's3.access-key-id': id,
    's3.secret-access-key': `${id}-secret`,
    ...more,
  })
  const base = {
    catalogUri: 'https://catalog',
    defaults: {},
    overrides: {},
    storeOptions: {},
    clock: systemClock,
    reload: () => Promise.reject(new Error('no')),
  }

  test('endpoint, region, path style: of the table, then the override, then ours, then the default', async () => {
    const opened = (config: Record<string, string>) =>
      openTableStore(loaded(config), {
        ...base,
        defaults: { 's3.endpoint': 'https://default', 'client.region': 'eu-west-1', 's3.path-style-access': 'true' },
        overrides: { 'client.region': 'eu-west-2' },
        storeOptions: { s3: { endpoint: 'https://ours', region: 'us-east-1', maxAttempts: 2 } },
      })
    expect(opened({}).store.url).toBe('s3://lake/a/b')
    const ours = { endpoint: 'https://ours', region: 'eu-west-2', pathStyle: true, maxAttempts: 2 }
    expect(await opened({}).workerOptions()).toEqual({ s3: ours })
    const table = { 's3.endpoint': 'https://table', 's3.path-style-access': 'false', 's3.region': 'eu-west-3' }
    expect(await opened(table).workerOptions()).toEqual({
      s3: { ...ours, endpoint: 'https://table', pathStyle: false },
    })
  })

  test("keys: the catalog's for the table, then ours, then its default", async () => {
    const credentials = { accessKeyId: 'ours', secretAccessKey: 'x' }
    const idOf = async (config: Record<string, string>, storeOptions: { s3?: { credentials: typeof credentials } }) => {
      const { s3 } = await openTableStore(loaded(config), {
        ...base,
        defaults: keys('default'),
        storeOptions,
      }).workerOptions()
      return typeof s3?.credentials === 'object' ? s3.credentials.accessKeyId : undefined
    }
    expect(await idOf(keys('table'), { s3: { credentials } })).toBe('table')
    expect(await idOf({}, { s3: { credentials } })).toBe('ours')
    expect(await idOf({}, {})).toBe('default')
  })

  test.each(['defaults', 'overrides', 'config'] as const)(
    'an encrypted catalog cannot name a plain endpoint: %s',
    (where) => {
      const named = { 's3.endpoint': 'http://s3.example' }
      const opened = (catalogUri: string, endpoint?: string) =>
        openTableStore(loaded(where === 'config' ? named : {}), {
          ...base,
          catalogUri,
          ...(where === 'config' ? {} : { [where]: named }),
          storeOptions: endpoint === undefined ? {} : { s3: { endpoint } },
        })
      expect(() => opened('https://catalog')).toThrow(expect.objectContaining({ code: 'FIRN_CATALOG_REFUSED' }))
      expect(opened('http://catalog').store).toBeDefined()
      expect(opened('https://catalog', 'http://s3.example').store).toBeDefined()
      named['s3.endpoint'] = 'http://127.0.0.1:9000'
      expect(opened('https://catalog').store).toBeDefined()
    },
  )

  test.each(['file:///etc', 'file:/etc', 'FILE:///etc', '/etc', 'memory://x/y'])(
    'a catalog elsewhere cannot have %s opened, one on this computer can',
    (location) => {
      const state = { metadata: { location }, metadataLocation: '', version: 0 } as never
      const opened = (more: Partial<typeof base & { allowLocalFiles: boolean }>) =>
        openTableStore({ state, config: {}, storageCredentials: [] }, { ...base, ...more })
      for (const catalogUri of ['https://catalog', 'http://localhost.evil.example', 'http://127.0.0.1.evil.example']) {
        expect(() => opened({ catalogUri })).toThrow(expect.objectContaining({ code: 'FIRN_CATALOG_REFUSED' }))
      }
      expect(() => opened({ catalogUri: 'http://localhost', allowLocalFiles: false })).toThrow(/on this computer/)
      const refused = expect.objectContaining({ code: 'FIRN_CATALOG_REFUSED' })
      for (const catalogUri of ['http://localhost:8181/x', 'http://127.0.0.1:1', 'https://[::1]']) {
        expect(() => opened({ catalogUri })).not.toThrow(refused)
      }
      expect(() => opened({ allowLocalFiles: true })).not.toThrow(refused)
    },
  )

  test('the option to open local files reaches the store', async () => {
    await start({ location: 'memory://shared' })
    await expect(open({ allowLocalFiles: false }).createTable('a.b', DEFINITION)).rejects.toMatchObject({
      code: 'FIRN_CATALOG_REFUSED',
    })
    expect((await open().loadTable('a.b')).location).toBe('memory://shared/a/b')
  })

  test('credentials are those of the longest prefix that the location has', async () => {
    const table = loaded(keys('all'), [
      { prefix: 's3://lake/', config: keys('bucket') },
      { prefix: 's3://lake/a/b', config: keys('table', { 's3.session-token': 'st' }) },
      { prefix: 's3://lake/a/b/c/d', config: keys('other') },
      { prefix: 's3://elsewhere', config: keys('elsewhere') },
    ])
    expect((await openTableStore(table, base).workerOptions()).s3?.credentials).toEqual({
      accessKeyId: 'table',
      secretAccessKey: 'table-secret',
      sessionToken: 'st',
    })
  })

  test('requests to the store are signed with what the catalog gave out, and later with what it gives out then', async () => {
    const seen: string[] = []
    const s3 = createServer((request, response) => {
      seen.push(/Credential=(\w+)\//.exec(request.headers.authorization ?? '')?.[1] ?? 'nobody')
      response.writeHead(404).end()
    })
    s3.listen(0, '127.0.0.1')
    await once(s3, 'listening')
    try {
      let given = 0
      const config = (): Record<string, string> => ({
        ...keys(`key${++given}`, {
          's3.session-token-expires-at-ms': String(Date.now() + (given === 1 ? 1_000 : 3_600_000)),
        }),
        's3.endpoint': `http://127.0.0.1:${(s3.address() as AddressInfo).port}`,
        'client.region': 'us-east-1',
      })
      await start({ location: 's3://lake', tableConfig: config })
      const { store } = await open().createTable('a.b', DEFINITION)
      await store.head('x')
      await store.head('y')
      // the first were about to run out
      expect(seen).toEqual(['key2', 'key2'])
      expect(
        server.requests.every(({ headers }) => headers['x-iceberg-access-delegation'] === 'vended-credentials'),
      ).toBe(true)
    } finally {
      s3.closeAllConnections()
      s3.close()
    }
  })

  test('they are asked for anew before they run out, once for all who need them', async () => {
    let now = 1_000_000_000
    let reloads = 0
    const { workerOptions } = openTableStore(
      loaded(keys('first', { 's3.session-token-expires-at-ms': String(now + 3_600_000) })),
      {
        ...base,
        clock: { ...systemClock, nowMillis: () => epochMillis(now) },
        reload: async () => {
          reloads++
          return loaded(keys('second'))
        },
      },
    )
    const id = async (): Promise<unknown> => {
      const { s3 } = await workerOptions()
      return typeof s3?.credentials === 'object' ? s3.credentials.accessKeyId : undefined
    }
    expect(await id()).toBe('first')
    now += 3_200_000
    expect(await id()).toBe('first')
    now += 60_000
    expect(await Promise.all([id(), id(), id()])).toEqual(['second', 'second', 'second'])
    expect(reloads).toBe(1)
  })

  test('while they cannot be had anew, the ones in hand serve to their end, and the catalog is left in peace', async () => {
    let now = 1_000_000_000
    let reloads = 0
    const { workerOptions } = openTableStore(
      loaded(keys('first', { 's3.session-token-expires-at-ms': String(now + 300_000) })),
      {
        ...base,
        clock: { ...systemClock, nowMillis: () => epochMillis(now), monotonicMillis: () => now },
        reload: () => {
          reloads++
          return Promise.reject(new Error('no catalog'))
        },
      },
    )
    const first = { s3: { credentials: expect.objectContaining({ accessKeyId: 'first' }) } }
    expect(await workerOptions()).toMatchObject(first)
    expect(await workerOptions()).toMatchObject(first)
    expect(reloads).toBe(1)
    now += 299_999
    expect(await workerOptions()).toMatchObject(first)
    expect(reloads).toBe(2)
    now += 1
    await expect(workerOptions()).rejects.toThrow('no catalog')
  })
})
