/** Rewriting manifests: the same files in fewer, sorted manifests. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { type ManifestPlan, planManifests } from '../../../table/maintenance/manifests/plan.ts'
import { runManifests } from '../../../table/maintenance/manifests.ts'
import { type ResolvedEntry, readEntries } from '../../../table/manifest/entries.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import type { Table } from '../../../table/table.ts'
import { commitFiles as commitForeign } from '../scan/delete-tables.ts'
import { readRows, writeRows } from '../support.ts'
import { appendEach, entryOf, idsOf, type Lab, lab, printed, smallFile } from './expire-support.ts'

const manifestsOf = (table: Table, branch = 'main'): Promise<readonly ManifestFile[]> =>
  snapshotManifests(table.store, table.metadata, table.snapshotFor({ ref: branch })!)

async function entriesOf(table: Table): Promise<readonly ResolvedEntry[]> {
  const all: ResolvedEntry[] = []
  for await (const some of readEntries(table.store, table.metadata, await manifestsOf(table))) all.push(...some)
  return all
}

/** What a reader cares about: which file, since when, by whom. */
const listed = (entries: readonly ResolvedEntry[]): readonly unknown[] =>
  entries
    .filter(({ status }) => status !== 'deleted')
    .map((entry) => [entry.dataFile.filePath, entry.snapshotId, entry.sequenceNumber, entry.fileSequenceNumber])
    .sort()

async function rewritten(at: Lab, table: Table, options: Parameters<typeof planManifests>[1] = {}) {
  return runManifests(table, printed(await planManifests(table, options)), {}, at.clock)
}

/** `count` appends of one file each, of the days that `dayOf` gives. */
async function scattered(at: Lab, count: number, dayOf: (index: number) => number): Promise<Table> {
  let { table } = at
  for (let i = 0; i < count; i++) table = (await table.append([await smallFile(table, `f${i}`, dayOf(i))])).table
  return table
}

