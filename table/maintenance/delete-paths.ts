/** Deletion of many objects of a table. Idempotent: what is gone already is no error. */
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { keyOfPath } from '../spec/location.ts'

/** Requests in flight. */
const DELETE_DEPTH = 16

/** @returns bytes of the objects that were there. */
export async function deletePaths(
  store: ObjectStore,
  location: string,
  paths: readonly string[],
  options: AbortableOptions = {},
): Promise<number> {
  const remove = async (path: string, signal: AbortSignal): Promise<number> => {
    const key = keyOfPath(location, path)
    const found = await store.head(key, { signal })
    if (found !== undefined) await store.delete(key, { signal })
    return found?.sizeBytes ?? 0
  }
  let bytes = 0
  for await (const size of prefetch(paths, remove, { depth: DELETE_DEPTH, signal: options.signal })) bytes += size
  return bytes
}
