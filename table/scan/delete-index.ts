/** Which delete files apply to which data file of a snapshot. Spec: "Scan Planning", "Delete Formats". */
import { FirnError } from '../errors.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { ResolvedEntry } from '../manifest/entries.ts'
import { specById, type TableMetadata } from '../spec/metadata.ts'
import { isUnpartitioned, partitionKey } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField } from '../spec/types.ts'
import { keyFields } from './delete-columns.ts'

/** Reserved field ids of the columns of a position delete file. */
export const DELETE_PATH_ID = 2_147_483_546
export const DELETE_POSITION_ID = 2_147_483_545

/** A delete file that applies to a data file, with what it takes to read it. */
export interface DeleteFileTask {
  readonly file: DataFile
  /** Data sequence number. */
  readonly sequenceNumber: number
  /** Of equality deletes: the columns that a deleted row equals, each all optional and as narrow as its ids ask. */
  readonly columns: readonly NestedField[]
}

export interface DeleteIndex {
  /** Position deletes or the one deletion vector first, then equality deletes. */
  deletesFor(file: DataFile, sequenceNumber: number): readonly DeleteFileTask[]
}

const NONE: readonly DeleteFileTask[] = []

/** Delete files are kept by the partition they cover, highest sequence number first. */
class Buckets {
  readonly #lists = new Map<string, DeleteFileTask[]>()

  add(key: string, task: DeleteFileTask): void {
    const list = this.#lists.get(key)
    if (list === undefined) this.#lists.set(key, [task])
    else list.push(task)
  }

