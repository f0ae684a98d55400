/** Expiry: which objects go and which stay. */
import { describe, expect, test } from 'vitest'
import type { SnapshotId } from '../../../table/ids.ts'
import { planExpire, previewExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planManifests } from '../../../table/maintenance/manifests/plan.ts'
import { runManifests } from '../../../table/maintenance/manifests.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import type { Table } from '../../../table/table.ts'
import { commitFiles as commitForeign, putMetadata } from '../scan/delete-tables.ts'
import {
  appendEach,
  DAY,
  dataNames,
  entryOf,
  idsOf,
  keysOf,
  type Lab,
  lab,
  lostKeys,
  printed,
  smallFile,
} from './expire-support.ts'

/** Days later, everything that the rules let go. */
async function expire({ clock }: Lab, table: Table, options: Parameters<typeof planExpire>[1] = {}) {
  await clock.sleep(10 * DAY)
  const plan = printed(planExpire(table, options, clock))
  const preview = await previewExpire(table, plan)
  const done = await runExpire(table, plan, {}, clock)
  // What is shown is what is done.
  const { deleted, bytesFreed, unreadable, outside, failed } = done.result
  expect(preview).toEqual({ deleted, bytesFreed, unreadable, outside, failed })
  return done
}

describe('what is freed', () => {
  test('an append leads to nothing of its own but a list: the files that it shares with later snapshots stay', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b', 'c'])
    const { table: after, result } = await expire(at, table)
    expect(result.snapshotIds).toEqual(idsOf(table).slice(0, 2).map(String))
    expect(result.deleted).toEqual({ dataFiles: 0, deleteFiles: 0, manifests: 0, manifestLists: 2, statistics: 0 })
    expect(await dataNames(after)).toEqual(['a', 'b', 'c'])
    expect(await lostKeys(after)).toEqual([])
    expect(idsOf(after)).toEqual(idsOf(table).slice(2))
  })

  test('files that a later snapshot replaced go with the last snapshot that has them, by kind and with their bytes', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    const removed = ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`)
    table = (await table.replaceFiles(removed, [await smallFile(table, 'ab')], {})).table
    const before = await sizes(table)
    const { table: after, result } = await expire(at, table)
    // The manifest that the rewrite wrote says what it removed; the two that it stands for are gone.
    expect(result.deleted).toEqual({ dataFiles: 2, deleteFiles: 0, manifests: 2, manifestLists: 2, statistics: 0 })
    expect(result.bytesFreed).toBe(before - (await sizes(after)))
    expect(await dataNames(after)).toEqual(['ab'])
    expect(await lostKeys(after)).toEqual([])
  })

  test('a manifest rewrite frees the manifests, not the files that they named', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b', 'c'])
    table = (await runManifests(table, await planManifests(table), {}, at.clock)).table
    const { table: after, result } = await expire(at, table)
    expect(result.deleted).toMatchObject({ dataFiles: 0, manifests: 3, manifestLists: 3 })
    expect(await lostKeys(after)).toEqual([])
  })

  test('delete files are counted as such, files elsewhere are left alone and counted', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    await table.store.put('data/pos.parquet', Buffer.from('12345'))
    const foreign = await commitForeign(table, [
      { ...entryOf(`${table.location}/data/pos.parquet`, 5, [0]), content: 'position-deletes' },
      entryOf('memory://elsewhere/data/x.parquet', 7, [0]),
      entryOf(`${table.location}/data//doubled/../x.parquet`, 7, [0]),
    ])
    const { table: undone } = await foreign.rollbackTo(idsOf(table)[0]!)
    const { result, table: after } = await expire(at, undone)
    expect(result.deleted).toMatchObject({ dataFiles: 0, deleteFiles: 1, manifests: 2 })
    expect(result.outside).toBe(2)
    expect(await dataNames(after)).toEqual(['a'])
  })

  test.each([
    ['a doubled slash', (path: string) => path.replace('/data/', '/data//')],
    ['an escape', (path: string) => path.replace('/data/', '/d%61ta/')],
    ['a dot', (path: string) => path.replace('/data/', '/./data/')],
    ['an upper-case scheme', (path: string) => path.replace('memory:', 'MEMORY:')],
    ['another authority', (path: string) => path.replace(/^memory:\/\/[^/]*/, 'memory://elsewhere')],
  ])('a file that a later snapshot spells in another way stays: %s', async (_, spell) => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const again = entryOf(spell(`${table.location}/data/a.parquet`), 9, [0])
    const { table: emptied } = await table.commitFiles({
      operation: 'delete',
      added: [],
      removed: ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`),
    })
    const foreign = await commitForeign(emptied, [again])
    const { table: after, result } = await expire(at, foreign)
    expect(result.deleted.dataFiles).toBe(1)
    expect(await dataNames(after)).toEqual(['a'])
  })

  test('a list that another snapshot names too stays, as engines may share them', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const [first, second] = table.metadata.snapshots as readonly [Snapshot, Snapshot]
    const shared = [{ ...first, manifestList: second.manifestList! }, second]
    const { table: after, result } = await expire(
      at,
      await putMetadata(table, { ...table.metadata, snapshots: shared }),
    )
    expect(result.deleted.manifestLists).toBe(0)
    expect(await lostKeys(after)).toEqual([])
  })

  test('statistics of expired snapshots go, those of others stay', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    const [old, current] = idsOf(table) as [SnapshotId, SnapshotId]
    const file = (id: SnapshotId, name: string) => ({
      'snapshot-id': id,
      'statistics-path': `${table.location}/metadata/${name}`,
    })
    for (const name of ['old.stats', 'old-partitions', 'both.stats', 'current.stats']) {
      await table.store.put(`metadata/${name}`, Buffer.from(name))
    }
    const known = await putMetadata(table, {
      ...table.metadata,
      unknown: {
        statistics: [
          file(old, 'old.stats'),
          file(old, 'both.stats'),
          file(current, 'both.stats'),
          file(current, 'current.stats'),
        ],
        'partition-statistics': [file(old, 'old-partitions')],
      },
    })
    const { table: after, result } = await expire(at, known)
    expect(result.deleted.statistics).toBe(2)
    expect(await lostKeys(after)).toEqual([])
    expect(await keysOf(after.store, 'metadata/old')).toEqual([])
  })
})

describe('branches, tags, rollbacks, picks', () => {
  test('what a tag or a branch leads to stays, with every file of its snapshot', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b', 'c'])
    const [first, second] = idsOf(table) as [SnapshotId, SnapshotId]
    await table.createTag('first', first)
    table = await table.createBranch('side', second)
    table = await appendEach(table, ['on-side'], 'side')
    const removed = ['a', 'b', 'c'].map((name) => `${table.location}/data/${name}.parquet`)
    table = (await table.replaceFiles(removed, [await smallFile(table, 'abc')], {})).table
    const { table: after, result } = await expire(at, table)
    expect(result.snapshotIds.length).toBe(2)
    expect(await lostKeys(after)).toEqual([])
    expect(await dataNames(after)).toEqual(['a', 'abc', 'b', 'on-side'])
  })

  test('a ref past its age goes, and what only it held goes with it; main never does', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    const first = idsOf(table)[0]!
    table = await table.createTag('old', first, { maxRefAgeMillis: DAY })
    table = await table.createTag('kept', idsOf(table)[1])
    table = await table.setProperties({ 'history.expire.max-ref-age-ms': String(100 * DAY) })
    const { table: after, result } = await expire(at, table)
    expect(result.refs).toEqual(['old'])
    expect(result.snapshotIds).toEqual([String(first)])
    expect(Object.keys(after.metadata.refs).sort()).toEqual(['kept', 'main'])
  })

  test('a rollback takes the manifests of an old snapshot over: its files outlive it', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b', 'c'])
    table = (await table.rollbackTo(idsOf(table)[0]!)).table
    const { table: after } = await expire(at, table)
    expect(await dataNames(after)).toEqual(['a'])
    expect(await lostKeys(after)).toEqual([])
  })

  test('a picked snapshot may expire: its file is in the pick', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a'])
    table = await table.createBranch('side')
    table = await appendEach(table, ['picked', 'not-picked'], 'side')
    table = await appendEach(table, ['b'])
    table = (await table.cherryPick(table.snapshotFor({ ref: 'side' })!.parentSnapshotId!)).table
    table = await table.removeRef('side')
    const { table: after } = await expire(at, table)
    expect(await dataNames(after)).toEqual(['a', 'b', 'picked'])
    expect(await lostKeys(after)).toEqual([])
  })
})

describe('what cannot be read', () => {
  test('a retained manifest: nothing is deleted', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    table = (await table.commitFiles({ operation: 'delete', added: [], removed: [pathOf(table, 'a')] })).table
    const current = await snapshotManifests(table.store, table.metadata, table.currentSnapshot()!)
    const [kept] = current as readonly [ManifestFile]
    await table.store.put(kept.manifestPath.slice(table.location.length + 1), Buffer.from('not avro'))
    const before = (await keysOf(table.store)).filter((key) => !key.startsWith('metadata/v'))
    await expect(expire(at, table)).rejects.toMatchObject({ kind: 'corrupt' })
    const after = (await keysOf(table.store)).filter((key) => !key.startsWith('metadata/v'))
    expect(after).toEqual(before)
  })

  test('an expired list: it is told, and the rest goes on', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    table = (await table.commitFiles({ operation: 'delete', added: [], removed: [pathOf(table, 'a')] })).table
    const [first] = table.metadata.snapshots as readonly [Snapshot]
    await table.store.delete(first.manifestList!.slice(table.location.length + 1))
    const { table: after, result } = await expire(at, table)
    expect(result.unreadable.map(({ path }) => path)).toEqual([first.manifestList])
    expect(result.deleted).toMatchObject({ dataFiles: 1, manifestLists: 1 })
    expect(await lostKeys(after)).toEqual([])
  })
})

describe('refusals and options', () => {
  test('gc.enabled=false refuses the plan, and a run whose plan is older than the property', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    await at.clock.sleep(10 * DAY)
    const plan = planExpire(table, {}, at.clock)
    const locked = await table.setProperties({ 'gc.enabled': 'false' })
    const refused = { code: 'FIRN_GC_DISABLED' }
    expect(() => planExpire(locked, {}, at.clock)).toThrow(expect.objectContaining(refused))
    await expect(runExpire(table, plan, {}, at.clock)).rejects.toMatchObject(refused)
    expect(idsOf(await table.refresh())).toHaveLength(2)
  })

  test.each(['no', 'FALSE', ''])('gc.enabled=%s is no yes either', async (value) => {
    const { table, clock } = await lab({ 'gc.enabled': value })
    expect(() => planExpire(table, {}, clock)).toThrow(expect.objectContaining({ code: 'FIRN_GC_DISABLED' }))
  })

  test('a grace that is no time', async () => {
    const at = await lab({ 'gc.enabled': 'TRUE' })
    const table = await appendEach(at.table, ['a', 'b'])
    await at.clock.sleep(10 * DAY)
    const plan = planExpire(table, {}, at.clock)
    for (const graceMillis of [-1, Number.NaN]) {
      const refused = runExpire(table, plan, { graceMillis }, at.clock)
      await expect(refused).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    }
    expect(idsOf(await table.refresh())).toHaveLength(2)
  })

  test('a plan for another table is refused', async () => {
    const at = await lab()
    const plan = planExpire(await appendEach(at.table, ['a']), {}, at.clock)
    const other = await lab()
    await expect(runExpire(other.table, plan, {}, at.clock)).rejects.toMatchObject({ code: 'FIRN_PLAN_STALE' })
  })

  test('named snapshots go whatever their age, and others stay; one that a ref names is refused', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b', 'c'])
    const [first, second, third] = idsOf(table) as [SnapshotId, SnapshotId, SnapshotId]
    const inUse = () => planExpire(table, { snapshotIds: [third] }, at.clock)
    expect(inUse).toThrow(expect.objectContaining({ code: 'FIRN_SNAPSHOT_IN_USE' }))
    const plan = printed(planExpire(table, { snapshotIds: [second] }, at.clock))
    const { table: after } = await runExpire(table, plan, {}, at.clock)
    expect(idsOf(after)).toEqual([first, third])
  })

  test('nothing to do is no commit', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    const { table: after } = await expire(at, table)
    expect(after.metadataLocation).toBe(table.metadataLocation)
  })

  test('others are told which snapshots went once the grace is over, before files go', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b'])
    await at.clock.sleep(10 * DAY)
    const lists = async () => (await keysOf(table.store, 'metadata/snap-')).length
    const seen: unknown[] = []
    const started = at.clock.nowMillis()
    const onSnapshotsRemoved = async (snapshots: readonly Snapshot[], now: Table): Promise<void> => {
      seen.push(
        snapshots.map(({ snapshotId }) => snapshotId),
        idsOf(now),
        await lists(),
      )
      expect(at.clock.nowMillis() - started).toBeGreaterThanOrEqual(600_000)
    }
    const options = { graceMillis: 600_000, onSnapshotsRemoved }
    await runExpire(table, planExpire(table, {}, at.clock), options, at.clock)
    expect(seen).toEqual([idsOf(table).slice(0, 1), idsOf(table).slice(1), 2])
    expect(await lists()).toBe(1)
  })
})

const pathOf = (table: Table, name: string): string => `${table.location}/data/${name}.parquet`

async function sizes(table: Table): Promise<number> {
  let bytes = 0
  for await (const info of table.store.list('')) if (!info.key.startsWith('metadata/v')) bytes += info.sizeBytes
  return bytes
}
