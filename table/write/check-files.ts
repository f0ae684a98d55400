/** Files as a change hands them in: refused before anything is written. */
import { FirnError } from '../errors.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { keyInTable } from '../spec/location.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { FileChange } from './file-change.ts'
import { pathOf } from './filter-manifests.ts'

/** @throws {FirnError} `FIRN_DATA_FILE_INVALID`, `FIRN_PATH_OUTSIDE_TABLE` (invalid). */
export function checkAddedFiles(metadata: TableMetadata, files: readonly DataFile[]): void {
  for (const file of files) {
    keyInTable(metadata.location, file.filePath)
    const values = metadata.partitionSpecs.find((spec) => spec.specId === file.specId)?.fields.length
    const fail = (what: string): never => {
      throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot add ${file.filePath}: ${what}`, {
        help: 'Write it with createDataFileWriter for the table as it is now.',
      })
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

/**
 * That a change does what its operation says, which readers of the history go by.
 * @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid).
 */
export function checkOperation({ operation, added, removed, dataSequenceNumber }: FileChange): void {
  const fail = (what: string, help: string): never => {
    throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot commit as ${operation}: ${what}`, { help })
  }
  if (operation === 'append' && removed.length > 0) fail('it removes files', 'That is an overwrite.')
  if (operation === 'delete' && added.length > 0) fail('it adds files', 'That is an overwrite.')
  if (dataSequenceNumber !== undefined && !(Number.isSafeInteger(dataSequenceNumber) && dataSequenceNumber >= 0)) {
    fail(`${dataSequenceNumber} is no sequence number`, 'Give that of the snapshot it was planned on.')
  }
  checkUnique(removed.map(pathOf), 'remove')
}

/**
 * A file that claims to be newer than the table would escape deletes that are yet to come.
 * @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid).
 */
export function checkSequenceNumber(base: TableMetadata, dataSequenceNumber: number | undefined): void {
  if (dataSequenceNumber === undefined || dataSequenceNumber <= base.lastSequenceNumber) return
  const message = `table ${base.location}: files of sequence number ${dataSequenceNumber}, its newest is ${base.lastSequenceNumber}`
  throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', message, {
    help: 'Give the number of the snapshot that this was planned on.',
  })
}

/** @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid). */
function checkUnique(paths: readonly string[], verb: 'add' | 'remove'): void {
  const seen = new Set<string>()
  for (const path of paths) {
    if (seen.has(path)) {
      throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `cannot ${verb} ${path}: it is listed twice`, {
        help: 'List it once.',
      })
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
  // Rows would come back, unless nothing is left that the deletes apply to: then they go with the files they applied to.
  if (removed.length > 0 && removed.every((file) => file.content !== 'data')) {
    throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `table ${metadata.location}: only deletes are replaced`, {
      help: 'Replace the data files that they apply to as well.',
    })
  }
  if (rows(added) <= rows(removed)) return
  const message = `table ${metadata.location}: replacing ${rows(removed)} rows by ${rows(added)} would add rows`
  throw new FirnError('failed', 'FIRN_REPLACE_ADDS_ROWS', message, {
    detail: { location: metadata.location, removedRows: rows(removed), addedRows: rows(added) },
    help: 'This is a defect of whatever made the files. Nothing was committed.',
  })
}
