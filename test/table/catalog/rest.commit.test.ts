/** Commits to a REST catalog when the service fails: each takes effect once or not at all, and nothing is deleted. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { noAuth } from '../../../table/catalog/rest/auth.ts'
import { openRestClient, type RestClient } from '../../../table/catalog/rest/http.ts'
import { restTableOperations } from '../../../table/catalog/rest/operations.ts'
import { openRestCatalog } from '../../../table/catalog/rest.ts'
import { systemClock } from '../../../table/clock.ts'
import { parseJson } from '../../../table/format/json.ts'
import { openStore } from '../../../table/io/open-store.ts'
import type { Table } from '../../../table/table.ts'
import { DEFINITION, freshStore, readRows, writeRows } from '../support.ts'
import { type RestServer, type SeenRequest, type ServerFault, startRestServer } from './rest-server.ts'
import type { Json } from './rest-tables.ts'

let server: RestServer
let location: string
beforeEach(async () => {
  location = freshStore().url
  server = await startRestServer({ location })
})
afterEach(() => server.close())

const catalog = (requestTimeoutMillis = 5_000): ReturnType<typeof openRestCatalog> =>
  openRestCatalog({ uri: server.uri, clock: systemClock, requestTimeoutMillis })
const rowsOf = (id: string): { id: string; at: bigint }[] => [{ id, at: 0n }]
const append = async (table: Table, id: string): ReturnType<Table['append']> =>
  table.append(await writeRows(table, rowsOf(id), [0]))
const ids = async (): Promise<unknown[]> =>
  (await readRows((await catalog().loadTable('t.events')).scan({ columns: ['id'] }))).map((row) => row['id']).sort()
const isCommit = ({ method, url }: SeenRequest): boolean => method === 'POST' && url.endsWith('/tables/events')
const commitsSeen = (): Json[] => server.requests.filter(isCommit).map(({ body }) => parseJson(body) as Json)
/** The first commit meets `fault`. */
function failFirst(fault: ServerFault): void {
  let left = 1
  server.fault = (request) => (isCommit(request) && left-- > 0 ? fault : undefined)
}

