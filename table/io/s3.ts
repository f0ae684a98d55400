/**
 * Objects in a bucket of S3 or of anything that speaks its protocol. The only file that imports the S3 client.
 *
 * Credentials, region and endpoint come from the SDK's own chain (`AWS_*` variables, profiles, roles); options
 * override the last two. Requests are path-style, puts carry a SHA-256 checksum that the server verifies.
 *
 * The SDK repeats a request whose answer was lost. A conditional put whose first attempt took effect is then
 * answered 412 by its own object: `FIRN_PRECONDITION_FAILED` means "look who won", not "somebody else won".
 */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type * as Sdk from '@aws-sdk/client-s3'
import { type Clock, fullJitterMillis, systemClock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { assertKey, assertRange, compareKeys, keyProblem } from './keys.ts'
import type {
  AbortableOptions,
  ByteRange,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredObject,
} from './object-store.ts'
import { encryptionOf, type S3Encryption } from './s3-encryption.ts'
import { isConditionalConflict, type S3Request, s3Failure, statusOf } from './s3-errors.ts'
import { assertOneCondition, objectNotFound, preconditionFailed, storeUnavailable } from './store-errors.ts'

/** Keys of one identity. Never in a message. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  /** When they run out, milliseconds since the epoch; a provider is asked again some minutes earlier. */
  readonly expiresAtMillis?: number | undefined
}

export interface S3Options {
  /** Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile, then AWS itself. */
  readonly endpoint?: string
  /** Default: `AWS_REGION`, then the profile. */
  readonly region?: string
  /** Attempts of the SDK per request, the first included; default 5. */
  readonly maxAttempts?: number
  /** Default: the SDK's chain. A function cannot be handed to a worker thread. */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>)
  /** `https://host/bucket/key` instead of `https://bucket.host/key`; default true. */
  readonly pathStyle?: boolean
  /** Account id, 12 digits: S3 refuses every request to a bucket that another account owns. */
  readonly expectedBucketOwner?: string
  /** How S3 encrypts what is put; default: as the bucket says. */
  readonly encryption?: S3Encryption
}

const MAX_SOCKETS = 64
const CONNECT_TIMEOUT_MILLIS = 5_000
/** A socket that carried no byte for this long is given up, in either direction. */
const IDLE_TIMEOUT_MILLIS = 60_000
/** Repeats of a put that met another conditional put of the key in flight (409). */
const MAX_CONFLICT_RETRIES = 8
/** Repeats of a get whose body broke off: the SDK retries only up to the response's headers. */
const MAX_BODY_RETRIES = 3

/** The SDK and a client: most warehouses of development are no buckets, and need neither its time nor its memory. */
interface Connection {
  readonly sdk: typeof Sdk
  readonly client: Sdk.S3Client
}

/** @param options.prefix key prefix of the store's root without slashes at its ends; `''` for the whole bucket. */
export function openS3Store(
  options: S3Options & { readonly bucket: string; readonly prefix: string; readonly clock?: Clock },
): ObjectStore {
  let connection: Promise<Connection> | undefined
  const connected = (): Promise<Connection> => {
    connection ??= connect(options)
    return connection
  }
  return new S3ObjectStore(connected, options)
}

async function connect(options: S3Options): Promise<Connection> {
  const [sdk, { NodeHttpHandler }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@smithy/node-http-handler'),
  ])
  const client = new sdk.S3Client({
    forcePathStyle: options.pathStyle ?? true,
    followRegionRedirects: true,
    maxAttempts: options.maxAttempts ?? 5,
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_SUPPORTED',
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.credentials === undefined ? {} : { credentials: identityOf(options.credentials) }),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECT_TIMEOUT_MILLIS,
      socketTimeout: IDLE_TIMEOUT_MILLIS,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
    }),
  })
  return { sdk, client }
}

/** In the SDK's form; it keeps what a provider gave until shortly before the expiration. */
function identityOf(credentials: S3Credentials | (() => Promise<S3Credentials>)): () => Promise<AwsIdentity> {
  return async () => {
    const { expiresAtMillis, sessionToken, ...keys } =
      typeof credentials === 'function' ? await credentials() : credentials
    return {
      ...keys,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      ...(expiresAtMillis === undefined ? {} : { expiration: new Date(expiresAtMillis) }),
    }
  }
}

interface AwsIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

/** The SDK's own chain: variables, profiles, roles. Kept and renewed by the SDK. For services other than S3. */
export function awsCredentials(): () => Promise<S3Credentials> {
  let client: Promise<Sdk.S3Client> | undefined
  return async () => {
    client ??= import('@aws-sdk/client-s3').then(({ S3Client }) => new S3Client({ region: 'us-east-1' }))
    const { config } = await client
    const { accessKeyId, secretAccessKey, sessionToken } = await config.credentials()
    return { accessKeyId, secretAccessKey, sessionToken }
  }
}

