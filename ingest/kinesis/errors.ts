/** What the AWS SDK throws, as `FirnError`s. Decided by name, status and system code, never by message text. */
import { type ErrorCode, type ErrorKind, FirnError } from '../../table/errors.ts'

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
const NOT_ALLOWED = ['AccessDeniedException', 'KMSAccessDeniedException']
const BAD_CREDENTIALS = [
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'UnrecognizedClientException',
]
const EXPIRED = ['ExpiredIteratorException', 'ExpiredNextTokenException']
const CLIENT_TIMEOUTS = ['TimeoutError', 'RequestTimeout', 'RequestTimeoutException', 'NetworkingError']

const NOT_KINESIS = 'Check that the endpoint (AWS_ENDPOINT_URL_KINESIS) speaks Kinesis.'

/** What was asked of Kinesis. */
export interface KinesisRequest {
  /** The API's name for it, as in IAM policies without `kinesis:`. */
  readonly action: 'DescribeStreamSummary' | 'ListShards' | 'GetShardIterator' | 'GetRecords' | 'PutRecords'
  /** The stream or shard that was asked for. */
  readonly what: string
  readonly endpoint: string | undefined
}

/** URLs in `text` without user and password: messages end up in logs and run records. */
export const withoutUserinfo = (text: string): string => text.replace(/(?<=\/\/)\S*@/g, '[redacted]@')

export function kinesisError(error: unknown, { action, what, endpoint }: KinesisRequest): FirnError {
  if (FirnError.is(error)) return error
  const { name, $fault, $metadata, code } = error as SdkError
  const message = withoutUserinfo((error as SdkError).message)
  const make = (kind: ErrorKind, errorCode: ErrorCode, text: string, help?: string): FirnError =>
    new FirnError(kind, errorCode, text, { detail: { what, name }, cause: error, ...(help ? { help } : {}) })

  if (code === 'ERR_INVALID_URL') {
    // Without the cause: it holds the URL as it was given, password and all.
    return new FirnError(
      'invalid',
      'FIRN_BAD_ENDPOINT',
      `${withoutUserinfo(endpoint ?? 'the endpoint')} is not a URL`,
      {
        help: 'Correct the endpoint of Kinesis (AWS_ENDPOINT_URL_KINESIS): http://host:port or https://host.',
      },
    )
  }
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
  if (NOT_ALLOWED.includes(name) || BAD_CREDENTIALS.includes(name)) {
    const help = NOT_ALLOWED.includes(name)
      ? allowing(action)
      : "Renew or correct the AWS credentials, and see that this machine's time is right."
    return make('invalid', 'FIRN_STREAM_DENIED', `${what}: ${action} was refused (${name}): ${message}`, help)
  }
  const status = $metadata?.httpStatusCode ?? 0
  if ($fault === 'server' || status >= 500 || code !== undefined || CLIENT_TIMEOUTS.includes(name)) {
    const where = endpoint === undefined ? 'Kinesis' : `Kinesis at ${withoutUserinfo(endpoint)}`
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

const LANDING_ACTIONS =
  'kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:GetShardIterator, kinesis:GetRecords'

const allowing = (action: KinesisRequest['action']): string =>
  action === 'PutRecords'
    ? 'Allow kinesis:PutRecords on the stream, and kms:GenerateDataKey on its key if it is encrypted.'
    : `Allow kinesis:${action} on the stream. Landing needs ${LANDING_ACTIONS}, and kms:Decrypt on the key of an encrypted stream.`

/** An answer in Kinesis' protocol without what it has to hold. */
export const incompleteAnswer = (what: string): FirnError =>
  new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', `${what}: the answer is incomplete`, { help: NOT_KINESIS })

export const noRegion = (cause: unknown): FirnError =>
  new FirnError('invalid', 'FIRN_NO_REGION', 'no AWS region is set', {
    help: 'Set AWS_REGION, or a region in the AWS profile.',
    cause,
  })
