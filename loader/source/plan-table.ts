/** The plan of a table at one snapshot, from its manifests and the footers of at most four data files. */
import {
  arrowSchema,
  compareStrings,
  type DataFile,
  type Expression,
  type FileScanTask,
  fileMustMatch,
  parseWhere,
  printSchema,
  printWhere,
  projectSchema,
  type Schema,
  type Snapshot,
  type StoreOptions,
  type Table,
} from '../../table/index.ts'
import type { ResolvedOptions, SplitRange } from '../options.ts'
import { leavesRead, readColumns } from './columns.ts'
import { cutUnits } from './cut-units.ts'
import { deltaOf } from './delta.ts'
import type { FileRef, LoaderPlan, ReadSetup } from './plan.ts'
import { planHash } from './plan-hash.ts'
import { checkSplit, splitPartOf } from './split.ts'

export interface PlanContext {
  /** How a worker thread opens the store. */
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  readonly signal?: AbortSignal | undefined
}

/**
 * @param snapshot that is read; of a delta the last one.
 * @throws {FirnError} `FIRN_COLUMN_NOT_FOUND`, `FIRN_WHERE_INVALID`, `FIRN_TRANSFORM_UNSUPPORTED`,
 *   `FIRN_TYPE_UNSUPPORTED`, `FIRN_DELTA_HIDDEN`, `FIRN_SNAPSHOT_NOT_ANCESTOR`, `FIRN_DELETES_UNSUPPORTED` (invalid);
 *   `FIRN_SNAPSHOT_NOT_FOUND` (not-found); `FIRN_AVRO_CORRUPT`, `FIRN_PARQUET_CORRUPT` (corrupt);
 *   `FIRN_STORE_UNAVAILABLE` (unavailable).
 */
export async function planTable(
  table: Table,
  snapshot: Snapshot,
  options: ResolvedOptions,
  { storeOptions, signal }: PlanContext,
): Promise<LoaderPlan> {
  const { snapshotId } = snapshot
  const schema = table.schemaFor({ snapshotId })
  const projected = projectSchema(schema, readColumns(options, schema))
  const arrow = arrowSchema(projected) // refuses columns of types that are not read yet
  const { split } = options
  if (split !== undefined) checkSplit(split, schema)
  const delta =
    options.delta === undefined ? undefined : await deltaOf(table, options.delta, snapshot, schema, { signal })
  const where = both(expressionOf(options.filter, schema), delta?.where)
  const planned = await table.scan({ snapshotId, where }).planFiles({ signal })
  const ranged = delta?.files === undefined ? planned : planned.filter(({ file }) => delta.files?.has(file.filePath))
  const selected = selectSplit(ranged, split, schema)
  const tasks = selected.tasks.toSorted((a, b) => compareStrings(a.file.filePath, b.file.filePath))
  const rowFilter = where !== undefined && !tasks.every((task) => matchesWhole(task, where, schema)) ? where : undefined
  const files = tasks.map(refOf)
  const { units, footersRead } = await cutUnits(
    tasks.map(({ file }, index) => ({ ref: files[index]!, splitOffsets: file.splitOffsets })),
    { store: table.store, location: table.location, schema, onError: options.onError, signal },
  )
  const origin = {
    name: table.name ?? table.location,
    filesSkipped: skippedOf(snapshot, tasks.length),
    filter: where === undefined ? undefined : printWhere(where, schema),
    split,
    footersRead,
    fileBytes: files.reduce((sum, { fileSizeBytes }) => sum + fileSizeBytes, 0),
    columnBytes: columnBytesOf(tasks, leavesRead(schema, projected, rowFilter, selected.split)),
    deleteFiles: new Set(tasks.flatMap(({ deletes }) => deletes.map(({ file }) => file.filePath))).size,
  }
  const { tableUuid } = table.metadata
  const read: ReadSetup = {
    storeUrl: table.store.url,
    storeOptions,
    location: table.location,
    tableUuid,
    schema: printSchema(schema),
    columns: projected.fields.map(({ name }) => name),
    ...(rowFilter === undefined ? {} : { where: rowFilter }),
    ...(selected.split === undefined ? {} : { split: selected.split }),
    ...sharedSetup(options),
  }
  const hash = planHash({ tableUuid, files, units, filter: origin.filter, split }, options)
  const rowCount = rowFilter === undefined && selected.split === undefined ? rowsOf(tasks) : undefined
  return { tableUuid, snapshotId, files, units, hash, rowCount, read, schema: projected, arrow, origin }
}

