/** Units of data files, read in this thread: footers and deletes are kept, damaged bytes are read twice. */
import type { RecordBatch } from 'apache-arrow'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import {
  arrowSchema,
  createDeleteReader,
  type DeleteReader,
  type ObjectStore,
  openFileTask,
  parseSchema,
  projectSchema,
  type ReadInOrderOptions,
  type RowTest,
  type Schema,
  type TaskReader,
} from '../../table/index.ts'
import { rowOrder } from '../order/rows.ts'
import type { FileRef, ReadSetup } from '../source/plan.ts'
import { splitTest } from '../source/split.ts'
import { type ByteCache, diskCache } from './cache.ts'
import { countedStore, noCounters, takeCounters } from './counters.ts'
import { type DecodedUnit, type ReadCounters, SEGMENT_ROWS, type UnitRequest, type UnitSpan } from './decoder.ts'
import { joinOrdered, splitOrder } from './drawn-rows.ts'
import { retryingStore } from './retry.ts'
import { loadTransform, type RunTransform } from './transform.ts'

/** Files whose footers are kept; a footer takes some kilobytes. */
const MAX_OPEN_FILES = 256

export interface UnitReader {
  unitRows(unit: UnitSpan, signal: AbortSignal): Promise<number>
  decode(request: UnitRequest, signal: AbortSignal): Promise<DecodedUnit>
  /** What was counted and not yet handed over with a unit. */
  takeCounters(): ReadCounters
}

export interface UnitReaderOptions {
  readonly setup: ReadSetup
  /** Rooted where `setup.storeUrl` is. */
  readonly store: ObjectStore
  readonly clock: Clock
  /** Ends every read, of footers and delete files too, which several units wait for. */
  readonly signal: AbortSignal
}

interface Stores {
  /** For a file of a size. */
  readonly cached: (sizeBytes: number) => ObjectStore
  /** Past what the cache holds, and into it. */
  readonly fresh: (sizeBytes: number) => ObjectStore
  /** For delete files. */
  readonly deletes: (fresh: boolean) => ObjectStore
}

export function unitReader({ setup, store, clock, signal }: UnitReaderOptions): UnitReader {
  const counters = noCounters()
  const schema = parseSchema(setup.schema)
  const stores = storesOf(setup, store, clock, counters)
  const open = fileOpener(setup.location, schema, stores, signal)
  const input = arrowSchema(projectSchema(schema, setup.columns))
  const keep = setup.split === undefined ? undefined : splitTest(setup.split, schema)
  let transform: Promise<RunTransform> | undefined
  const transformOnce = (): Promise<RunTransform> | undefined => {
    if (setup.transform !== undefined) transform ??= loadTransform(setup.transform, input)
    return transform
  }

  /** Bytes that are damaged may have been damaged on their way: what is corrupt is read once more from the store. */
  const twice = async <T>(file: FileRef, abort: AbortSignal, read: (fresh: boolean) => Promise<T>): Promise<T> => {
    try {
      return await read(false)
    } catch (error) {
      abort.throwIfAborted()
      if (!isCorrupt(error)) throw error
      counters.retries++
      open.forget(file)
      return read(true)
    }
  }
  const decode = async (request: UnitRequest, abort: AbortSignal, fresh: boolean): Promise<DecodedUnit> => {
    const file = await orAborted(open.withDeletes(request.file, fresh), abort)
    const run = await transformOnce()
    const groups = groupsOf(file, request)
    const { rows, ...read } = await readGroups(file, groups, request.key, {
      columns: setup.columns,
      where: setup.where,
      keep,
      signal: abort,
    })
    counters.rowGroups += groups.length
    const segments = run === undefined ? read.segments : read.segments.map(run)
    return { rows, draws: read.draws, segments, counters: takeCounters(counters) }
  }
  return {
    unitRows: (unit, abort) =>
      twice(unit.file, abort, async (fresh) => {
        const file = await orAborted(open.footer(unit.file, fresh), abort)
        return groupsOf(file, unit).reduce((sum, group) => sum + file.rowGroupRows[group]!, 0)
      }),
    decode: (request, abort) => twice(request.file, abort, (fresh) => decode(request, abort, fresh)),
    takeCounters: () => takeCounters(counters),
  }
}

export const isCorrupt = (error: unknown): error is FirnError => FirnError.is(error) && error.kind === 'corrupt'

