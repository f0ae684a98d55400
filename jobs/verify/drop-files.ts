/** Rows of damaged files given up: by a person's explicit word, and only for files that are damaged. */
import type { Clock } from '../../table/clock.ts'
import { newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { manifestRecorder, runSummary } from '../maintenance/record-manifest.ts'
import type { Problem, ProblemCode } from './problems.ts'

export interface DroppedFile {
  readonly path: string
  /** Rows that the table loses; deleted ones among them. */
  readonly rows: number
}

const DAMAGE: readonly ProblemCode[] = ['file-missing', 'file-size', 'file-checksum', 'file-unreadable', 'row-count']

/**
 * @param problems that `verifyTable` found.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) for a file that is whole, or that the current snapshot has not.
 */
export async function planDrops(
  table: Table,
  paths: readonly string[],
  problems: readonly Problem[],
  options: AbortableOptions = {},
): Promise<readonly DroppedFile[]> {
  if (paths.length === 0) return []
  const tasks = await table.scan().planFiles(options)
  const live = new Map(tasks.map(({ file }) => [file.filePath, file.recordCount]))
  return [...new Set(paths)].map((path) => {
    const rows = live.get(path)
    if (rows === undefined) throw refused(path, 'the current snapshot has no such data file')
    if (problems.some(({ code, object }) => object === path && DAMAGE.includes(code))) return { path, rows }
    throw refused(path, 'nothing is wrong with the file')
  })
}

/** One snapshot without the files. Older snapshots go on naming them until they expire. */
export async function dropFiles(
  table: Table,
  files: readonly DroppedFile[],
  { store, clock, signal }: { readonly store: ObjectStore; readonly clock: Clock } & AbortableOptions,
): Promise<Table> {
  if (files.length === 0) return table
  const runId = newRunId(clock)
  const recorder = manifestRecorder({ store, tableName: table.name!, runId, metadata: table.metadata, signal })
  const { table: next } = await table.commitFiles(
    { operation: 'delete', added: [], removed: files.map(({ path }) => path) },
    { summary: runSummary(runId), beforeCommit: recorder, signal },
  )
  return next
}

const refused = (path: string, why: string): FirnError =>
  new FirnError('invalid', 'FIRN_INVALID_OPTION', `${path} is not dropped: ${why}`, {
    detail: { path },
    help: 'name a file as firn verify does in its list of problems',
  })
