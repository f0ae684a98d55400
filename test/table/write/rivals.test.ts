/** Writers that overtake each other: no row comes back, none is lost, none is taken for gone. */
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { column, commitFiles, equalityDeletes, positionDeletes, putMetadata } from '../scan/delete-tables.ts'
import { EVENTS, eventsTable, freshStore, testClock, writeRows } from '../support.ts'
import { openEvents, raced, row, rows } from './rivals.ts'

const where = (text: string) => parseWhere(text, EVENTS)
const conflict = { code: 'FIRN_COMMIT_CONFLICT', kind: 'conflict' }
const equal = async (table: Table, ids: readonly string[], specId = 0, partition: (number | null)[] = [0]) =>
  equalityDeletes(
    table,
    column(EVENTS, 'id'),
    ids.map((id) => ({ id })),
    { specId, partition },
  )
const start = (table: Table) => {
  const { snapshotId, sequenceNumber } = table.currentSnapshot()!
  return { startSnapshotId: snapshotId, dataSequenceNumber: sequenceNumber }
}

async function prepared(...files: readonly (readonly ReturnType<typeof row>[])[]) {
  const store = freshStore()
  let { table } = await eventsTable(store, testClock())
  for (const file of files) ({ table } = await table.append(await writeRows(table, file, [0])))
  return { store, table }
}

/** A spec whose one field was dropped in format version 1. */
const voided = (table: Table) =>
  putMetadata(table, {
    ...table.metadata,
    lastUpdatedMillis: (table.metadata.lastUpdatedMillis + 1) as typeof table.metadata.lastUpdatedMillis,
    partitionSpecs: [
      ...table.metadata.partitionSpecs,
      { specId: 1, fields: [{ sourceId: 2, fieldId: 1000, name: 'at_day', transform: 'void' }] },
    ],
    defaultSpecId: 1,
  })

describe('compaction', () => {
  test('into another partition spec does not bring back what equality deletes took meanwhile', async () => {
    const { store, table } = await prepared([row('a'), row('b')], [row('c'), row('d')])
    await table.updateSpec([{ drop: 'at_day' }])
    const slow = await raced(store, async (other) => commitFiles(other, [await equal(other, ['a'])]))
    await runRewrite(slow, await planRewrite(slow), { runId: newRunId(systemClock), spillFolder: tmpdir() })
    expect(await rows(table)).toEqual(['b', 'c', 'd'])
  })

  test('within its partitions goes on when equality deletes come, and they still apply', async () => {
    const { store, table } = await prepared([row('a'), row('b')], [row('c')])
    const files = (await table.scan().planFiles()).map(({ file }) => file)
    const merged = await writeRows(table, [row('a'), row('b'), row('c')], [0])
    const slow = await raced(store, async (other) => commitFiles(other, [await equal(other, ['a'])]))
    expect((await slow.replaceFiles(files, merged, start(slow))).attempts).toBe(2)
    expect(await rows(table)).toEqual(['b', 'c'])
  })

  test.each(['equality', 'position'])(
    'that drops %s deletes is refused when a row that they took came back',
    async (kind) => {
      const { table: old } = await prepared([row('a', 0, 1), row('f', 0, 1)], [row('k', 0, 2)])
      const a = (await old.scan().planFiles()).find(({ file }) => file.recordCount === 2)!.file
      const deletes =
        kind === 'equality'
          ? await equal(old, ['a'])
          : await positionDeletes(old, [[a.filePath, 0]], { partition: [0] })
      const before = await commitFiles(old, [deletes])
      const { table } = await before.deleteWhere(where('n = 1'))
      const k = (await table.scan().planFiles())[0]!.file
      const again = await writeRows(table, [row('k', 0, 2)], [0])
      await (await table.refresh()).rollbackTo(before.currentSnapshot()!.snapshotId)
      await expect(table.replaceFiles([k.filePath, deletes.filePath], again, start(table))).rejects.toMatchObject(
        conflict,
      )
      expect(await rows(table)).toEqual(['f=1', 'k=2'])
    },
  )
})

describe('a spec of dropped fields alone', () => {
  test('its equality deletes apply everywhere, also to files that are written anew meanwhile', async () => {
    const { store, table } = await prepared([row('a', 0, 1), row('b', 0, 2)])
    await voided(table)
    const slow = await raced(store, async (other) => commitFiles(other, [await equal(other, ['b'], 1, [null])]))
    await slow.deleteWhere(where('n = 1'))
    expect(await rows(table)).toEqual([])
  })

  test('its files stand for the whole table when they replace partitions', async () => {
    const { table } = await prepared([row('a', 0, 1)])
    const table1 = await voided(table)
    const [file] = await writeRows(table1, [row('n', 0, 9)], [null])
    const result = await table1.overwrite([{ ...file!, specId: 1 }], { filter: 'dynamic-partitions' })
    expect(await rows(result.table)).toEqual(['n=9'])
  })
})

