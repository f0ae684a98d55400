/** What may come between plan and commit, and what may not: data files, delete files of every kind. */
import { describe, expect, test } from 'vitest'
import { newSnapshotId } from '../../../table/clock.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import { encodeBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { writeManifest } from '../../../table/manifest/manifest.ts'
import { describeManifest, writeManifestList } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import { currentSchema, specById } from '../../../table/spec/metadata.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, testClock, writeRows } from '../support.ts'

const clock = testClock()
const where = (text: string) => parseWhere(text, EVENTS)
const fileOf = async (table: Table, ids: readonly string[], day = 0, n = 1): Promise<DataFile> =>
  (
    await writeRows(
      table,
      ids.map((id) => ({ id, at: BigInt(day) * 86_400_000_000n, n })),
      [day],
    )
  )[0]!
const none = new Map<number, never>()

/** A delete file that nobody reads: its entry alone decides. */
const deletes = (over: Partial<DataFile>): DataFile => ({
  content: 'position-deletes',
  filePath: 'memory://nowhere/d.parquet',
  fileFormat: 'PARQUET',
  specId: 0,
  partition: [0],
  recordCount: 1,
  fileSizeBytes: 10,
  columnSizes: none,
  valueCounts: none,
  nullValueCounts: none,
  nanValueCounts: none,
  lowerBounds: none,
  upperBounds: none,
  splitOffsets: [],
  equalityIds: [],
  ...over,
})

/** Another engine’s commit of delete files. */
async function addDeletes(table: Table, files: readonly DataFile[]): Promise<Table> {
  const { metadata, store } = table
  const snapshotId = newSnapshotId(clock)
  const parent = table.currentSnapshot()!
  const sequenceNumber = metadata.lastSequenceNumber + 1
  const spec = specById(metadata, files[0]!.specId)
  const schema = currentSchema(metadata)
  const entries = files.map((dataFile) => {
    const inherited = { sequenceNumber: undefined, fileSequenceNumber: undefined }
    return { status: 'added' as const, snapshotId, ...inherited, dataFile }
  })
  const bytes = await writeManifest(entries, spec, schema)
  const path = `metadata/deletes-${snapshotId}.avro`
  await store.put(path, bytes)
  const own = describeManifest(`${table.location}/${path}`, bytes.length, entries, spec, schema, {
    snapshotId,
    sequenceNumber,
  })
  const snapshot = {
    snapshotId,
    parentSnapshotId: parent.snapshotId,
    sequenceNumber,
    timestampMillis: clock.nowMillis(),
    manifestList: `${table.location}/metadata/list-${snapshotId}.avro`,
    summary: { ...parent.summary, operation: 'delete', 'total-delete-files': String(files.length) },
    schemaId: 0,
  }
  const list = await writeManifestList(snapshot, [own, ...(await snapshotManifests(store, metadata, parent))])
  await store.put(`metadata/list-${snapshotId}.avro`, list)
  return table.commitUpdates({
    isOwn: () => false,
    requirements: [],
    prepare: () => [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', name: 'main', ref: { snapshotId, type: 'branch' } },
    ],
  })
}

async function planned() {
  const { table } = await eventsTable(freshStore(), testClock())
  const [a, b] = [await fileOf(table, ['a']), await fileOf(table, ['b'], 1)]
  const one = (await table.append([a, b])).table
  const startSnapshotId = one.currentSnapshot()!.snapshotId
  return { table: one, a, b, startSnapshotId }
}

const replace = async (
  { table, a, startSnapshotId }: { table: Table; a: DataFile; startSnapshotId: SnapshotId },
  dataSequenceNumber?: number,
) => table.replaceFiles([a], [await fileOf(table, ['a'])], { startSnapshotId, dataSequenceNumber })
const conflict = { code: 'FIRN_COMMIT_CONFLICT', kind: 'conflict' }

