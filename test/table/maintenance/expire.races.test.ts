/** Expiry beside writers, taggers and other expiries. */
import { describe, expect, test } from 'vitest'
import type { Proposal, TableOperations } from '../../../table/catalog/catalog.ts'
import { fileTableOperations } from '../../../table/catalog/file.ts'
import { openCatalog } from '../../../table/catalog/open.ts'
import type { Clock } from '../../../table/clock.ts'
import { EXPIRING_PROPERTY } from '../../../table/commit/refs.ts'
import { epochMillis, type SnapshotId } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { planExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { Table } from '../../../table/table.ts'
import { appendEach, DAY, dataNames, idsOf, type Lab, lab, lostKeys, smallFile } from './expire-support.ts'

const HOUR = 3_600_000
const isMetadata = (key: string): boolean => /\/v\d+\.metadata\.json$/.test(key)

/** The warehouse seen by somebody for whom `before` happens before the n-th put of a metadata file, from 1. */
function interrupted({ store, clock }: Lab, n: number, before: () => Promise<unknown>): Promise<Table> {
  let puts = 0
  const watched: ObjectStore = {
    ...store,
    url: store.url,
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    put: async (key, body, options) => {
      if (isMetadata(key) && ++puts === n) await before()
      return store.put(key, body, options)
    },
  }
  return openCatalog(watched, { clock }).loadTable('t.events')
}

async function twoOld(): Promise<Lab & { readonly first: SnapshotId }> {
  const at = await lab()
  const table = await appendEach(at.table, ['a', 'b'])
  await at.clock.sleep(10 * DAY)
  return { ...at, table, first: idsOf(table)[0]! }
}

describe('a tag and an expiry of one snapshot', () => {
  test('the tag came before the warning: the snapshot is spared', async () => {
    const at = await twoOld()
    const table = await interrupted(at, 1, () => at.table.createTag('t', at.first))
    const { result, table: after } = await runExpire(table, planExpire(at.table, {}, at.clock), {}, at.clock)
    expect(result).toMatchObject({ snapshotIds: [], spared: [String(at.first)] })
    expect(after.snapshotFor({ ref: 't' })?.snapshotId).toBe(at.first)
    expect(after.metadata.properties).not.toHaveProperty(EXPIRING_PROPERTY)
    expect(await lostKeys(after)).toEqual([])
  })

  test('the tag came between the warning and the removal: it is refused, and the snapshot goes', async () => {
    const at = await twoOld()
    let refused: unknown
    const table = await interrupted(at, 2, async () => {
      refused = await at.table.createTag('t', at.first).catch((error: unknown) => error)
    })
    const { result, table: after } = await runExpire(table, planExpire(at.table, {}, at.clock), {}, at.clock)
    expect(refused).toMatchObject({ code: 'FIRN_SNAPSHOT_EXPIRING', kind: 'conflict' })
    // Should the run have died, repeating would never help.
    expect(refused).toMatchObject({ help: expect.stringContaining('firn expire <table>') })
    expect(result.snapshotIds).toEqual([String(at.first)])
    expect(after.metadata.refs).not.toHaveProperty('t')
  })

  test('the warning came between the look and the commit of the tag: the tag stands, and so does the snapshot', async () => {
    const at = await twoOld()
    const table = await interrupted(at, 1, async () => {
      // Another process, which has published and not yet removed.
      await runExpire(await interrupted(at, 2, dies), planExpire(at.table, {}, at.clock), {}, at.clock).catch(() => {})
    })
    // Its first try lost against the warning; the second one sees it.
    await expect(table.createTag('t', at.first)).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_EXPIRING' })
    const { result } = await runExpire(table, planExpire(await table.refresh(), {}, at.clock), {}, at.clock)
    expect(result.snapshotIds).toEqual([String(at.first)])
  })

  test('a tag that was committed although the warning stood is seen by the removal', async () => {
    const at = await twoOld()
    // As a catalog service may do it: the ref is all that a tag requires.
    const tag = { action: 'set-snapshot-ref', name: 't', ref: { snapshotId: at.first, type: 'tag' } } as const
    const table = await interrupted(at, 2, () =>
      at.table.commitUpdates({ isOwn: () => false, requirements: [], prepare: () => [tag] }),
    )
    const { result, table: after } = await runExpire(table, planExpire(at.table, {}, at.clock), {}, at.clock)
    expect(result).toMatchObject({ snapshotIds: [], spared: [String(at.first)] })
    expect(await lostKeys(after)).toEqual([])
  })
})

test('a ref that is too old from its first day, but not in the plan, stays with its snapshot', async () => {
  const at = await twoOld()
  const plan = planExpire(at.table, {}, at.clock)
  await at.table.createTag('t', at.first, { maxRefAgeMillis: 1 })
  const { result, table } = await runExpire(at.table, plan, {}, at.clock)
  expect(result).toMatchObject({ snapshotIds: [], refs: [], spared: [String(at.first)] })
  expect(table.snapshotFor({ ref: 't' })?.snapshotId).toBe(at.first)
})

test('a service that checks requirements only is asked to check every ref', async () => {
  const at = await twoOld()
  const tagged = await at.table.createTag('t')
  const files = fileTableOperations(tagged.store, at.clock)
  const asked: Proposal[] = []
  const operations: TableOperations = {
    ...files,
    commit: (base, proposal, options) => {
      asked.push(proposal)
      return files.commit(base, proposal, options)
    },
  }
  const access = { operations, writable: true }
  const table = new Table(undefined, tagged.store, await files.load(), at.clock, access)
  await runExpire(table, planExpire(table, {}, at.clock), {}, at.clock)
  const removal = asked.find(({ updates }) => updates.some(({ action }) => action === 'remove-snapshots'))!
  const snapshotId = tagged.currentSnapshot()!.snapshotId
  for (const ref of ['main', 't']) {
    expect(removal.requirements).toContainEqual({ type: 'assert-ref-snapshot-id', ref, snapshotId })
  }
})

const dies = (): Promise<never> => Promise.reject(new Error('the process died'))

describe('a run that died between its warning and its removal', () => {
  async function warned(): Promise<Lab & { readonly first: SnapshotId }> {
    const at = await twoOld()
    const table = await interrupted(at, 2, dies)
    await expect(runExpire(table, planExpire(at.table, {}, at.clock), {}, at.clock)).rejects.toThrow()
    const left = await at.table.refresh()
    expect(left.metadata.properties[EXPIRING_PROPERTY]).toBe(String(at.first))
    return { ...at, table: left }
  }

  test('leaves the table as it was, and the next run finishes', async () => {
    const at = await warned()
    expect(idsOf(at.table)).toHaveLength(2)
    const { result, table } = await runExpire(at.table, planExpire(at.table, {}, at.clock), {}, at.clock)
    expect(result.snapshotIds).toEqual([String(at.first)])
    expect(table.metadata.properties).not.toHaveProperty(EXPIRING_PROPERTY)
  })

  test('is taken for dead after an hour by a run that has nothing to remove, and refs are possible again', async () => {
    const at = await warned()
    const keepAll = { retainLast: 100 }
    const early = await runExpire(at.table, planExpire(at.table, keepAll, at.clock), {}, at.clock)
    await expect(early.table.createTag('t', at.first)).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_EXPIRING' })
    await at.clock.sleep(HOUR)
    const plan = planExpire(early.table, keepAll, at.clock)
    expect(plan.abandoned).toEqual([String(at.first)])
    const late = await runExpire(early.table, plan, {}, at.clock)
    expect((await late.table.createTag('t', at.first)).metadata.refs).toHaveProperty('t')
  })

  test('is forgotten by the next run after an hour, whatever that one warns of', async () => {
    const at = await warned()
    const table = await appendEach(at.table, ['c'])
    await at.clock.sleep(HOUR)
    const second = planExpire(table, { snapshotIds: [idsOf(table)[1]!] }, at.clock)
    const { table: after } = await runExpire(await interrupted(at, 2, check), second, {}, at.clock)
    async function check(): Promise<void> {
      const { properties } = (await table.refresh()).metadata
      expect(properties[EXPIRING_PROPERTY]).toBe(String(idsOf(table)[1]))
    }
    expect(idsOf(after)).toContain(at.first)
  })

  test('does not make another run remove more than it has planned', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b', 'c'])
    const [first, second, third] = idsOf(table) as [SnapshotId, SnapshotId, SnapshotId]
    table = await table.createTag('t', second)
    await at.clock.sleep(10 * DAY)
    const plan = planExpire(table, {}, at.clock)
    await table.removeRef('t')
    const other = planExpire(await table.refresh(), { snapshotIds: [second] }, at.clock)
    await expect(runExpire(await interrupted(at, 2, dies), other, {}, at.clock)).rejects.toThrow()
    const { result, table: after } = await runExpire(table, plan, {}, at.clock)
    expect(result.snapshotIds).toEqual([String(first)])
    expect(idsOf(after)).toEqual([second, third])
  })

  test('and lives on after all: what it warned of is spared once another run has taken the warning back', async () => {
    const at = await twoOld()
    const table = await interrupted(at, 2, async () => {
      // Its clock is ahead.
      const clock: Clock = { ...at.clock, nowMillis: () => epochMillis(at.clock.nowMillis() + 2 * HOUR) }
      const other = await openCatalog(at.store, { clock }).loadTable('t.events')
      const keepAll = planExpire(other, { retainLast: 100 }, clock)
      const { table: free } = await runExpire(other, keepAll, {}, clock)
      await free.createTag('t', at.first)
      await free.removeRef('t')
    })
    const { result, table: after } = await runExpire(table, planExpire(at.table, {}, at.clock), {}, at.clock)
    expect(result).toMatchObject({ snapshotIds: [], spared: [String(at.first)] })
    expect(idsOf(after)).toHaveLength(2)
  })
})

