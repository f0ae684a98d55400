/** Data files read again, each once: bytes against what was recorded, then every row. */
import { hash } from 'node:crypto'
import { FirnError } from '../../table/errors.ts'
import {
  type DataFile,
  type DataFileReader,
  decodeBound,
  isPrimitive,
  keyOfPath,
  nameMappingOf,
  openFileTask,
  type PrimitiveType,
  type Schema,
  type SortOrder,
  specById,
  type Table,
} from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { COMPACTED_AT_PROPERTY } from '../compaction/positions.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
import { compareTuples, rowChecker, type SortTuple } from './columns.ts'
import type { Findings } from './problems.ts'

/** A live file of some snapshot. */
export interface LiveFile {
  readonly file: DataFile
  /** The snapshot that added it: files of one commit must not overlap. */
  readonly addedBy: bigint
  /** From the JSON manifest; `undefined` when none has it. */
  readonly sha256: string | undefined
  /** Rows of its footer when it was written, from the JSON manifest. */
  readonly writtenRows: number | undefined
}

export interface DataFilesOptions extends AbortableOptions {
  readonly table: Table
  /** Schema to read with. */
  readonly schema: Schema
  readonly dataset: DatasetDefinition | undefined
  readonly findings: Findings
}

export async function verifyDataFiles(files: readonly LiveFile[], options: DataFilesOptions): Promise<void> {
  const ranges: FileRange[] = []
  for (const live of files) {
    options.signal?.throwIfAborted()
    const range = await verifyDataFile(live, options)
    if (range !== undefined) ranges.push(range)
  }
  reportOverlaps(ranges, options)
}

/** Where a file stands in the order of its commit and partition. */
interface FileRange {
  readonly live: LiveFile
  readonly order: SortOrder
  readonly types: readonly PrimitiveType[]
  readonly first: SortTuple
  readonly last: SortTuple
}

async function verifyDataFile(live: LiveFile, options: DataFilesOptions): Promise<FileRange | undefined> {
  const { table, findings, signal } = options
  const { file } = live
  const bytes = await readWhole(table, file, findings, { signal })
  if (bytes === undefined) return undefined
  findings.checked.files++
  findings.checked.bytes += bytes.length
  if (bytes.length !== file.fileSizeBytes) {
    findings.add('file-size', file.filePath, `the manifest says ${file.fileSizeBytes} bytes, it has ${bytes.length}`)
  }
  if (live.sha256 !== undefined && hash('sha256', bytes, 'hex') !== live.sha256) {
    findings.add('file-checksum', file.filePath, `its SHA-256 is not ${live.sha256}, as the JSON manifest says`)
  }
  return await verifyRows(live, bytes, options)
}

async function readWhole(
  table: Table,
  file: DataFile,
  findings: Findings,
  options: AbortableOptions,
): Promise<Uint8Array | undefined> {
  const object = await getIfExists(table.store, keyOfPath(table.location, file.filePath), options)
  if (object === undefined)
    findings.add('file-missing', file.filePath, 'a snapshot refers to it, but it does not exist')
  return object?.bytes
}

async function verifyRows(
  live: LiveFile,
  bytes: Uint8Array,
  { table, schema, dataset, findings, signal }: DataFilesOptions,
): Promise<FileRange | undefined> {
  const { file } = live
  const { metadata } = table
  const sortOrder = metadata.sortOrders.find((order) => order.orderId === file.sortOrderId)
  const newest = metadata.properties[COMPACTED_AT_PROPERTY]
  try {
    const checker = rowChecker({
      file,
      schema,
      spec: specById(metadata, file.specId),
      sortOrder,
      dataset,
      newestCompactedAt: newest !== undefined && /^\d+$/.test(newest) ? BigInt(newest) : undefined,
    })
    const reader = await openBytes(live, bytes, table, schema, { signal })
    for (let group = 0; group < reader.rowGroupRows.length; group++) {
      const batch = await reader.read(group, { signal })
      if (batch.numRows !== reader.rowGroupRows[group]) {
        findings.add(
          'row-count',
          file.filePath,
          `row group ${group}: the footer says ${reader.rowGroupRows[group]} rows, ${batch.numRows} were read`,
        )
      }
      checker.add(batch)
    }
    const rows = checker.finish(findings)
    findings.checked.rows += rows.rowCount
    if (sortOrder === undefined || rows.first === undefined || rows.last === undefined) return undefined
    const types = sortOrder.fields.map(({ sourceId }) => schema.fields.find((field) => field.id === sourceId)!.type)
    return { live, order: sortOrder, types: types.filter(isPrimitive), first: rows.first, last: rows.last }
  } catch (error) {
    signal?.throwIfAborted()
    if (!FirnError.is(error)) throw error
    const code = error.code === 'FIRN_ROW_COUNT_MISMATCH' ? 'row-count' : 'file-unreadable'
    findings.add(code, file.filePath, error.message)
    return undefined
  }
}

