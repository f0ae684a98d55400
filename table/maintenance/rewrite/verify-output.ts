/** Whether written files hold the rows that were read, each file those of its partition. */
import { FirnError } from '../../errors.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { FileScanTask } from '../../scan/plan.ts'
import { readTasks } from '../../scan/read.ts'
import type { RowPartition } from '../../sort/partition-rows.ts'
import { partitionKey } from '../../spec/partition.ts'
import type { Schema } from '../../spec/schema.ts'
import type { Table } from '../../table.ts'
import type { WrittenFile } from '../../write/writer.ts'
import { type ContentDigest, collectDigest, sameContent } from './digest.ts'

export interface VerifyOptions extends AbortableOptions {
  /** Row groups read ahead. */
  readonly depth: number
  /** Of rows that were partitioned anew: every row must lie in the partition of its file. */
  readonly partitionOf?: RowPartition | undefined
}

/**
 * Reads `files` back.
 * @param expected of the rows that were read for them.
 * @throws {FirnError} `FIRN_REWRITE_DIGEST_MISMATCH` (corrupt).
 */
export async function verifyOutput(
  table: Table,
  schema: Schema,
  files: readonly WrittenFile[],
  expected: ContentDigest,
  { partitionOf, ...read }: VerifyOptions,
): Promise<void> {
  const digest = collectDigest()
  const { store, location } = table
  try {
    for (const { dataFile } of files) {
      const task: FileScanTask = { file: dataFile, deletes: [], dataSequenceNumber: 0 }
      const { specId } = dataFile
      const place = partitionKey(dataFile)
      for await (const batch of readTasks(store, location, [task], schema, schema, undefined, undefined, read)) {
        digest.add(batch)
        const tupleOf = partitionOf?.(batch)
        if (tupleOf === undefined) continue
        for (let row = 0; row < batch.numRows; row++) {
          if (partitionKey({ specId, partition: tupleOf(row) }) === place) continue
          throw mismatch(table, `${dataFile.filePath} holds a row of another partition`)
        }
      }
    }
  } catch (cause) {
    if (!FirnError.is(cause) || cause.kind !== 'corrupt' || cause.code === 'FIRN_REWRITE_DIGEST_MISMATCH') throw cause
    throw mismatch(table, `it cannot be read: ${cause.message}`, cause)
  }
  const found = digest.digest()
  if (sameContent(found, expected)) return
  throw mismatch(table, `expected ${expected.rows} rows of digest ${expected.hash}, got ${found.rows} of ${found.hash}`)
}

const mismatch = ({ location }: Table, problem: string, cause?: unknown): FirnError =>
  new FirnError(
    'corrupt',
    'FIRN_REWRITE_DIGEST_MISMATCH',
    `table ${location}: what was rewritten is not what was read: ${problem}`,
    {
      cause,
      detail: { location },
      help: 'Nothing was committed for these files. Run it again; if it persists, the memory or the storage is at fault.',
    },
  )
