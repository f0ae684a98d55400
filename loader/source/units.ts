/**
 * The units of a snapshot: its row groups, in an order that only the files themselves decide. Not the manifests, which
 * other commits rewrite, and not whoever reads first.
 */
import {
  compareStrings,
  type DataFileReader,
  type ObjectStore,
  type OpenableTask,
  openFileTask,
  prefetch,
  type Schema,
} from '../../table/index.ts'
import type { FileRef } from './plan.ts'

export type { FileRef } from './plan.ts'

export interface Unit {
  readonly file: FileRef
  /** Ordinal in its file. */
  readonly rowGroup: number
  readonly rows: number
}

export interface UnitReader {
  /** Row groups of the file, by their rows. */
  rowGroupRows(file: FileRef): Promise<readonly number[]>
  /** The rows of one row group. @throws {FirnError} `FIRN_PARQUET_CORRUPT`; `FIRN_STORE_UNAVAILABLE`; `signal.reason`. */
  read(file: FileRef, rowGroup: number, signal: AbortSignal): ReturnType<DataFileReader['read']>
}

/** Files whose footers are kept; a footer takes some kilobytes. */
const MAX_OPEN_FILES = 256
/** Footers read at once. */
const FOOTER_DEPTH = 16

/**
 * Reads row groups and keeps the footers of the files that it met last.
 * @param store rooted at the table's folder. @param location the metadata's `location`. @param schema of the result.
 * @param signal ends every read, of footers too.
 */
export function unitReader(store: ObjectStore, location: string, schema: Schema, signal: AbortSignal): UnitReader {
  const files = new Map<string, Promise<DataFileReader>>()
  const open = (file: FileRef): Promise<DataFileReader> => {
    let reader = files.get(file.filePath)
    files.delete(file.filePath)
    // Not with the signal of one reader: several wait for the same footer.
    reader ??= openFileTask(store, location, taskOf(file), schema, { signal })
    files.set(file.filePath, reader)
    reader.catch(() => files.delete(file.filePath))
    const oldest = files.keys().next().value
    if (files.size > MAX_OPEN_FILES && oldest !== undefined) files.delete(oldest)
    return reader
  }
  return {
    rowGroupRows: async (file) => (await open(file)).rowGroupRows,
    read: async (file, rowGroup, readSignal) => (await open(file)).read(rowGroup, { signal: readSignal }),
  }
}

const taskOf = ({ spec, nameMapping, deletes, ...file }: FileRef): OpenableTask => ({
  file,
  deletes,
  ...(spec === undefined ? {} : { spec }),
  ...(nameMapping === undefined ? {} : { nameMapping }),
})

/** Every row group that has rows, by file path, then position in the file: the canonical order of units. */
export async function listUnits(
  files: readonly FileRef[],
  reader: UnitReader,
  signal: AbortSignal,
): Promise<readonly Unit[]> {
  const units: Unit[] = []
  const read = async (file: FileRef): Promise<readonly Unit[]> =>
    (await reader.rowGroupRows(file)).map((rows, rowGroup) => ({ file, rowGroup, rows }))
  for await (const unitsOfFile of prefetch(canonicalFiles(files), read, { depth: FOOTER_DEPTH, signal })) {
    for (const unit of unitsOfFile) if (unit.rows > 0) units.push(unit)
  }
  return units
}

/** By path, in code point order. */
export const canonicalFiles = (files: readonly FileRef[]): readonly FileRef[] =>
  files.toSorted((a, b) => compareStrings(a.filePath, b.filePath))