describe('commits meanwhile', () => {
  test('a rollback to an expired snapshot, just before the warning, keeps its files', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b'])
    const first = idsOf(table)[0]!
    const removed = ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`)
    table = (await table.replaceFiles(removed, [await smallFile(table, 'ab')], {})).table
    await at.clock.sleep(10 * DAY)
    const racing = await interrupted(at, 1, () => table.rollbackTo(first))
    const { result, table: after } = await runExpire(racing, planExpire(table, {}, at.clock), {}, at.clock)
    expect(result.snapshotIds).toContain(String(first))
    expect(await lostKeys(after)).toEqual([])
    expect(await dataNames(after)).toEqual(expect.arrayContaining(['a']))
  })

  test('another expiry of the same snapshots: both end well', async () => {
    const at = await twoOld()
    const plan = planExpire(at.table, {}, at.clock)
    const table = await interrupted(at, 2, () => runExpire(at.table, plan, {}, at.clock))
    const { table: after } = await runExpire(table, plan, {}, at.clock)
    expect(idsOf(after)).toHaveLength(1)
    expect(after.metadata.properties).not.toHaveProperty(EXPIRING_PROPERTY)
    expect(await lostKeys(after)).toEqual([])
  })

  test('another expiry of other snapshots does not take back the warning of the first', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a', 'b', 'c'])
    const [first, second, third] = idsOf(table) as [SnapshotId, SnapshotId, SnapshotId]
    const only = (id: SnapshotId) => planExpire(table, { snapshotIds: [id] }, at.clock)
    const slow = await interrupted(at, 2, () => runExpire(table, only(second), {}, at.clock))
    const { result, table: after } = await runExpire(slow, only(first), {}, at.clock)
    expect(result.snapshotIds).toEqual([String(first)])
    expect(idsOf(after)).toEqual([third])
    expect(after.metadata.properties).not.toHaveProperty(EXPIRING_PROPERTY)
  })

  test('a later expiry takes retained snapshots away while the first one looks through them', async () => {
    const at = await lab()
    let table = await appendEach(at.table, ['a', 'b', 'c'])
    await at.clock.sleep(10 * DAY)
    const ids = idsOf(table)
    const only = (...some: readonly SnapshotId[]) => planExpire(table, { snapshotIds: some }, at.clock)
    const first = only(ids[0]!)
    const second = only(ids[1]!)
    let busy = false
    const watched: ObjectStore = {
      ...at.store,
      url: at.store.url,
      put: (key, body, options) => at.store.put(key, body, options),
      head: (key, options) => at.store.head(key, options),
      list: (prefix, options) => at.store.list(prefix, options),
      delete: (key, options) => at.store.delete(key, options),
      get: async (key, options) => {
        if (!busy && key.includes(`snap-${ids[1]}-`)) {
          busy = true
          await runExpire(await table.refresh(), second, {}, at.clock)
        }
        return at.store.get(key, options)
      },
    }
    const slow = await openCatalog(watched, { clock: at.clock }).loadTable('t.events')
    table = (await runExpire(slow, first, {}, at.clock)).table
    expect(busy).toBe(true)
    expect(idsOf(table)).toEqual([ids[2]])
    expect(await lostKeys(table)).toEqual([])
  })

  test('a commit whose snapshot expired before its writer looked is known by its run marker', async () => {
    const at = await lab()
    const table = await appendEach(at.table, ['a'])
    const options = {
      setProperties: { 'firn.last-run': 'run-1' },
      runMarker: { property: 'firn.last-run', value: 'run-1' },
    }
    const file = await smallFile(table, 'mine')
    await table.append([file], options)
    let now = await appendEach(await table.refresh(), ['b'])
    await at.clock.sleep(10 * DAY)
    now = (await runExpire(now, planExpire(now, {}, at.clock), {}, at.clock)).table
    expect(idsOf(now)).toHaveLength(1)
    const again = await now.append([file], options)
    expect(again).toMatchObject({ recovered: true, snapshot: undefined })
    expect(idsOf(again.table)).toEqual(idsOf(now))
  })
})
