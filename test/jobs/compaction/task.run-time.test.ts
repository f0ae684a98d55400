/** `compacted_at` has one value in a run: a table may be partitioned and sorted by it. */
import { describe, expect, it } from 'vitest'
import { parseDataset } from '../../../jobs/datasets/index.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import {
  articleRecords,
  fixedClock,
  loadTable,
  memoryWarehouse,
  NOON,
  rowsOf,
  runCompaction,
  stage,
} from './fixture.ts'

const definition = {
  name: 'timed',
  fields: [
    { name: 'article_id', type: 'string', required: true },
    { name: 'word_count', type: 'int' },
    { name: 'arrived_at', type: 'timestamptz', required: true, from: { kind: 'arrived_at' } },
    { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
  ],
  key: 'article_id',
}

describe('a table partitioned and sorted by the time of the run', () => {
  it.each([
    ['day', 20_778],
    ['hour', 498_684],
    ['identity', 1_795_262_400_000_000n],
  ])('is compacted into the %s of the run, and is intact', async (transform, value) => {
    const dataset = parseDataset(
      {
        ...definition,
        partition: [{ source: 'compacted_at', transform }],
        sort: [{ source: 'compacted_at', direction: 'desc' }, { source: 'article_id' }],
      },
      'test',
    )
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 30) } })
    expect(await runCompaction(warehouse, { dataset })).toMatchObject({ rows_added: 30, files_added: 1 })
    const tomorrow = { ...warehouse, clock: fixedClock(NOON + 86_400_000) }
    await stage(tomorrow, { a: { records: articleRecords(0, 40) } })
    expect(await runCompaction(tomorrow, { dataset })).toMatchObject({ rows_added: 10, files_added: 1 })

    const table = await loadTable(warehouse)
    const files = await table.scan().planFiles()
    const partitions = files.map(({ file }) => file.partition[0]).sort((a, b) => (a! < b! ? -1 : 1))
    expect(partitions).toHaveLength(2)
    expect(partitions[0]).toBe(value)
    expect((await rowsOf(table)).length).toBe(40)
    expect(await verifyTable({ table, warehouse: warehouse.store })).toMatchObject({ ok: true, problems: [] })
  })
})