describe('a rewrite', () => {
  test('lists the same files with the numbers that they had, as existing, in one snapshot without changes', async () => {
    const at = await lab()
    const before = await appendEach(at.table, ['a', 'b', 'c', 'd'])
    const { table, result } = await rewritten(at, before)
    expect(result).toMatchObject({ replaced: 4, created: 1, kept: 0, conflicts: 0 })
    expect(listed(await entriesOf(table))).toEqual(listed(await entriesOf(before)))
    expect((await entriesOf(table)).every(({ status }) => status === 'existing')).toBe(true)
    const snapshot = table.currentSnapshot()!
    expect(String(snapshot.snapshotId)).toBe(result.snapshotId)
    expect(snapshot.parentSnapshotId).toBe(before.currentSnapshot()!.snapshotId)
    expect(snapshot.summary).toMatchObject({
      operation: 'replace',
      'manifests-created': '1',
      'manifests-kept': '0',
      'manifests-replaced': '4',
      'entries-processed': '4',
      'total-data-files': '4',
      'total-records': '4',
    })
    expect(Object.keys(snapshot.summary).filter((key) => /^(added|deleted|removed)-/.test(key))).toEqual([])
    const [manifest] = await manifestsOf(table)
    expect(manifest).toMatchObject({
      existingFilesCount: 4,
      addedFilesCount: 0,
      deletedFilesCount: 0,
      minSequenceNumber: 1,
    })
  })

  test('gives the same rows, at every snapshot', async () => {
    const at = await lab()
    let { table } = at
    for (const [day, name] of ['p', 'q', 'r'].entries()) {
      const at = BigInt(day) * 86_400_000_000n
      table = (await table.append(await writeRows(table, [{ id: name, at, n: day }], [day]))).table
    }
    const rows = await readRows(table.scan())
    const after = (await rewritten(at, table)).table
    expect(new Set(await readRows(after.scan()))).toEqual(new Set(rows))
    for (const snapshotId of idsOf(table)) {
      expect(await readRows(after.scan({ snapshotId }))).toEqual(await readRows(table.scan({ snapshotId })))
    }
  })

  test('leaves out what older snapshots deleted', async () => {
    const at = await lab()
    const files = [await smallFile(at.table, 'a'), await smallFile(at.table, 'b')]
    let table = await appendEach((await at.table.append(files)).table, ['c'])
    const removed = [`${table.location}/data/b.parquet`]
    table = (await table.commitFiles({ operation: 'delete', added: [], removed })).table
    expect((await entriesOf(table)).map(({ status }) => status)).toContain('deleted')
    const after = (await rewritten(at, table)).table
    expect((await entriesOf(after)).map(({ dataFile }) => dataFile.filePath.slice(-9))).toEqual([
      'a.parquet',
      'c.parquet',
    ])
  })

  test('sorts by partition and cuts at the target, so that a filter reads few of them', async () => {
    const at = await lab()
    const table = await scattered(at, 24, (index) => (index * 7) % 12)
    const [first] = await manifestsOf(table)
    const { table: after, result } = await rewritten(at, table, { targetSizeBytes: first!.manifestLength * 6 })
    expect(result).toMatchObject({ replaced: 24, created: 4 })
    const manifests = await manifestsOf(after)
    const days = manifests.map(({ partitions: [summary] }) => [summary!.lowerBound![0], summary!.upperBound![0]])
    expect(days).toEqual([
      [0, 2],
      [3, 5],
      [6, 8],
      [9, 11],
    ])
    expect(listed(await entriesOf(after))).toEqual(listed(await entriesOf(table)))
  })

  test('done again finds nothing to do', async () => {
    const at = await lab()
    const table = await scattered(at, 10, (index) => (index * 3) % 5)
    for (const targetSizeBytes of [1 << 23, 9_000, 5_000]) {
      const { table: after } = await rewritten(at, table, { targetSizeBytes })
      const plan = await planManifests(after, { targetSizeBytes })
      expect(plan.groups.filter(({ reasons }) => reasons.includes('scattered'))).toEqual([])
    }
    const { table: after } = await rewritten(at, table)
    const plan = await planManifests(after)
    expect(plan.groups).toEqual([])
    const { table: same, result } = await runManifests(after, plan, {}, at.clock)
    expect(result.snapshotId).toBeNull()
    expect(same.metadataLocation).toBe(after.metadataLocation)
    expect((await planManifests(after, { rewriteAll: true })).groups).toHaveLength(1)
  })

  test('keeps specs apart, also one whose column was dropped', async () => {
    const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
    let table = await appendEach(at.table, ['a', 'b'])
    table = await table.updateSpec([{ drop: 'at_day' }, { add: { source: 'n', transform: 'identity' } }])
    table = await table.updateSchema([{ drop: 'at' }])
    const { defaultSpecId } = table.metadata
    for (const [index, name] of ['c', 'd'].entries()) {
      table = (await table.append([entryOf(`${table.location}/data/${name}.parquet`, 3, [index], defaultSpecId)])).table
    }
    const { table: after, result } = await rewritten(at, table)
    expect(result).toMatchObject({ replaced: 4, created: 2 })
    expect((await manifestsOf(after)).map(({ partitionSpecId }) => partitionSpecId).sort()).toEqual([0, defaultSpecId])
    expect(listed(await entriesOf(after))).toEqual(listed(await entriesOf(table)))
  })

  test('keeps delete files in manifests of their own, with all that says what they delete', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    for (const name of ['a', 'b']) {
      const deletes = {
        content: 'position-deletes',
        referencedDataFile: `${table.location}/data/${name}.parquet`,
      } as const
      const file = { ...entryOf(`${table.location}/data/${name}-deletes.parquet`, 5, [0]), ...deletes }
      table = await commitForeign(table, [file])
    }
    const equality = { content: 'equality-deletes', equalityIds: [1, 3], sortOrderId: 0 } as const
    table = await commitForeign(table, [{ ...entryOf(`${table.location}/data/eq.parquet`, 5, [0]), ...equality }])
    const { table: after, result } = await rewritten(at, table)
    expect(result).toMatchObject({ replaced: 5, created: 2 })
    expect((await manifestsOf(after)).map(({ content }) => content).sort()).toEqual(['data', 'deletes'])
    const plain = (entries: readonly ResolvedEntry[]) =>
      entries
        .map(({ dataFile, sequenceNumber }) => ({ ...dataFile, sequenceNumber }))
        .sort((a, b) => (a.filePath < b.filePath ? -1 : 1))
    expect(plain(await entriesOf(after))).toEqual(plain(await entriesOf(table)))
  })

  test('of a branch leaves main alone', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    table = await table.createBranch('side')
    table = await appendEach(table, ['c'], 'side')
    const { table: after } = await rewritten(at, table, { branch: 'side' })
    expect(after.currentSnapshot()).toEqual(table.currentSnapshot())
    expect(await manifestsOf(after, 'side')).toHaveLength(1)
  })
})

