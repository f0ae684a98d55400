/** Does this store honour conditional writes? Commits are safe only where it does. */
import { FirnError } from '../errors.ts'
import type { AbortableOptions, ObjectStore, PutOptions } from './object-store.ts'

/** Left in the warehouse on purpose: the next probe then needs one request less, and deletes nothing. */
export const PROBE_KEY = '_leases/conditional-writes.json'

const PROBE_BODY = new TextEncoder().encode('{"firn":"conditional write probe"}\n')
/** No object has this ETag. */
const IMPOSSIBLE_ETAG = '"00000000000000000000000000000000"'

/**
 * Puts one small fixed object create-only until the store refuses it, then replaces it under an ETag it does not
 * have, which must be refused too. Safe to run at any time, also by many at once: the content is always the same.
 * @throws {FirnError} `FIRN_CONDITIONAL_WRITES_IGNORED` (invalid) when a put goes through that must not.
 */
export async function probeConditionalWrites(store: ObjectStore, options: AbortableOptions = {}): Promise<void> {
  const existed = await isRefused(store, { ...options, ifNoneMatch: '*' })
  if (!existed && !(await isRefused(store, { ...options, ifNoneMatch: '*' }))) throw ignored(store, 'If-None-Match: *')
  if (!(await isRefused(store, { ...options, ifMatch: IMPOSSIBLE_ETAG }))) throw ignored(store, 'If-Match')
}

async function isRefused(store: ObjectStore, condition: PutOptions): Promise<boolean> {
  try {
    await store.put(PROBE_KEY, PROBE_BODY, condition)
    return false
  } catch (error) {
    if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) return true
    const header = condition.ifMatch === undefined ? 'If-None-Match: *' : 'If-Match'
    if (FirnError.is(error, 'FIRN_STORE_UNSUPPORTED')) throw ignored(store, header, error)
    throw error
  }
}

const ignored = (store: ObjectStore, header: string, cause?: unknown): FirnError =>
  new FirnError(
    'invalid',
    'FIRN_CONDITIONAL_WRITES_IGNORED',
    `${store.url} does not honour ${header}: two writers would overwrite each other's commits.`,
    {
      detail: { store: store.url, header },
      help: 'Use an endpoint that honours conditional writes: AWS S3, SeaweedFS 4, MinIO, RustFS, versitygw, or file://.',
      cause,
    },
  )
