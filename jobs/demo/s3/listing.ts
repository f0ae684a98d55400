/** ListObjects, versions 1 and 2. */
import { compareKeys } from '../../../table/io/keys.ts'
import { type S3Answer, type S3Call, S3Error } from './protocol.ts'
import { bucketOf, type ObjectMap, type S3Object } from './state.ts'
import { type XmlNode, xmlDocument } from './xml.ts'

const MAX_KEYS = 1000

export interface ListPage {
  readonly objects: readonly S3Object[]
  readonly commonPrefixes: readonly string[]
  /** Last key or common prefix of a page that is not the last one. */
  readonly next: string | undefined
}

export interface ListQuery {
  readonly prefix: string
  readonly delimiter: string
  /** Exclusive. When it is a common prefix, everything below that is passed over too. */
  readonly after: string
  readonly maxKeys: number
}

export function listObjects(call: S3Call): S3Answer {
  const { query, state, bucket } = call
  const isV2 = query.get('list-type') === '2'
  const token = query.get('continuation-token')
  const startAfter = query.get('start-after')
  const marker = query.get('marker') ?? ''
  const listQuery: ListQuery = {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    after: isV2 ? (token === null ? (startAfter ?? '') : decodeToken(token)) : marker,
    maxKeys: parseMaxKeys(query.get('max-keys')),
  }
  const page = listPage(bucketOf(state, bucket).objects, listQuery)
  const encode = encoderOf(query.get('encoding-type'))
  const count = page.objects.length + page.commonPrefixes.length
  const version: XmlNode = isV2
    ? {
        KeyCount: count,
        ContinuationToken: token ?? undefined,
        NextContinuationToken: page.next === undefined ? undefined : encodeToken(page.next),
        StartAfter: startAfter === null ? undefined : encode(startAfter),
      }
    : { Marker: encode(marker), NextMarker: page.next === undefined ? undefined : encode(page.next) }
  return {
    status: 200,
    body: xmlDocument('ListBucketResult', {
      Name: bucket,
      Prefix: encode(listQuery.prefix),
      Delimiter: listQuery.delimiter === '' ? undefined : encode(listQuery.delimiter),
      MaxKeys: listQuery.maxKeys,
      EncodingType: query.get('encoding-type') ?? undefined,
      IsTruncated: page.next !== undefined,
      ...version,
      Contents: page.objects.map((object) => contents(object, encode)),
      CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
    }),
  }
}

/** One page, cut after `maxKeys` keys and common prefixes together. */
export function listPage(objects: ObjectMap, { prefix, delimiter, after, maxKeys }: ListQuery): ListPage {
  const keys = objects.sortedKeys()
  const found: S3Object[] = []
  const commonPrefixes: string[] = []
  let last = ''
  const passed = after.startsWith(prefix) && commonPrefixOf(after, prefix, delimiter) === after ? after : undefined
  for (let i = firstIndex(keys, compareKeys(after, prefix) > 0 ? after : prefix); i < keys.length; i++) {
    const key = keys[i]!
    if (!key.startsWith(prefix)) break
    if (compareKeys(key, after) <= 0 || (passed !== undefined && key.startsWith(passed))) continue
    const common = commonPrefixOf(key, prefix, delimiter)
    if (common !== undefined && common === commonPrefixes.at(-1)) continue
    if (found.length + commonPrefixes.length >= maxKeys) {
      return { objects: found, commonPrefixes, next: maxKeys === 0 ? undefined : last }
    }
    last = common ?? key
    if (common === undefined) found.push(objects.get(key)!)
    else commonPrefixes.push(common)
  }
  return { objects: found, commonPrefixes, next: undefined }
}

function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '') return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.slice(0, at + delimiter.length)
}

/** Index of the first key at or behind `from`. */
function firstIndex(keys: readonly string[], from: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(keys[middle]!, from) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function parseMaxKeys(text: string | null): number {
  if (text === null || text === '') return MAX_KEYS
  if (!/^\d+$/.test(text)) throw new S3Error('InvalidArgument', 'max-keys is not a number')
  return Math.min(MAX_KEYS, Number(text))
}

const encodeToken = (key: string): string => Buffer.from(key).toString('base64url')
const decodeToken = (token: string): string => Buffer.from(token, 'base64url').toString('utf8')

function encoderOf(encodingType: string | null): (text: string) => string {
  if (encodingType === null || encodingType === '') return (text) => text
  if (encodingType !== 'url') throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
  return (text) => encodeURIComponent(text).replaceAll('%2F', '/')
}

const contents = (object: S3Object, encode: (text: string) => string): XmlNode => ({
  Key: encode(object.key),
  LastModified: new Date(object.lastModifiedMillis).toISOString(),
  ETag: object.etag,
  Size: object.bytes.length,
  StorageClass: 'STANDARD',
})
