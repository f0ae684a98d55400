/** Metadata tables carry PyIceberg's column names; test/interop compares them with PyIceberg itself. */
import { expect, test } from 'vitest'
import {
  inspectEntries,
  inspectFiles,
  inspectHistory,
  inspectManifests,
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
