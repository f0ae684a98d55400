/** Rewriting from end to end, on small tables. */
import { describe, expect, test } from 'vitest'
import { planRewrite } from '../../../table/maintenance/rewrite.ts'
import {
  ARTICLES,
  appendFiles,
  ascending,
  contents,
  filesOf,
  interleaved,
  makeTable,
  rewrite,
  rowsInOrder,
} from './rewrite-support.ts'

describe('a sort rewrite', () => {
  test('makes one sorted file of small ones, and finds nothing left to do', async () => {
    const table = await appendFiles(await makeTable({ schema: ARTICLES, order: [ascending(1)] }), interleaved(6, 50))
    const before = await contents(table)
    const plan = await planRewrite(table)
    expect(plan.groups).toMatchObject([{ partition: '', outputFiles: 1 }])
    expect(plan.overlapDepth).toBe(6)
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    const { table: after, result } = await rewrite(table)
    expect(result).toMatchObject({
      groups: [{ outcome: 'committed', rows: 300 }],
      totals: { committed: 1, conflicts: 0, filesBefore: 6, filesAfter: 1, rows: 300 },
      overlapDepth: { before: 6, after: 1 },
    })
    expect(await contents(after)).toEqual(before)
    expect((await rowsInOrder(after)).map(({ id }) => id)).toEqual(Array.from({ length: 300 }, (_, id) => BigInt(id)))
    expect((await filesOf(after)).map(({ sortOrderId }) => sortOrderId)).toEqual([1])
    expect((await planRewrite(after)).groups).toEqual([])
    expect(after.currentSnapshot()?.summary['operation']).toBe('replace')
  })

  test('cuts its output into files of even sizes within the limits', async () => {
    const table = await appendFiles(
      await makeTable({ schema: ARTICLES, order: [ascending(1)], rowGroupRows: 16 }),
      interleaved(8, 100, 400),
    )
    const options = { targetFileSizeBytes: 64_000 }
    const before = await contents(table)
    const { table: after, result } = await rewrite(table, options)
    const sizes = (await filesOf(after)).map(({ fileSizeBytes }) => fileSizeBytes)
    expect(sizes.length).toBeGreaterThan(2)
    for (const size of sizes) {
      expect(size).toBeGreaterThanOrEqual(0.75 * 64_000)
      expect(size).toBeLessThanOrEqual(1.8 * 64_000)
    }
    expect(result.overlapDepth.after).toBe(1)
    expect(await contents(after)).toEqual(before)
    expect((await planRewrite(after, options)).groups).toEqual([])
  })
})
