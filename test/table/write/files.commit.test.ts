/** Changes of files as snapshots: what manifests, lists and summaries say, and what is refused. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { snapshotSummary } from '../../../table/commit/summary.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { type ResolvedEntry, readEntries } from '../../../table/manifest/entries.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import type { Table } from '../../../table/table.ts'
import { planMerge } from '../../../table/write/merge-manifests.ts'
import { eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const DAY = 86_400_000_000n
const at = (day: number): bigint => BigInt(day) * DAY

const fileOf = async (table: Table, ids: readonly string[], day = 0): Promise<DataFile> =>
  (
    await writeRows(
      table,
      ids.map((id) => ({ id, at: at(day) })),
      [day],
    )
  )[0]!
const ids = async (table: Table, ref?: string): Promise<unknown[]> =>
  (await readRows((await table.refresh()).scan({ columns: ['id'], ref }))).map((row) => row['id']).sort()

async function manifestsOf(table: Table, id?: SnapshotId): Promise<readonly ManifestFile[]> {
  const snapshot = id === undefined ? table.currentSnapshot()! : table.snapshotFor({ snapshotId: id })!
  return snapshotManifests(table.store, table.metadata, snapshot)
}
async function entriesOf(table: Table): Promise<readonly ResolvedEntry[]> {
  const all: ResolvedEntry[] = []
  for await (const some of readEntries(table.store, table.metadata, await manifestsOf(table))) all.push(...some)
  return all
}

describe('replace', () => {
  async function twoFiles() {
    const store = freshStore()
    const { table, catalog } = await eventsTable(store, testClock())
    const [a, b, c] = [await fileOf(table, ['a']), await fileOf(table, ['b']), await fileOf(table, ['c'])]
    const first = (await table.append([a, b])).table
    const second = (await first.append([c])).table
    return { table: second, catalog, store, a, b, c }
  }

  test('entries that stay keep their snapshot and both sequence numbers; those that go name the replacing snapshot', async () => {
    const { table, a, b, c } = await twoFiles()
    const [first, second] = table.metadata.snapshots
    const merged = await fileOf(table, ['a', 'c'])
    const start = table.currentSnapshot()!
    const result = await table.replaceFiles([a.filePath, c.filePath], [merged], {
      startSnapshotId: start.snapshotId,
      dataSequenceNumber: start.sequenceNumber,
    })
    const byPath = new Map((await entriesOf(result.table)).map((entry) => [entry.dataFile.filePath, entry]))
    const third = result.snapshot!
    expect(byPath.get(a.filePath)).toMatchObject({ status: 'deleted', snapshotId: third.snapshotId, sequenceNumber: 1 })
    expect(byPath.get(c.filePath)).toMatchObject({ status: 'deleted', snapshotId: third.snapshotId, sequenceNumber: 2 })
    expect(byPath.get(b.filePath)).toMatchObject({
      status: 'existing',
      snapshotId: first!.snapshotId,
      sequenceNumber: 1,
      fileSequenceNumber: 1,
    })
    expect(byPath.get(merged.filePath)).toMatchObject({
      status: 'added',
      snapshotId: third.snapshotId,
      sequenceNumber: second!.sequenceNumber,
      fileSequenceNumber: 3,
    })
    const lists = await manifestsOf(result.table)
    expect(lists.map((manifest) => [manifest.sequenceNumber, manifest.minSequenceNumber])).toEqual([
      [3, 2],
      [3, 3],
      [3, 1],
    ])
    expect(await ids(table)).toEqual(['a', 'b', 'c'])
    expect(third.summary).toMatchObject({
      operation: 'replace',
      'added-data-files': '1',
      'deleted-data-files': '2',
      'added-records': '2',
      'deleted-records': '2',
      'total-records': '3',
      'total-data-files': '2',
      'total-delete-files': '0',
      'changed-partition-count': '1',
      'manifests-created': '3',
      'manifests-kept': '0',
      'manifests-replaced': '2',
    })
    expect(third.summary).not.toHaveProperty('added-delete-files')
  })

  test('a manifest without a live file is listed by the snapshot that emptied it and by none after', async () => {
    const { table, c } = await twoFiles()
    const emptied = (await table.replaceFiles([c.filePath], [await fileOf(table, ['c'])], {})).table
    expect((await manifestsOf(emptied)).some((m) => m.addedFilesCount! + m.existingFilesCount! === 0)).toBe(true)
    const next = (await emptied.append([await fileOf(table, ['d'])])).table
    const live = (await manifestsOf(next)).map((m) => m.addedFilesCount! + m.existingFilesCount!)
    expect(live.every((count) => count > 0)).toBe(true)
    expect(await ids(table)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('concurrent appends are kept and never conflict', async () => {
    const { table, catalog, a } = await twoFiles()
    await (await catalog.loadTable('t.events')).append([await fileOf(table, ['later'])])
    const start = table.currentSnapshot()!.snapshotId
    await table.replaceFiles([a.filePath], [await fileOf(table, ['a'])], { startSnapshotId: start })
    expect(await ids(table)).toEqual(['a', 'b', 'c', 'later'])
  })

  test('a file that another replace took first is a conflict, and nothing is committed', async () => {
    const { table, catalog, a, b } = await twoFiles()
    const other = await catalog.loadTable('t.events')
    await other.replaceFiles([a.filePath], [await fileOf(table, ['a'])], {})
    const late = table.replaceFiles([a.filePath, b.filePath], [await fileOf(table, ['a', 'b'])], {})
    await expect(late).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT', kind: 'conflict' })
    expect(await ids(table)).toEqual(['a', 'b', 'c'])
  })

  test('it cannot add rows, name a file twice, or remove what is not there', async () => {
    const { table, a } = await twoFiles()
    const two = await fileOf(table, ['a', 'x'])
    await expect(table.replaceFiles([a.filePath], [two], {})).rejects.toMatchObject({ code: 'FIRN_REPLACE_ADDS_ROWS' })
    await expect(table.replaceFiles([a.filePath, a.filePath], [two], {})).rejects.toMatchObject({
      code: 'FIRN_DATA_FILE_INVALID',
    })
    await expect(table.replaceFiles([`${table.location}/data/x.parquet`], [], {})).rejects.toMatchObject({
      code: 'FIRN_COMMIT_CONFLICT',
    })
    expect((await table.refresh()).metadata.snapshots).toHaveLength(2)
  })

  test('the plan’s snapshot having expired is a conflict when others committed since', async () => {
    const { table, catalog, a } = await twoFiles()
    const start = table.currentSnapshot()!.snapshotId
    const other = (await (await catalog.loadTable('t.events')).append([await fileOf(table, ['d'])])).table
    await other.commitUpdates({
      isOwn: () => false,
      requirements: [],
      prepare: () => [{ action: 'remove-snapshots', snapshotIds: [start] }],
    })
    const late = table.replaceFiles([a.filePath], [await fileOf(table, ['a'])], { startSnapshotId: start })
    await expect(late).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT' })
  })

  test('copies of a lost try serve the next one: each input manifest is written once, each list has its own name', async () => {
    const { table, store, a, b } = await twoFiles()
    const puts: string[] = []
    let others = 2
    const racing: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        puts.push(key)
        // Another writer is faster each time.
        if (/v\d+\.metadata\.json$/.test(key) && others-- > 0) {
          const other = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
          await other.append([await fileOf(other, [`other-${others}`])])
        }
        return store.put(key, body, options)
      },
    }
    const slow = await openCatalog(racing, { clock: testClock() }).loadTable('t.events')
    const result = await slow.replaceFiles([a.filePath, b.filePath], [await fileOf(slow, ['a', 'b'])], {})
    expect(result.attempts).toBe(3)
    const manifests = puts.filter((key) => /-m\d+\.avro$/.test(key))
    expect(manifests).toHaveLength(2)
    const lists = puts.filter((key) => key.includes('/snap-'))
    expect(new Set(lists).size).toBe(3)
    expect(await ids(table)).toEqual(['a', 'b', 'c', 'other-0', 'other-1'])
  })
})

describe('append', () => {
  test('manifests are merged once there are enough of them; what was added before becomes existing', async () => {
    const { catalog, table } = await eventsTable(freshStore(), testClock())
    let current = await table.setProperties({ 'commit.manifest.min-count-to-merge': '4' })
    for (let n = 0; n < 4; n++) current = (await current.append([await fileOf(table, [`r${n}`])])).table
    const lists = await manifestsOf(current)
    expect(lists).toHaveLength(1)
    const entries = await entriesOf(current)
    expect(entries.map((entry) => [entry.status, entry.sequenceNumber, entry.fileSequenceNumber]).sort()).toEqual([
      ['added', 4, 4],
      ['existing', 1, 1],
      ['existing', 2, 2],
      ['existing', 3, 3],
    ])
    expect(lists[0]).toMatchObject({ sequenceNumber: 4, minSequenceNumber: 1, addedRowsCount: 1, existingRowsCount: 3 })
    expect(current.currentSnapshot()!.summary).toMatchObject({
      'manifests-created': '1',
      'manifests-kept': '0',
      'manifests-replaced': '3',
    })
    expect(await ids(await catalog.loadTable('t.events'))).toEqual(['r0', 'r1', 'r2', 'r3'])
  })

  test('a merged manifest of a lost try still inherits the sequence number of the try that wins', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    const merging = await table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    await merging.append([await fileOf(table, ['first'])])
    let raced = false
    const racing: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (/v\d+\.metadata\.json$/.test(key) && !raced) {
          raced = true
          const other = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
          await other.createTag('meanwhile')
          await other.append([await fileOf(other, ['other'], 1)], { merge: false })
        }
        return store.put(key, body, options)
      },
    }
    const slow = await openCatalog(racing, { clock: testClock() }).loadTable('t.events')
    const { table: done } = await slow.append([await fileOf(slow, ['mine'])])
    const entries = await entriesOf(done)
    const own = entries.find((entry) => entry.snapshotId === done.currentSnapshot()!.snapshotId)!
    expect(own.sequenceNumber).toBe(done.currentSnapshot()!.sequenceNumber)
    expect(own.sequenceNumber).toBe(3)
    expect(await ids(done)).toEqual(['first', 'mine', 'other'])
  })

  test('a merge whose input did not change is written once, whatever number its snapshot gets in the end', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store, testClock())
    const merging = await table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    const first = (await merging.append([await fileOf(table, ['first'])])).table
    const puts: string[] = []
    let raced = false
    const racing: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        // A commit to another branch takes the sequence number and leaves the manifests of main alone.
        if (/v\d+\.metadata\.json$/.test(key) && !raced) {
          raced = true
          const other = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
          await (await other.createBranch('dev')).append([await fileOf(other, ['other'])], { branch: 'dev' })
        }
        puts.push(key)
        return store.put(key, body, options)
      },
    }
    const slow = await openCatalog(racing, { clock: testClock() }).loadTable('t.events')
    const result = await slow.append([await fileOf(slow, ['mine'])])
    expect(result.attempts).toBe(2)
    expect(puts.filter((key) => /-m\d+\.avro$/.test(key))).toHaveLength(2)
    const own = (await entriesOf(result.table)).find((entry) => entry.status === 'added')!
    expect([own.sequenceNumber, own.fileSequenceNumber]).toEqual([3, 3])
    expect(result.snapshot!.parentSnapshotId).toBe(first.currentSnapshot()!.snapshotId)
  })

  test('bins are filled from the oldest end, by spec and size; only the newest waits for the count', () => {
    const manifest = (name: string, manifestLength: number, partitionSpecId = 0) =>
      ({ manifestPath: name, manifestLength, partitionSpecId }) as ManifestFile
    const settings = { enabled: true, targetSizeBytes: 10, minCount: 3 }
    const names = (bins: readonly (readonly ManifestFile[])[]) =>
      bins.map((bin) => bin.map((m) => m.manifestPath).join())
    const [a, b, c, d, e] = [manifest('a', 4), manifest('b', 4), manifest('c', 4), manifest('d', 4), manifest('e', 4)]
    expect(names(planMerge([a!, b!, c!, d!, e!], settings))).toEqual(['a', 'b,c', 'd,e'])
    expect(names(planMerge([a!, b!, c!, d!], settings))).toEqual(['a', 'b', 'c,d'])
    expect(names(planMerge([a!, b!], { ...settings, minCount: 2 }))).toEqual(['a,b'])
    expect(names(planMerge([a!, b!], { ...settings, minCount: 2, enabled: false }))).toEqual(['a', 'b'])
    expect(names(planMerge([a!, manifest('x', 4, 1), manifest('y', 4, 1)], settings))).toEqual(['x,y', 'a'])
  })
})

describe('summary', () => {
  const file = (content: DataFile['content'], recordCount: number, partition: DataFile['partition'] = [0]) =>
    ({ content, recordCount, fileSizeBytes: 10, specId: 0, partition }) as DataFile
  const parent = (summary: Record<string, string>) => ({ summary }) as unknown as Snapshot

  test('every counter and total of data and delete files, zero counters left out', () => {
    const before = parent({
      'total-records': '100',
      'total-data-files': '4',
      'total-files-size': '400',
      'total-delete-files': '3',
      'total-position-deletes': '7',
      'total-equality-deletes': '2',
    })
    const removed = [file('data', 30), file('position-deletes', 5, [1]), file('equality-deletes', 2)]
    expect(snapshotSummary(before, 'replace', [file('data', 20)], removed, { mine: 'x' })).toEqual({
      operation: 'replace',
      mine: 'x',
      'added-data-files': '1',
      'deleted-data-files': '1',
      'added-records': '20',
      'deleted-records': '30',
      'added-files-size': '10',
      'removed-files-size': '30',
      'removed-delete-files': '2',
      'removed-position-delete-files': '1',
      'removed-position-deletes': '5',
      'removed-equality-delete-files': '1',
      'removed-equality-deletes': '2',
      'changed-partition-count': '2',
      'total-records': '90',
      'total-data-files': '4',
      'total-files-size': '380',
      'total-delete-files': '1',
      'total-position-deletes': '2',
      'total-equality-deletes': '0',
    })
  })

  test('a total that does not follow from the parent, or would be negative, is left out', () => {
    const summary = snapshotSummary(parent({ 'total-records': '5' }), 'delete', [], [file('data', 30)], {
      'total-data-files': '99',
    })
    expect(Object.keys(summary).filter((name) => name.startsWith('total-'))).toEqual([])
  })
})
