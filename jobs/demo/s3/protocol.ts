/** What a request looks like to an operation, what it answers, and the errors of the S3 protocol. */
import type { IncomingHttpHeaders } from 'node:http'
import type { S3State } from './state.ts'

export interface S3Call {
  readonly state: S3State
  readonly method: string
  /** `''` for requests to the service itself. */
  readonly bucket: string
  /** `''` for requests to a bucket. */
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Decoded and verified. */
  readonly body: Uint8Array
  /** Checksums that were sent with the body and found right, e.g. `x-amz-checksum-sha256`. */
  readonly checksums: Readonly<Record<string, string>>
}

export interface S3Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

const STATUS = {
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  XAmzContentSHA256Mismatch: 400,
} as const

export type S3ErrorCode = keyof typeof STATUS

/** Thrown by operations; the server writes it as S3's `<Error>` document. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly code: S3ErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(code: S3ErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.code = code
    this.headers = headers
  }

  get status(): number {
    return STATUS[this.code]
  }
}

/** One value of a header that Node may give as a list. */
export function header(call: Pick<S3Call, 'headers'>, name: string): string | undefined {
  const value = call.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** @throws {S3Error} `InvalidURI`. */
export function decodePath(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
}
