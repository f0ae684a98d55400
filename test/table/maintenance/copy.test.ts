/** Copies of tables: the same rows at every snapshot, and nothing that leads back to the source. */
import { describe, expect, test } from 'vitest'
import { readAvro } from '../../../table/format/avro.ts'
import { allEntries } from '../../../table/inspect.ts'
import { freshStore } from '../support.ts'
import { copyTo, digests, everything, expectSelfContained, keysOf, reopen, tableWithDeletes } from './copy-support.ts'

describe('a copy of a table', () => {
  test('has the same rows at every snapshot, and leaves the source alone', async () => {
    const source = await tableWithDeletes()
    const before = await everything(source.store)
    const target = freshStore()
    const result = await copyTo(source, target, { compareRows: 'all' })
    const copy = await reopen(target)
    expect(await digests(copy)).toEqual(await digests(source))
    expect(result.digests.map(({ rows }) => rows)).toEqual([3, 5, 3])
    expect(await everything(source.store)).toEqual(before)
    expect(result).toMatchObject({ dataFiles: 2, deleteFiles: 2, manifestLists: 3, kept: 0, unread: [] })
    expect(copy.metadata.snapshots.map(({ snapshotId, sequenceNumber }) => [snapshotId, sequenceNumber])).toEqual(
      source.metadata.snapshots.map(({ snapshotId, sequenceNumber }) => [snapshotId, sequenceNumber]),
    )
  })

  test('names nothing of the source, and holds nothing beside what it names', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await copyTo(source, target)
    const copy = await reopen(target)
    expect(copy.location).toBe(target.url)
    expect(copy.metadata.metadataLog).toEqual([])
    const entries = await allEntries(copy, {})
    for (const { dataFile } of entries) expect(dataFile.filePath.startsWith(`${target.url}/`)).toBe(true)
    for (const key of (await keysOf(target)).filter((each) => each.endsWith('.avro'))) {
      const { bytes } = await target.get(key)
      const { records } = await readAvro(bytes, key)
      const text = JSON.stringify(records, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
      expect(text).not.toContain(source.location)
    }
    const keys = await keysOf(target)
    expect(keys.filter((key) => key.startsWith('metadata/v'))).toEqual([
      'metadata/v1.metadata.json',
      'metadata/version-hint.text',
    ])
    expect(keys.length).toBe(4 + 3 + 3 + 2)
    await expectSelfContained(target, source.location)
  })
})