describe('an outcome that nobody knows', () => {
  const bodies: readonly (readonly [string, string | undefined])[] = [
    ['without a body', undefined],
    ['with an error document', '{"error":{"message":"oops","type":"CommitStateUnknownException","code":500}}'],
    ["with a gateway's page", '<html>Bad Gateway</html>'],
  ]
  const answers = [500, 502, 503, 504].flatMap((status) =>
    bodies.flatMap(([what, body]) =>
      (['before', 'after'] as const).map((effect) => ({
        what: `${status} ${what}, ${effect} it took effect`,
        fault: { status, effect, ...(body === undefined ? {} : { body }) },
      })),
    ),
  )
  const breaks = (['before', 'after', 'half-way'] as const).map((reset) => ({
    what: `a connection that breaks, ${reset}`,
    fault: { reset },
  }))
  const lost = [
    { what: 'a success whose body is no JSON', fault: { status: 200, body: 'ok', effect: 'after' as const } },
    { what: 'a success that comes without metadata', fault: { status: 200, body: '{}', effect: 'after' as const } },
  ]

  test.each([...answers, ...breaks, ...lost])('$what: the rows are in the table once', async ({ fault }) => {
    const table = await catalog().createTable('t.events', DEFINITION)
    await append(table, 'first')
    failFirst(fault)
    const { snapshot } = await append(table, 'second')
    expect(await ids()).toEqual(['first', 'second'])
    const found = await catalog().loadTable('t.events')
    expect(found.metadata.snapshots).toHaveLength(2)
    expect(found.currentSnapshot()?.snapshotId).toBe(snapshot?.snapshotId)
  })

  test('a commit that is never answered is given up after the time limit, and found', async () => {
    const table = await catalog(300).createTable('t.events', DEFINITION)
    failFirst({ reset: 'never' })
    expect(await append(table, 'a')).toMatchObject({ recovered: true })
    expect(await ids()).toEqual(['a'])
  })

  /** Just before our first commit reaches the service a rival's does; ours meets `fault`. */
  async function afterARival(fault: ServerFault, retries = '4'): Promise<Table> {
    const properties = { ...DEFINITION.properties, 'commit.retry.num-retries': retries }
    const table = await catalog().createTable('t.events', { ...DEFINITION, properties })
    await append(table, 'first')
    const rival = await catalog().loadTable('t.events')
    let left = 1
    server.fault = async (request) => {
      if (!isCommit(request) || left-- <= 0) return undefined
      await append(rival, 'rival')
      return fault
    }
    return table
  }

  test('a rival who commits meanwhile settles it: the next try goes on top', async () => {
    const table = await afterARival({ status: 500, effect: 'before' })
    expect(await append(table, 'ours')).toMatchObject({ attempts: 2, recovered: false })
    expect(await ids()).toEqual(['first', 'ours', 'rival'])
  })

  test('even when no try is left, a rival has settled it: lost, not unknown', async () => {
    const table = await afterARival({ status: 500, effect: 'before' }, '0')
    await expect(append(table, 'ours')).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT', kind: 'conflict' })
    expect(await ids()).toEqual(['first', 'rival'])
  })

  test('400 after a rival, as for a sequence number that was taken, is a lost race', async () => {
    const body = '{"error":{"type":"ValidationException","message":"older sequence number","code":400}}'
    const table = await afterARival({ status: 400, body, effect: 'before' })
    expect(await append(table, 'ours')).toMatchObject({ attempts: 2, recovered: false })
    expect(await ids()).toEqual(['first', 'ours', 'rival'])
  })

  test('a rival on another branch, who took the sequence number, is a lost race too', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const branched = await (await append(table, 'first')).table.createBranch('b')
    let left = 1
    server.fault = async (request) => {
      if (!isCommit(request) || left-- <= 0) return undefined
      const rival = await catalog().loadTable('t.events')
      await rival.append(await writeRows(rival, rowsOf('rival'), [0]), { branch: 'b' })
      return undefined
    }
    expect(await append(branched, 'ours')).toMatchObject({ attempts: 2, recovered: false })
    expect(await ids()).toEqual(['first', 'ours'])
  })

  test('a service that never says is reported as unknown, and the files stay', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const files = await writeRows(table, rowsOf('a'), [0])
    server.fault = (request) => (isCommit(request) ? { status: 500, effect: 'before' } : undefined)
    await expect(table.append(files)).rejects.toMatchObject({
      code: 'FIRN_COMMIT_STATE_UNKNOWN',
      kind: 'unknown-commit',
      retryable: false,
    })
    const store = openStore(table.location)
    for (const { filePath } of files) expect(await store.head(filePath.slice(store.url.length + 1))).toBeDefined()
    const lists = []
    for await (const { key } of store.list('metadata/snap-')) lists.push(key)
    expect(lists.length).toBeGreaterThan(0)
  })

  test('400 while the table cannot be seen is settled by the load that comes after', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    await append(table, 'first')
    const rival = await catalog().loadTable('t.events')
    let stage: 'before' | 'rival' | 'blind' | 'after' = 'before'
    server.fault = async (request) => {
      if (stage === 'before' && isCommit(request)) {
        stage = 'rival'
        await append(rival, 'rival')
        stage = 'blind'
        return { status: 400, effect: 'before' }
      }
      if (stage !== 'blind' || request.method !== 'GET') return undefined
      stage = 'after'
      // not repeated by the client itself
      return { status: 403, effect: 'before' }
    }
    expect(await append(table, 'ours')).toMatchObject({ attempts: 2 })
    expect(await ids()).toEqual(['first', 'ours', 'rival'])
  })

  const changes = {
    create: (to: ReturnType<typeof catalog>) => to.createTable('t.other', DEFINITION),
    drop: (to: ReturnType<typeof catalog>) => to.dropTable('t.events'),
    rename: (to: ReturnType<typeof catalog>) => to.renameTable('t.events', 't.new'),
    register: (to: ReturnType<typeof catalog>) => to.registerTable('t.other', 's3://lake/x.metadata.json'),
  }
  const silences: readonly ServerFault[] = [
    { status: 504, effect: 'before' },
    { status: 408, effect: 'before' },
    { reset: 'before' },
  ]
  test.each(
    (Object.keys(changes) as (keyof typeof changes)[]).flatMap((change) =>
      [...silences, { status: 200, body: '<html>', effect: 'before' as const }]
        .filter((fault) => !('status' in fault && fault.status === 200) || change === 'create' || change === 'register')
        .map((fault) => ({ change, fault })),
    ),
  )('$change, $fault: nobody knows, and it is sent once', async ({ change, fault }) => {
    await catalog().createTable('t.events', DEFINITION)
    const client = catalog()
    await client.listTables()
    const before = server.requests.length
    server.fault = () => fault
    await expect(changes[change](client)).rejects.toMatchObject({
      code: 'FIRN_COMMIT_STATE_UNKNOWN',
      kind: 'unknown-commit',
    })
    expect(server.requests.length - before).toBe(1)
  })

  test('a create that nobody answered is unknown too, and not tried again', async () => {
    await catalog().createNamespace('t')
    server.fault = ({ method, url }) => (method === 'POST' && url.endsWith('/tables') ? { reset: 'after' } : undefined)
    await expect(catalog().createTable('t.events', DEFINITION)).rejects.toMatchObject({
      code: 'FIRN_COMMIT_STATE_UNKNOWN',
    })
    expect(server.requests.filter(({ method, url }) => method === 'POST' && url.endsWith('/tables'))).toHaveLength(1)
  })
})

