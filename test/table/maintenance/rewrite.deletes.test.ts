/** Delete files: what they take away stays away, whenever they came; what applies to nothing goes. */
import { describe, expect, test } from 'vitest'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import type { Table } from '../../../table/table.ts'
import { commitFiles, equalityDeletes, positionDeletes } from '../scan/delete-tables.ts'
import {
  ARTICLES,
  appendFiles,
  articlesFrom,
  ascending,
  contents,
  filesOf,
  interleaved,
  makeTable,
  rewrite,
  withSpillFolder,
} from './rewrite-support.ts'

const idColumn = ARTICLES.fields.filter(({ name }) => name === 'id')

const tableOf = async (files: Parameters<typeof appendFiles>[1]): Promise<Table> =>
  appendFiles(await makeTable({ schema: ARTICLES, order: [ascending(1)] }), files)

const idsOf = async (table: Table): Promise<readonly number[]> =>
  (await contents(table)).map((row) => Number(/"id":"(\d+)n"/.exec(row)![1])).sort((a, b) => a - b)

const deleteFilesOf = async (table: Table): Promise<number> =>
  new Set((await table.scan().planFiles()).flatMap(({ deletes }) => deletes.map(({ file }) => file.filePath))).size

describe('deletes that were there', () => {
  test('are applied to columns that were promoted since', async () => {
    const ints = ARTICLES.fields.map((field) => (field.name === 'id' ? { ...field, type: 'int' as const } : field))
    const table = await appendFiles(await makeTable({ schema: { ...ARTICLES, fields: ints } }), [
      [{ id: 1 }, { id: 2 }],
      [{ id: 3 }, { id: 4 }],
    ])
    const byId = ints.filter(({ name }) => name === 'id')
    const marked = await commitFiles(table, [await equalityDeletes(table, byId, [{ id: 2 }])])
    await marked.updateSchema([{ promote: 'id', type: 'long' }])
    const promoted = await marked.refresh()
    expect(await idsOf(promoted)).toEqual([1, 3, 4])
    const { table: after, result } = await rewrite(promoted, { rewriteAll: true })
    expect(result.totals).toMatchObject({ committed: 1, rows: 3 })
    expect(await idsOf(after)).toEqual([1, 3, 4])
  })

  test('are applied, and delete files that apply to nothing any more are removed', async () => {
    const table = await tableOf(interleaved(5, 10))
    const [first] = await filesOf(table)
    const positions = await positionDeletes(table, [
      [first!.filePath, 0],
      [first!.filePath, 3],
    ])
    const marked = await commitFiles(await commitFiles(table, [positions]), [
      await equalityDeletes(table, idColumn, [{ id: 7n }]),
    ])
    const expected = await contents(marked)
    expect(expected).toHaveLength(47)
    const { table: after, result } = await rewrite(marked)
    expect(await contents(after)).toEqual(expected)
    expect(result.groups).toMatchObject([{ rows: 47 }])
    expect(result.groups[0]!.removedDeleteFiles).toHaveLength(2)
    expect(after.currentSnapshot()?.summary['total-delete-files']).not.toBe('2')
    expect((await planRewrite(after)).groups).toEqual([])
  })

  test('stay while they apply to a file that stays', async () => {
    const table = await tableOf(interleaved(5, 10))
    const files = await filesOf(table)
    const both = await positionDeletes(table, [
      [files[0]!.filePath, 1],
      [files[4]!.filePath, 1],
    ])
    const marked = await commitFiles(table, [both])
    const expected = await contents(marked)
    const { table: after, result } = await rewrite(marked, { maxFilesToRewrite: 4 })
    expect(await contents(after)).toEqual(expected)
    expect(result.groups[0]!.removedDeleteFiles).toEqual([])
    expect(await deleteFilesOf(after)).toBe(1)
  })

  test('stay when they are asked to', async () => {
    const table = await tableOf(interleaved(5, 10))
    const marked = await commitFiles(table, [await equalityDeletes(table, idColumn, [{ id: 7n }])])
    const { result, table: after } = await rewrite(marked, {}, { removeDanglingDeletes: false })
    expect(result.groups[0]!.removedDeleteFiles).toEqual([])
    expect(await contents(after)).toEqual(await contents(marked))
  })

  test('that take all rows leave no file', async () => {
    const table = await tableOf([articlesFrom([1, 2]), articlesFrom([3])])
    const marked = await commitFiles(table, [
      await equalityDeletes(table, idColumn, [{ id: 1n }, { id: 2n }, { id: 3n }]),
    ])
    const { table: after } = await rewrite(marked, { rewriteAll: true })
    expect(await filesOf(after)).toEqual([])
    expect(await contents(after)).toEqual([])
  })

  test('make a file worth a rewrite by their share of its rows or by their number', async () => {
    const table = await tableOf([articlesFrom([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])])
    const [file] = await filesOf(table)
    const some = await positionDeletes(table, [
      [file!.filePath, 0],
      [file!.filePath, 5],
    ])
    // bounds of the path are cut here: only this says that no other file is meant
    const marked = await commitFiles(table, [{ ...some, referencedDataFile: file!.filePath }])
    const reasons = async (options: Parameters<typeof planRewrite>[1]) =>
      (await planRewrite(marked, { ...options, rewriteStaleOrder: false })).groups.map((group) => group.reasons)
    expect(await reasons({})).toEqual([])
    expect(await reasons({ deleteRatioThreshold: 0.2 })).toEqual([['small', 'deletes']])
    expect(await reasons({ deleteFileThreshold: 1 })).toEqual([['small', 'deletes']])
    expect(await reasons({ deleteFileThreshold: 2 })).toEqual([])
  })
})

describe('deletes that come while a rewrite runs', () => {
  const runLate = async (table: Table, late: (table: Table) => Promise<Table>) => {
    const plan = await planRewrite(table)
    const changed = await late(table)
    const expected = await contents(changed)
    const { result } = await withSpillFolder((spillFolder) =>
      runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder }),
    )
    return { result, expected, found: await contents(await table.refresh()) }
  }

  test('by equality apply to the output, as they did to its rows', async () => {
    const table = await tableOf(interleaved(5, 10))
    const { result, expected, found } = await runLate(table, async (base) =>
      commitFiles(base, [await equalityDeletes(base, idColumn, [{ id: 7n }, { id: 20n }])]),
    )
    expect(result.totals).toMatchObject({ committed: 1 })
    expect(found).toHaveLength(48)
    expect(found).toEqual(expected)
  })

  test('by position make the group a conflict: the rows that they name are elsewhere then', async () => {
    const table = await tableOf(interleaved(5, 10))
    const { result, expected, found } = await runLate(table, async (base) => {
      const [file] = await filesOf(base)
      return commitFiles(base, [await positionDeletes(base, [[file!.filePath, 2]])])
    })
    expect(result.totals).toMatchObject({ committed: 0, conflicts: 1 })
    expect(found).toEqual(expected)
  })

  test('rows that come back after an equality delete stay, also when their file is rewritten', async () => {
    const table = await tableOf(interleaved(5, 10))
    const marked = await commitFiles(table, [await equalityDeletes(table, idColumn, [{ id: 7n }])])
    const again = await appendFiles(marked, [articlesFrom([7])])
    const { table: after } = await rewrite(again, { rewriteAll: true })
    expect(await contents(after)).toEqual(await contents(again))
    expect(await idsOf(after)).toContain(7)
  })
})
