/**
 * Objects from one store to another. Nothing counts as copied before its copy was read back and had the digest of what
 * was recorded of the source or, where nothing was recorded, of the source read a second time.
 */
import { createHash } from 'node:crypto'
import { FirnError } from '../../errors.ts'
import { type AbortableOptions, type ObjectStore, putOnce } from '../../io/object-store.ts'

/** Of one request when an object is only hashed. */
const CHUNK_BYTES = 8 << 20
/** The first one may have met a bad line. */
const TRIES = 2

export interface Transfer {
  readonly source: ObjectStore
  readonly target: ObjectStore
  readonly from: string
  readonly to: string
  /** What the object must have. */
  readonly sizeBytes: number
  /** Lower-case hexadecimal, from when the object was written. */
  readonly sha256: string | undefined
}

/**
 * @returns `kept` when the target had the object already, from an earlier try.
 * @throws {FirnError} `FIRN_COPY_DIFFERS` (corrupt); `FIRN_OBJECT_NOT_FOUND`; `FIRN_STORE_UNAVAILABLE`.
 */
export async function transfer(object: Transfer, options: AbortableOptions): Promise<'copied' | 'kept'> {
  const { source, target, from, to, sizeBytes } = object
  let expected: string | undefined = object.sha256
  const isRight = async (): Promise<boolean> => {
    expected ??= await digestOf(source, from, sizeBytes, options)
    return expected !== undefined && (await digestOf(target, to, sizeBytes, options)) === expected
  }
  if ((await target.head(to, options)) !== undefined) {
    if (await isRight()) return 'kept'
    await discard(target, to, options)
  }
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const { bytes } = await source.get(from, options)
    if (bytes.length !== sizeBytes) {
      throw differs(`${source.url}/${from}: the metadata says ${sizeBytes} bytes, it has ${bytes.length}`)
    }
    await putOnce(target, to, bytes, options)
    if (await isRight()) return 'copied'
    await discard(target, to, options)
    // What was read for the digest may be what is wrong.
    expected = object.sha256
  }
  const told = object.sha256 === undefined ? 'what it is a copy of' : `its recorded SHA-256, ${object.sha256}`
  throw differs(`${target.url}/${to} did not become ${told}, twice`)
}

/** Write what was made here, and read it back. */
export async function putChecked(
  target: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: AbortableOptions,
): Promise<void> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    try {
      await putOnce(target, key, bytes, options)
      const stored = await target.get(key, options)
      if (Buffer.compare(stored.bytes, bytes) === 0) return
    } catch (error) {
      // Something else is there, left by a try that came to grief.
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
    }
    await discard(target, key, options)
  }
  throw differs(`${target.url}/${key} is not what was written to it, twice`)
}

/** Only ever below a folder that was empty when the copy began. */
async function discard(target: ObjectStore, key: string, options: AbortableOptions): Promise<void> {
  const found = await target.head(key, options)
  if (found !== undefined) await target.delete(key, { ifMatch: found.etag, signal: options.signal })
}

/** SHA-256 in pieces, so that memory does not follow the object's size. `undefined` when it has another size. */
async function digestOf(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  options: AbortableOptions,
): Promise<string | undefined> {
  const sha = createHash('sha256')
  // One byte more than there should be: an object that is too long must not pass.
  for (let start = 0; start <= sizeBytes; start += CHUNK_BYTES) {
    const end = Math.min(start + CHUNK_BYTES, sizeBytes + 1)
    const { bytes } = await store.get(key, { range: { start, end }, ...options })
    if (bytes.length !== Math.min(end, sizeBytes) - start) return undefined
    sha.update(bytes)
  }
  return sha.digest('hex')
}

/** Runs pieces of work while their bytes together stay below the limit; one that is larger runs alone. */
export function byteGate(limitBytes: number): <T>(bytes: number, work: () => Promise<T>) => Promise<T> {
  let held = 0
  let waiting: (() => void)[] = []
  return async (bytes, work) => {
    while (held > 0 && held + bytes > limitBytes) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
      })
    }
    held += bytes
    try {
      return await work()
    } finally {
      held -= bytes
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    }
  }
}

const differs = (message: string): FirnError =>
  new FirnError('corrupt', 'FIRN_COPY_DIFFERS', message, {
    help: 'Run the copy again; if it fails at the same object, run firn verify on the source.',
  })
