/** Metadata tables carry PyIceberg's column names; test/interop compares them with PyIceberg itself. */
import { describe, expect, test } from 'vitest'
import {
  diffSnapshots,
  inspectAllDataFiles,
  inspectAllDeleteFiles,
  inspectAllEntries,
  inspectAllFiles,
  inspectAllManifests,
  inspectDataFiles,
  inspectDeleteFiles,
  inspectEntries,
  inspectFiles,
  inspectHistory,
  inspectManifests,
  inspectMetadataLogEntries,
  inspectPartitions,
  inspectRefs,
  inspectSnapshots,
} from '../../table/inspect.ts'
import { printMetadata } from '../../table/spec/metadata.ts'
import type { Table } from '../../table/table.ts'
import { eventsTable, freshStore, writeRows } from './support.ts'

const DAY = 86_400_000_000n

async function twoAppends(): Promise<Table> {
  const { table } = await eventsTable(freshStore())
  const first = (
    await table.append(
      await writeRows(
        table,
        [
          { id: 'a', at: 0n, n: 1 },
          { id: 'b', at: 1n },
        ],
        [0],
      ),
    )
  ).table
  const files = [
    ...(await writeRows(first, [{ id: 'c', at: 5n }], [0])),
    ...(await writeRows(first, [{ id: 'd', at: DAY }], [1])),
  ]
  return (await first.append(files)).table
}

test('snapshots and history tell the same story', async () => {
  const table = await twoAppends()
  const [first, second] = table.metadata.snapshots
  expect(inspectSnapshots(table)).toMatchObject([
    { snapshot_id: first!.snapshotId, parent_id: null, operation: 'append', summary: { 'total-records': '2' } },
    { snapshot_id: second!.snapshotId, parent_id: first!.snapshotId, summary: { 'total-records': '4' } },
  ])
  expect(inspectHistory(table)).toMatchObject([
    { snapshot_id: first!.snapshotId, is_current_ancestor: true },
    { snapshot_id: second!.snapshotId, parent_id: first!.snapshotId, is_current_ancestor: true },
  ])
  expect(inspectRefs(table)).toMatchObject([{ name: 'main', type: 'BRANCH', snapshot_id: second!.snapshotId }])
})

test('entries inherit the sequence number of the commit that added them', async () => {
  const table = await twoAppends()
  const entries = await inspectEntries(table)
  expect(entries.map((entry) => [entry['status'], entry['sequence_number']]).sort()).toEqual([
    [1, 1],
    [1, 2],
    [1, 2],
  ])
})

test('files, partitions and manifests add up, at every snapshot', async () => {
  const table = await twoAppends()
  for (const [index, snapshot] of table.metadata.snapshots.entries()) {
    const selector = { snapshotId: snapshot.snapshotId }
    const files = await inspectFiles(table, selector)
    const partitions = await inspectPartitions(table, selector)
    const manifests = await inspectManifests(table, selector)
    const rows = (some: readonly Readonly<Record<string, unknown>>[]): number =>
      some.reduce((sum, row) => sum + Number(row['record_count']), 0)
    expect(rows(files)).toBe(Number(snapshot.summary['total-records']))
    expect(rows(partitions)).toBe(rows(files))
    expect(manifests).toHaveLength(index + 1)
    expect(manifests.reduce((sum, row) => sum + Number(row['added_data_files_count']), 0)).toBe(files.length)
  }
  const partitions = await inspectPartitions(table)
  expect(partitions.map((row) => row['partition'])).toEqual(
    expect.arrayContaining([{ at_day: '1970-01-01' }, { at_day: '1970-01-02' }]),
  )
  const [file] = await inspectFiles(table, { snapshotId: table.metadata.snapshots[0]!.snapshotId })
  expect(file!['readable_metrics']).toMatchObject({
    id: { lower_bound: 'a', upper_bound: 'b' },
    n: { null_value_count: 1 },
  })
})

test('a circle of parents in damaged metadata ends', async () => {
  const store = freshStore()
  const { table } = await eventsTable(store)
  const { metadata } = (await (await table.append([])).table.append([])).table
  const [first, second] = metadata.snapshots
  const circle = [{ ...first!, parentSnapshotId: second!.snapshotId }, second!]
  const text = printMetadata({ ...metadata, snapshots: circle })
  await store.put('t/events/metadata/v9.metadata.json', Buffer.from(text))
  expect(inspectHistory(await table.refresh())).toHaveLength(2)
})

