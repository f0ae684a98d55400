/** Buckets, objects and unfinished uploads of the embedded S3, in memory. */
import type { Clock } from '../../../table/clock.ts'
import { compareKeys } from '../../../table/io/keys.ts'
import type { DiskMirror } from './disk.ts'
import { S3Error } from './protocol.ts'

export interface S3Object {
  readonly key: string
  readonly bytes: Uint8Array
  /** With its quotes. */
  readonly etag: string
  readonly lastModifiedMillis: number
  /** Headers that a GET gives back: content type and encoding, `x-amz-meta-*`. */
  readonly headers: Readonly<Record<string, string>>
  /** `x-amz-checksum-*` as the client sent them. */
  readonly checksums: Readonly<Record<string, string>>
}

export interface S3Upload {
  readonly id: string
  readonly bucket: string
  readonly key: string
  readonly startedMillis: number
  readonly headers: Readonly<Record<string, string>>
  readonly parts: Map<number, { readonly bytes: Uint8Array; readonly etag: string }>
}

export interface S3Bucket {
  readonly name: string
  readonly createdMillis: number
  readonly objects: ObjectMap
}

export interface S3State {
  readonly clock: Clock
  readonly buckets: Map<string, S3Bucket>
  readonly uploads: Map<string, S3Upload>
  readonly disk: DiskMirror | undefined
  /** Fault switch, see `S3ServerOptions`. */
  readonly ignoreConditions: boolean
}

/** Objects by key, with the keys in listing order computed when a listing needs them. */
export class ObjectMap {
  readonly #objects = new Map<string, S3Object>()
  #sorted: readonly string[] | undefined

  get size(): number {
    return this.#objects.size
  }

  get(key: string): S3Object | undefined {
    return this.#objects.get(key)
  }

  set(object: S3Object): void {
    if (!this.#objects.has(object.key)) this.#sorted = undefined
    this.#objects.set(object.key, object)
  }

  delete(key: string): void {
    if (this.#objects.delete(key)) this.#sorted = undefined
  }

  /** Keys in UTF-8 byte order. */
  sortedKeys(): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort(compareKeys)
    return this.#sorted
  }
}

/** @throws {S3Error} `NoSuchBucket`. */
export function bucketOf(state: S3State, name: string): S3Bucket {
  const bucket = state.buckets.get(name)
  if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist')
  return bucket
}

/** @throws {S3Error} `NoSuchBucket`, `NoSuchKey`. */
export function objectOf(state: S3State, bucket: string, key: string): S3Object {
  const object = bucketOf(state, bucket).objects.get(key)
  if (object === undefined) throw new S3Error('NoSuchKey', 'The specified key does not exist.')
  return object
}

/** Idempotent. */
export async function createBucket(state: S3State, name: string): Promise<void> {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) {
    throw new S3Error('InvalidBucketName', `The specified bucket is not valid: ${name}`)
  }
  if (state.buckets.has(name)) return
  state.buckets.set(name, { name, createdMillis: state.clock.nowMillis(), objects: new ObjectMap() })
  await state.disk?.createBucket(name)
}

/**
 * Check the conditions of `conditions` and put `object` in place, in one step that no other request can come
 * between: nothing is awaited until the object is visible.
 * @throws {S3Error} `PreconditionFailed`, `NoSuchKey` (an `If-Match` without an object, as AWS answers).
 */
export async function storeObject(
  state: S3State,
  bucketName: string,
  object: S3Object,
  conditions: { readonly ifNoneMatch: string | undefined; readonly ifMatch: string | undefined },
): Promise<void> {
  const { objects } = bucketOf(state, bucketName)
  if (!state.ignoreConditions) assertConditions(objects.get(object.key), conditions)
  objects.set(object)
  await state.disk?.write(bucketName, object)
}

/** Remove an object if it is there; `ifMatch` as in `storeObject`. */
export async function removeObject(
  state: S3State,
  bucketName: string,
  key: string,
  ifMatch: string | undefined,
): Promise<void> {
  const { objects } = bucketOf(state, bucketName)
  const current = objects.get(key)
  if (!state.ignoreConditions && ifMatch !== undefined) assertConditions(current, { ifMatch, ifNoneMatch: undefined })
  if (current === undefined) return
  objects.delete(key)
  await state.disk?.remove(bucketName, key)
}

function assertConditions(
  current: S3Object | undefined,
  { ifNoneMatch, ifMatch }: { readonly ifNoneMatch: string | undefined; readonly ifMatch: string | undefined },
): void {
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw new S3Error('NotImplemented', 'If-None-Match supports only * here')
  }
  if (ifNoneMatch !== undefined && current !== undefined) throw preconditionFailed('If-None-Match')
  if (ifMatch === undefined) return
  if (current === undefined) throw new S3Error('NoSuchKey', 'The specified key does not exist.')
  if (!sameEtag(ifMatch, current.etag)) throw preconditionFailed('If-Match')
}

export const preconditionFailed = (condition: string): S3Error =>
  new S3Error('PreconditionFailed', `At least one of the pre-conditions you specified did not hold: ${condition}`)

/** Clients send ETags with and without quotes. */
export const sameEtag = (wanted: string, etag: string): boolean =>
  wanted === '*' || wanted.replaceAll('"', '') === etag.replaceAll('"', '')
