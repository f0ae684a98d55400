/** What is read back before a commit: the rows that were read, each in its partition. */
import { describe, expect, test } from 'vitest'
import { collectDigest } from '../../../table/maintenance/rewrite/digest.ts'
import { verifyOutput } from '../../../table/maintenance/rewrite/verify-output.ts'
import { rowPartition } from '../../../table/sort/partition-rows.ts'
import type { PartitionSpec, PartitionTuple } from '../../../table/spec/partition.ts'
import type { WrittenFile } from '../../../table/write/writer.ts'
import { ARTICLES, articlesFrom, batchOfRows, makeTable, writeFile } from './rewrite-support.ts'

const SPEC: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'id_part', transform: 'truncate[10]' }],
}
const mismatch = { code: 'FIRN_REWRITE_DIGEST_MISMATCH', kind: 'corrupt' }

/** Each file has the rows of these ids. */
async function verify(files: readonly (readonly [PartitionTuple, readonly number[]])[], expected: readonly number[]) {
  const table = await makeTable({ schema: ARTICLES, spec: SPEC })
  const written: WrittenFile[] = []
  for (const [partition, ids] of files) {
    written.push({ dataFile: await writeFile(table, articlesFrom(ids), { partition }), sha256: '', rowGroups: [] })
  }
  const digest = collectDigest()
  digest.add(batchOfRows(ARTICLES, articlesFrom(expected)))
  const partitionOf = rowPartition(ARTICLES, SPEC)
  return verifyOutput(table, ARTICLES, written, digest.digest(), { depth: 1, partitionOf })
}

describe('files of rows that were partitioned anew', () => {
  test('are as they should be with all rows, in any order, in the partitions of their files', async () => {
    await verify(
      [
        [[10n], [12, 11]],
        [[0n], [3]],
      ],
      [3, 11, 12],
    )
  })

  test('are not when a row lies in the file of another partition, though all are there', async () => {
    const files = [
      [[10n], [11]],
      [[0n], [3, 12]],
    ] as const
    await expect(verify(files, [3, 11, 12])).rejects.toMatchObject(mismatch)
  })

  test('are not when a row is missing', async () => {
    await expect(verify([[[0n], [3]]], [3, 4])).rejects.toMatchObject(mismatch)
  })
})