class S3ObjectStore implements ObjectStore {
  readonly url: string
  readonly #connected: () => Promise<Connection>
  readonly #bucket: string
  /** `''` or ends with a slash. */
  readonly #root: string
  readonly #clock: Clock
  /** Parameters of every request. */
  readonly #owner: { readonly ExpectedBucketOwner?: string }
  readonly #encryption: Partial<Sdk.PutObjectCommandInput>

  constructor(connected: () => Promise<Connection>, options: Parameters<typeof openS3Store>[0]) {
    const { bucket, prefix, clock = systemClock, expectedBucketOwner, encryption } = options
    this.url = prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`
    this.#connected = connected
    this.#bucket = bucket
    this.#root = prefix === '' ? '' : `${prefix}/`
    this.#clock = clock
    this.#owner = expectedBucketOwner === undefined ? {} : { ExpectedBucketOwner: expectedBucketOwner }
    this.#encryption = encryptionOf(encryption)
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<{ readonly etag: string }> {
    const { ifMatch, ifNoneMatch, signal } = options
    const at = this.#at(key)
    assertOneCondition(key, options)
    const condition = ifMatch !== undefined ? `If-Match: ${ifMatch}` : ifNoneMatch && `If-None-Match: ${ifNoneMatch}`
    const { sdk, client } = await this.#connected()
    const command = new sdk.PutObjectCommand({
      ...at,
      Body: body,
      ChecksumAlgorithm: 'SHA256',
      ...this.#encryption,
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
    })
    const request = { ...this.#request('put', key), condition }
    for (let attempt = 0; ; attempt++) {
      try {
        const { ETag } = await client.send(command, abortOf(signal))
        if (ETag === undefined) throw storeUnavailable(this.url, `The put of ${key} (it was answered without ETag)`)
        return { etag: ETag }
      } catch (error) {
        if (!isConditionalConflict(error) || attempt >= MAX_CONFLICT_RETRIES)
          throw this.#failure(request, error, signal)
        await this.#pause(attempt, signal)
      }
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    this.#at(key)
    if (options.range !== undefined) assertRange(options.range, key)
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#getOnce(key, options)
      } catch (error) {
        if (!(error instanceof BrokenBody)) throw this.#failure(this.#request('get', key), error, options.signal)
        options.signal?.throwIfAborted()
        if (attempt >= MAX_BODY_RETRIES) throw storeUnavailable(this.url, `The get of ${key}`, error)
        await this.#pause(attempt, options.signal)
      }
    }
  }

  async head(key: string, options: AbortableOptions = {}): Promise<ObjectInfo | undefined> {
    const at = this.#at(key)
    const { sdk, client } = await this.#connected()
    try {
      const found = await client.send(new sdk.HeadObjectCommand(at), abortOf(options.signal))
      return {
        key,
        sizeBytes: found.ContentLength ?? 0,
        etag: found.ETag ?? '',
        lastModifiedMillis: found.LastModified?.getTime() ?? 0,
      }
    } catch (error) {
      // An answer to HEAD has no body that could tell a missing bucket from a missing key.
      if (statusOf(error) === 404) return undefined
      throw this.#failure(this.#request('head', key), error, options.signal)
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    const { startAfter, signal } = options
    let last = startAfter
    let token: string | undefined
    do {
      const page = await this.#listPage(prefix, startAfter, token, signal)
      for (const { Key = '', Size = 0, ETag = '', LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#root.length)
        // Objects that other tools put there under names that no store of ours could read.
        if (keyProblem(key) !== undefined) continue
        if (last !== undefined && compareKeys(key, last) <= 0) {
          if (last === startAfter) continue
          throw unordered(this.url, last, key)
        }
        last = key
        yield { key, sizeBytes: Size, etag: ETag, lastModifiedMillis: LastModified?.getTime() ?? 0 }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    const { ifMatch, signal } = options
    if (ifMatch !== undefined) return this.#deleteIfMatch(key, ifMatch, signal)
    const at = this.#at(key)
    const { sdk, client } = await this.#connected()
    try {
      await client.send(new sdk.DeleteObjectCommand(at), abortOf(signal))
    } catch (error) {
      const failure = this.#failure(this.#request('delete', key), error, signal)
      if (!FirnError.is(failure, 'FIRN_OBJECT_NOT_FOUND')) throw failure
    }
  }

  /**
   * Compares by HEAD first, for servers that ignore the header or do not have it, and again after a refusal: a repeat
   * may be refused because its own first attempt took effect.
   */
  async #deleteIfMatch(key: string, ifMatch: string, signal: AbortSignal | undefined): Promise<void> {
    const request = { ...this.#request('delete', key), condition: `If-Match: ${ifMatch}` }
    const at = this.#at(key)
    const { sdk, client } = await this.#connected()
    const command = new sdk.DeleteObjectCommand({ ...at, IfMatch: ifMatch })
    for (let attempt = 0; ; attempt++) {
      const found = await this.head(key, { signal })
      if (found === undefined) return
      if (found.etag !== ifMatch) throw preconditionFailed(this.url, key, request.condition)
      try {
        await client.send(command, abortOf(signal))
        return
      } catch (error) {
        const failure = this.#failure(request, error, signal)
        if (FirnError.is(failure, 'FIRN_STORE_UNSUPPORTED')) return this.delete(key, { signal })
        const again = isConditionalConflict(error) || FirnError.is(failure, 'FIRN_PRECONDITION_FAILED')
        if (!again || attempt >= MAX_CONFLICT_RETRIES) throw failure
        await this.#pause(attempt, signal)
      }
    }
  }

  async #getOnce(key: string, { range, signal }: GetOptions): Promise<StoredObject> {
    // An empty range cannot be asked for in HTTP, and one behind the end has no answer but 416.
    if (range !== undefined && range.start === range.end) return this.#emptyPart(key, signal)
    const wanted = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }
    const { sdk, client } = await this.#connected()
    let answer: Sdk.GetObjectCommandOutput
    try {
      answer = await client.send(new sdk.GetObjectCommand({ ...this.#at(key), ...wanted }), abortOf(signal))
    } catch (error) {
      if (range !== undefined && statusOf(error) === 416) return this.#emptyPart(key, signal)
      throw error
    }
    let bytes: Uint8Array
    try {
      bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0)
    } catch (error) {
      throw new BrokenBody(`the body of ${key} broke off`, { cause: error })
    }
    const { ContentLength = bytes.length, ContentRange, ETag = '' } = answer
    if (bytes.length !== ContentLength) {
      throw new BrokenBody(`got ${bytes.length} of ${ContentLength} bytes of ${key}`)
    }
    if (range === undefined) return { bytes, etag: ETag }
    // Without Content-Range the server sent the whole object, as HTTP allows.
    if (ContentRange === undefined) return { bytes: bytes.slice(range.start, range.end), etag: ETag }
    assertPart(key, range, ContentRange, bytes.length)
    return { bytes, etag: ETag }
  }

  async #emptyPart(key: string, signal: AbortSignal | undefined): Promise<StoredObject> {
    const info = await this.head(key, { signal })
    if (info === undefined) throw objectNotFound(this.url, key)
    return { bytes: new Uint8Array(0), etag: info.etag }
  }

  async #listPage(
    prefix: string,
    startAfter: string | undefined,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Sdk.ListObjectsV2CommandOutput> {
    const { sdk, client } = await this.#connected()
    const command = new sdk.ListObjectsV2Command({
      Bucket: this.#bucket,
      ...this.#owner,
      Prefix: this.#root + prefix,
      ...(startAfter === undefined ? {} : { StartAfter: this.#root + startAfter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    })
    try {
      return await client.send(command, abortOf(signal))
    } catch (error) {
      throw this.#failure(this.#request('list', prefix), error, signal)
    }
  }

  #at(key: string): { Bucket: string; Key: string; ExpectedBucketOwner?: string } {
    assertKey(key, this.url)
    if (this.#root !== '') assertKey(this.#root + key, `s3://${this.#bucket}`)
    return { Bucket: this.#bucket, Key: this.#root + key, ...this.#owner }
  }

  #request(verb: S3Request['verb'], key: string): S3Request {
    return { storeUrl: this.url, bucket: this.#bucket, key, verb }
  }

  #failure(request: S3Request, error: unknown, signal: AbortSignal | undefined): unknown {
    return signal?.aborted ? signal.reason : s3Failure(request, error)
  }

