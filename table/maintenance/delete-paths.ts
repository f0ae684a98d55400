/** Deletion of many objects of a table. Idempotent: what is gone already is no error. */
import { FirnError } from '../errors.ts'
import { isOutsideKey } from '../io/keys.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { keyOfPath } from '../spec/location.ts'

/** Requests in flight. */
const DELETE_DEPTH = 16

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
}

/** @throws {FirnError} as `ObjectStore.delete`; what was deleted by then stays so. */
export async function deletePaths(
  store: ObjectStore,
  location: string,
  paths: readonly SizedPath[],
  options: AbortableOptions = {},
): Promise<Deleted> {
  const inside = paths.flatMap(({ path, sizeBytes }) => {
    const key = keyWithin(location, path)
    return key === undefined ? [] : [{ key, sizeBytes }]
  })
  const remove = async (
    { key, sizeBytes }: (typeof inside)[number],
    signal: AbortSignal,
  ): Promise<number | undefined> => {
    const size = sizeBytes ?? (await store.head(key, { signal }))?.sizeBytes
    if (size !== undefined) await store.delete(key, { signal })
    return size
  }
  let bytes = 0
  let deleted = 0
  for await (const size of prefetch(inside, remove, { depth: DELETE_DEPTH, signal: options.signal })) {
    if (size === undefined) continue
    bytes += size
    deleted++
  }
  return { deleted, bytes, outside: paths.length - inside.length }
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
