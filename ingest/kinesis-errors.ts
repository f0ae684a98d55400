/** What the AWS SDK throws, as `FirnError`s. Decided by name, status and system code, never by message text. */
import { type ErrorCode, type ErrorKind, FirnError } from '../table/errors.ts'

interface SdkError extends Error {
  readonly code?: string
  readonly $fault?: 'client' | 'server'
  readonly $metadata?: { readonly httpStatusCode?: number }
}

const THROTTLED = [
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'KMSThrottlingException',
  'ThrottlingException',
  'TooManyRequestsException',
]
const DENIED = [
  'AccessDeniedException',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'KMSAccessDeniedException',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'UnrecognizedClientException',
]
const EXPIRED = ['ExpiredIteratorException', 'ExpiredNextTokenException']
const CLIENT_TIMEOUTS = ['TimeoutError', 'RequestTimeout', 'RequestTimeoutException', 'NetworkingError']

const NOT_KINESIS = 'Check that the endpoint (AWS_ENDPOINT_URL_KINESIS) speaks Kinesis.'

/** @param what the stream or shard that was asked for. */
export function kinesisError(error: unknown, what: string, endpoint: string | undefined): FirnError {
  if (FirnError.is(error)) return error
  const { name, message, $fault, $metadata, code } = error as SdkError
  const make = (kind: ErrorKind, errorCode: ErrorCode, text: string, help?: string): FirnError =>
    new FirnError(kind, errorCode, text, { detail: { what, name }, cause: error, ...(help ? { help } : {}) })

  if (EXPIRED.includes(name)) return make('unavailable', 'FIRN_ITERATOR_EXPIRED', `${what}: ${message}`)
  if (THROTTLED.includes(name)) {
    return make('unavailable', 'FIRN_STREAM_THROTTLED', `${what}: Kinesis refused the call: ${message}`, 'Try again.')
  }
  if (name === 'ResourceNotFoundException') {
    const help = 'Check the stream name, the region (AWS_REGION) and the account of the credentials.'
    return make('not-found', 'FIRN_STREAM_NOT_FOUND', `${what} was not found: ${message}`, help)
  }
  if (name === 'CredentialsProviderError') {
    const help = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run under a role.'
    return make('invalid', 'FIRN_NO_CREDENTIALS', `${what}: no AWS credentials were found: ${message}`, help)
  }
  if (DENIED.includes(name)) {
    const help = 'The credentials need kinesis:DescribeStreamSummary, ListShards, GetShardIterator and GetRecords.'
    return make('invalid', 'FIRN_STREAM_DENIED', `${what}: access was refused (${name}): ${message}`, help)
  }
  const status = $metadata?.httpStatusCode ?? 0
  if ($fault === 'server' || status >= 500 || code !== undefined || CLIENT_TIMEOUTS.includes(name)) {
    const where = endpoint === undefined ? 'Kinesis' : `Kinesis at ${endpoint}`
    const why = [name, code, message].filter((part) => part !== undefined && part !== '').join(' ')
    const help = 'Check the network and the endpoint (AWS_ENDPOINT_URL_KINESIS); a local emulator has to be running.'
    return make('unavailable', 'FIRN_STREAM_UNAVAILABLE', `${what}: no answer from ${where}: ${why}`, help)
  }
  if (status < 400) {
    // No answer at all, or none that the SDK could read: a proxy's page, another service on that port.
    return make('unavailable', 'FIRN_STREAM_UNAVAILABLE', `${what}: the call failed: ${name}: ${message}`, NOT_KINESIS)
  }
  return make('invalid', 'FIRN_STREAM_REQUEST_INVALID', `${what}: Kinesis refused the call (${name}): ${message}`)
}

/** An answer in Kinesis' protocol without what it has to hold. */
export const incompleteAnswer = (what: string): FirnError =>
  new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', `${what}: the answer is incomplete`, { help: NOT_KINESIS })

export const noRegion = (cause: unknown): FirnError =>
  new FirnError('invalid', 'FIRN_NO_REGION', 'no AWS region is set', {
    help: 'Set AWS_REGION, or a region in the AWS profile.',
    cause,
  })
