/** Row groups of rows of any size: none that memory would not hold, and no endless row of tiny ones after large rows. */
import { describe, expect, it } from 'vitest'
import { describeParquet } from '../../../../table/index.ts'
import { loadTable, memoryWarehouse, NOON, rowsOf, runCompaction, stage } from '../fixture.ts'
import { stagedDataset } from '../staged-fixture.ts'

const MIB = 1024 * 1024

describe('row groups', () => {
  it('hold fewer rows where rows are large, and as many as ever after them', async () => {
    const warehouse = memoryWarehouse()
    const wide = 'w'.repeat(6 * MIB)
    // sorted by content: twelve large rows first, then many small ones
    const records = Array.from({ length: 4000 }, (_, n) => ({
      sequence: String(n + 1),
      arrivalMillis: NOON,
      data: { article_id: `a${n}`, content: n < 12 ? `a${wide}` : `b${n}` },
    }))
    await stage(warehouse, { a: { records } })
    const result = await runCompaction(warehouse, { dataset: stagedDataset(), memoryLimitBytes: 1024 * MIB })
    expect(result.rows_added).toBe(4000)
    const table = await loadTable(warehouse)
    const groups: number[] = []
    for (const { file } of await table.scan().planFiles()) {
      const { bytes } = await table.store.get(file.filePath.slice(table.location.length + 1))
      for (const group of describeParquet(Buffer.from(bytes), file.filePath)) groups.push(group.rows)
    }
    expect(groups.reduce((sum, rows) => sum + rows, 0)).toBe(4000)
    expect(groups.length).toBeLessThan(40)
    expect(Math.max(...groups)).toBe(2048)
    const contents = (await rowsOf(table)).map(({ content }) => String(content).slice(0, 1))
    expect(contents.filter((first) => first === 'a')).toHaveLength(12)
  })
})
