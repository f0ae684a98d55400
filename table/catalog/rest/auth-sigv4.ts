/**
 * AWS Signature Version 4 for a REST catalog: Glue, S3 Tables, API Gateway. The only file that imports the signer.
 *
 * The path is encoded a second time in the canonical request, as every service but S3 wants it: `%1F` becomes `%251F`.
 */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import type { SignatureV4 } from '@smithy/signature-v4'
import type { Clock } from '../../clock.ts'
import type { S3Credentials } from '../../io/open-store.ts'
import type { Authenticator } from './auth.ts'

export interface SigV4Signing {
  /** `glue`, `s3tables`, `execute-api`. */
  readonly service: string
  readonly region: string
  readonly credentials: () => Promise<S3Credentials>
  readonly clock: Clock
}

type Bytes = string | ArrayBuffer | ArrayBufferView

/** The signer's hash: SHA-256, keyed when a secret is given. */
class Sha256 {
  readonly #hash: Hash | Hmac
  constructor(secret?: Bytes) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
  }
  update(chunk: Bytes): void {
    this.#hash.update(bytesOf(chunk))
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }
  reset(): void {}
}

export function sigv4Auth({ service, region, credentials, clock }: SigV4Signing): Authenticator {
  let seen: readonly string[] = []
  const identity = async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials()
    seen = [secretAccessKey, sessionToken ?? '']
    return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
  }
  // Loaded by the first request: few catalogs want it.
  let signer: Promise<SignatureV4> | undefined
  const load = async (): Promise<SignatureV4> => {
    const { SignatureV4 } = await import('@smithy/signature-v4')
    return new SignatureV4({ service, region, sha256: Sha256, credentials: identity })
  }
  return {
    authorize: async ({ method, url, headers, body }) => {
      signer ??= load()
      const signed = await (await signer).sign(
        {
          method,
          protocol: url.protocol,
          hostname: url.hostname,
          path: url.pathname,
          query: Object.fromEntries(url.searchParams),
          headers: { ...headers, host: url.host },
          ...(body === undefined ? {} : { body }),
        },
        { signingDate: new Date(clock.nowMillis()) },
      )
      // `fetch` sets it, to the same value
      const { host: _host, ...sent } = signed.headers
      return sent
    },
    renew: () => false,
    secrets: () => seen,
  }
}

/** Service and region that the host name of an AWS endpoint says. */
export function signingOfHost(uri: string): { readonly service?: string; readonly region?: string } {
  const { hostname } = new URL(uri)
  const match =
    /^(?:[\w-]+\.)?(glue|s3tables|execute-api)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.exec(
      hostname,
    )
  return match === null ? {} : { service: match[1]!, region: match[2]! }
}

function bytesOf(data: Bytes): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8')
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}
