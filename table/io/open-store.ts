/** One URL in, one `ObjectStore` out: the only place that knows which schemes there are. */
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { openFileStore } from './file.ts'
import { pathOfFileUrl } from './file-url.ts'
import { keyProblem } from './keys.ts'
import { openMemoryStore } from './memory.ts'
import { type ObjectStore, subStore } from './object-store.ts'
import { observedStore } from './observed.ts'
import { openS3Store, type S3Options } from './s3.ts'

export { awsCredentials, type S3Credentials, type S3Options } from './s3.ts'
export type { S3Encryption } from './s3-encryption.ts'

/**
 * JSON-able apart from `clock` and a credentials function, so that a worker thread can open the same store again.
 * Credentials are here only when a catalog gave them out for one table; else the SDK finds them in every thread.
 */
export interface StoreOptions {
  readonly s3?: S3Options
  /** Time and randomness of back-offs; default: the system's. */
  readonly clock?: Clock
}

/**
 * The store at `url`: `s3://bucket/prefix`, `file:///dir` or `memory://name`, with or without trailing slash.
 * Opening does no I/O: a missing folder reads as empty, a missing bucket fails at the first call.
 * @throws {FirnError} `FIRN_BAD_WAREHOUSE_URL` (invalid).
 */
export function openStore(url: string, options: StoreOptions = {}): ObjectStore {
  return observedStore(openAdapter(url, options), options.clock)
}

function openAdapter(url: string, options: StoreOptions): ObjectStore {
  const clock = options.clock === undefined ? {} : { clock: options.clock }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  switch (scheme) {
    case 's3': {
      const { name, prefix } = splitUrl(url, /^s3:\/\/([^/?#]*)\/?(.*)$/i)
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(name)) throw badUrl(url, 'it has no valid bucket name')
      return openS3Store({ ...options.s3, ...clock, bucket: name, prefix })
    }
    case 'file':
      return openFileStore(pathOfFileUrl(url), clock)
    case 'memory': {
      const { name, prefix } = splitUrl(url, /^memory:\/\/([^/?#]*)\/?(.*)$/i)
      if (name === '') throw badUrl(url, 'it has no name')
      const store = openMemoryStore(name, clock)
      return prefix === '' ? store : subStore(store, prefix)
    }
    case 's3a':
    case 's3n':
      throw badUrl(url, `the scheme '${scheme}' is Hadoop's name for S3; write s3:// instead`)
    case undefined:
      throw badUrl(url, 'it has no scheme')
    default:
      throw badUrl(url, `the scheme '${scheme}' is not supported`)
  }
}

// The prefix is taken as it stands, not percent-decoded: Iceberg readers use S3 locations literally too.
function splitUrl(url: string, pattern: RegExp): { name: string; prefix: string } {
  const match = pattern.exec(url)
  if (match === null) throw badUrl(url, 'it is not <scheme>://<name>/<prefix>')
  const prefix = match[2]!.replace(/\/$/, '')
  const problem = prefix === '' ? undefined : keyProblem(prefix)
  if (problem !== undefined) throw badUrl(url, `its prefix is refused: ${problem}`)
  return { name: match[1]!, prefix }
}

function badUrl(given: string, why: string): FirnError {
  // `s3://id:secret@bucket` is a form that some tools have: what stands before the @ must not reach a log.
  const url = given.replace(/\/\/[^/]*@/, '//…@')
  return new FirnError('invalid', 'FIRN_BAD_WAREHOUSE_URL', `${JSON.stringify(url)} is not a warehouse URL: ${why}.`, {
    detail: { url },
    help: 'Use s3://bucket/prefix, file:///absolute/folder or memory://name.',
  })
}
