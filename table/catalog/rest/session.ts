/** The first exchange with a REST catalog: its settings, and the client that follows them. Spec: REST catalog, "getConfig". */
import { FirnError } from '../../errors.ts'
import { awsCredentials } from '../../io/open-store.ts'
import { type Authenticator, bearerAuth, noAuth } from './auth.ts'
import { oauth2Auth } from './auth-oauth2.ts'
import { signingOfHost, sigv4Auth } from './auth-sigv4.ts'
import { openRestClient, type RestClient } from './http.ts'
import { checkAuth, checkedUri, type RestCatalogOptions, type SigV4Options } from './options.ts'
import { keepEncrypted } from './trust.ts'
import { parseConfig } from './wire.ts'

type Settings = Readonly<Record<string, string>>

/** A catalog whose settings are known. */
export interface Session {
  readonly options: RestCatalogOptions
  readonly client: RestClient
  /** `v1/<prefix>/`; the prefix comes encoded from the catalog. */
  readonly root: string
  /** Beneath what the client was told. */
  readonly defaults: Settings
  /** Above what the client was told. */
  readonly overrides: Settings
}

const DEFAULT_TIMEOUT_MILLIS = 60_000
/** Asks for credentials of the table's files; a catalog that has none ignores it. */
const HEADERS: Readonly<Record<string, string>> = { 'x-iceberg-access-delegation': 'vended-credentials' }

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid), before anything is sent. */
export function checkOptions(options: RestCatalogOptions): void {
  checkAuth(options)
  checkedUri(options.uri)
  if (options.oauth2ServerUri !== undefined) checkedUri(options.oauth2ServerUri, 'OAuth2 server URI')
}

/** @throws {FirnError} by the catalog's answer. Belongs to no caller: it is not aborted. */
export async function connect(options: RestCatalogOptions): Promise<Session> {
  const uri = checkedUri(options.uri)
  const auth = authOf(options, uri, ofClient(options))
  const json = await clientOf(options, uri, auth).call(
    {
      method: 'GET',
      path: 'v1/config',
      query: { warehouse: options.warehouse },
      what: 'asking for the settings of the catalog',
      reads: true,
    },
    {},
  )
  const { defaults, overrides } = parseConfig(json, `settings of ${uri}`)
  const settings: Settings = { ...defaults, ...ofClient(options), ...overrides }
  // the client always names a uri, so that a default moves nobody
  const named = overrides['uri']
  const moved = named === undefined ? uri : keepEncrypted(uri, checkedUri(named), 'its uri')
  const prefix = (settings['prefix'] ?? '').replace(/^\/+|\/+$/g, '')
  // a token that was given out already still serves, unless the catalog sends us elsewhere for one
  const elsewhere = options.sigv4 !== undefined || settings['oauth2-server-uri'] !== undefined
  return {
    options,
    client: clientOf(options, moved, elsewhere ? authOf(options, moved, settings) : auth),
    root: prefix === '' ? 'v1/' : `v1/${prefix}/`,
    defaults,
    overrides,
  }
}

/** What the user said, by the names that a catalog has for it. */
const ofClient = ({ prefix, scope, sigv4 }: RestCatalogOptions): Settings => ({
  ...(prefix === undefined ? {} : { prefix }),
  ...(scope === undefined ? {} : { scope }),
  ...(sigv4?.signingName === undefined ? {} : { 'rest.signing-name': sigv4.signingName }),
  ...(sigv4?.signingRegion === undefined ? {} : { 'rest.signing-region': sigv4.signingRegion }),
})

/** Where tokens are had. What the user named stands: that is where the secret goes. */
function tokenUriOf({ oauth2ServerUri, uri }: RestCatalogOptions, base: string, settings: Settings): string {
  if (oauth2ServerUri !== undefined) return checkedUri(oauth2ServerUri, 'OAuth2 server URI')
  const named = settings['oauth2-server-uri'] ?? 'v1/oauth/tokens'
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(named) ? named : `${base}/${named.replace(/^\/+/, '')}`
  return keepEncrypted(uri, checkedUri(absolute, 'OAuth2 server URI'), 'its OAuth2 server')
}

const clientOf = (options: RestCatalogOptions, uri: string, auth: Authenticator): RestClient =>
  openRestClient({ uri, auth, clock: options.clock, timeoutMillis: timeoutOf(options), headers: HEADERS })

const timeoutOf = ({ requestTimeoutMillis = DEFAULT_TIMEOUT_MILLIS }: RestCatalogOptions): number =>
  requestTimeoutMillis

function authOf(options: RestCatalogOptions, uri: string, settings: Settings): Authenticator {
  const { token, credential, sigv4, clock } = options
  if (sigv4 !== undefined) return signatureOf(options, sigv4, uri, settings)
  if (credential !== undefined) {
    return oauth2Auth({
      tokenUri: tokenUriOf(options, uri, settings),
      credential,
      scope: settings['scope'] ?? 'catalog',
      clock,
      timeoutMillis: timeoutOf(options),
    })
  }
  return token === undefined ? noAuth : bearerAuth(token)
}

function signatureOf(
  { storeOptions, clock }: RestCatalogOptions,
  { credentials }: SigV4Options,
  uri: string,
  settings: Settings,
): Authenticator {
  const host = signingOfHost(uri)
  const region = settings['rest.signing-region'] ?? host.region ?? storeOptions?.s3?.region
  if (region === undefined) {
    const message = 'the region to sign requests to the REST catalog for is not known'
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, { help: 'Give the signing region, or AWS_REGION.' })
  }
  return sigv4Auth({
    service: settings['rest.signing-name'] ?? host.service ?? 'execute-api',
    region,
    credentials:
      credentials === undefined
        ? awsCredentials()
        : typeof credentials === 'function'
          ? credentials
          : () => Promise.resolve(credentials),
    clock,
  })
}
