/** A store and a stream that refuse what a policy does not allow, as S3, KMS and Kinesis would. */
import type { KinesisApi } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { allows, PLACES, type Policy } from './policy.ts'

const { BUCKET, PREFIX, STREAM, REGION, ACCOUNT, KEY } = PLACES as Record<
  'BUCKET' | 'PREFIX' | 'STREAM' | 'REGION' | 'ACCOUNT' | 'KEY',
  string
>
const bucket = `arn:aws:s3:::${BUCKET}`
const stream = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/${STREAM}`
const kmsKey = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KEY}`

const denied = (action: string, resource: string): FirnError =>
  new FirnError('invalid', 'FIRN_ACCESS_DENIED', `${action} on ${resource} is not allowed`, { detail: { action } })

/** `base` is the warehouse, its bucket encrypted with a KMS key. */
export function guardedStore(base: ObjectStore, policy: Policy): ObjectStore {
  const demand = (action: string, resource: string, prefix?: string): void => {
    if (!allows(policy, { action, resource, prefix })) throw denied(action, resource)
  }
  const objectAt = (key: string): string => `${bucket}/${PREFIX}/${key}`
  /** S3 tells that an object is absent only to whoever may list the bucket; the request has no prefix. */
  const demandAbsence = (): void => demand('s3:ListBucket', bucket)
  return {
    url: base.url,
    put: async (key, body, options) => {
      demand('s3:PutObject', objectAt(key))
      demand('kms:GenerateDataKey', kmsKey)
      return await base.put(key, body, options)
    },
    get: async (key, options) => {
      demand('s3:GetObject', objectAt(key))
      demand('kms:Decrypt', kmsKey)
      try {
        return await base.get(key, options)
      } catch (error) {
        if (FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND')) demandAbsence()
        throw error
      }
    },
    head: async (key, options) => {
      demand('s3:GetObject', objectAt(key))
      const found = await base.head(key, options)
      if (found === undefined) demandAbsence()
      return found
    },
    list: async function* (prefix, options) {
      demand('s3:ListBucket', bucket, `${PREFIX}/${prefix}`)
      yield* base.list(prefix, options)
    },
    delete: async (key, options) => {
      demand('s3:DeleteObject', objectAt(key))
      // with a condition the ETag is compared first
      if (options?.ifMatch !== undefined) demand('s3:GetObject', objectAt(key))
      await base.delete(key, options)
    },
  }
}

export function guardedKinesis(base: KinesisApi, policy: Policy): KinesisApi {
  const demand = (action: string): void => {
    if (!allows(policy, { action, resource: stream })) {
      throw new FirnError('invalid', 'FIRN_STREAM_DENIED', `${action} on ${stream} is not allowed`)
    }
  }
  return {
    describeStream: async (...args) => {
      demand('kinesis:DescribeStreamSummary')
      return await base.describeStream(...args)
    },
    listShards: async (...args) => {
      demand('kinesis:ListShards')
      return await base.listShards(...args)
    },
    getShardIterator: async (...args) => {
      demand('kinesis:GetShardIterator')
      return await base.getShardIterator(...args)
    },
    getRecords: async (...args) => {
      demand('kinesis:GetRecords')
      return await base.getRecords(...args)
    },
    putRecords: async (...args) => {
      demand('kinesis:PutRecords')
      return await base.putRecords(...args)
    },
    close: () => base.close(),
  }
}
