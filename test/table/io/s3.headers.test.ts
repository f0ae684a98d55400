/** What the S3 adapter says about owner and encryption, as it goes over the wire. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore, type S3Options } from '../../../table/io/open-store.ts'
import { utf8 } from '../../contract/object-store.ts'

process.env['AWS_ACCESS_KEY_ID'] ??= 'test'
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test'

const OWNER = '111122223333'
const LISTING = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'

let server: Server
let requests: IncomingMessage[]

beforeEach(async () => {
  requests = []
  server = createServer((request, response) => {
    requests.push(request)
    request.resume()
    const isListing = request.method === 'GET' && request.url?.includes('list-type=2') === true
    response.writeHead(200, { etag: '"1"', 'content-length': isListing ? LISTING.length : 0 })
    response.end(isListing ? LISTING : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const open = (options: Partial<S3Options>): ObjectStore => {
  const { port } = server.address() as AddressInfo
  return openStore('s3://my-bucket/wh', {
    s3: { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', ...options },
  })
}

async function callAll(store: ObjectStore): Promise<void> {
  await store.put('a', utf8('x'), { ifNoneMatch: '*' })
  await store.get('a')
  await store.head('a')
  for await (const _ of store.list('')) break
  await store.delete('a')
  await store.delete('a', { ifMatch: '"1"' })
}

test('every request names the account that must own the bucket', async () => {
  await callAll(open({ expectedBucketOwner: OWNER }))
  expect(requests.length).toBeGreaterThanOrEqual(7)
  expect(requests.filter(({ headers }) => headers['x-amz-expected-bucket-owner'] !== OWNER)).toEqual([])
})

test('without an owner none is named', async () => {
  await callAll(open({}))
  expect(requests.filter(({ headers }) => 'x-amz-expected-bucket-owner' in headers)).toEqual([])
  expect(requests.filter(({ headers }) => 'x-amz-server-side-encryption' in headers)).toEqual([])
})

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/1'

test.each([
  [{ type: 's3' as const }, { method: 'AES256', key: undefined, bucketKey: undefined }],
  [
    { type: 'kms' as const, keyId: KEY },
    { method: 'aws:kms', key: KEY, bucketKey: 'true' },
  ],
  [{ type: 'kms' as const }, { method: 'aws:kms', key: undefined, bucketKey: 'true' }],
  [
    { type: 'dsse-kms' as const, keyId: KEY },
    { method: 'aws:kms:dsse', key: KEY, bucketKey: undefined },
  ],
])('puts, and only puts, ask for the encryption %j', async (encryption, wanted) => {
  await callAll(open({ encryption }))
  const asked = requests.map(({ method, headers }) => ({
    isPut: method === 'PUT',
    method: headers['x-amz-server-side-encryption'],
    key: headers['x-amz-server-side-encryption-aws-kms-key-id'],
    bucketKey: headers['x-amz-server-side-encryption-bucket-key-enabled'],
  }))
  const none = { method: undefined, key: undefined, bucketKey: undefined }
  for (const { isPut, ...headers } of asked) expect(headers).toEqual(isPut ? wanted : none)
  expect(asked.some(({ isPut }) => isPut)).toBe(true)
})
