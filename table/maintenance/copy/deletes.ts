/**
 * Position delete files of a copy. Their rows name data files by absolute path, so they are the only content files that
 * a copy has to write anew. Spec: "Position Delete Files".
 */
import type { Data } from 'apache-arrow'
import { columnFromValues } from '../../format/arrow-columns.ts'
import { batchOfColumns } from '../../format/arrow-take.ts'
import { bytesAt } from '../../format/arrow-values.ts'
import { describeParquet } from '../../format/parquet-reader.ts'
import { createParquetFile } from '../../format/parquet-writer.ts'
import { compareKeys } from '../../io/keys.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'
import type { DataFile } from '../../manifest/data-file.ts'
import { POSITION_SCHEMA } from '../../scan/deletes.ts'
import { openTableFile } from '../../scan/open-file.ts'
import type { PathMap } from './paths.ts'
import { putChecked } from './transfer.ts'

/** What of a delete file's manifest entry follows from its bytes. */
export interface RewrittenDeletes {
  readonly sizeBytes: number
  readonly columnSizes: ReadonlyMap<number, number>
  readonly splitOffsets: readonly number[]
  /** Whole, never cut: a reader that finds both equal takes the file for one about a single data file. */
  readonly lowerPath: string | undefined
  readonly upperPath: string | undefined
}

const ROW_GROUP_ROWS = 65_536

interface Source {
  readonly store: ObjectStore
  readonly location: string
}

/**
 * The optional column with the deleted rows themselves, which readers ignore, is left out.
 * @throws {FirnError} `FIRN_FILE_FORMAT_UNSUPPORTED` (invalid) unless it is Parquet; as `putChecked`.
 */
export async function copyPositionDeletes(
  { store, location }: Source,
  target: ObjectStore,
  file: DataFile,
  paths: PathMap,
  options: AbortableOptions,
): Promise<RewrittenDeletes> {
  const rows = await movedRows({ store, location }, file, paths, options)
  const key = paths.targetKey(file.filePath)
  // The encoder needs a row; a file without any names nothing.
  const bytes =
    rows.length > 0 ? await parquetOf(rows) : (await store.get(paths.sourceKey(file.filePath), options)).bytes
  await putChecked(target, key, bytes, options)
  const groups = describeParquet(bytes, `${target.url}/${key}`)
  const columnSizes = new Map<number, number>()
  for (const group of groups) {
    for (const [id, size] of group.columnSizes) columnSizes.set(id, (columnSizes.get(id) ?? 0) + size)
  }
  return {
    sizeBytes: bytes.length,
    columnSizes,
    splitOffsets: groups.map(({ offset }) => offset),
    lowerPath: rows[0]?.path,
    upperPath: rows.at(-1)?.path,
  }
}

/** Rows of one data file, in a run. */
interface Run {
  readonly path: string
  readonly positions: readonly number[]
}

async function movedRows(
  { store, location }: Source,
  file: DataFile,
  paths: PathMap,
  options: AbortableOptions,
): Promise<readonly Run[]> {
  const parquet = await openTableFile(store, location, file, options)
  const found = new Map<string, number[]>()
  for (const group of parquet.rowGroups.keys()) {
    const batch = await parquet.read(group, POSITION_SCHEMA, options)
    const [names, positions] = batch.data.children as [Data, Data]
    const values = positions.values as BigInt64Array
    for (let row = 0; row < batch.numRows; row++) {
      const path = moved(Buffer.from(bytesAt(names, row)).toString('utf8'), paths)
      const run = found.get(path)
      if (run === undefined) found.set(path, [Number(values[row])])
      else run.push(Number(values[row]))
    }
  }
  // Paths of other folders may change their order when they move in.
  return [...found]
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([path, positions]) => ({ path, positions: positions.sort((a, b) => a - b) }))
}

/** What is no path of the table deletes nothing, there and here. */
function moved(path: string, paths: PathMap): string {
  try {
    return paths.targetPath(path)
  } catch {
    return path
  }
}

async function parquetOf(runs: readonly Run[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  const file = createParquetFile({ rowGroupRows: ROW_GROUP_ROWS, plainColumns: [] }, (bytes) => parts.push(bytes))
  let names: string[] = []
  let positions: bigint[] = []
  const flush = async (): Promise<void> => {
    if (names.length === 0) return
    const columns = [columnFromValues('string', names, 'file_path'), columnFromValues('long', positions, 'pos')]
    await file.write(batchOfColumns(POSITION_SCHEMA, columns, names.length))
    names = []
    positions = []
  }
  for (const run of runs) {
    for (const position of run.positions) {
      names.push(run.path)
      positions.push(BigInt(position))
      if (names.length === ROW_GROUP_ROWS) await flush()
    }
  }
  await flush()
  await file.close()
  return Buffer.concat(parts)
}
