/** Branches, tags, going back and picking: what a table's history is after each. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { ancestorsOf, lineOf } from '../../../table/commit/refs.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { readEntries } from '../../../table/manifest/entries.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { CommitResult, Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const add = async (table: Table, id: string, branch?: string, day = 0): Promise<CommitResult> =>
  table.append(await writeRows(table, [{ id, at: BigInt(day) * 86_400_000_000n, n: 1 }], [day]), { branch })
const ids = async (table: Table, ref?: string): Promise<unknown[]> =>
  (await readRows((await table.refresh()).scan({ columns: ['id'], ref }))).map((row) => row['id']).sort()
const head = (table: Table): SnapshotId => table.currentSnapshot()!.snapshotId

async function table3() {
  const store = freshStore()
  const { table, catalog } = await eventsTable(store, testClock())
  const first = (await add(table, 'a')).table
  const second = (await add(first, 'b')).table
  const third = (await add(second, 'c')).table
  return { store, catalog, first, second, third }
}

describe('branches and tags', () => {
  test('a branch takes commits of its own, main is not touched, and fast-forward takes them over', async () => {
    const { third } = await table3()
    const branched = await third.createBranch('dev', undefined, { minSnapshotsToKeep: 5 })
    const dev = (await add(branched, 'd', 'dev')).table
    expect(dev.metadata.refs['dev']).toMatchObject({ type: 'branch', minSnapshotsToKeep: 5 })
    expect(await ids(dev)).toEqual(['a', 'b', 'c'])
    expect(await ids(dev, 'dev')).toEqual(['a', 'b', 'c', 'd'])
    expect(dev.metadata.snapshotLog).toHaveLength(3)
    await dev.deleteWhere(parseWhere("id = 'a'", EVENTS), { branch: 'dev' })
    expect(await ids(dev, 'dev')).toEqual(['b', 'c', 'd'])
    const moved = await (await dev.refresh()).fastForward('main', 'dev')
    expect(await ids(moved)).toEqual(['b', 'c', 'd'])
    expect(moved.metadata.refs['dev']).toMatchObject({ minSnapshotsToKeep: 5 })
    expect(moved.metadata.snapshotLog.at(-1)!.snapshotId).toBe(head(moved))
  })

  test('a branch with commits of its own is not fast-forwarded over them', async () => {
    const { third } = await table3()
    const branched = await third.createBranch('dev')
    await add(branched, 'd', 'dev')
    await add(branched, 'e')
    await expect((await branched.refresh()).fastForward('main', 'dev')).rejects.toMatchObject({
      code: 'FIRN_NOT_AN_ANCESTOR',
    })
  })

  test('a tag is never written to, main is neither removed nor a tag, a missing branch is named', async () => {
    const { third } = await table3()
    const tagged = await third.createTag('v1', head(third))
    await expect(add(tagged, 'x', 'v1')).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(add(tagged, 'x', 'nope')).rejects.toMatchObject({ code: 'FIRN_REF_NOT_FOUND' })
    await expect(tagged.removeRef('main')).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(tagged.createBranch('main')).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(tagged.removeRef('nope')).rejects.toMatchObject({ code: 'FIRN_REF_NOT_FOUND' })
    const gone = await tagged.removeRef('v1')
    expect(Object.keys(gone.metadata.refs)).toEqual(['main'])
  })

  test('retention is set and cleared; a tag has none for the snapshots of a branch', async () => {
    const { third } = await table3()
    const tagged = await (await third.createTag('v1')).createBranch('dev')
    const kept = await (await tagged.setRefRetention('v1', { maxRefAgeMillis: 5 })).setRefRetention('main', {
      maxSnapshotAgeMillis: 9,
      minSnapshotsToKeep: 2,
    })
    expect(kept.metadata.refs['v1']).toMatchObject({ maxRefAgeMillis: 5 })
    expect(kept.metadata.refs['main']).toMatchObject({ maxSnapshotAgeMillis: 9, minSnapshotsToKeep: 2 })
    expect(kept.metadata.snapshotLog).toHaveLength(3)
    const cleared = await kept.setRefRetention('main', { minSnapshotsToKeep: null })
    expect(cleared.metadata.refs['main']).not.toHaveProperty('minSnapshotsToKeep')
    expect(cleared.metadata.refs['main']).toMatchObject({ maxSnapshotAgeMillis: 9 })
    for (const bad of [{ minSnapshotsToKeep: 2 }, { maxRefAgeMillis: 0 }, { maxRefAgeMillis: 1.5 }]) {
      await expect(kept.setRefRetention('v1', bad)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    }
    expect((await add(kept, 'x')).table.metadata.refs['main']).toMatchObject({ maxSnapshotAgeMillis: 9 })
  })

  test('a snapshot that expiry has listed gets no ref', async () => {
    const { first, third } = await table3()
    const listed = await third.setProperties({ 'firn.expiring': `[${head(first)}]` })
    const refused = { code: 'FIRN_SNAPSHOT_EXPIRING', kind: 'conflict' }
    await expect(listed.createTag('old', head(first))).rejects.toMatchObject(refused)
    await expect(listed.createBranch('old', head(first))).rejects.toMatchObject(refused)
    await expect(listed.rollbackTo(head(first))).rejects.toMatchObject(refused)
    await listed.createTag('new', head(third))
  })

  test('a snapshot that expiry lists just before the tag’s commit fails the tag', async () => {
    const { store, first } = await table3()
    let raced = false
    const racing: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        const result = await store.put(key, body, options)
        if (/v\d+\.metadata\.json$/.test(key) && !raced) {
          raced = true
          const other = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
          await other.setProperties({ 'firn.expiring': String(head(first)) })
        }
        return result
      },
    }
    const slow = await openCatalog(racing, { clock: testClock() }).loadTable('t.events')
    await expect(slow.createTag('old', head(first))).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_EXPIRING' })
  })
})

describe('rollbackTo', () => {
  test('a new snapshot holds the files of the old one, whose list entries it repeats', async () => {
    const { first, third } = await table3()
    const { table: back, snapshot } = await third.rollbackTo(head(first), { setProperties: { note: 'x' } })
    expect(await ids(back)).toEqual(['a'])
    expect(snapshot).toMatchObject({ parentSnapshotId: head(first), sequenceNumber: 4 })
    expect(snapshot!.summary).toMatchObject({
      operation: 'overwrite',
      'total-records': '1',
      'total-data-files': '1',
      'firn.rolled-back-to': String(head(first)),
      'firn.rolled-back-from': String(head(third)),
      'manifests-created': '0',
      'manifests-kept': '1',
      'manifests-replaced': '2',
    })
    expect(back.metadata.properties['note']).toBe('x')
    const lists = async (id: SnapshotId) =>
      snapshotManifests(back.store, back.metadata, back.snapshotFor({ snapshotId: id })!)
    expect(await lists(head(back))).toEqual(await lists(head(first)))
    expect(await ids((await add(back, 'd')).table)).toEqual(['a', 'd'])
    expect(await ids((await (await back.refresh()).rollbackTo(head(third))).table)).toEqual(['a', 'b', 'c'])
  })

  test('files that were removed and came back are removed by no ancestor', async () => {
    const { first } = await table3()
    const emptied = (await (await first.refresh()).deleteWhere(parseWhere("id = 'a'", EVENTS))).table
    const { table: back } = await emptied.rollbackTo(head(first))
    const removed = new Set<string>()
    for (const id of ancestorsOf(back.metadata, head(back))) {
      const manifests = await snapshotManifests(back.store, back.metadata, back.snapshotFor({ snapshotId: id })!)
      for await (const entries of readEntries(back.store, back.metadata, manifests)) {
        for (const { status, dataFile } of entries) if (status === 'deleted') removed.add(dataFile.filePath)
      }
    }
    const live = (await back.scan().planFiles()).map((task) => task.file.filePath)
    expect(live).toHaveLength(1)
    expect(live.filter((path) => removed.has(path))).toEqual([])
  })

  test('what was undone is not in what came since, and can be picked again', async () => {
    const { first, second, third } = await table3()
    const dev = await add(await third.createBranch('dev'), 'd', 'dev')
    await add(dev.table, 'e')
    const picked = (await (await dev.table.refresh()).cherryPick(dev.snapshot!.snapshotId)).table
    const back = (await picked.rollbackTo(head(second))).table
    expect(await readRows(back.scan({ fromSnapshotId: head(first), columns: ['id'] }))).toEqual([{ id: 'b' }])
    const changes: number[][] = []
    for await (const { added, removed } of back.changes(head(second))) changes.push([added.length, removed.length])
    expect(changes).toEqual([[0, 0]])
    expect(await ids((await back.cherryPick(dev.snapshot!.snapshotId)).table)).toEqual(['a', 'b', 'd'])
  })

  test('going back and on again: everything that the branch stood on can be gone to, in the order of time', async () => {
    const { first, second, third } = await table3()
    const one = (await third.rollbackTo(head(second))).table
    const two = (await one.rollbackTo(head(first))).table
    const { table: again } = await two.rollbackTo(head(third))
    expect(await ids(again)).toEqual(['a', 'b', 'c'])
    const line = [...lineOf(again.metadata, head(again))]
    expect(line).toEqual([again, two, one, third, second, first].map(head))
    expect([...ancestorsOf(again.metadata, head(again))]).toEqual([again, third, second, first].map(head))
  })

  test('what came since the table was read is not undone unseen', async () => {
    const { first, third } = await table3()
    await add(third, 'd')
    await expect(third.rollbackTo(head(first))).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT' })
    expect(await ids(third)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('commits without files do not hinder it', async () => {
    const { first, third } = await table3()
    await third.append([])
    await third.setProperties({ x: 'y' })
    expect(await ids((await third.rollbackTo(head(first))).table)).toEqual(['a'])
  })

  test('a delete planned before a rollback does not miss the rows that came back', async () => {
    const { first, second, third } = await table3()
    const none = (await third.deleteWhere(parseWhere("id = 'a'", EVENTS))).table
    expect(await ids(none)).toEqual(['b', 'c'])
    await none.rollbackTo(head(second))
    const result = await none.deleteWhere(parseWhere("id = 'a' or id = 'c'", EVENTS))
    expect(await ids(result.table)).toEqual(['b'])
    expect(head(first)).toBeDefined()
  })

  test('a snapshot outside the branch’s history is refused', async () => {
    const { third } = await table3()
    const dev = (await add(await third.createBranch('dev'), 'd', 'dev')).table
    await expect(dev.rollbackTo(dev.metadata.refs['dev']!.snapshotId)).rejects.toMatchObject({
      code: 'FIRN_NOT_AN_ANCESTOR',
    })
    await expect(dev.rollbackTo(1n as SnapshotId)).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_NOT_FOUND' })
  })
})

describe('cherryPick', () => {
  test('an append of a branch is appended to main once, and only once', async () => {
    const { third } = await table3()
    const dev = await add(await third.createBranch('dev'), 'd', 'dev')
    await add(dev.table, 'e')
    const picked = await (await dev.table.refresh()).cherryPick(dev.snapshot!.snapshotId)
    expect(await ids(picked.table)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(picked.snapshot!.summary).toMatchObject({
      operation: 'append',
      'source-snapshot-id': String(dev.snapshot!.snapshotId),
      'added-records': '1',
      'total-records': '5',
    })
    const own = await snapshotManifests(picked.table.store, picked.table.metadata, picked.snapshot!)
    for await (const entries of readEntries(picked.table.store, picked.table.metadata, own.slice(0, 1))) {
      expect(entries.map((entry) => entry.sequenceNumber)).toEqual([picked.snapshot!.sequenceNumber])
    }
    await expect(picked.table.cherryPick(dev.snapshot!.snapshotId)).rejects.toMatchObject({
      code: 'FIRN_PICKED_ALREADY',
    })
    await expect(picked.table.cherryPick(head(third))).rejects.toMatchObject({ code: 'FIRN_PICKED_ALREADY' })
  })

  test('two pickers at once: one wins, the other is told', async () => {
    const { third, catalog } = await table3()
    const dev = await add(await third.createBranch('dev'), 'd', 'dev')
    await add(dev.table, 'e')
    const tables = await Promise.all([catalog.loadTable('t.events'), catalog.loadTable('t.events')])
    const results = await Promise.allSettled(tables.map((each) => each.cherryPick(dev.snapshot!.snapshotId)))
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    expect(await ids(third)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('a dynamic overwrite is made again unless its partitions changed', async () => {
    const { third } = await table3()
    const branched = await third.createBranch('dev')
    const files = await writeRows(branched, [{ id: 'new', at: 0n }], [0])
    const over = await branched.overwrite(files, { filter: 'dynamic-partitions', branch: 'dev' })
    const other = (await add(over.table, 'other', undefined, 1)).table
    const tried = await other.createBranch('spare')
    const picked = await tried.cherryPick(over.snapshot!.snapshotId)
    expect(await ids(picked.table)).toEqual(['new', 'other'])
    const changed = (await add(picked.table, 'same-day', 'spare')).table
    await expect(changed.cherryPick(over.snapshot!.snapshotId, { branch: 'spare' })).rejects.toMatchObject({
      code: 'FIRN_COMMIT_CONFLICT',
    })
  })

  test('what was staged under one id for review is published once', async () => {
    const { third } = await table3()
    const branched = await third.createBranch('dev')
    const staged = async (table: Table, id: string) =>
      table.append(await writeRows(table, [{ id, at: 0n }], [0]), { branch: 'dev', summary: { 'wap.id': 'w1' } })
    const first = await staged(branched, 'd')
    const second = await staged(first.table, 'e')
    const { table, snapshot } = await second.table.cherryPick(first.snapshot!.snapshotId)
    expect(snapshot!.summary).toMatchObject({ 'published-wap-id': 'w1' })
    expect(snapshot!.summary).not.toHaveProperty('wap.id')
    await expect(table.cherryPick(second.snapshot!.snapshotId)).rejects.toMatchObject({ code: 'FIRN_PICKED_ALREADY' })
  })

  test('other operations are taken over as they are, or refused by name', async () => {
    const { third } = await table3()
    const branched = await third.createBranch('dev')
    const deleted = await branched.deleteWhere(parseWhere("id = 'a'", EVENTS), { branch: 'dev' })
    const moved = await deleted.table.cherryPick(deleted.snapshot!.snapshotId)
    expect(head(moved.table)).toBe(deleted.snapshot!.snapshotId)
    const again = await (await third.refresh()).createBranch('two', head(third))
    const other = await again.deleteWhere(parseWhere("id = 'b'", EVENTS), { branch: 'two' })
    await expect(other.table.cherryPick(other.snapshot!.snapshotId)).rejects.toMatchObject({
      code: 'FIRN_PICK_UNSUPPORTED',
      detail: { operation: 'delete' },
    })
  })
})