  sort(): void {
    for (const list of this.#lists.values()) list.sort((a, b) => b.sequenceNumber - a.sequenceNumber)
  }

  /** Those of `key` with at least the sequence number `least`. */
  *from(key: string, least: number): Generator<DeleteFileTask, void, undefined> {
    for (const task of this.#lists.get(key) ?? NONE) {
      if (task.sequenceNumber < least) return
      yield task
    }
  }
}

/**
 * @param entries live entries of delete manifests. @param schema that rows are read with.
 * @throws {FirnError} `FIRN_DELETES_UNSUPPORTED` (invalid) for a delete file that cannot be read here;
 *   `FIRN_DELETES_CORRUPT` (corrupt), also when two deletion vectors name one data file.
 */
export function indexDeletes(entries: readonly ResolvedEntry[], metadata: TableMetadata, schema: Schema): DeleteIndex {
  if (entries.length === 0) return { deletesFor: () => NONE }
  const positions = new Buckets()
  const equalities = new Buckets()
  const everywhere = new Buckets()
  const vectors = new Map<string, DeleteFileTask>()
  for (const { dataFile: file, sequenceNumber } of entries) {
    const spec = specById(metadata, file.specId)
    checkReadable(file)
    if (file.content === 'equality-deletes') {
      const task = { file, sequenceNumber, columns: equalityColumns(file, metadata, schema) }
      if (isUnpartitioned(spec)) everywhere.add('', task)
      else equalities.add(partitionKey(file), task)
    } else if (file.fileFormat === 'PUFFIN') {
      addVector(vectors, { file, sequenceNumber, columns: [] })
    } else {
      const key = partitionKey(file)
      positions.add(`${key}${onlyFile(file) ?? ''}`, { file, sequenceNumber, columns: [] })
    }
  }
  for (const buckets of [positions, equalities, everywhere]) buckets.sort()
  return {
    deletesFor(file, sequenceNumber) {
      const key = partitionKey(file)
      const found: DeleteFileTask[] = []
      const vector = vectors.get(file.filePath)
      if (vector !== undefined) found.push(applicable(vector, file, sequenceNumber, key))
      else {
        found.push(...positions.from(`${key}${file.filePath}`, sequenceNumber))
        for (const task of positions.from(key, sequenceNumber)) if (mayName(task.file, file.filePath)) found.push(task)
      }
      // Rows of the commit that brought the deletes, and of later ones, stay.
      found.push(...equalities.from(key, sequenceNumber + 1), ...everywhere.from('', sequenceNumber + 1))
      return found.length === 0 ? NONE : found
    },
  }
}

/** Position deletes are of Parquet or Puffin, equality deletes of Parquet. Others must not be skipped. */
function checkReadable(file: DataFile): void {
  if (file.keyMetadata !== undefined) {
    throw new FirnError('invalid', 'FIRN_ENCRYPTED', `${file.filePath} is encrypted, which is not supported`)
  }
  const formats = file.content === 'equality-deletes' ? ['PARQUET'] : ['PARQUET', 'PUFFIN']
  if (formats.includes(file.fileFormat)) return
  throw new FirnError(
    'invalid',
    'FIRN_DELETES_UNSUPPORTED',
    `${file.filePath}: ${file.content} in ${file.fileFormat} are not read; expected ${formats.join(' or ')}`,
    {
      detail: { path: file.filePath, format: file.fileFormat },
      help: 'Rewrite the table without delete files, with the engine that wrote them.',
    },
  )
}

function equalityColumns(file: DataFile, metadata: TableMetadata, schema: Schema): readonly NestedField[] {
  if (file.equalityIds.length === 0) throw corrupt(file, 'equality deletes name no column')
  // A column may have been dropped since: the newest schema that has it tells its type.
  const schemas = [schema, ...metadata.schemas.toReversed()]
  const found = keyFields(file.equalityIds, schemas)
  if ('unknown' in found) throw corrupt(file, `equality column ${found.unknown} is in no schema of the table`)
  for (const id of file.equalityIds) {
    const type = found.leaves.get(id)
    if (type === undefined || !isPrimitive(type))
      throw corrupt(file, `equality column ${id} is not of a primitive type`)
  }
  return found.fields
}

function addVector(vectors: Map<string, DeleteFileTask>, task: DeleteFileTask): void {
  const { referencedDataFile, contentOffset, contentSizeBytes } = task.file
  if (referencedDataFile === undefined || contentOffset === undefined || contentSizeBytes === undefined) {
    throw corrupt(task.file, 'a deletion vector without its data file, offset or size')
  }
  const other = vectors.get(referencedDataFile)
  if (other !== undefined) {
    throw corrupt(
      task.file,
      `a second deletion vector of ${referencedDataFile}; the first is in ${other.file.filePath}`,
    )
  }
  vectors.set(referencedDataFile, task)
}

/** A vector that is older than the data file that it names, or of another partition, is no vector of that file. */
function applicable(task: DeleteFileTask, file: DataFile, sequenceNumber: number, key: string): DeleteFileTask {
  if (task.sequenceNumber < sequenceNumber) {
    const message = `a deletion vector of sequence number ${task.sequenceNumber} for ${file.filePath} of ${sequenceNumber}`
    throw corrupt(task.file, message)
  }
  if (partitionKey(task.file) === key) return task
  throw corrupt(task.file, `a deletion vector of another partition than its data file ${file.filePath}`)
}

/** The one data file that a position delete file names, when its metadata tells. */
export function onlyFile(file: DataFile): string | undefined {
  if (file.referencedDataFile !== undefined) return file.referencedDataFile
  const lower = file.lowerBounds.get(DELETE_PATH_ID)
  const upper = file.upperBounds.get(DELETE_PATH_ID)
  if (lower === undefined || upper === undefined || Buffer.compare(lower, upper) !== 0) return undefined
  return Buffer.from(lower).toString('utf8')
}

/** Whether a position delete file may name the data file, by the bounds of its paths. */
export function mayName(deletes: DataFile, path: string): boolean {
  const lower = deletes.lowerBounds.get(DELETE_PATH_ID)
  const upper = deletes.upperBounds.get(DELETE_PATH_ID)
  if (lower === undefined && upper === undefined) return true
  const bytes = Buffer.from(path, 'utf8')
  return (
    !(lower !== undefined && Buffer.compare(bytes, lower) < 0) &&
    !(upper !== undefined && Buffer.compare(bytes, upper) > 0)
  )
}

const corrupt = (file: DataFile, message: string): FirnError =>
  new FirnError('corrupt', 'FIRN_DELETES_CORRUPT', `${file.filePath}: ${message}`, { detail: { path: file.filePath } })
