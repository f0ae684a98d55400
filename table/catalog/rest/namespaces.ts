/** Namespaces of a REST catalog, and the names of their tables. */
import { FirnError } from '../../errors.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import { failureOf } from './errors.ts'
import type { RestRequest } from './http.ts'
import { tablesPath } from './names.ts'
import type { Session } from './session.ts'
import { NAMESPACE_SEPARATOR, type Page, parseIdentifiers, parseNamespaces } from './wire.ts'

/** All levels, depth first. */
export async function listNamespaces(
  session: Session,
  options: AbortableOptions = {},
  parent: readonly string[] = [],
): Promise<readonly (readonly string[])[]> {
  const query = parent.length === 0 ? {} : { parent: parent.join(NAMESPACE_SEPARATOR) }
  const what = parent.length === 0 ? 'listing namespaces' : `listing namespaces of ${parent.join('.')}`
  const children = await listAll(session, 'namespaces', what, query, parseNamespaces, options).catch(
    (error: unknown) => {
      // catalogs with one level refuse to be asked for more: Glue, S3 Tables
      if (parent.length > 0 && refusesLevels(error)) return []
      throw error
    },
  )
  const all: (readonly string[])[] = []
  for (const child of children) {
    // a catalog that ignores `parent` would be walked for ever
    if (child.length <= parent.length) continue
    all.push(child, ...(await listNamespaces(session, options, child)))
  }
  return all
}

const refusesLevels = (error: unknown): boolean =>
  FirnError.is(error, 'FIRN_CATALOG_REFUSED') || FirnError.is(error, 'FIRN_CATALOG_UNSUPPORTED')

/** `namespace.table` of every table, sorted. */
export async function listTables(session: Session, options: AbortableOptions = {}): Promise<readonly string[]> {
  const names = new Set<string>()
  for (const namespace of await listNamespaces(session, options)) {
    const what = `listing tables of ${namespace.join('.')}`
    for (const name of await listAll(session, tablesPath(namespace), what, {}, parseIdentifiers, options))
      names.add(name)
  }
  return [...names].sort()
}

/** One that exists already is no error. */
export async function createNamespace(
  session: Session,
  namespace: readonly string[],
  options: AbortableOptions = {},
): Promise<void> {
  const request: RestRequest = {
    method: 'POST',
    path: `${session.root}namespaces`,
    body: { namespace, properties: {} },
    what: `creating namespace ${namespace.join('.')}`,
    reads: false,
  }
  const answer = await session.client.exchange(request, options)
  if (answer.status === 409 || (answer.status >= 200 && answer.status < 300)) return
  throw failureOf(session.client.asked(request), answer)
}

async function listAll<T>(
  { client, root }: Session,
  path: string,
  what: string,
  query: Readonly<Record<string, string>>,
  parse: (json: unknown, where: string) => Page<T>,
  options: AbortableOptions,
): Promise<readonly T[]> {
  const items: T[] = []
  let pageToken: string | undefined
  do {
    // the first token is empty: only then an older catalog answers in pages
    const request: RestRequest = {
      method: 'GET',
      path: root + path,
      query: { ...query, pageToken: pageToken ?? '' },
      what,
      reads: true,
    }
    const page = parse(await client.call(request, options), what)
    items.push(...page.items)
    if (page.nextToken !== undefined && page.nextToken === pageToken) {
      throw new FirnError('corrupt', 'FIRN_CATALOG_ANSWER_INVALID', `${what}: ${client.uri} repeats a page of the list`)
    }
    pageToken = page.nextToken
  } while (pageToken !== undefined)
  return items
}