/** Of the setup what is the same for tables and folders. */
export const sharedSetup = ({
  cache,
  retry,
  transform,
}: ResolvedOptions): Pick<ReadSetup, 'cache' | 'retry' | 'transform'> => ({
  retry,
  ...(cache === undefined ? {} : { cache }),
  ...(transform === undefined ? {} : { transform }),
})

/** @throws {FirnError} `FIRN_WHERE_INVALID`, `FIRN_COLUMN_NOT_FOUND` (invalid). */
export const expressionOf = (filter: string | Expression | undefined, schema: Schema): Expression | undefined =>
  typeof filter === 'string' ? parseWhere(filter, schema) : filter

const both = (left: Expression | undefined, right: Expression | undefined): Expression | undefined =>
  left === undefined ? right : right === undefined ? left : { kind: 'and', left, right }

function selectSplit(
  tasks: readonly FileScanTask[],
  split: SplitRange | undefined,
  schema: Schema,
): { readonly tasks: readonly FileScanTask[]; readonly split: SplitRange | undefined } {
  if (split === undefined) return { tasks, split }
  const parts = tasks.map(({ file, spec }) => splitPartOf(split, file, spec, schema))
  return {
    tasks: tasks.filter((_task, index) => parts[index] !== 'none'),
    split: parts.includes('some') ? split : undefined,
  }
}

const matchesWhole = ({ file, spec }: FileScanTask, where: Expression, schema: Schema): boolean =>
  spec !== undefined && fileMustMatch(where, file, spec, schema)

function refOf({ file, deletes, spec, nameMapping }: FileScanTask): FileRef {
  const { filePath, fileFormat, fileSizeBytes, recordCount, partition } = file
  const ref: FileRef = { filePath, fileFormat, fileSizeBytes, recordCount, partition, deletes }
  return { ...ref, ...(spec === undefined ? {} : { spec }), ...(nameMapping === undefined ? {} : { nameMapping }) }
}

/**
 * A deletion vector counts its rows. Other position deletes may name a row twice, and equality deletes do not say how
 * many rows they meet: then the count is not known.
 */
function rowsOf(tasks: readonly FileScanTask[]): number | undefined {
  let rows = 0
  for (const { file, deletes } of tasks) {
    if (!deletes.every(({ file: each }) => isVector(each))) return undefined
    rows += file.recordCount - deletes.reduce((sum, { file: each }) => sum + each.recordCount, 0)
  }
  return rows
}

const isVector = ({ content, fileFormat }: DataFile): boolean =>
  content === 'position-deletes' && fileFormat === 'PUFFIN'

function columnBytesOf(tasks: readonly FileScanTask[], leaves: ReadonlySet<number>): number {
  let bytes = 0
  for (const { file } of tasks) {
    const { columnSizes, fileSizeBytes } = file
    // A writer that does not say how large its columns are leaves the file as the only bound.
    if (columnSizes.size === 0) bytes += fileSizeBytes
    for (const [id, size] of columnSizes) if (leaves.has(id)) bytes += size
  }
  return bytes
}

/** As the snapshot's summary counts its files; 0 when it does not. */
function skippedOf({ summary }: Snapshot, selected: number): number {
  const total = Number(Object.hasOwn(summary, 'total-data-files') ? summary['total-data-files'] : Number.NaN)
  return Number.isSafeInteger(total) ? Math.max(0, total - selected) : 0
}
