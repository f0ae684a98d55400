/** Deletion of many objects of a table. Idempotent: what is gone already is no error. */
import { FirnError } from '../errors.ts'
import { isOutsideKey } from '../io/keys.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { keyOfPath } from '../spec/location.ts'

/** Requests in flight. */
const DELETE_DEPTH = 16
/** A store that answers so many deletes with a failure is down: the rest is not tried. */
const MAX_FAILURES = 20

export interface SizedPath {
  readonly path: string
  /** `undefined`: nobody has written it down, the store is asked. */
  readonly sizeBytes: number | undefined
}

export interface Deleted {
  readonly deleted: number
  readonly bytes: number
  /** Paths that do not lie in the table's folder: left alone, since they may belong to others. */
  readonly outside: number
  /** Objects of which the store did not say that they are gone. */
  readonly failed: readonly { readonly path: string; readonly reason: string }[]
}

/**
 * One object that cannot be deleted now does not keep the others.
 * @throws {FirnError} `FIRN_STORE_UNAVAILABLE` when the store is down; what was deleted by then stays so.
 */
export async function deletePaths(
  store: ObjectStore,
  location: string,
  paths: readonly SizedPath[],
  options: AbortableOptions = {},
): Promise<Deleted> {
  const inside = paths.flatMap(({ path, sizeBytes }) => {
    const key = keyWithin(location, path)
    return key === undefined ? [] : [{ path, key, sizeBytes }]
  })
  const failed: { path: string; reason: string }[] = []
  const remove = async (file: (typeof inside)[number], signal: AbortSignal): Promise<number | undefined> => {
    try {
      const size = file.sizeBytes ?? (await store.head(file.key, { signal }))?.sizeBytes
      if (size !== undefined) await store.delete(file.key, { signal })
      return size
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_STORE_UNAVAILABLE') || failed.length >= MAX_FAILURES) throw error
      failed.push({ path: file.path, reason: error.message })
      return undefined
    }
  }
  let bytes = 0
  let deleted = 0
  for await (const size of prefetch(inside, remove, { depth: DELETE_DEPTH, signal: options.signal })) {
    if (size === undefined) continue
    bytes += size
    deleted++
  }
  return { deleted, bytes, outside: paths.length - inside.length, failed }
}

/** `undefined` for a path that is not plainly one of the table's folder. */
export function keyWithin(location: string, path: string): string | undefined {
  try {
    const key = keyOfPath(location, path)
    return isOutsideKey(key) ? undefined : key
  } catch (error) {
    if (FirnError.is(error, 'FIRN_PATH_OUTSIDE_TABLE')) return undefined
    throw error
  }
}
