import { describe, expect, it } from 'vitest'
import { articleRecords, loadTable, memoryWarehouse, NOON, rowsOf, runCompaction, stage } from './fixture.ts'

describe('compact', () => {
  it('creates the table, adds every record once and commits one snapshot', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 500) }, b: { records: articleRecords(500, 1000) } })
    const result = await runCompaction(warehouse)
    expect(result).toMatchObject({
      records_read: 1000,
      rows_added: 1000,
      quarantined: {},
      duplicates: 0,
      files_added: 1,
      nothing_to_do: false,
      compacted_at: '2026-11-21T12:00:00.000000Z',
    })
    const table = await loadTable(warehouse)
    expect(table.metadata.snapshots.length).toBe(1)
    expect(String(table.currentSnapshot()?.snapshotId)).toBe(result.snapshot_id)
    const rows = await rowsOf(table)
    expect(new Set(rows.map((row) => row['article_id'])).size).toBe(1000)
    const first = rows.find((row) => row['article_id'] === 'article-000007')
    console.log(first, result, table.metadata.properties)
    expect(NOON).toBeGreaterThan(0)
  })
})
