/** Multipart uploads: parts are kept aside until they are completed into one object. */
import { createHash } from 'node:crypto'
import { conditionsOf, copySource, keptHeaders, md5Etag, parseRange } from './objects.ts'
import { header, type S3Answer, type S3Call, S3Error } from './protocol.ts'
import { bucketOf, type S3Upload, sameEtag, storeObject } from './state.ts'
import { xmlDocument, xmlElements, xmlText } from './xml.ts'

/** S3's limit for every part but the last. */
const MIN_PART_BYTES = 5 * 1024 * 1024
const MAX_PART_NUMBER = 10_000

export function createUpload(call: S3Call): S3Answer {
  bucketOf(call.state, call.bucket)
  const id = Buffer.from(call.state.clock.randomBytes(16)).toString('hex')
  call.state.uploads.set(id, {
    id,
    bucket: call.bucket,
    key: call.key,
    startedMillis: call.state.clock.nowMillis(),
    headers: keptHeaders(call),
    parts: new Map(),
  })
  const body = { Bucket: call.bucket, Key: call.key, UploadId: id }
  return { status: 200, body: xmlDocument('InitiateMultipartUploadResult', body) }
}

export function uploadPart(call: S3Call): S3Answer {
  const upload = uploadOf(call)
  const number = Number(call.query.get('partNumber'))
  if (!Number.isInteger(number) || number < 1 || number > MAX_PART_NUMBER) {
    throw new S3Error('InvalidArgument', `Part number must be an integer between 1 and ${MAX_PART_NUMBER}`)
  }
  const isCopy = call.headers['x-amz-copy-source'] !== undefined
  const bytes = isCopy ? copiedPart(call) : call.body
  const etag = md5Etag(bytes)
  upload.parts.set(number, { bytes, etag })
  if (!isCopy) return { status: 200, headers: { etag, ...call.checksums } }
  const result = { ETag: etag, LastModified: new Date(call.state.clock.nowMillis()).toISOString() }
  return { status: 200, body: xmlDocument('CopyPartResult', result) }
}

function copiedPart(call: S3Call): Uint8Array {
  const { bytes } = copySource(call)
  const range = parseRange(header(call, 'x-amz-copy-source-range'), bytes.length)
  return range === undefined ? bytes : bytes.subarray(range.start, range.end)
}

/** The upload is gone after success only: one that lost to a condition can be aborted or tried again. */
export async function completeUpload(call: S3Call): Promise<S3Answer> {
  const upload = uploadOf(call)
  const parts = askedParts(upload, Buffer.from(call.body).toString('utf8'))
  const digests = parts.map((part) => Buffer.from(part.etag.replaceAll('"', ''), 'hex'))
  const etag = `"${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${parts.length}"`
  const object = {
    key: upload.key,
    bytes: Buffer.concat(parts.map((part) => part.bytes)),
    etag,
    lastModifiedMillis: call.state.clock.nowMillis(),
    headers: upload.headers,
    checksums: {},
  }
  await storeObject(call.state, call.bucket, object, conditionsOf(call))
  call.state.uploads.delete(upload.id)
  const body = { Location: `/${call.bucket}/${call.key}`, Bucket: call.bucket, Key: call.key, ETag: etag }
  return { status: 200, body: xmlDocument('CompleteMultipartUploadResult', body) }
}

function askedParts(upload: S3Upload, xml: string): { readonly bytes: Uint8Array; readonly etag: string }[] {
  const asked = xmlElements(xml, 'Part').map((part) => ({
    number: Number(xmlText(part, 'PartNumber')),
    etag: xmlText(part, 'ETag') ?? '',
  }))
  if (asked.length === 0) throw new S3Error('MalformedXML', 'You must specify at least one part')
  const parts = asked.map(({ number, etag }, i) => {
    if (i > 0 && asked[i - 1]!.number >= number) {
      throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order')
    }
    const part = upload.parts.get(number)
    if (part !== undefined && sameEtag(etag, part.etag)) return part
    throw new S3Error('InvalidPart', `Part ${number} could not be found or has another entity tag`)
  })
  if (parts.slice(0, -1).some(({ bytes }) => bytes.length < MIN_PART_BYTES)) {
    throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed object size')
  }
  return parts
}

export function abortUpload(call: S3Call): S3Answer {
  call.state.uploads.delete(uploadOf(call).id)
  return { status: 204 }
}

export function listParts(call: S3Call): S3Answer {
  const upload = uploadOf(call)
  const parts = [...upload.parts].sort(([a], [b]) => a - b)
  return {
    status: 200,
    body: xmlDocument('ListPartsResult', {
      Bucket: upload.bucket,
      Key: upload.key,
      UploadId: upload.id,
      IsTruncated: false,
      Part: parts.map(([number, { bytes, etag }]) => ({ PartNumber: number, ETag: etag, Size: bytes.length })),
    }),
  }
}

export function listUploads(call: S3Call): S3Answer {
  bucketOf(call.state, call.bucket)
  const uploads = [...call.state.uploads.values()].filter(
    (upload) => upload.bucket === call.bucket && upload.key.startsWith(call.query.get('prefix') ?? ''),
  )
  return {
    status: 200,
    body: xmlDocument('ListMultipartUploadsResult', {
      Bucket: call.bucket,
      IsTruncated: false,
      Upload: uploads.map(({ id, key, startedMillis }) => ({
        Key: key,
        UploadId: id,
        Initiated: new Date(startedMillis).toISOString(),
      })),
    }),
  }
}

function uploadOf(call: S3Call): S3Upload {
  bucketOf(call.state, call.bucket)
  const upload = call.state.uploads.get(call.query.get('uploadId') ?? '')
  if (upload?.bucket === call.bucket && upload.key === call.key) return upload
  throw new S3Error('NoSuchUpload', 'The specified multipart upload does not exist')
}
