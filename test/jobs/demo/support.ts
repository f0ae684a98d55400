/** The embedded S3 for tests, with a client that says exactly what goes over the wire. */
import { S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll } from 'vitest'
import { type S3Server, type S3ServerOptions, startS3Server } from '../../../jobs/demo/s3-server.ts'

export interface WireAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface TestServer {
  readonly url: string
  readonly client: S3Client
  /** One request as it stands; `path` begins with a slash. */
  send(method: string, path: string, options?: { headers?: Record<string, string>; body?: string }): Promise<WireAnswer>
}

/** A server for the tests of one file, with the bucket `lab`. */
export function useServer(options: S3ServerOptions = {}): TestServer {
  let server: S3Server | undefined
  let client: S3Client | undefined
  beforeAll(async () => {
    server = await startS3Server({ buckets: ['lab'], ...options })
    client = clientOf(server.url)
  })
  afterAll(async () => {
    client?.destroy()
    await server?.close()
  })
  return {
    get url() {
      return server!.url
    },
    get client() {
      return client!
    },
    send: (method, path, request = {}) => sendTo(server!.url, method, path, request),
  }
}

export const clientOf = (endpoint: string): S3Client =>
  new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })

export async function sendTo(
  url: string,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {},
): Promise<WireAnswer> {
  const response = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** Contents of the first `<name>` in an answer. */
export const tag = (xml: string, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]

/** Contents of every `<name>`, in order. */
export const tags = (xml: string, name: string): string[] =>
  [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1]!)
