/** Delete files read once for a scan, and what they take from a data file. Spec: "Delete Formats". */
import type { Data } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { bytesAt } from '../format/arrow-values.ts'
import { readDeletionVector } from '../format/puffin.ts'
import { type RowSet, rowSet } from '../format/row-set.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { keyOfPath } from '../spec/location.ts'
import type { Schema } from '../spec/schema.ts'
import type { NestedField } from '../spec/types.ts'
import { type RowKey, rowKeys } from './delete-columns.ts'
import { DELETE_PATH_ID, DELETE_POSITION_ID, type DeleteFileTask } from './delete-index.ts'
import { openTableFile, type PlannedFile } from './open-file.ts'
import { prefetch } from './prefetch.ts'

/** What was read of delete files is forgotten, least used first, beyond about this many bytes. */
const MAX_CACHE_BYTES = 256 * 1024 * 1024
/** Rough bytes of a key in a set. */
const KEY_BYTES = 64
/** Row groups of a delete file read at once. */
const DEPTH = 2
/** Delete files of one data file read at once. */
const FILES_DEPTH = 4

/** Rows of a file whose deletion vector is read: half a gigabyte of bits, when a few bytes claim all of them. */
const MAX_VECTOR_ROWS = 2 ** 32

export interface EqualityDeletes {
  /** In the order of the keys' parts. */
  readonly ids: readonly number[]
  readonly columns: readonly NestedField[]
  readonly keys: ReadonlySet<RowKey>
}

/** What is deleted of one data file. */
export interface FileDeletes {
  readonly positions: RowSet | undefined
  readonly equalities: readonly EqualityDeletes[]
}

export interface DeleteReader {
  /**
   * @param deletes that apply to the file.
   * @throws {FirnError} `FIRN_DELETES_CORRUPT` (corrupt), and as `openDataFile`.
   */
  load(file: PlannedFile, deletes: readonly DeleteFileTask[]): Promise<FileDeletes>
}

type Positions = ReadonlyMap<string, Float64Array>

/** Columns of a position delete file. Spec: "Position Delete Files". */
export const POSITION_SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: DELETE_PATH_ID, name: 'file_path', required: true, type: 'string' },
    { id: DELETE_POSITION_ID, name: 'pos', required: true, type: 'long' },
  ],
}

/**
 * Reads each delete file once, for as long as what it holds fits into the cache.
 * @param options.signal ends every read: several data files wait for the same delete file.
 */
export function createDeleteReader(
  store: ObjectStore,
  location: string,
  options: AbortableOptions & { readonly maxCacheBytes?: number } = {},
): DeleteReader {
  const { maxCacheBytes = MAX_CACHE_BYTES, ...abort } = options
  const positionsOf = cached<DataFile, Positions>(maxCacheBytes, async (file) => {
    const positions = await readPositions(store, location, file, abort)
    return { value: positions, bytes: file.recordCount * 8 }
  })
  const keysOf = cached<DeleteFileTask, ReadonlySet<RowKey>>(maxCacheBytes, async (task) => {
    const keys = await readKeys(store, location, task, abort)
    return { value: keys, bytes: keys.size * KEY_BYTES }
  })
  const addTo = async (rows: RowSet, file: PlannedFile, deletes: DataFile): Promise<void> => {
    if (deletes.fileFormat === 'PUFFIN') return readVector(store, location, deletes, rows, abort)
    // A position behind the file's end deletes nothing.
    for (const position of (await positionsOf(deletes.filePath, deletes)).get(file.filePath) ?? []) rows.add(position)
  }
  return {
    async load(file, deletes) {
      const byPosition = deletes.filter((task) => task.file.content === 'position-deletes')
      let positions: RowSet | undefined
      if (byPosition.length > 0) {
        const rows = rowSet(file.recordCount)
        const read = (task: DeleteFileTask): Promise<void> => addTo(rows, file, task.file)
        for await (const _done of prefetch(byPosition, read, { depth: FILES_DEPTH })) abort.signal?.throwIfAborted()
        positions = rows
      }
      const equalities: EqualityDeletes[] = []
      for (const task of deletes) {
        if (task.file.content !== 'equality-deletes') continue
        const ids = task.file.equalityIds
        equalities.push({ ids, columns: task.columns, keys: await keysOf(task.file.filePath, task) })
      }
      return { positions, equalities }
    },
  }
}

/** A reader of deletes for several data files. Delete files outlive the file that asked for them first, not the scan. */
export interface DeleteScope {
  readonly deletes: DeleteReader
  /** Ends with the scope, or with the caller's. */
  readonly signal: AbortSignal
  /** Ends what is still being read. */
  close(): void
}

export function openDeletes(store: ObjectStore, location: string, { signal }: AbortableOptions): DeleteScope {
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  return {
    deletes: createDeleteReader(store, location, { signal: either }),
    signal: either,
    close: () => stop.abort(),
  }
}

