/** The data files of a thread: opened once, over the disk cache and with retries, the least used ones forgotten. */
import type { Clock } from '../../table/clock.ts'
import {
  createDeleteReader,
  type DeleteReader,
  type ObjectStore,
  openFileTask,
  type Schema,
  type TaskReader,
} from '../../table/index.ts'
import type { FileRef, ReadSetup } from '../source/plan.ts'
import { type ByteCache, diskCache } from './cache.ts'
import { countedStore, type MutableCounters } from './counters.ts'
import { retryingStore } from './retry.ts'

/** Footers are kept for about this many column chunks, which take less than a kilobyte each. */
const KEPT_CHUNKS = 1 << 15

export interface Stores {
  readonly cached: (file: FileRef) => ObjectStore
  /** Past what the cache holds, and into it. */
  readonly fresh: (file: FileRef) => ObjectStore
  /** For delete files. */
  readonly deletes: (fresh: boolean) => ObjectStore
}

export function storesOf(
  { cache, retry, tableUuid = '' }: ReadSetup,
  base: ObjectStore,
  clock: Clock,
  counters: MutableCounters,
): Stores {
  const store = retryingStore(countedStore(base, counters), {
    attempts: retry.attempts,
    clock,
    onRetry: () => counters.retries++,
  })
  if (cache === undefined) return { cached: () => store, fresh: () => store, deletes: () => store }
  const disk: ByteCache = diskCache({ ...cache, clock, counters })
  return {
    cached: (file) => disk.store(store, { salt: `${tableUuid} ${versionOf(file)}` }),
    fresh: (file) => disk.store(store, { salt: `${tableUuid} ${versionOf(file)}`, fresh: true }),
    deletes: (fresh) => disk.store(store, { salt: `${tableUuid} deletes`, fresh }),
  }
}

/** Data files of a table never change; those of a folder may be replaced. */
const versionOf = ({ fileSizeBytes, etag = '' }: FileRef): string => `${fileSizeBytes} ${etag}`

export interface FileOpener {
  footer(file: FileRef, fresh: boolean): Promise<TaskReader>
  withDeletes(file: FileRef, fresh: boolean): Promise<TaskReader>
  forget(file: FileRef): void
}

/** @param signal ends every read. @param keptChunks column chunks whose footers are kept, about. */
export function fileOpener(
  location: string,
  schema: Schema,
  stores: Stores,
  signal: AbortSignal,
  keptChunks: number = KEPT_CHUNKS,
): FileOpener {
  const files = new Map<string, { readonly reader: Promise<TaskReader>; chunks: number }>()
  let chunks = 0
  let shared: DeleteReader | undefined
  const deleteReader = (fresh: boolean): DeleteReader => {
    if (!fresh && shared !== undefined) return shared
    const reader = createDeleteReader(stores.deletes(fresh), location, { signal })
    // What is kept of delete files may be what is damaged: the next one begins anew.
    shared = fresh ? undefined : reader
    return reader
  }
  const open = (file: FileRef, fresh: boolean): Promise<TaskReader> => {
    const { partition, deletes: tasks, spec, nameMapping, etag: _etag, ...rest } = file
    const task = {
      file: { ...rest, partition },
      deletes: tasks,
      ...(spec === undefined ? {} : { spec }),
      ...(nameMapping === undefined ? {} : { nameMapping }),
    }
    const store = (fresh ? stores.fresh : stores.cached)(file)
    const deletes = tasks.length === 0 ? {} : { deletes: deleteReader(fresh) }
    // Not with the signal of one reader: several wait for the same footer.
    return openFileTask(store, location, task, schema, { signal, ...deletes })
  }
  const drop = (key: string): void => {
    chunks -= files.get(key)?.chunks ?? 0
    files.delete(key)
  }
  const kept = (key: string, file: FileRef, fresh: boolean): Promise<TaskReader> => {
    // One that goes past the cache serves a single unit.
    if (fresh) return open(file, true)
    const known = files.get(key)
    if (known !== undefined) {
      files.delete(key)
      files.set(key, known)
      return known.reader
    }
    const reader = open(file, false)
    const entry = { reader, chunks: 0 }
    files.set(key, entry)
    reader.then(
      ({ rowGroups }) => {
        if (files.get(key) !== entry) return
        entry.chunks = (rowGroups.length + 1) * (schema.fields.length + 1)
        chunks += entry.chunks
        for (const [oldest, other] of files) {
          if (chunks <= keptChunks) break
          // Those that are still being read take nothing yet.
          if (other.chunks > 0 && other !== entry) drop(oldest)
        }
      },
      () => files.get(key) === entry && files.delete(key),
    )
    return reader
  }
  const footerKey = (file: FileRef): string => file.filePath
  const fullKey = (file: FileRef): string => (file.deletes.length === 0 ? file.filePath : `${file.filePath}\ndeletes`)
  return {
    footer: (file, fresh) => kept(footerKey(file), { ...file, deletes: [] }, fresh),
    withDeletes: (file, fresh) => kept(fullKey(file), file, fresh),
    forget: (file) => {
      drop(footerKey(file))
      drop(fullKey(file))
    },
  }
}
