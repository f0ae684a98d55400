/**
 * The Iceberg REST catalog: the pointer of each table is kept by a service, which checks a commit's requirements and
 * applies its updates. Tables lie where the service says; many engines may write to one table at once.
 */
import { FirnError } from '../errors.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { type AllowedLocations, routedStore } from '../io/routed.ts'
import { Table } from '../table.ts'
import { checkDefinition, type TableDefinition } from './definition.ts'
import type { Catalog } from './open.ts'
import { type Answer, errorModel, failureOf, mayHaveArrived, saysNothing } from './rest/errors.ts'
import type { RestRequest } from './rest/http.ts'
import { namespacePath, parseNamespace, parseTableName, type TableName, tablePath, tablesPath } from './rest/names.ts'
import { createNamespace, listNamespaces, listTables } from './rest/namespaces.ts'
import { restTableOperations } from './rest/operations.ts'
import type { RestCatalogOptions } from './rest/options.ts'
import { checkOptions, connect, type Session } from './rest/session.ts'
import { openTableStore } from './rest/table-store.ts'
import { type LoadedTable, parseLoadedTable, printCreateTable, printIdentifier } from './rest/wire.ts'
import { untilAborted } from './until-aborted.ts'

export type { RestCatalogOptions, SigV4Options } from './rest/options.ts'

export interface RestCatalog extends Catalog {
  /** `outer.inner`, sorted. */
  listNamespaces(options?: AbortableOptions): Promise<readonly string[]>
  /** One that exists already is no error. */
  createNamespace(name: string, options?: AbortableOptions): Promise<void>
  /**
   * Forget the table. Its files stay, unless the catalog is asked to purge them.
   * @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found).
   */
  dropTable(name: string, options?: AbortableOptions & { readonly purge?: boolean }): Promise<void>
  /** @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found), `FIRN_TABLE_EXISTS` (conflict). */
  renameTable(name: string, to: string, options?: AbortableOptions): Promise<void>
  /** Make a table of an existing metadata file. @throws {FirnError} `FIRN_TABLE_EXISTS` (conflict). */
  registerTable(name: string, metadataLocation: string, options?: AbortableOptions): Promise<Table>
}

/**
 * Opening does no I/O: the catalog's settings are asked for at the first call.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid).
 */
export function openRestCatalog(options: RestCatalogOptions): RestCatalog {
  checkOptions(options)
  let pending: Promise<Session> | undefined
  const connected = ({ signal }: AbortableOptions = {}): Promise<Session> => {
    pending ??= connect(options).catch((error: unknown) => {
      pending = undefined
      throw error
    })
    return untilAborted(pending, signal)
  }
  return {
    kind: 'rest',
    createTable: async (name, definition, abort = {}) => {
      const at = parseTableName(name)
      checkDefinition(definition)
      return createTable(await connected(abort), at, name, definition, abort)
    },
    loadTable: async (name, { allowedLocations, ...abort } = {}) => {
      const at = parseTableName(name)
      const session = await connected(abort)
      return tableOf(session, at, name, await load(session, at, name, abort), allowedLocations)
    },
    listTables: async (abort) => listTables(await connected(abort), abort),
    listNamespaces: async (abort) => {
      const all = await listNamespaces(await connected(abort), abort)
      return all.map((levels) => levels.join('.')).sort()
    },
    createNamespace: async (name, abort) => createNamespace(await connected(abort), parseNamespace(name), abort),
    dropTable: async (name, abort) => dropTable(await connected(abort), name, abort),
    renameTable: async (name, to, abort) => renameTable(await connected(abort), name, to, abort),
    registerTable: async (name, location, abort) => registerTable(await connected(abort), name, location, abort),
  }
}

/** A namespace that is not there has no such table either. */
async function load(session: Session, at: TableName, name: string, options: AbortableOptions): Promise<LoadedTable> {
  const { client, root } = session
  const request: RestRequest = { method: 'GET', path: root + tablePath(at), what: `loading table ${name}`, reads: true }
  try {
    return parseLoadedTable(await client.call(request, options), `table ${name}`)
  } catch (cause) {
    if (!FirnError.is(cause, 'FIRN_TABLE_NOT_FOUND') && !FirnError.is(cause, 'FIRN_NAMESPACE_NOT_FOUND')) throw cause
    throw new FirnError('not-found', 'FIRN_TABLE_NOT_FOUND', `table ${name} is not in catalog ${client.uri}`, {
      cause,
      detail: { table: name, catalog: client.uri },
      help: `Create it with: firn init ${name} --dataset articles`,
    })
  }
}