/** Results by key, each read once, the least recently used ones dropped beyond `maxBytes` of all. */
function cached<T, R>(
  maxBytes: number,
  read: (item: T) => Promise<{ readonly value: R; readonly bytes: number }>,
): (key: string, item: T) => Promise<R> {
  const held = new Map<string, { readonly value: Promise<R>; bytes: number }>()
  let total = 0
  return (key, item) => {
    const known = held.get(key)
    if (known !== undefined) {
      held.delete(key)
      held.set(key, known)
      return known.value
    }
    const reading = read(item)
    const entry = { value: reading.then(({ value }) => value), bytes: 0 }
    held.set(key, entry)
    reading.then(
      ({ bytes }) => {
        entry.bytes = bytes
        total += bytes
        for (const [oldest, other] of held) {
          if (total <= maxBytes) break
          // Those that are still being read take nothing yet.
          if (other.bytes === 0 || other === entry) continue
          held.delete(oldest)
          total -= other.bytes
        }
      },
      () => held.delete(key),
    )
    return entry.value
  }
}

async function readPositions(
  store: ObjectStore,
  location: string,
  file: DataFile,
  options: AbortableOptions,
): Promise<Positions> {
  const parquet = await openTableFile(store, location, file, options)
  const found = new Map<string, number[]>()
  const groups = parquet.rowGroups.keys()
  const read = (group: number, signal: AbortSignal): ReturnType<typeof parquet.read> =>
    parquet.read(group, POSITION_SCHEMA, { signal })
  for await (const batch of prefetch(groups, read, { depth: DEPTH, signal: options.signal })) {
    const [paths, positions] = batch.data.children as [Data, Data]
    const values = positions.values as BigInt64Array
    let last: Uint8Array | undefined
    let list: number[] = []
    for (let row = 0; row < batch.numRows; row++) {
      const path = bytesAt(paths, row)
      // Rows are in order of the path, so this changes once a data file.
      if (last === undefined || Buffer.compare(path, last) !== 0) {
        const name = Buffer.from(path).toString('utf8')
        list = found.get(name) ?? []
        found.set(name, list)
        last = path
      }
      const position = Number(values[row])
      if (position < 0) throw corrupt(file, `row ${row} has the position ${position}`)
      list.push(position)
    }
  }
  return new Map([...found].map(([path, list]) => [path, Float64Array.from(list)]))
}

async function readVector(
  store: ObjectStore,
  location: string,
  file: DataFile,
  rows: RowSet,
  options: AbortableOptions,
): Promise<void> {
  if (rows.limit > MAX_VECTOR_ROWS) {
    const message = `${file.filePath}: a deletion vector of ${rows.limit} rows is not read; at most ${MAX_VECTOR_ROWS}`
    throw new FirnError('invalid', 'FIRN_DELETES_UNSUPPORTED', message)
  }
  const { contentOffset: start = -1, contentSizeBytes: size = -1 } = file
  // Containers cover 2^16 rows each; the worst way to store one takes two bytes a row and some.
  const most = 1_024 + (Math.ceil(rows.limit / 0x1_0000) + 1) * 140_000
  if (start < 0 || size < 0 || start + size > file.fileSizeBytes || size > most) {
    throw corrupt(file, `no deletion vector of ${rows.limit} rows lies at ${start}, ${size} bytes long`)
  }
  const range = { start, end: start + size }
  const { bytes } = await store.get(keyOfPath(location, file.filePath), { range, ...options })
  if (bytes.length !== size) throw corrupt(file, `expected ${size} bytes at ${start}, got ${bytes.length}`)
  readDeletionVector(bytes, `${file.filePath} at ${start}`, file.recordCount, rows)
}

async function readKeys(
  store: ObjectStore,
  location: string,
  { file, columns }: DeleteFileTask,
  options: AbortableOptions,
): Promise<ReadonlySet<RowKey>> {
  const parquet = await openTableFile(store, location, file, options)
  const schema: Schema = { schemaId: 0, identifierFieldIds: [], fields: columns }
  for (const [index, group] of parquet.rowGroups.entries()) {
    // Read as nulls, a column that is missing would delete the rows that have none.
    const missing = file.equalityIds.find((id) => !group.columnSizes.has(id))
    if (missing !== undefined) throw corrupt(file, `row group ${index} lacks the equality column ${missing}`)
  }
  const keys = new Set<RowKey>()
  const read = (group: number, signal: AbortSignal): ReturnType<typeof parquet.read> =>
    parquet.read(group, schema, { signal })
  for await (const batch of prefetch(parquet.rowGroups.keys(), read, { depth: DEPTH, signal: options.signal })) {
    const keyOf = rowKeys(file.equalityIds, columns, batch.data.children as Data[])
    for (let row = 0; row < batch.numRows; row++) keys.add(keyOf(row))
  }
  return keys
}

const corrupt = (file: DataFile, message: string): FirnError =>
  new FirnError('corrupt', 'FIRN_DELETES_CORRUPT', `${file.filePath}: ${message}`, { detail: { path: file.filePath } })
