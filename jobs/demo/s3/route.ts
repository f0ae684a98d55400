/** Which operation a request is, by method, path and query. */
import {
  deleteBucket,
  deleteObjects,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
  putBucket,
} from './buckets.ts'
import { listObjects } from './listing.ts'
import { abortUpload, completeUpload, createUpload, listParts, listUploads, uploadPart } from './multipart.ts'
import { deleteObject, getObject, putObject } from './objects.ts'
import { type S3Answer, type S3Call, S3Error } from './protocol.ts'

type Operation = (call: S3Call) => S3Answer | Promise<S3Answer>

/** Parts of the protocol that are not here; asking for them must not look like a plain GET or PUT. */
const MISSING = [
  'accelerate',
  'acl',
  'attributes',
  'cors',
  'encryption',
  'legal-hold',
  'lifecycle',
  'logging',
  'notification',
  'object-lock',
  'policy',
  'replication',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'versionId',
  'versions',
  'website',
]

/** @throws {S3Error} `NotImplemented`, `MethodNotAllowed`. */
export function operationOf(call: Pick<S3Call, 'method' | 'bucket' | 'key' | 'query'>): Operation {
  const missing = MISSING.find((name) => call.query.has(name))
  if (missing !== undefined) throw new S3Error('NotImplemented', `?${missing} is not implemented`)
  const { method, query } = call
  const operation =
    call.bucket === ''
      ? serviceOperation(method)
      : call.key === ''
        ? bucketOperation(method, query)
        : objectOperation(method, query)
  if (operation !== undefined) return operation
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.')
}

const serviceOperation = (method: string): Operation | undefined => (method === 'GET' ? listBuckets : undefined)

function bucketOperation(method: string, query: URLSearchParams): Operation | undefined {
  switch (method) {
    case 'GET':
      if (query.has('location')) return getBucketLocation
      if (query.has('versioning')) return getBucketVersioning
      return query.has('uploads') ? listUploads : listObjects
    case 'HEAD':
      return headBucket
    case 'PUT':
      return putBucket
    case 'DELETE':
      return deleteBucket
    case 'POST':
      return query.has('delete') ? deleteObjects : undefined
    default:
      return undefined
  }
}

function objectOperation(method: string, query: URLSearchParams): Operation | undefined {
  const isUpload = query.has('uploadId')
  switch (method) {
    case 'GET':
      return isUpload ? listParts : getObject
    case 'HEAD':
      return getObject
    case 'PUT':
      return isUpload ? uploadPart : putObject
    case 'DELETE':
      return isUpload ? abortUpload : deleteObject
    case 'POST':
      if (query.has('uploads')) return createUpload
      return isUpload ? completeUpload : undefined
    default:
      return undefined
  }
}
