/** Files as a change hands them in: refused before anything is written. */
import { FirnError } from '../errors.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { keyInTable } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'

/** @throws {FirnError} `FIRN_DATA_FILE_INVALID`, `FIRN_PATH_OUTSIDE_TABLE` (invalid). */
export function checkAddedFiles(metadata: TableMetadata, files: readonly DataFile[]): void {
  for (const file of files) {
    keyInTable(metadata.location, file.filePath)
    const values = metadata.partitionSpecs.find((spec) => spec.specId === file.specId)?.fields.length
    const fail = (what: string): never => {
      throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot add ${file.filePath}: ${what}`)
    }
    if (file.content !== 'data') fail(`it holds ${file.content}`)
    if (values === undefined) fail(`the table has no partition spec ${file.specId}`)
    if (file.partition.length !== values) fail(`its partition has ${file.partition.length} values`)
  }
  checkUnique(
    files.map((file) => file.filePath),
    'add',
  )
}

/** @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid). */
export function checkUnique(paths: readonly string[], verb: 'add' | 'remove'): void {
  const seen = new Set<string>()
  for (const path of paths) {
    if (seen.has(path)) {
      throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot ${verb} ${path}: it is listed twice`)
    }
    seen.add(path)
  }
}

/**
 * Replacing changes no row, so it cannot make any. Fewer are right: deletes may have been applied.
 * @throws {FirnError} `FIRN_REPLACE_ADDS_ROWS` (failed).
 */
export function checkReplacement(
  metadata: TableMetadata,
  added: readonly DataFile[],
  removed: readonly DataFile[],
): void {
  const rows = (files: readonly DataFile[]): number =>
    files.reduce((sum, file) => sum + (file.content === 'data' ? file.recordCount : 0), 0)
  if (rows(added) <= rows(removed)) return
  const message = `table ${metadata.location}: replacing ${rows(removed)} rows by ${rows(added)} would add rows`
  throw new FirnError('failed', 'FIRN_REPLACE_ADDS_ROWS', message, {
    detail: { location: metadata.location, removedRows: rows(removed), addedRows: rows(added) },
    help: 'This is a defect of whatever made the files. Nothing was committed.',
  })
}