describe('a handle that is not the newest', () => {
  const operations: readonly (readonly [string, (table: Table) => Promise<unknown>])[] = [
    ['deleteWhere', (table) => table.deleteWhere(where('n = 1'))],
    ['overwrite', (table) => table.overwrite([], { filter: where('n = 1') })],
    ['transaction', (table) => table.transaction().deleteWhere(where('n = 1')).commit()],
  ]
  test.each(operations)('%s finds rows that came since', async (_name, run) => {
    const { table } = await prepared()
    await table.append(await writeRows(table, [row('a', 0, 1), row('b', 0, 2)], [0]))
    await run(table)
    expect(await rows(table)).toEqual(['b=2'])
  })

  test('does not read files that are gone', async () => {
    const { store, table } = await prepared([row('a', 0, 1), row('b', 0, 2)])
    const { filePath } = (await table.scan().planFiles())[0]!.file
    await table.deleteWhere(where('n = 2'))
    await store.delete(`t/events/${filePath.slice(table.location.length + 1)}`)
    await table.deleteWhere(where("id = 'a'"))
    expect(await rows(table)).toEqual([])
  })

  test('a delete under the id of one that took effect is found, not repeated', async () => {
    const { table } = await prepared([row('a', 0, 1), row('b', 0, 2)])
    const snapshotId = 78n as NonNullable<ReturnType<Table['currentSnapshot']>>['snapshotId']
    await table.deleteWhere(where('n = 1'), { snapshotId })
    const again = await table.deleteWhere(where('n = 1'), { snapshotId })
    expect(again).toMatchObject({ recovered: true, snapshot: { snapshotId } })
  })

  test('a table that was made anew under its name is not written to', async () => {
    const { store, table } = await prepared([row('a', 0, 1)])
    for await (const { key } of store.list('')) await store.delete(key)
    const made = (await eventsTable(store, testClock())).table
    await made.append(await writeRows(made, [row('z', 0, 1)], [0]))
    await expect(table.deleteWhere(where('n = 1'))).rejects.toMatchObject({ code: 'FIRN_REQUIREMENT_FAILED' })
    expect(await rows(made)).toEqual(['z=1'])
  })
})

test('plans that are overtaken wait before the next, so that rivals get out of step', async () => {
  const { store } = await prepared([row('a', 0, 1)])
  const waits: number[] = []
  const clock = testClock()
  const waiting = {
    ...clock,
    sleep: async (millis: number) => {
      waits.push(millis)
      await clock.sleep(millis)
    },
  }
  const slow = await raced(
    store,
    async (other) => other.append(await writeRows(other, [row('b', 0, 1)], [0])),
    2,
    waiting,
  )
  await slow.deleteWhere(where('n = 1'))
  expect(await rows(slow)).toEqual([])
  // Each time one wait for the try that lost, and one for the plan that did not fit any more.
  expect(waits).toHaveLength(4)
})

describe('a transaction', () => {
  test('keeps its own rows from deletes that came before it, at whatever number it is committed', async () => {
    const { store, table } = await prepared([row('base')])
    await table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })
    const slow = await raced(store, async (other) => commitFiles(other, [await equal(other, ['A', 'B'])]), 2)
    const [a, b] = [await writeRows(slow, [row('A')], [0]), await writeRows(slow, [row('B')], [0])]
    await slow.transaction().append(a).append(b).commit()
    expect(await rows(table)).toEqual(['A', 'B', 'base'])
  })

  test('takes files out of a manifest of its own at whatever number it is committed', async () => {
    const { store, table } = await prepared([row('base', 0, 1)])
    await (await table.setProperties({ 'commit.manifest.min-count-to-merge': '2' })).createBranch('other')
    const bump = async (other: Table) => other.append(await writeRows(other, [row('x')], [0]), { branch: 'other' })
    const slow = await raced(store, bump, 3)
    const a = await writeRows(slow, [row('A')], [0])
    const { snapshot } = await slow.transaction().append(a).deleteWhere(where('n = 1')).commit()
    const last = await openEvents(store)
    const gone = await commitFiles(last, [await equal(last, ['A'])])
    expect(snapshot!.sequenceNumber).toBe(gone.metadata.lastSequenceNumber - 1)
    const [task] = await last.scan().planFiles()
    expect(task!.dataSequenceNumber).toBe(snapshot!.sequenceNumber - 1)
    expect(await rows(gone)).toEqual([])
  })

  test.each(['the first load', 'a later one'])('that replaces rows deletes those of a rival: %s', async (which) => {
    const { store, table } = await prepared([row('z', 0, 1)])
    const load = async (into: Table) =>
      into
        .transaction()
        .deleteWhere(where('n = 7'))
        .append(await writeRows(into, [row('a', 0, 7), row('b', 0, 7)], [0]))
        .commit()
    if (which !== 'the first load') await load(table)
    await load(await raced(store, load))
    expect(await rows(table)).toEqual(['a=7', 'b=7', 'z=1'])
  })
})
