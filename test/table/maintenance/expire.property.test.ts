/** Whatever happened to a table: what expiry and orphan removal leave is what its snapshots lead to, no more, no less. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import { planExpire, previewExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planManifests } from '../../../table/maintenance/manifests/plan.ts'
import { runManifests } from '../../../table/maintenance/manifests.ts'
import { planOrphans, runOrphans } from '../../../table/maintenance/orphans.ts'
import { readEntries } from '../../../table/manifest/entries.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import type { Table } from '../../../table/table.ts'
import { DAY, idsOf, keysOf, type Lab, lab, lostKeys, printed, referencedKeys, smallFile } from './expire-support.ts'

async function filesOf({ store, metadata }: Table, snapshot: Snapshot | undefined): Promise<readonly string[]> {
  if (snapshot === undefined) return []
  const paths: string[] = []
  for await (const some of readEntries(store, metadata, await snapshotManifests(store, metadata, snapshot))) {
    for (const { status, dataFile } of some) if (status !== 'deleted') paths.push(dataFile.filePath)
  }
  return paths.sort()
}

/** One thing that happens; `pick` chooses among what there is. */
const STEPS = {
  append: async (table, at, pick) => {
    await at.clock.sleep(pick * 1_000)
    return (await table.append([await smallFile(table, `a${serial++}`, pick % 3)])).table
  },
  replace: async (table, _at, pick) => {
    const live = await filesOf(table, table.currentSnapshot())
    const removed = live.slice(pick % (live.length + 1), (pick % (live.length + 1)) + 2)
    if (removed.length === 0) return table
    return (await table.replaceFiles(removed, [await smallFile(table, `r${serial++}`)], {})).table
  },
  delete: async (table, _at, pick) => {
    const live = await filesOf(table, table.currentSnapshot())
    if (live.length === 0) return table
    return (await table.commitFiles({ operation: 'delete', added: [], removed: [live[pick % live.length]!] })).table
  },
  tag: (table, _at, pick) =>
    table.createTag(`t${serial++}`, chosen(table, pick), pick % 2 === 0 ? {} : { maxRefAgeMillis: DAY }),
  branch: async (table, _at, pick) => {
    const name = `b${serial++}`
    const made = await table.createBranch(name, chosen(table, pick), pick % 2 === 0 ? {} : { minSnapshotsToKeep: 2 })
    return (await made.append([await smallFile(table, `${name}-file`)], { branch: name })).table
  },
  drop: async (table, _at, pick) => {
    const names = Object.keys(table.metadata.refs).filter((name) => name !== 'main')
    return names.length === 0 ? table : table.removeRef(names[pick % names.length]!)
  },
  rollback: async (table, _at, pick) => (await table.rollbackTo(chosen(table, pick))).table,
  pick: async (table, _at, pick) => (await table.cherryPick(chosen(table, pick))).table,
  manifests: async (table, at) =>
    (await runManifests(table, await planManifests(table, { rewriteAll: true }), {}, at.clock)).table,
  expire: async (table, at, pick) =>
    (
      await runExpire(
        table,
        planExpire(table, { olderThan: at.clock.nowMillis(), retainLast: 1 + (pick % 3) }, at.clock),
        {},
        at.clock,
      )
    ).table,
  lose: async (table) => {
    await smallFile(table, `lost${serial++}`)
    return table
  },
} satisfies Record<string, (table: Table, at: Lab, pick: number) => Promise<Table>>

let serial = 0
const chosen = (table: Table, pick: number) => idsOf(table)[pick % Math.max(1, table.metadata.snapshots.length)]!

/** What the step may not do here: another kind of change, not an ancestor, picked already. */
const REFUSED = new Set([
  'FIRN_PICK_UNSUPPORTED',
  'FIRN_PICKED_ALREADY',
  'FIRN_NOT_AN_ANCESTOR',
  'FIRN_COMMIT_CONFLICT',
])

async function happen(at: Lab, steps: readonly (readonly [keyof typeof STEPS, number])[]): Promise<Table> {
  let table = await STEPS.append(at.table, at, 0)
  for (const [name, pick] of steps) {
    try {
      table = await STEPS[name](await table.refresh(), at, pick)
    } catch (error) {
      if (!FirnError.is(error) || !REFUSED.has(error.code)) throw error
    }
  }
  return table.refresh()
}

const steps = fc.array(
  fc.tuple(fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[])), fc.nat({ max: 20 })),
  { maxLength: 14 },
)

test('every snapshot that stays has its files, and nothing else is left', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), fc.boolean(), async (history, retainLast, merge) => {
      const at = await lab({ 'commit.manifest.min-count-to-merge': merge ? '2' : '100' })
      const before = await happen(at, history)
      const files = new Map<SnapshotId, readonly string[]>()
      for (const snapshot of before.metadata.snapshots) files.set(snapshot.snapshotId, await filesOf(before, snapshot))
      await at.clock.sleep(10 * DAY)
      const plan = printed(planExpire(before, { retainLast }, at.clock))
      const preview = await previewExpire(before, plan)
      const { table, result } = await runExpire(before, plan, {}, at.clock)
      expect(result).toMatchObject({ spared: [], ...preview })
      expect(result.unreadable).toEqual([])
      expect(await lostKeys(table)).toEqual([])
      for (const snapshot of table.metadata.snapshots) {
        expect(await filesOf(table, snapshot)).toEqual(files.get(snapshot.snapshotId))
      }
      const orphans = await planOrphans(table, {}, at.clock)
      const { result: swept } = await runOrphans(table, orphans, { force: true })
      expect(swept.deleted).toBe(orphans.orphans.length)
      const owed = await referencedKeys(table)
      expect((await keysOf(table.store)).filter((key) => !owed.has(key))).toEqual([])
      expect(await lostKeys(table)).toEqual([])
      // Data files that were ever committed are freed by expiry itself. (A manifest that was merged by the very commit
      // that wrote it was never in the table.)
      const data = orphans.orphans.filter(({ kind }) => kind === 'content').map(({ key }) => key)
      expect(data.filter((key) => !/lost|data\/r/.test(key))).toEqual([])
    }),
    { numRuns: 40 },
  )
}, 120_000)
