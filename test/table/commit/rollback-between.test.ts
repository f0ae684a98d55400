/** A rollback between plan and commit takes deletes back: the rows that it restores are not lost to the plan. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from '../scan/delete-tables.ts'
import { batchOf, EVENTS, eventsTable, freshStore, type TestRow, testClock, writeRows } from '../support.ts'
import { raced, row, rows } from '../write/rivals.ts'

const where = (text: string) => parseWhere(text, EVENTS)

const byId = async (table: Table, id: string, specId = 0, partition: (number | null)[] = [0]) =>
  equalityDeletes(table, column(EVENTS, 'id'), [{ id }], { specId, partition })

const run = async (table: Table, plan: Awaited<ReturnType<typeof planRewrite>>) =>
  (
    await runRewrite(table, plan, {
      runId: newRunId(systemClock),
      spillFolder: join(tmpdir(), `firn-rollback-${newRunId(systemClock)}`),
    })
  ).result

/** Two files; `b` of the first was deleted. */
async function deleted(kind: 'equality' | 'position' = 'equality') {
  const store = freshStore()
  let { table } = await eventsTable(store, testClock())
  const files: readonly (readonly TestRow[])[] = [[row('a', 0, 1), row('b', 0, 2)], [row('c', 0, 3)]]
  for (const file of files) ({ table } = await table.append(await writeRows(table, file, [0])))
  const before = table.currentSnapshot()!.snapshotId
  const first = (await table.scan().planFiles()).find(({ file }) => file.recordCount === 2)!.file
  const deletes =
    kind === 'equality'
      ? await byId(table, 'b')
      : await positionDeletes(table, [[first.filePath, 1]], { partition: [0] })
  return { store, before, first, table: await commitFiles(table, [deletes]) }
}

const rollBack = (before: Awaited<ReturnType<typeof deleted>>['before']) => (other: Table) => other.rollbackTo(before)

describe('rows that a rollback restores', () => {
  test.each(['equality', 'position'] as const)('stay when their file is rewritten: %s deletes', async (kind) => {
    const { table, before, first } = await deleted(kind)
    const plan = await planRewrite(table, { rewriteAll: true })
    const group = plan.groups[0]!
    const inputs = group.inputs.filter(({ path }) => path === first.filePath)
    await (await table.refresh()).rollbackTo(before)
    const options = { removeDanglingDeletes: false }
    const result = (
      await runRewrite(
        table,
        { ...plan, groups: [{ ...group, inputs }] },
        { runId: newRunId(systemClock), spillFolder: join(tmpdir(), `firn-rollback-${kind}`), ...options },
      )
    ).result
    expect(result.totals).toMatchObject({ committed: 0, conflicts: 1 })
    expect(await rows(table)).toEqual(['a=1', 'b=2', 'c=3'])
  })

  test('stay when a delete writes their file anew', async () => {
    const { store, table, before } = await deleted()
    const slow = await raced(store, rollBack(before))
    await slow.deleteWhere(where("id = 'a'"))
    expect(await rows(table)).toEqual(['b=2', 'c=3'])
  })

  test('go when the delete means them, though it found nothing to do before', async () => {
    const { store, table, before } = await deleted()
    const slow = await raced(store, rollBack(before))
    await slow
      .transaction()
      .deleteWhere(where('n = 2'))
      .append(await writeRows(slow, [row('n', 0, 9)], [0]))
      .commit()
    expect(await rows(table)).toEqual(['a=1', 'c=3', 'n=9'])
  })

  test('stay when an overwrite writes their file anew', async () => {
    const { store, table, before } = await deleted()
    const slow = await raced(store, rollBack(before))
    await slow.overwrite(await writeRows(slow, [row('a', 0, 7)], [0]), { filter: where("id = 'a'") })
    expect(await rows(table)).toEqual(['a=7', 'b=2', 'c=3'])
  })

  test.each([
    ['their file is written anew', 'a', ['a=7', 'b=2', 'c=3']],
    ['their own key comes again', 'b', ['a=1', 'b=7', 'c=3']],
  ] as const)('are there once after an upsert when %s', async (_when, id, expected) => {
    const { store, table, before } = await deleted()
    const slow = await raced(store, rollBack(before))
    await slow.upsert([batchOf(EVENTS, [row(id, 0, 7)])], { key: ['id'] })
    expect(await rows(table)).toEqual(expected)
  })
})

