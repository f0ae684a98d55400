/** Changes that depend on all rows: committed only while no file has come or gone. */
import { describe, expect, test } from 'vitest'
import { planManifests } from '../../../table/maintenance/manifests/plan.ts'
import { runManifests } from '../../../table/maintenance/manifests.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, readRows, type TestRow, testClock, writeRows } from '../support.ts'

const row = (id: string): TestRow => ({ id, at: 0n, n: null })
const add = async (table: Table, ids: readonly string[]): Promise<Table> =>
  (await table.append(await writeRows(table, ids.map(row), [0]))).table

/** An append that was planned before `meanwhile`. */
async function planned(
  meanwhile: (table: Table) => Promise<unknown>,
  before: readonly string[] = ['a'],
): Promise<string[]> {
  const { table } = await eventsTable(freshStore(), testClock())
  const start = before.length === 0 ? table : await add(await add(table, before), ['b'])
  const added = await writeRows(start, [row('new')], [0])
  await meanwhile(await start.refresh())
  const { table: after } = await start.commitFiles({ operation: 'append', added, removed: [], sameFiles: true })
  return (await readRows(after.scan({ columns: ['id'] }))).map(({ id }) => String(id)).sort()
}

const CONFLICT = { code: 'FIRN_COMMIT_CONFLICT' }

describe('a change that wants the same files', () => {
  test('is committed where nothing came, or only what changes no file', async () => {
    expect(await planned(async () => undefined)).toEqual(['a', 'b', 'new'])
    expect(await planned((table) => table.setProperties({ note: 'x' }))).toEqual(['a', 'b', 'new'])
    expect(await planned((table) => table.append([]))).toEqual(['a', 'b', 'new'])
    const manifests = async (table: Table): Promise<void> => {
      const { result } = await runManifests(table, await planManifests(table, { rewriteAll: true }), {}, testClock())
      expect(result.replaced).toBe(2)
    }
    expect(await planned(manifests)).toEqual(['a', 'b', 'new'])
  })

  test('is not where a file came, also into a table that had none', async () => {
    await expect(planned((table) => add(table, ['c']))).rejects.toMatchObject(CONFLICT)
    await expect(planned((table) => add(table, ['c']), [])).rejects.toMatchObject(CONFLICT)
  })

  test('is not where a file went, or rows of one', async () => {
    const remove = (text: string) => (table: Table) => table.deleteWhere(parseWhere(text, EVENTS))
    await expect(planned(remove("id = 'b'"))).rejects.toMatchObject(CONFLICT)
    await expect(planned(remove("id = 'a'"), ['a', 'z'])).rejects.toMatchObject(CONFLICT)
    await expect(planned(remove("id >= ''"))).rejects.toMatchObject(CONFLICT)
  })

  test('is not where the table went back to older files', async () => {
    const back = (table: Table): Promise<unknown> => table.rollbackTo(table.metadata.snapshots[0]!.snapshotId)
    await expect(planned(back)).rejects.toMatchObject(CONFLICT)
  })
})
