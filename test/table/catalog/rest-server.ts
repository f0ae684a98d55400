/** A small REST catalog on 127.0.0.1 that follows the protocol, with faults where a test asks for them. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseJson, printJson } from '../../../table/format/json.ts'
import { commitTo, type Json, newTable, Refusal, type StoredTable } from './rest-tables.ts'

export interface SeenRequest {
  readonly method: string
  /** As it was sent, still encoded. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type ServerFault =
  | {
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
      /** Whether the request takes effect all the same. */
      readonly effect: 'before' | 'after'
    }
  /** The connection breaks, before or after the request took effect; or the answer breaks off; or none ever comes. */
  | { readonly reset: 'before' | 'after' | 'half-way' | 'never' }

export interface RestServerOptions {
  /** URL below which tables are made. */
  readonly location: string
  readonly prefix?: string
  readonly config?: { defaults?: Record<string, string>; overrides?: Record<string, string> }
  /** Of every load and create. */
  readonly tableConfig?: () => Record<string, string>
  readonly storageCredentials?: readonly Json[]
  /** Names on a page. */
  readonly pageSize?: number
  readonly authorized?: (request: SeenRequest) => boolean
  readonly oauth?: { readonly credential: string; readonly expiresSeconds: number }
}

export interface RestServer {
  readonly uri: string
  readonly requests: SeenRequest[]
  /** Tokens given out. */
  readonly tokens: string[]
  /** Asked about every request but those for tokens. */
  fault: (request: SeenRequest) => ServerFault | undefined | Promise<ServerFault | undefined>
  close(): Promise<void>
}

interface State {
  readonly options: RestServerOptions
  readonly namespaces: Map<string, readonly string[]>
  readonly tables: Map<string, StoredTable>
}

const SEPARATOR = '\u001f'