  #pause(attempt: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#clock.sleep(fullJitterMillis(this.#clock, attempt, 50, 2_000), signal)
  }
}

/** Only for `get`, which repeats the request: the answer began well and did not arrive whole. */
class BrokenBody extends Error {
  override readonly name = 'BrokenBody'
}

const abortOf = (signal: AbortSignal | undefined): { abortSignal?: AbortSignal } =>
  signal === undefined ? {} : { abortSignal: signal }

/** @throws {BrokenBody} when `Content-Range` or the length is not that of `range`, cut at the object's end. */
function assertPart(key: string, range: ByteRange, contentRange: string, lengthBytes: number): void {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange)
  const start = Number(match?.[1])
  const end = Number(match?.[2]) + 1
  const size = match?.[3] === '*' ? range.end : Number(match?.[3])
  if (start === range.start && end === Math.min(range.end, size) && lengthBytes === end - start) return
  throw new BrokenBody(`asked for [${range.start}, ${range.end}) of ${key}, got ${contentRange}, ${lengthBytes} bytes`)
}

const unordered = (storeUrl: string, before: string, after: string): FirnError =>
  new FirnError('invalid', 'FIRN_STORE_UNSUPPORTED', `The listing of ${storeUrl} has ${after} after ${before}.`, {
    detail: { store: storeUrl, before, after },
    help: 'Use a general purpose bucket: listings must be in byte order (S3 Express directory buckets are not).',
  })
