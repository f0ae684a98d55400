/** Operations on one object. */
import { createHash } from 'node:crypto'
import { decodePath, header, type S3Answer, type S3Call, S3Error } from './protocol.ts'
import { objectOf, preconditionFailed, removeObject, type S3Object, sameEtag, storeObject } from './state.ts'
import { xmlDocument } from './xml.ts'

const KEPT_HEADERS = ['content-type', 'content-encoding', 'content-disposition', 'content-language', 'cache-control']

/** The headers of a put that later GETs give back. */
export function keptHeaders(call: S3Call): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of Object.keys(call.headers)) {
    if (!KEPT_HEADERS.includes(name) && !name.startsWith('x-amz-meta-')) continue
    const value = header(call, name)
    // The framing of the request is not a property of the object.
    const stored = name === 'content-encoding' ? value?.replace(/\s*aws-chunked\s*,?/i, '') : value
    if (stored !== undefined && stored !== '') kept[name] = stored
  }
  return kept
}

export const conditionsOf = (call: S3Call): { ifNoneMatch: string | undefined; ifMatch: string | undefined } => ({
  ifNoneMatch: header(call, 'if-none-match'),
  ifMatch: header(call, 'if-match'),
})

export const md5Etag = (bytes: Uint8Array): string => `"${createHash('md5').update(bytes).digest('hex')}"`

export async function putObject(call: S3Call): Promise<S3Answer> {
  if (Buffer.byteLength(call.key) > 1024) throw new S3Error('KeyTooLongError', 'Your key is too long')
  if (call.headers['x-amz-copy-source'] !== undefined) return copyObject(call)
  const etag = md5Etag(call.body)
  const object: S3Object = {
    key: call.key,
    bytes: call.body,
    etag,
    lastModifiedMillis: call.state.clock.nowMillis(),
    headers: keptHeaders(call),
    checksums: call.checksums,
  }
  await storeObject(call.state, call.bucket, object, conditionsOf(call))
  return { status: 200, headers: { etag, ...call.checksums } }
}

async function copyObject(call: S3Call): Promise<S3Answer> {
  const source = copySource(call)
  const replaces = header(call, 'x-amz-metadata-directive')?.toUpperCase() === 'REPLACE'
  const lastModifiedMillis = call.state.clock.nowMillis()
  const object: S3Object = {
    ...source,
    key: call.key,
    lastModifiedMillis,
    headers: replaces ? keptHeaders(call) : source.headers,
  }
  await storeObject(call.state, call.bucket, object, conditionsOf(call))
  const result = { ETag: object.etag, LastModified: new Date(lastModifiedMillis).toISOString() }
  return { status: 200, body: xmlDocument('CopyObjectResult', result) }
}

/** The object that `x-amz-copy-source: [/]bucket/key` names. */
export function copySource(call: S3Call): S3Object {
  const path = (header(call, 'x-amz-copy-source') ?? '').split('?')[0]!
  const [, bucket, key] = /^\/?([^/]+)\/(.+)$/s.exec(decodePath(path)) ?? []
  if (bucket === undefined || key === undefined)
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key')
  const source = objectOf(call.state, bucket, key)
  const ifMatch = header(call, 'x-amz-copy-source-if-match')
  if (ifMatch !== undefined && !sameEtag(ifMatch, source.etag)) throw preconditionFailed('x-amz-copy-source-If-Match')
  return source
}

/** GET and HEAD. */
export function getObject(call: S3Call): S3Answer {
  const object = objectOf(call.state, call.bucket, call.key)
  const { ifMatch, ifNoneMatch } = conditionsOf(call)
  if (ifMatch !== undefined && !sameEtag(ifMatch, object.etag)) throw preconditionFailed('If-Match')
  const headers: Record<string, string> = {
    'content-type': 'binary/octet-stream',
    ...object.headers,
    'accept-ranges': 'bytes',
    'last-modified': new Date(object.lastModifiedMillis).toUTCString(),
    etag: object.etag,
  }
  if (ifNoneMatch !== undefined && sameEtag(ifNoneMatch, object.etag)) return { status: 304, headers }
  const size = object.bytes.length
  const range = parseRange(header(call, 'range'), size)
  if (range === undefined) {
    const asked = header(call, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED'
    return { status: 200, headers: asked ? { ...headers, ...object.checksums } : headers, body: object.bytes }
  }
  headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${size}`
  return { status: 206, headers, body: object.bytes.subarray(range.start, range.end) }
}

/**
 * `[start, end)` of `bytes=a-b`, `bytes=a-` or `bytes=-n`; `undefined` for no range, several or a malformed one,
 * all of which are answered with the whole object. RFC 9110 section 14.1.2.
 * @throws {S3Error} `InvalidRange` when the object has no byte of it.
 */
export function parseRange(range: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range?.trim() ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const [first, last] = [match[1]!, match[2]!]
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  if (start < end) return { start, end }
  throw new S3Error('InvalidRange', 'The requested range is not satisfiable', { 'content-range': `bytes */${size}` })
}

export async function deleteObject(call: S3Call): Promise<S3Answer> {
  await removeObject(call.state, call.bucket, call.key, header(call, 'if-match'))
  return { status: 204 }
}
