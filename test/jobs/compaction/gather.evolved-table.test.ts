/** Tables whose columns another engine changed: values are widened or the run is refused, never written as they lie. */
import { describe, expect, it } from 'vitest'
import type { CompactOptions } from '../../../jobs/compaction/index.ts'
import { DATASET_PROPERTY, parseDataset } from '../../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import type { SchemaChange } from '../../../table/index.ts'
import { loadTable, memoryWarehouse, NOON, rowsOf, runCompaction, stage, type Warehouse } from './fixture.ts'
import { squeezed } from './staged-fixture.ts'

const dataset = parseDataset(
  {
    name: 'evolved',
    fields: [
      { name: 'id', type: 'string', required: true },
      { name: 'n', type: 'int' },
      { name: 'd', type: 'date' },
      { name: 'text', type: 'string' },
      { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'text' } },
      { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
    ],
    key: 'id',
    partition: [{ source: 'n', transform: 'identity' }],
    sort: [{ source: 'word_count' }],
  },
  'test',
)

const records = (from: number, to: number): { sequence: string; arrivalMillis: number; data: object }[] =>
  Array.from({ length: to - from }, (_, index) => {
    const n = from + index
    const data = { id: `k${n}`, n: (n % 3) - 1, d: '2026-11-21', text: 'word '.repeat(n) }
    return { sequence: String(n + 1), arrivalMillis: NOON + n, data }
  })

/** A table of three rows whose schema has changed, and five more records for it. */
async function changed(changes: readonly SchemaChange[]): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: records(0, 3) } })
  await runCompaction(warehouse, { dataset })
  await (await loadTable(warehouse)).updateSchema(changes)
  await stage(warehouse, { a: { records: records(0, 8) } })
  return warehouse
}

const ways: Readonly<Record<string, (warehouse: Warehouse) => Partial<CompactOptions>>> = {
  'in memory': () => ({}),
  'by two tasks': ({ store }) => ({ executor: squeezed(inlineExecutor(store)), tasks: 2 }),
}

describe.each(Object.keys(ways))('a run into a changed table, %s', (way) => {
  it('widens int to long', async () => {
    const warehouse = await changed([
      { promote: 'n', type: 'long' },
      { promote: 'word_count', type: 'long' },
    ])
    const result = await runCompaction(warehouse, ways[way]!(warehouse))
    expect(result).toMatchObject({ rows_added: 5, averages: { run: 5 } })
    const rows = await rowsOf(await loadTable(warehouse))
    const seen = rows.map(({ id, n, word_count }) => [id, n, word_count]).sort()
    const expected = Array.from({ length: 8 }, (_, n) => [`k${n}`, BigInt((n % 3) - 1), BigInt(n)])
    expect(seen).toEqual(expected)
    const counts = await loadTable(warehouse).then((table) => table.scan().planFiles())
    for (const { file } of counts) expect(file.partition.map(Number)[0]).toBeOneOf([-1, 0, 1])
  })

  it.each([
    ['int', 'string'],
    ['string', 'int'],
    ['date', 'int'],
    ['int', 'double'],
  ] as const)('refuses what was %s and is %s', async (was, is) => {
    const name = { int: 'word_count', string: 'text', date: 'd' }[was]
    const sorted = was === 'int'
    const warehouse = memoryWarehouse()
    const unsorted = { ...dataset, sort: sorted ? [] : dataset.sort }
    await stage(warehouse, { a: { records: records(0, 3) } })
    await runCompaction(warehouse, { dataset: unsorted })
    await (await loadTable(warehouse)).updateSchema([{ drop: name }, { add: { name, type: is } }])
    await stage(warehouse, { a: { records: records(0, 8) } })
    const error: unknown = await runCompaction(warehouse, ways[way]!(warehouse)).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_DATASET_MISMATCH' })
    expect((error as Error).message).toContain(`column ${name} of the table is`)
    expect((await loadTable(warehouse)).currentSnapshot()?.summary['total-records']).toBe('3')
  })

  it('refuses a column that was renamed until the definition follows', async () => {
    const warehouse = await changed([{ rename: 'd', to: 'day' }])
    const run = (): Promise<unknown> => runCompaction(warehouse, ways[way]!(warehouse))
    await expect(run()).rejects.toMatchObject({ kind: 'invalid', code: 'FIRN_DATASET_MISMATCH' })
    const member = (field: (typeof dataset.fields)[number]): object =>
      field.name === 'd' ? { ...field, name: 'day', from: { kind: 'record', member: 'd' } } : field
    const followed = JSON.stringify({ ...dataset, fields: dataset.fields.map(member) })
    await (await loadTable(warehouse)).setProperties({ [DATASET_PROPERTY]: followed })
    expect(await run()).toMatchObject({ rows_added: 5 })
    const rows = await rowsOf(await loadTable(warehouse))
    expect(rows.filter(({ day }) => day === null)).toEqual([])
  })

  it('writes nothing for a column that was dropped', async () => {
    const warehouse = await changed([{ drop: 'd' }])
    expect(await runCompaction(warehouse, ways[way]!(warehouse))).toMatchObject({ rows_added: 5 })
  })
})