describe('an outcome that is known', () => {
  test('409 is a lost race: the next try goes on top of the newer state', async () => {
    const old = await catalog().createTable('t.events', DEFINITION)
    failFirst({ status: 409, body: '{"error":{"type":"CommitFailedException","code":409}}', effect: 'before' })
    expect(await append(old, 'a')).toMatchObject({ attempts: 2, recovered: false })
    expect(await ids()).toEqual(['a'])
  })

  test.each([
    [400, 'FIRN_CATALOG_REFUSED', 'invalid'],
    [401, 'FIRN_CATALOG_UNAUTHORIZED', 'invalid'],
    [403, 'FIRN_ACCESS_DENIED', 'invalid'],
    [419, 'FIRN_CATALOG_UNAUTHORIZED', 'invalid'],
    [501, 'FIRN_CATALOG_UNSUPPORTED', 'invalid'],
  ] as const)('%d is final: %s, tried once', async (status, code, kind) => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const body = '{"error":{"message":"because","type":"SomeException","code":0}}'
    server.fault = (request) => (isCommit(request) ? { status, body, effect: 'before' } : undefined)
    await expect(append(table, 'a')).rejects.toMatchObject({
      code,
      kind,
      message: expect.stringMatching(/committing to table t\.events.*because/),
      help: expect.stringMatching(/\w/),
    })
    expect(commitsSeen()).toHaveLength(1)
  })

  test('429 waits as long as it is told, and asks again', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    failFirst({ status: 429, headers: { 'retry-after': '0' }, effect: 'before' })
    expect(await append(table, 'a')).toMatchObject({ attempts: 1 })
    expect(commitsSeen()).toHaveLength(2)
  })

  test('a catalog that cannot be reached is unavailable: nothing can have happened there', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const gone = await startRestServer({ location })
    await gone.close()
    const client = openRestClient({
      uri: gone.uri,
      auth: noAuth,
      clock: systemClock,
      timeoutMillis: 5_000,
      headers: {},
    })
    const load = (): Promise<never> => Promise.reject(new Error('not asked'))
    const operations = restTableOperations({ client, name: 't.events', path: 'v1/x', clock: systemClock, load })
    const { metadata, metadataLocation } = table
    const base = { metadata, metadataLocation, version: 0 }
    const proposal = { requirements: [], updates: [], next: metadata }
    await expect(operations.commit(base, proposal)).rejects.toMatchObject({
      code: 'FIRN_CATALOG_UNAVAILABLE',
      kind: 'unavailable',
    })
  })
})

describe('an answer longer than can be meant', () => {
  const limited = (maxAnswerBytes: number): RestClient =>
    openRestClient({
      uri: server.uri,
      auth: noAuth,
      clock: systemClock,
      timeoutMillis: 5_000,
      headers: {},
      maxAnswerBytes,
    })
  const ask = { method: 'GET', path: 'v1/config', what: 'asking', reads: true } as const

  test('fails a read, which is not repeated; one of just that length is read', async () => {
    const body = JSON.stringify({ text: 'ü😀'.repeat(1_000) })
    server.fault = () => ({ status: 200, body, effect: 'before' })
    const bytes = Buffer.byteLength(body)
    expect(await limited(bytes).call(ask, {})).toEqual(JSON.parse(body))
    const before = server.requests.length
    await expect(limited(bytes - 1).call(ask, {})).rejects.toMatchObject({
      code: 'FIRN_CATALOG_ANSWER_INVALID',
      kind: 'corrupt',
      message: expect.stringContaining(`${bytes - 1} bytes`),
    })
    expect(server.requests.length - before).toBe(1)
  })

  test('leaves a commit unknown', async () => {
    const { metadata, metadataLocation } = await catalog().createTable('t.events', DEFINITION)
    const load = (): Promise<never> => Promise.reject(new Error('not asked'))
    const path = 'v1/namespaces/t/tables/events'
    const operations = restTableOperations({ client: limited(100), name: 't.events', path, clock: systemClock, load })
    const proposal = { requirements: [], updates: [], next: metadata }
    expect(await operations.commit({ metadata, metadataLocation, version: 0 }, proposal)).toMatchObject({
      kind: 'unknown',
    })
  })
})

describe('what is sent', () => {
  test('ids are bare numbers, names are kebab-case, and every moved ref is asserted', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const { snapshot } = await append(table, 'a')
    const [request] = server.requests.filter(isCommit)
    expect(request!.body).toContain(`"snapshot-id":${snapshot!.snapshotId}`)
    const [{ requirements, updates }] = commitsSeen() as [Json]
    expect(requirements).toEqual([
      { type: 'assert-table-uuid', uuid: table.metadata.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null },
    ])
    expect(updates.map(({ action }: Json) => action)).toEqual(['add-snapshot', 'set-snapshot-ref'])
    expect(updates[1]).toMatchObject({ 'ref-name': 'main', type: 'branch' })
    await append((await catalog().loadTable('t.events')) as Table, 'b')
    expect(commitsSeen()[1].requirements[1]['snapshot-id']).toBe(snapshot!.snapshotId)
  })

  test('a property that must have a value is checked here and never sent', async () => {
    const table = await catalog().createTable('t.events', DEFINITION)
    const files = await writeRows(table, rowsOf('a'), [0])
    await table.append(files, { setProperties: { p: '1' }, requireProperties: { p: undefined } })
    const [{ requirements, updates }] = commitsSeen() as [Json]
    expect(requirements.map(({ type }: Json) => type)).not.toContain('assert-property')
    expect(updates.map(({ action }: Json) => action)).toContain('set-properties')
  })
})
