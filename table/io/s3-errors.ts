/**
 * Errors of the AWS SDK -> the store's errors. Decided by name and HTTP status, never by message; reads the errors'
 * shape only, so that the SDK itself stays behind `s3.ts`.
 */
import { FirnError, type FirnErrorOptions } from '../errors.ts'
import { objectNotFound, preconditionFailed, storeUnavailable } from './store-errors.ts'

export interface S3Request {
  readonly storeUrl: string
  readonly bucket: string
  /** Key as the caller gave it, or the listed prefix. */
  readonly key: string
  readonly verb: 'put' | 'get' | 'head' | 'list' | 'delete'
  /** The conditional header of a put, e.g. `If-Match: "abc"`. */
  readonly condition?: string | undefined
}

/** HTTP status of a service error; `undefined` when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '')

/** Another conditional write to the key was in flight: the same put may succeed now. */
export const isConditionalConflict = (error: unknown): boolean =>
  nameOf(error) === 'ConditionalRequestConflict' || nameOf(error) === 'OperationAborted'

/** What to throw for `error`; errors of our own stay as they are. */
export function s3Failure(request: S3Request, error: unknown): unknown {
  if (FirnError.is(error)) return error
  return byName(request, error) ?? byStatus(request, error) ?? withoutAnswer(request, error)
}

function byName(request: S3Request, error: unknown): FirnError | undefined {
  const { storeUrl, bucket, key, condition } = request
  switch (nameOf(error)) {
    case 'NoSuchBucket':
      return failure(request, error, 'not-found', 'FIRN_BUCKET_NOT_FOUND', `There is no bucket ${bucket}.`, {
        help: 'Create the bucket, or correct the warehouse URL, region and endpoint.',
      })
    case 'NoSuchKey':
      return condition === undefined
        ? objectNotFound(storeUrl, key, error)
        : preconditionFailed(storeUrl, key, condition, error)
    case 'PreconditionFailed':
      return preconditionFailed(storeUrl, key, condition ?? 'a condition', error)
    case 'CredentialsProviderError':
      return failure(request, error, 'invalid', 'FIRN_NO_CREDENTIALS', `No AWS credentials for ${storeUrl}.`, {
        help: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the host a role.',
      })
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
    case 'ExpiredToken':
    case 'TokenRefreshRequired':
    case 'InvalidToken':
      return failure(request, error, 'invalid', 'FIRN_ACCESS_DENIED', `${storeUrl} refuses the AWS credentials.`, {
        help: `The endpoint answered ${nameOf(error)}: renew or correct the credentials.`,
      })
    case 'PermanentRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
      return failure(request, error, 'invalid', 'FIRN_WRONG_REGION', `Bucket ${bucket} is in another region.`, {
        help: "Set AWS_REGION to the bucket's region.",
      })
    case 'KeyTooLongError':
      return failure(request, error, 'invalid', 'FIRN_INVALID_KEY', `Key ${key} is too long for ${storeUrl}.`, {})
    case 'RequestTimeout':
    case 'BadDigest':
    case 'XAmzContentSHA256Mismatch':
    case 'SlowDown':
    case 'OperationAborted':
    case 'ConditionalRequestConflict':
      return storeUnavailable(storeUrl, `The ${request.verb} of ${key}`, error)
    default:
      return undefined
  }
}

function byStatus(request: S3Request, error: unknown): FirnError | undefined {
  const { storeUrl, key, verb, condition } = request
  const status = statusOf(error)
  if (status === undefined) return undefined
  if (status === 412 || (status === 404 && condition !== undefined)) {
    return preconditionFailed(storeUrl, key, condition ?? 'a condition', error)
  }
  if (status === 404) return objectNotFound(storeUrl, key, error)
  if (status === 401 || status === 403) {
    return failure(request, error, 'invalid', 'FIRN_ACCESS_DENIED', `May not ${verb} ${key} in ${storeUrl}.`, {
      help: 'Allow s3:GetObject, s3:PutObject, s3:DeleteObject on the prefix and s3:ListBucket on the bucket.',
    })
  }
  if (status === 405 || status === 501) {
    const what = condition === undefined ? verb : `${verb} with ${condition}`
    return failure(request, error, 'invalid', 'FIRN_STORE_UNSUPPORTED', `${storeUrl} does not support ${what}.`, {
      help: 'Use an S3 endpoint that has conditional writes: AWS S3, SeaweedFS, MinIO, versitygw.',
    })
  }
  if (status >= 500 || status === 408 || status === 409 || status === 429) {
    return storeUnavailable(storeUrl, `The ${verb} of ${key}`, error)
  }
  const message = error instanceof Error ? error.message : ''
  return failure(
    request,
    error,
    'invalid',
    'FIRN_STORE_REFUSED',
    `${storeUrl} refused the ${verb} of ${key}: ${message}`,
    {
      help: `The endpoint answered ${status} ${nameOf(error)}: check endpoint, region and bucket.`,
    },
  )
}

/** No HTTP answer: the network, a time-out, or a client that could not be set up. */
function withoutAnswer(request: S3Request, error: unknown): unknown {
  if (isRegionMissing(error)) {
    return failure(request, error, 'invalid', 'FIRN_NO_REGION', `No AWS region for ${request.storeUrl}.`, {
      help: 'Set AWS_REGION; any value does for an endpoint that is not AWS.',
    })
  }
  // A mistake in this package must not look like bad weather.
  if (error instanceof TypeError || error instanceof ReferenceError) return error
  return storeUnavailable(request.storeUrl, `The ${request.verb} of ${request.key}`, error)
}

/** The SDK has no name or code for it. Only the wording of the report hangs on this, never a retry. */
const isRegionMissing = (error: unknown): boolean => error instanceof Error && error.message === 'Region is missing'

function failure(
  request: S3Request,
  cause: unknown,
  kind: 'invalid' | 'not-found',
  code: `FIRN_${string}`,
  message: string,
  options: Pick<FirnErrorOptions, 'help'>,
): FirnError {
  const status = statusOf(cause)
  const detail = { store: request.storeUrl, key: request.key, verb: request.verb }
  return new FirnError(kind, code, message, {
    ...options,
    detail: status === undefined ? detail : { ...detail, status },
    cause,
  })
}