function storesOf(
  { cache, retry }: ReadSetup,
  base: ObjectStore,
  clock: Clock,
  counters: ReturnType<typeof noCounters>,
): Stores {
  const store = retryingStore(countedStore(base, counters), {
    attempts: retry.attempts,
    clock,
    onRetry: () => counters.retries++,
  })
  if (cache === undefined) return { cached: () => store, fresh: () => store, deletes: () => store }
  const disk: ByteCache = diskCache({ ...cache, clock, counters })
  return {
    cached: (sizeBytes) => disk.store(store, { salt: String(sizeBytes) }),
    fresh: (sizeBytes) => disk.store(store, { salt: String(sizeBytes), fresh: true }),
    deletes: (fresh) => disk.store(store, { salt: 'deletes', fresh }),
  }
}

interface FileOpener {
  footer(file: FileRef, fresh: boolean): Promise<TaskReader>
  withDeletes(file: FileRef, fresh: boolean): Promise<TaskReader>
  forget(file: FileRef): void
}

function fileOpener(location: string, schema: Schema, stores: Stores, signal: AbortSignal): FileOpener {
  const files = new Map<string, Promise<TaskReader>>()
  let shared: DeleteReader | undefined
  const deleteReader = (fresh: boolean): DeleteReader => {
    if (!fresh && shared !== undefined) return shared
    const reader = createDeleteReader(stores.deletes(fresh), location, { signal })
    // What is kept of delete files may be what is damaged: the next one begins anew.
    shared = fresh ? undefined : reader
    return reader
  }
  const open = (file: FileRef, fresh: boolean): Promise<TaskReader> => {
    const { partition, deletes: tasks, spec, nameMapping, ...rest } = file
    const task = {
      file: { ...rest, partition },
      deletes: tasks,
      ...(spec === undefined ? {} : { spec }),
      ...(nameMapping === undefined ? {} : { nameMapping }),
    }
    const store = (fresh ? stores.fresh : stores.cached)(file.fileSizeBytes)
    const deletes = tasks.length === 0 ? {} : { deletes: deleteReader(fresh) }
    // Not with the signal of one reader: several wait for the same footer.
    return openFileTask(store, location, task, schema, { signal, ...deletes })
  }
  const kept = (key: string, file: FileRef, fresh: boolean): Promise<TaskReader> => {
    // One that goes past the cache serves a single unit.
    if (fresh) return open(file, true)
    const reader = files.get(key) ?? open(file, false)
    files.delete(key)
    files.set(key, reader)
    reader.catch(() => files.delete(key))
    const oldest = files.keys().next().value
    if (files.size > MAX_OPEN_FILES && oldest !== undefined) files.delete(oldest)
    return reader
  }
  const footerKey = (file: FileRef): string => file.filePath
  const fullKey = (file: FileRef): string => (file.deletes.length === 0 ? file.filePath : `${file.filePath}\ndeletes`)
  return {
    footer: (file, fresh) => kept(footerKey(file), { ...file, deletes: [] }, fresh),
    withDeletes: (file, fresh) => kept(fullKey(file), file, fresh),
    forget: (file) => {
      files.delete(footerKey(file))
      files.delete(fullKey(file))
    },
  }
}

const groupsOf = (file: TaskReader, { start, end }: UnitSpan): readonly number[] =>
  file.rowGroups.flatMap(({ offset }, group) => (offset >= start && offset < end ? [group] : []))

interface UnitRows {
  readonly rows: number
  readonly draws: Uint32Array | undefined
  readonly segments: readonly RecordBatch[]
}

interface GroupRead extends Pick<ReadInOrderOptions, 'columns' | 'where' | 'signal'> {
  readonly keep: RowTest | undefined
}

async function readGroups(
  file: TaskReader,
  groups: readonly number[],
  key: string | undefined,
  read: GroupRead,
): Promise<UnitRows> {
  const sizes = groups.map((group) => file.rowGroupRows[group]!)
  const rows = sizes.reduce((sum, size) => sum + size, 0)
  const order = rowOrder(rows, key)
  if (groups.length === 1) {
    const { batches, positions } = await file.readInOrder(groups[0]!, { ...read, order, batchRows: SEGMENT_ROWS })
    return { rows, draws: positions, segments: batches.filter((batch) => batch.numRows > 0) }
  }
  const parts = splitOrder(order, sizes)
  const results = await Promise.all(
    groups.map((group, index) =>
      file.readInOrder(group, { ...read, order: parts[index]!.order, batchRows: SEGMENT_ROWS }),
    ),
  )
  return { rows, ...joinOrdered(parts, results) }
}

/** Stops waiting; what is waited for goes on, because others wait for it too. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
