/** Settings of an Iceberg REST catalog. Without them tables are found in the warehouse's own folders. */
import * as z from 'zod'

/** How to reach a REST catalog. At most one of `token`, `credential` and `sigv4`. */
export interface CatalogConfig {
  readonly uri: string
  /** The warehouse as the catalog calls it; staging and other objects of ours stay in `--warehouse`. */
  readonly warehouse?: string | undefined
  readonly prefix?: string | undefined
  readonly token?: string | undefined
  /** OAuth2 client credentials, `id:secret`. */
  readonly credential?: string | undefined
  readonly oauth2ServerUri?: string | undefined
  readonly scope?: string | undefined
  /** Sign requests with the AWS credentials. */
  readonly sigv4: boolean
  readonly signingName?: string | undefined
  readonly signingRegion?: string | undefined
}

/**
 * The URL of a service. Credentials in a URL end up in logs, error messages and exported snippets.
 * @param instead how to give them; no message here repeats the URL.
 */
export function serviceUrl(instead: string): z.ZodType<string> {
  const withoutUserinfo = (url: string): boolean => {
    const { username, password } = new URL(url)
    return username === '' && password === ''
  }
  return z
    .url({ protocol: /^https?$/, error: 'must be a URL like https://host:port', abort: true })
    .refine(withoutUserinfo, `must not hold credentials; give them by ${instead}`)
}

export function catalogSchema(): z.ZodType<CatalogConfig> {
  const text = z.string().min(1).optional()
  const url = serviceUrl('FIRN_CATALOG_TOKEN, FIRN_CATALOG_CREDENTIAL or the AWS variables')
  return z.strictObject({
    uri: url,
    warehouse: text,
    prefix: text,
    token: text,
    credential: text,
    oauth2ServerUri: url.optional(),
    scope: text,
    sigv4: z.boolean().default(false),
    signingName: text,
    signingRegion: text,
  })
}

export const CATALOG_LEAVES: Readonly<Record<string, 'string' | 'boolean'>> = {
  'catalog.uri': 'string',
  'catalog.warehouse': 'string',
  'catalog.prefix': 'string',
  'catalog.token': 'string',
  'catalog.credential': 'string',
  'catalog.oauth2ServerUri': 'string',
  'catalog.scope': 'string',
  'catalog.sigv4': 'boolean',
  'catalog.signingName': 'string',
  'catalog.signingRegion': 'string',
}

/** `"catalog": "https://…"`, `--catalog` and `FIRN_CATALOG` are short for `catalog.uri`. */
export function withCatalogUri(layer: object): object {
  const { catalog } = layer as { readonly catalog?: unknown }
  return typeof catalog === 'string' ? { ...layer, catalog: { uri: catalog } } : layer
}