/**
 * The rows as they are stored, deleted ones too. A row count that only the manifest entry gets wrong must not hide the
 * rows: the checker counts them.
 */
async function openBytes(
  { file, writtenRows }: LiveFile,
  bytes: Uint8Array,
  { metadata, location }: Table,
  schema: Schema,
  options: AbortableOptions,
): Promise<DataFileReader> {
  const store = storeOf(keyOfPath(location, file.filePath), bytes)
  const nameMapping = nameMappingOf(metadata.properties)
  const task = {
    deletes: [],
    spec: specById(metadata, file.specId),
    ...(nameMapping === undefined ? {} : { nameMapping }),
  }
  const open = (recordCount: number): Promise<DataFileReader> =>
    openFileTask(
      store,
      location,
      { ...task, file: { ...file, fileSizeBytes: bytes.length, recordCount } },
      schema,
      options,
    )
  try {
    return await open(file.recordCount)
  } catch (error) {
    if (writtenRows === undefined || writtenRows === file.recordCount) throw error
    return await open(writtenRows)
  }
}

/** One object in memory as a store, so that a file is fetched once for its checksum and its rows. */
function storeOf(onlyKey: string, bytes: Uint8Array): ObjectStore {
  const etag = '"memory"'
  const refuse = async (): Promise<never> => {
    throw new FirnError('failed', 'FIRN_INTERNAL', 'verify reads files, it does not write them')
  }
  return {
    url: 'memory://verify',
    get: async (key, options) => {
      if (key !== onlyKey) throw new FirnError('not-found', 'FIRN_OBJECT_NOT_FOUND', key)
      const { start, end } = options?.range ?? { start: 0, end: bytes.length }
      return { bytes: bytes.subarray(start, end), etag }
    },
    head: async (key) => ({ key, sizeBytes: bytes.length, etag, lastModifiedMillis: 0 }),
    put: refuse,
    delete: refuse,
    list: async function* () {},
  }
}

/**
 * Files of one compaction in one partition follow one another in the sort order; a shared border value is fine. Other
 * commits promise nothing of the kind: a delete writes each file anew by itself, and so does a compaction that takes
 * rows out, whose older rows tell such a file.
 */
function reportOverlaps(ranges: readonly FileRange[], { table, schema, dataset, findings }: DataFilesOptions): void {
  const compactions = new Map(
    table.metadata.snapshots.flatMap(({ snapshotId, summary }) => {
      const plannedAt = summary[COMPACTED_AT_PROPERTY]
      return plannedAt === undefined ? [] : [[snapshotId as bigint, plannedAt] as const]
    }),
  )
  const timeColumn = dataset?.fields.find(({ from }) => from.kind === 'compacted_at')?.name
  const timeId = schema.fields.find(({ name }) => name === timeColumn)?.id ?? -1
  const ordered = ranges.filter(({ live }) => {
    const plannedAt = compactions.get(live.addedBy)
    const oldest = live.file.lowerBounds.get(timeId)
    return plannedAt !== undefined && (oldest === undefined || String(decodeBound('timestamptz', oldest)) === plannedAt)
  })
  const groups = Map.groupBy(ordered, ({ live }) =>
    [live.addedBy, live.file.specId, live.file.sortOrderId, ...live.file.partition.map(String)].join('/'),
  )
  for (const group of groups.values()) {
    const { order, types } = group[0]!
    const sorted = group.toSorted((a, b) => compareTuples(order, types, a.first, b.first))
    for (let index = 1; index < sorted.length; index++) {
      const before = sorted[index - 1]!
      const file = sorted[index]!
      if (compareTuples(order, types, before.last, file.first) > 0) {
        findings.add(
          'file-overlap',
          file.live.file.filePath,
          `its sort key range overlaps ${before.live.file.filePath} of the same commit`,
        )
      }
    }
  }
}

/** True when `value` lies outside `[lower, upper]` of `type`; absent bounds do not restrict. */
export function outsideRange(
  type: PrimitiveType,
  compare: (a: never, b: never) => number,
  value: unknown,
  lower: Uint8Array | undefined,
  upper: Uint8Array | undefined,
): boolean {
  const below = lower !== undefined && compare(value as never, decodeBound(type, lower) as never) < 0
  return below || (upper !== undefined && compare(value as never, decodeBound(type, upper) as never) > 0)
}