describe('commits meanwhile', () => {
  /** Somebody for whom `before` happens before his first commit. */
  async function interrupted({ store, clock }: Lab, before: () => Promise<unknown>): Promise<Table> {
    let done = false
    const watched: ObjectStore = {
      ...store,
      url: store.url,
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      list: (prefix, options) => store.list(prefix, options),
      delete: (key, options) => store.delete(key, options),
      put: async (key, body, options) => {
        if (/\/v\d+\.metadata\.json$/.test(key) && !done) {
          done = true
          await before()
        }
        return store.put(key, body, options)
      },
    }
    return openCatalog(watched, { clock }).loadTable('t.events')
  }

  test('an append is kept, and in front', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const slow = await interrupted(at, () => appendEach(table, ['late']))
    const { table: after, result } = await rewritten(at, slow)
    expect(result).toMatchObject({ replaced: 2, created: 1, kept: 1 })
    expect((await entriesOf(after)).map(({ dataFile }) => dataFile.filePath.split('/').at(-1))).toEqual([
      'late.parquet',
      'a.parquet',
      'b.parquet',
    ])
    expect(after.currentSnapshot()!.summary['total-data-files']).toBe('3')
  })

  test('a group of which another writer replaced a manifest is left as that one made it', async () => {
    const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
    let table = await appendEach(at.table, ['a', 'b'])
    table = await table.updateSpec([{ drop: 'at_day' }])
    const { defaultSpecId } = table.metadata
    for (const name of ['c', 'd']) {
      table = (await table.append([entryOf(`${table.location}/data/${name}.parquet`, 3, [], defaultSpecId)])).table
    }
    const removed = [`${table.location}/data/a.parquet`]
    const slow = await interrupted(at, () => table.commitFiles({ operation: 'delete', added: [], removed }))
    const { table: after, result } = await rewritten(at, slow)
    expect(result).toMatchObject({ replaced: 2, created: 1, conflicts: 1 })
    expect(listed(await entriesOf(after)).map((entry) => (entry as readonly string[])[0]!.split('/').at(-1))).toEqual([
      'b.parquet',
      'c.parquet',
      'd.parquet',
    ])
  })

  test('another rewrite of the same manifests: nothing is left to commit', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const slow = await interrupted(at, () => rewritten(at, table))
    const { table: after, result } = await rewritten(at, slow)
    expect(result).toMatchObject({ snapshotId: null, replaced: 0, conflicts: 1 })
    expect(idsOf(after)).toHaveLength(3)
  })

  test('a plan of another table is refused', async () => {
    const at = await lab()
    const plan = await planManifests(await appendEach(at.table, ['a', 'b']))
    const other = await lab()
    await expect(runManifests(other.table, plan, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_PLAN_STALE' })
  })

  test('a list that counts other than its manifests hold is not trusted to be complete', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const plan = await planManifests(table)
    const [group] = plan.groups as readonly [ManifestPlan['groups'][number]]
    const wrong = { ...plan, groups: [{ ...group, files: group.files + 1 }] }
    await expect(runManifests(table, wrong, {}, at.clock)).rejects.toMatchObject({
      code: 'FIRN_MANIFEST_COUNT_MISMATCH',
    })
  })
})
