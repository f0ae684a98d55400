/** Operations on the service and on buckets. */
import { header, type S3Answer, type S3Call, S3Error } from './protocol.ts'
import { bucketOf, createBucket, removeObject } from './state.ts'
import { type XmlNode, xmlDocument, xmlElements, xmlText } from './xml.ts'

export function listBuckets(call: S3Call): S3Answer {
  const buckets = [...call.state.buckets.values()].map(({ name, createdMillis }) => ({
    Name: name,
    CreationDate: new Date(createdMillis).toISOString(),
  }))
  const owner = { ID: 'firn', DisplayName: 'firn' }
  const body = { Owner: owner, Buckets: { Bucket: buckets } }
  return { status: 200, body: xmlDocument('ListAllMyBucketsResult', body) }
}

export async function putBucket(call: S3Call): Promise<S3Answer> {
  if (call.state.buckets.has(call.bucket)) {
    throw new S3Error('BucketAlreadyOwnedByYou', 'Your previous request to create the named bucket succeeded')
  }
  await createBucket(call.state, call.bucket)
  return { status: 200, headers: { location: `/${call.bucket}` } }
}

export function headBucket(call: S3Call): S3Answer {
  bucketOf(call.state, call.bucket)
  return { status: 200, headers: { 'x-amz-bucket-region': 'us-east-1' } }
}

export async function deleteBucket(call: S3Call): Promise<S3Answer> {
  const bucket = bucketOf(call.state, call.bucket)
  if (bucket.objects.size > 0) throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty')
  call.state.buckets.delete(call.bucket)
  await call.state.disk?.removeBucket(call.bucket)
  return { status: 204 }
}

export function getBucketLocation(call: S3Call): S3Answer {
  bucketOf(call.state, call.bucket)
  return { status: 200, body: xmlDocument('LocationConstraint', '') }
}

/** Versioning was never switched on: the empty document. */
export function getBucketVersioning(call: S3Call): S3Answer {
  bucketOf(call.state, call.bucket)
  return { status: 200, body: xmlDocument('VersioningConfiguration', '') }
}

/** POST ?delete: up to 1,000 keys, each answered on its own. */
export async function deleteObjects(call: S3Call): Promise<S3Answer> {
  bucketOf(call.state, call.bucket)
  const xml = Buffer.from(call.body).toString('utf8')
  if (xmlElements(xml, 'Delete').length !== 1) throw new S3Error('MalformedXML', 'The XML you provided has no Delete')
  const isQuiet = xmlText(xml, 'Quiet') === 'true'
  const deleted: XmlNode[] = []
  const errors: XmlNode[] = []
  for (const item of xmlElements(xml, 'Object')) {
    const key = xmlText(item, 'Key') ?? ''
    try {
      await removeObject(call.state, call.bucket, key, xmlText(item, 'ETag') ?? header(call, 'if-match'))
      if (!isQuiet) deleted.push({ Key: key })
    } catch (error) {
      if (!(error instanceof S3Error)) throw error
      errors.push({ Key: key, Code: error.code, Message: error.message })
    }
  }
  return { status: 200, body: xmlDocument('DeleteResult', { Deleted: deleted, Error: errors }) }
}