export async function startRestServer(options: RestServerOptions): Promise<RestServer> {
  const state: State = { options, namespaces: new Map(), tables: new Map() }
  const requests: SeenRequest[] = []
  const tokens: string[] = []
  const server = createServer((request, response) => {
    void readBody(request).then(async (body) => {
      const seen = { method: request.method!, url: request.url!, headers: request.headers, body }
      requests.push(seen)
      if (seen.url.startsWith('/v1/oauth/tokens')) giveToken(options, tokens, seen, response)
      else answer(state, self, seen, await self.fault(seen), response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const self: RestServer = {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    tokens,
    fault: () => undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return self
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}

function giveToken(
  { oauth }: RestServerOptions,
  tokens: string[],
  { body }: SeenRequest,
  response: ServerResponse,
): void {
  const form = new URLSearchParams(body)
  if (oauth === undefined || `${form.get('client_id')}:${form.get('client_secret')}` !== oauth.credential) {
    reply(response, 400, { error: 'invalid_client', error_description: `no such client: ${body}` })
    return
  }
  const token = `token-${tokens.length + 1}`
  tokens.push(token)
  reply(response, 200, { access_token: token, token_type: 'bearer', expires_in: oauth.expiresSeconds })
}

function answer(
  state: State,
  server: RestServer,
  request: SeenRequest,
  fault: ServerFault | undefined,
  response: ServerResponse,
): void {
  const early = fault !== undefined && ('reset' in fault ? fault.reset : fault.effect) === 'before'
  const outcome = early ? { status: 500, json: {} } : handle(state, server, request)
  if (fault === undefined) {
    reply(response, outcome.status, outcome.json)
  } else if (!('reset' in fault)) {
    response.writeHead(fault.status, { ...fault.headers })
    response.end(fault.body)
  } else if (fault.reset === 'half-way') {
    const text = printJson(outcome.json)
    response.writeHead(outcome.status, { 'content-type': 'application/json', 'content-length': String(text.length) })
    response.write(text.slice(0, text.length / 2), () => response.destroy())
  } else if (fault.reset !== 'never') {
    response.destroy()
  }
}

function reply(response: ServerResponse, status: number, json: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(json === undefined ? undefined : printJson(json))
}

function handle(state: State, { tokens }: RestServer, request: SeenRequest): { status: number; json: Json } {
  try {
    const { oauth, authorized } = state.options
    const token = oauth === undefined ? undefined : `Bearer ${tokens.at(-1)}`
    const known = authorized?.(request) ?? (token === undefined || request.headers.authorization === token)
    if (!known) throw new Refusal(401, 'NotAuthorizedException', `not with ${request.headers.authorization}`)
    return { status: 200, json: route(state, request) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { status, type, message } = error
    return { status, json: { error: { message, type, code: status } } }
  }
}

function route(state: State, { method, url, body }: SeenRequest): Json {
  const { options, namespaces, tables } = state
  const { pathname, searchParams } = new URL(url, 'http://host')
  if (pathname === '/v1/config') {
    const { defaults = {}, overrides = {} } = options.config ?? {}
    return { defaults, overrides: options.prefix === undefined ? overrides : { ...overrides, prefix: options.prefix } }
  }
  const root = options.prefix === undefined ? '/v1/' : `/v1/${options.prefix}/`
  if (!pathname.startsWith(root)) throw new Refusal(404, '', `no route ${pathname}`)
  const [first, namespace, kind, name] = pathname.slice(root.length).split('/').map(decodeURIComponent)
  const json = body === '' ? undefined : (parseJson(body) as Json)
  if (first === 'tables' && namespace === 'rename') return rename(state, json)
  if (first !== 'namespaces') throw new Refusal(404, '', `no route ${pathname}`)
  if (namespace === undefined) return namespacesOf(state, method, json, searchParams)
  if (!namespaces.has(namespace)) throw new Refusal(404, 'NoSuchNamespaceException', `Namespace does not exist`)
  const levels = namespaces.get(namespace)!
  if (kind === 'tables' && name === undefined && method === 'GET') {
    const found = [...tables.keys()]
      .map((key) => key.split(SEPARATOR))
      .filter((key) => key.slice(0, -1).join(SEPARATOR) === namespace)
    const identifiers = found.map((key) => ({ namespace: levels, name: key.at(-1) }))
    return paged(options, 'identifiers', identifiers, searchParams)
  }
  const key = `${namespace}${SEPARATOR}${name ?? json?.name}`
  if (kind === 'register' || name === undefined) {
    if (tables.has(key)) throw new Refusal(409, 'AlreadyExistsException', 'Table already exists')
    const location = json.location ?? `${options.location}/${[...levels, json.name].join('/')}`
    tables.set(key, newTable(json, location, Date.now()))
    return loaded(state, key)
  }
  if (!tables.has(key)) throw new Refusal(404, 'NoSuchTableException', `Table does not exist: ${name}`)
  if (method === 'DELETE') {
    tables.delete(key)
    return undefined
  }
  if (method === 'POST') tables.set(key, commitTo(tables.get(key)!, json, Date.now()))
  return loaded(state, key)
}

function loaded({ options, tables }: State, key: string): Json {
  const { metadata, metadataLocation } = tables.get(key)!
  return {
    'metadata-location': metadataLocation,
    metadata,
    config: options.tableConfig?.() ?? {},
    ...(options.storageCredentials === undefined ? {} : { 'storage-credentials': options.storageCredentials }),
  }
}

function namespacesOf({ options, namespaces }: State, method: string, json: Json, query: URLSearchParams): Json {
  if (method === 'POST') {
    const key = json.namespace.join(SEPARATOR)
    if (namespaces.has(key)) throw new Refusal(409, 'AlreadyExistsException', 'Namespace already exists')
    for (let depth = 1; depth <= json.namespace.length; depth++) {
      const levels = json.namespace.slice(0, depth)
      namespaces.set(levels.join(SEPARATOR), levels)
    }
    return { namespace: json.namespace, properties: {} }
  }
  const parent = query.get('parent')?.split(SEPARATOR) ?? []
  const children = [...namespaces.values()].filter(
    (levels) => levels.length === parent.length + 1 && parent.every((level, index) => levels[index] === level),
  )
  return paged(options, 'namespaces', children, query)
}

function paged({ pageSize }: RestServerOptions, member: string, all: readonly Json[], query: URLSearchParams): Json {
  const token = query.get('pageToken')
  if (pageSize === undefined || token === null) return { [member]: all }
  const start = Number(token || 0)
  const next = start + pageSize
  return { [member]: all.slice(start, next), 'next-page-token': next < all.length ? String(next) : null }
}

function rename({ tables }: State, { source, destination }: Json): undefined {
  const key = (name: Json): string => [...name.namespace, name.name].join(SEPARATOR)
  const table = tables.get(key(source))
  if (table === undefined) throw new Refusal(404, 'NoSuchTableException', 'Table does not exist')
  if (tables.has(key(destination))) throw new Refusal(409, 'AlreadyExistsException', 'Table already exists')
  tables.delete(key(source))
  tables.set(key(destination), table)
}
