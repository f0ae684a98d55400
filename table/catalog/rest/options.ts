/** How a REST catalog is reached. Plain values: environment and files are read elsewhere. */
import type { Clock } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import type { S3Credentials, StoreOptions } from '../../io/open-store.ts'

/** Requests signed for AWS: Glue, S3 Tables, or an API Gateway. */
export interface SigV4Options {
  /** `glue`, `s3tables` or `execute-api`; default: what the catalog's own settings or its host name say. */
  readonly signingName?: string | undefined
  /** Default: what the catalog's own settings or its host name say, then `AWS_REGION`. */
  readonly signingRegion?: string | undefined
  /** Default: the AWS SDK's chain (variables, profile, role). */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>) | undefined
}

/** At most one of `token`, `credential` and `sigv4`; none: requests are sent without authorization. */
export interface RestCatalogOptions {
  /** Up to and without `/v1`, e.g. `https://glue.eu-west-1.amazonaws.com/iceberg`. */
  readonly uri: string
  /** What the catalog calls the warehouse: a name, an account, an ARN or a URL. */
  readonly warehouse?: string | undefined
  /** Default: what the catalog's settings say. */
  readonly prefix?: string | undefined
  /** Bearer token. */
  readonly token?: string | undefined
  /** OAuth2 client credentials, `id:secret`. */
  readonly credential?: string | undefined
  /** Where tokens are given out; default: `<uri>/v1/oauth/tokens`. */
  readonly oauth2ServerUri?: string | undefined
  /** Default: `catalog`. */
  readonly scope?: string | undefined
  readonly sigv4?: SigV4Options | undefined
  readonly clock: Clock
  /** How tables' stores are opened; what the catalog says about a table comes first. */
  readonly storeOptions?: Omit<StoreOptions, 'clock'> | undefined
  /**
   * Whether a table may lie where the catalog says `file:` or `memory:`. Default: only when the catalog itself is on this
   * computer (`localhost`, `127.0.0.1`, `[::1]`), because a catalog must not make its clients read and write local files.
   */
  readonly allowLocalFiles?: boolean | undefined
  /** Milliseconds until a request without an answer is given up; default 60,000. */
  readonly requestTimeoutMillis?: number | undefined
}

/** The URI without trailing slashes. @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). */
export function checkedUri(uri: string, name = 'uri'): string {
  const bad = (why: string): FirnError =>
    // the value is not repeated: it may hold a password
    new FirnError('invalid', 'FIRN_INVALID_OPTION', `the ${name} of the REST catalog ${why}`, {
      help: 'Give a URL like https://host/path, without credentials, query or fragment.',
    })
  if (!URL.canParse(uri)) throw bad('is not a URL')
  const { protocol, username, password, search, hash } = new URL(uri)
  if (protocol !== 'https:' && protocol !== 'http:') throw bad('is not an http or https URL')
  if (username !== '' || password !== '') throw bad('must not hold credentials')
  if (search !== '' || hash !== '') throw bad('must not have a query or a fragment')
  return uri.replace(/\/+$/, '')
}

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). */
export function checkAuth({ token, credential, sigv4 }: RestCatalogOptions): void {
  for (const [name, value] of Object.entries({ token, credential })) {
    // the value is not repeated; a line break at the end of a file that holds a token does no harm
    if (value === undefined || !/\p{Cc}/u.test(value.trim())) continue
    const message = `the ${name} of the REST catalog holds a line break or another control character`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, { help: `Give the ${name} as one line.` })
  }
  const given = Object.entries({ token, credential, sigv4 }).filter(([, value]) => value !== undefined)
  if (given.length <= 1) return
  const names = given.map(([name]) => name).join(' and ')
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `the REST catalog is given ${names}: only one can authorize`, {
    help: 'Leave out all but one of token, credential and sigv4.',
  })
}