describe('delete files that went meanwhile', () => {
  test('are none when their manifests were only merged', async () => {
    const { table } = await deleted()
    const planned = await commitFiles(table, [await byId(table, 'a')])
    const plan = await planRewrite(planned, { rewriteAll: true })
    const merging = await planned.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    await merging.append(await writeRows(merging, [row('d', 0, 4)], [0]))
    const paths = async (of: Table) =>
      (await snapshotManifests(of.store, of.metadata, of.currentSnapshot()!))
        .filter(({ content }) => content === 'deletes')
        .map(({ manifestPath }) => manifestPath)
    expect(await paths(planned)).toHaveLength(2)
    expect(await paths(await table.refresh())).toHaveLength(1)
    expect((await run(planned, plan)).totals).toMatchObject({ committed: 1, conflicts: 0 })
    expect(await rows(table)).toEqual(['c=3', 'd=4'])
  })

  test('are no conflict for files that they were older than', async () => {
    const { table } = await deleted()
    const newer = (await table.append(await writeRows(table, [row('d', 0, 4)], [0]))).table
    const plan = await planRewrite(newer, { rewriteAll: true })
    const group = plan.groups[0]!
    const d = (await newer.scan().planFiles()).find(({ deletes }) => deletes.length === 0)!.file
    const all = await run(newer, {
      ...plan,
      groups: [{ ...group, inputs: group.inputs.filter(({ path }) => path !== d.filePath) }],
    })
    expect(all.groups[0]!.removedDeleteFiles).toHaveLength(1)
    const rest = await run(newer, {
      ...plan,
      groups: [{ ...group, inputs: group.inputs.filter(({ path }) => path === d.filePath) }],
    })
    expect(rest.totals).toMatchObject({ committed: 1, conflicts: 0 })
    expect(await rows(newer)).toEqual(['a=1', 'c=3', 'd=4'])
  })
})

describe('equality deletes that come while files move to a newer partition spec', () => {
  test('do not take rows to which they never applied', async () => {
    const store = freshStore()
    let { table } = await eventsTable(store, testClock())
    ;({ table } = await table.append(await writeRows(table, [row('a', 0, 1), row('b', 0, 2)], [0])))
    const evolved = await table.updateSpec([{ add: { source: 'n', transform: 'identity' } }])
    const plan = await planRewrite(evolved, { rewriteAll: true })
    const other = await evolved.refresh()
    await commitFiles(other, [await byId(other, 'a', other.metadata.defaultSpecId, [0, 1])])
    expect(await rows(table)).toEqual(['a=1', 'b=2'])
    const result = await run(evolved, plan)
    expect(result.totals).toMatchObject({ committed: 0, conflicts: 1 })
    expect(await rows(table)).toEqual(['a=1', 'b=2'])
  })

  test('do not when only some of the files move', async () => {
    const store = freshStore()
    let { table } = await eventsTable(store, testClock())
    ;({ table } = await table.append(await writeRows(table, [row('a', 0, 1)], [0])))
    table = await table.updateSpec([{ add: { source: 'n', transform: 'identity' } }])
    const specId = table.metadata.defaultSpecId
    const inNewSpec = async (...some: readonly TestRow[]) =>
      (await writeRows(table, some, [0])).map((file) => ({ ...file, specId, partition: [0, 1] }))
    ;({ table } = await table.append(await inNewSpec(row('b', 0, 1))))
    const { snapshotId, sequenceNumber } = table.currentSnapshot()!
    const removed = (await table.scan().planFiles()).map(({ file }) => file)
    expect(new Set(removed.map((file) => file.specId)).size).toBe(2)
    await commitFiles(table, [await byId(table, 'a', specId, [0, 1])])
    const options = { startSnapshotId: snapshotId, dataSequenceNumber: sequenceNumber }
    const added = await inNewSpec(row('a', 0, 1), row('b', 0, 1))
    await expect(table.replaceFiles(removed, added, options)).rejects.toMatchObject({ code: 'FIRN_COMMIT_CONFLICT' })
    expect(await rows(table)).toEqual(['a=1', 'b=1'])
  })

  test('are no conflict in partitions that no row goes to', async () => {
    const store = freshStore()
    let { table } = await eventsTable(store, testClock())
    ;({ table } = await table.append(await writeRows(table, [row('a', 0, 1)], [0])))
    const evolved = await table.updateSpec([{ add: { source: 'n', transform: 'identity' } }])
    const plan = await planRewrite(evolved, { rewriteAll: true })
    const other = await evolved.refresh()
    await commitFiles(other, [await byId(other, 'a', other.metadata.defaultSpecId, [0, 5])])
    expect((await run(evolved, plan)).totals).toMatchObject({ committed: 1, conflicts: 0 })
    expect(await rows(table)).toEqual(['a=1'])
  })
})