test('the kinds of files are told apart, and all_* reaches into every snapshot once', async () => {
  const table = await twoAppends()
  const [first] = table.metadata.snapshots
  expect(await inspectDataFiles(table)).toEqual(await inspectFiles(table))
  expect(await inspectDeleteFiles(table)).toEqual([])
  expect(await inspectDataFiles(table, { snapshotId: first!.snapshotId })).toHaveLength(1)
  expect(await inspectAllFiles(table)).toHaveLength(3)
  expect(await inspectAllDataFiles(table)).toEqual(await inspectAllFiles(table))
  expect(await inspectAllDeleteFiles(table)).toEqual([])
  expect(await inspectAllEntries(table)).toHaveLength(3)
  const references = (await inspectAllManifests(table)).map((row) => row['reference_snapshot_id'])
  const ids = table.metadata.snapshots.map(({ snapshotId }) => snapshotId)
  expect(references).toEqual([ids[0], ids[1], ids[1]])
})

test('the metadata log ends with the current file and says what was current with each', async () => {
  const table = await twoAppends()
  const [created, first, second] = inspectMetadataLogEntries(table)
  const [one, two] = table.metadata.snapshots
  expect(created).toMatchObject({ latest_snapshot_id: null, latest_sequence_number: null })
  expect(first).toMatchObject({ latest_snapshot_id: one!.snapshotId, latest_sequence_number: 1, latest_schema_id: 0 })
  expect(second).toMatchObject({ file: table.metadataLocation, latest_snapshot_id: two!.snapshotId })
})

describe('the way between two snapshots', () => {
  test('names the files and counts the rows that come and go', async () => {
    const table = await twoAppends()
    const [first, second] = table.metadata.snapshots.map(({ snapshotId }) => ({ snapshotId }))
    const there = await diffSnapshots(table, first!, second!)
    expect(there).toMatchObject({ from: first!.snapshotId, to: second!.snapshotId, rows_added: 2, rows_removed: 0 })
    expect(there.added.map((row) => row['partition'])).toEqual(
      expect.arrayContaining([{ at_day: '1970-01-01' }, { at_day: '1970-01-02' }]),
    )
    const back = await diffSnapshots(table, second!, first!)
    expect(back).toMatchObject({ added: [], removed: there.added, rows_removed: 2, bytes_removed: there.bytes_added })
    expect(await diffSnapshots(table, {}, second!)).toMatchObject({ added: [], removed: [] })
  })

  test('sees no change in files that moved to another manifest', async () => {
    const table = await twoAppends()
    const before = table.metadata.snapshots[1]!.snapshotId
    // merging rewrites both manifests into one
    const properties = { 'commit.manifest.min-count-to-merge': '2' }
    const merged = (
      await (await table.setProperties(properties)).append(await writeRows(table, [{ id: 'e', at: 2n }], [0]))
    ).table
    expect(await inspectManifests(merged)).toHaveLength(1)
    expect(await diffSnapshots(merged, { snapshotId: before }, {})).toMatchObject({ rows_added: 1, removed: [] })
  })

  test('of a table without snapshots cannot be told', async () => {
    const { table } = await eventsTable(freshStore())
    await expect(diffSnapshots(table, {}, {})).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_NOT_FOUND' })
  })
})

test('a partition field that came later is null in files of before, and the commit that expired is not known', async () => {
  const table = await twoAppends()
  const later = await table.updateSpec([{ add: { source: 'n', transform: 'identity' } }])
  const partitions = await inspectPartitions(later)
  // the manifests have the old spec only
  expect(partitions.map((row) => Object.keys(row['partition'] as object))).toEqual([['at_day'], ['at_day']])
  expect((await inspectFiles(later))[0]!['partition']).toEqual({ at_day: expect.anything(), n: null })
  const [first] = later.metadata.snapshots
  const expired = await later.commitUpdates({
    requirements: [],
    prepare: () => [{ action: 'remove-snapshots', snapshotIds: [first!.snapshotId] }],
    isOwn: () => false,
  })
  const entries = await inspectEntries(expired)
  expect(entries.filter((row) => row['snapshot_id'] === first!.snapshotId)).toHaveLength(1)
  const ids = (await inspectPartitions(expired)).map((row) => row['last_updated_snapshot_id'])
  expect(ids).toEqual([expired.currentSnapshot()!.snapshotId, expired.currentSnapshot()!.snapshotId])
})