function tableOf(
  session: Session,
  at: TableName,
  name: string,
  loaded: LoadedTable,
  allowedLocations?: AllowedLocations,
): Table {
  const { client, root, defaults, overrides, options } = session
  const { clock, storeOptions = {} } = options
  const { store, workerOptions } = openTableStore(loaded, {
    catalogUri: options.uri,
    defaults,
    overrides,
    storeOptions,
    allowLocalFiles: options.allowLocalFiles,
    clock,
    reload: () => load(session, at, name, {}),
  })
  const operations = restTableOperations({
    client,
    name,
    path: root + tablePath(at),
    clock,
    load: async (abort) => (await load(session, at, name, abort)).state,
  })
  const routed = allowedLocations === undefined ? store : routedStore(store, allowedLocations)
  return new Table(name, routed, loaded.state, clock, { operations, writable: true, workerStoreOptions: workerOptions })
}

async function createTable(
  session: Session,
  at: TableName,
  name: string,
  definition: TableDefinition,
  options: AbortableOptions,
): Promise<Table> {
  const { root } = session
  const request: RestRequest = {
    method: 'POST',
    path: root + tablesPath(at.namespace),
    body: printCreateTable(at.table, definition),
    what: `creating table ${name}`,
    reads: false,
  }
  options.signal?.throwIfAborted()
  let answer = await send(session, request)
  if (answer.status === 404 && errorModel(answer.json).type === 'NoSuchNamespaceException') {
    await createNamespace(session, at.namespace, options)
    answer = await send(session, request)
  }
  return madeTable(session, at, name, request, answer)
}

/** Of an answer to a create or a register. */
function madeTable(session: Session, at: TableName, name: string, request: RestRequest, answer: Answer): Table {
  if (answer.status === 409) throw tableExists(name, failureOf(session.client.asked(request), answer))
  checkChanged(session, request, answer)
  return tableOf(session, at, name, readAnswer(request, answer, name))
}

function readAnswer(request: RestRequest, { json }: Answer, name: string): LoadedTable {
  try {
    return parseLoadedTable(json, `table ${name}`)
  } catch (error) {
    throw FirnError.is(error) && error.kind === 'corrupt' ? outcomeUnknown(request, error) : error
  }
}

/** @throws {FirnError} when the answer is no success; `FIRN_COMMIT_STATE_UNKNOWN` when it does not tell. */
function checkChanged({ client }: Session, request: RestRequest, answer: Answer): void {
  if (answer.status >= 200 && answer.status < 300) return
  const failure = failureOf(client.asked(request), answer)
  throw saysNothing(answer.status) ? outcomeUnknown(request, failure) : failure
}

/** Of a request that changes something. Once it was sent it is not aborted. */
async function send({ client }: Session, request: RestRequest): Promise<Answer> {
  try {
    return await client.exchange(request, {})
  } catch (error) {
    throw FirnError.is(error) && mayHaveArrived(error, client.uri) ? outcomeUnknown(request, error) : error
  }
}

async function dropTable(
  session: Session,
  name: string,
  { signal, purge = false }: AbortableOptions & { readonly purge?: boolean } = {},
): Promise<void> {
  const path = session.root + tablePath(parseTableName(name))
  const query = { purgeRequested: String(purge) }
  const request: RestRequest = { method: 'DELETE', path, query, what: `dropping table ${name}`, reads: false }
  signal?.throwIfAborted()
  checkChanged(session, request, await send(session, request))
}

async function renameTable(session: Session, name: string, to: string, options: AbortableOptions = {}): Promise<void> {
  const [from, target] = [parseTableName(name), parseTableName(to)]
  const body = {
    source: printIdentifier(from.namespace, from.table),
    destination: printIdentifier(target.namespace, target.table),
  }
  const what = `renaming table ${name} to ${to}`
  const request: RestRequest = { method: 'POST', path: `${session.root}tables/rename`, body, what, reads: false }
  options.signal?.throwIfAborted()
  const answer = await send(session, request)
  if (answer.status === 409) throw tableExists(to, failureOf(session.client.asked(request), answer))
  checkChanged(session, request, answer)
}

async function registerTable(
  session: Session,
  name: string,
  metadataLocation: string,
  options: AbortableOptions = {},
): Promise<Table> {
  const at = parseTableName(name)
  const request: RestRequest = {
    method: 'POST',
    path: `${session.root}${namespacePath(at.namespace)}/register`,
    body: { name: at.table, 'metadata-location': metadataLocation },
    what: `registering table ${name}`,
    reads: false,
  }
  options.signal?.throwIfAborted()
  return madeTable(session, at, name, request, await send(session, request))
}

const tableExists = (name: string, cause: FirnError): FirnError =>
  new FirnError('conflict', 'FIRN_TABLE_EXISTS', `a table ${name} exists already in the catalog`, {
    cause,
    detail: { table: name },
  })

const outcomeUnknown = (request: RestRequest, cause: FirnError): FirnError =>
  new FirnError(
    'unknown-commit',
    'FIRN_COMMIT_STATE_UNKNOWN',
    `${request.what}: the catalog did not say whether it took effect`,
    { cause, help: 'Look whether the table is there now, then decide.' },
  )