describe('delete files that came meanwhile', () => {
  const PATH = 2147483546
  const bounds = (path: string) => {
    const bound = new Map([[PATH, encodeBound('string', path)]])
    return { lowerBounds: bound, upperBounds: bound }
  }
  const cases: readonly (readonly [string, (a: DataFile, b: DataFile) => Partial<DataFile>, boolean])[] = [
    ['positions in the same partition', () => ({}), true],
    ['positions of that very file', (a) => ({ referencedDataFile: a.filePath }), true],
    ['positions of another file', (_a, b) => ({ referencedDataFile: b.filePath }), false],
    ['positions whose path bounds name the file', (a) => bounds(a.filePath), true],
    ['positions whose path bounds name another', (a) => bounds(`${a.filePath}x`), false],
    ['positions in another partition', () => ({ partition: [1] }), false],
    ['equality in the same partition', () => ({ content: 'equality-deletes', equalityIds: [1] }), true],
    ['equality in another', () => ({ content: 'equality-deletes', equalityIds: [1], partition: [1] }), false],
  ]
  test.each(cases)('%s', async (_what, over, conflicts) => {
    const plan = await planned()
    await addDeletes(plan.table, [deletes(over(plan.a, plan.b))])
    if (conflicts) await expect(replace(plan)).rejects.toMatchObject(conflict)
    else expect((await replace(plan)).snapshot!.summary['operation']).toBe('replace')
  })

  test('equality deletes keep applying to a replacement with the old sequence number', async () => {
    const plan = await planned()
    await addDeletes(plan.table, [deletes({ content: 'equality-deletes', equalityIds: [1] })])
    await replace(plan, 1)
  })

  test('equality deletes of an unpartitioned spec apply everywhere', async () => {
    const plan = await planned()
    const unpartitioned = await plan.table.updateSpec([{ drop: 'at_day' }])
    const specId = unpartitioned.metadata.defaultSpecId
    await addDeletes(unpartitioned, [deletes({ content: 'equality-deletes', equalityIds: [1], specId, partition: [] })])
    await expect(replace(plan)).rejects.toMatchObject(conflict)
  })

  test('those that were there at the start are no conflict', async () => {
    const plan = await planned()
    const table = await addDeletes(plan.table, [deletes({})])
    const later = (await table.append([await fileOf(table, ['c'])])).table
    const { snapshot } = await replace({ ...plan, startSnapshotId: table.currentSnapshot()!.snapshotId })
    expect(snapshot!.parentSnapshotId).toBe(later.currentSnapshot()!.snapshotId)
  })
})

describe('delete files of the table', () => {
  test('they are carried along, merged among themselves, and counted when they are removed', async () => {
    const plan = await planned()
    const merging = await plan.table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    const [d1, d2] = [deletes({ filePath: 'memory://x/1' }), deletes({ filePath: 'memory://x/2', recordCount: 3 })]
    const deleted = await addDeletes(await addDeletes(merging, [d1]), [d2])
    const next = (await deleted.append([await fileOf(deleted, ['c'])])).table
    const lists = await snapshotManifests(next.store, next.metadata, next.currentSnapshot()!)
    expect(lists.map((manifest) => [manifest.content, manifest.addedFilesCount, manifest.existingFilesCount])).toEqual([
      ['data', 1, 2],
      ['deletes', 0, 2],
    ])
    const { snapshot } = await next.replaceFiles(['memory://x/2', plan.a.filePath], [await fileOf(next, ['a'])], {})
    expect(snapshot!.summary).toMatchObject({
      'removed-delete-files': '1',
      'removed-position-delete-files': '1',
      'removed-position-deletes': '3',
      'deleted-data-files': '1',
    })
  })
})

describe('data files that came meanwhile', () => {
  const change = (table: Table, start: SnapshotId, filter: string) =>
    table.commitFiles({
      operation: 'overwrite',
      added: [],
      removed: [],
      startSnapshotId: start,
      conflictFilter: where(filter),
    })

  test('those that may match the filter conflict, by bounds and by partition; others do not', async () => {
    const plan = await planned()
    const other = (await plan.table.append([await fileOf(plan.table, ['k'], 3, 7)])).table
    for (const filter of ['n = 7', "id >= 'k'", "at >= '1970-01-03T00:00:00Z'"]) {
      await expect(change(plan.table, plan.startSnapshotId, filter)).rejects.toMatchObject(conflict)
    }
    for (const filter of ['n > 7', "id < 'k'", "at < '1970-01-03T00:00:00Z'"]) {
      await change(plan.table, plan.startSnapshotId, filter)
    }
    expect(other.metadata.snapshots).toHaveLength(2)
  })

  test('files that a merge moved to another manifest did not come meanwhile', async () => {
    const plan = await planned()
    const merging = await plan.table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    await merging.append([await fileOf(merging, ['z'], 5, 9)])
    await change(plan.table, plan.startSnapshotId, 'n = 1')
  })

  test('files that a rollback brought back did', async () => {
    const plan = await planned()
    const gone = await plan.table.deleteWhere(where("id = 'a'"))
    const start = gone.table.currentSnapshot()!.snapshotId
    await gone.table.rollbackTo(plan.startSnapshotId)
    await expect(change(gone.table, start, "id = 'a'")).rejects.toMatchObject(conflict)
    await expect(change(gone.table, start, "id = 'b'")).resolves.toBeDefined()
  })

  test('a plan on an empty table is overtaken by the first rows', async () => {
    const { table } = await eventsTable(freshStore(), testClock())
    await table.append([await fileOf(table, ['a'])])
    const late = table.commitFiles({ operation: 'overwrite', added: [], removed: [], conflictFilter: where('n = 1') })
    await expect(late).rejects.toMatchObject(conflict)
  })
})
