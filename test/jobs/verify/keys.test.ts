/** Tables that promise one row a key: what verify says of those that do not keep it, and of their manifests. */
import { describe, expect, test } from 'vitest'
import { manifestKey, readManifest } from '../../../jobs/compaction/manifest.ts'
import { datasetOfProperties } from '../../../jobs/datasets/index.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { verifyKeys } from '../../../jobs/verify/keys.ts'
import { Findings } from '../../../jobs/verify/problems.ts'
import { planRepair, runRepair } from '../../../jobs/verify/repair.ts'
import { parseWhere } from '../../../table/index.ts'
import { appendForeign, runScoped, scopeDataset, stageVersions, version } from '../compaction/existing/scope-fixture.ts'
import {
  articleRecords,
  loadTable,
  memoryWarehouse,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'

async function check(warehouse: Warehouse, keysPerPass?: number): Promise<Findings> {
  const table = await loadTable(warehouse)
  const findings = new Findings()
  await verifyKeys({ table, dataset: datasetOfProperties(table.metadata.properties, TABLE), findings, keysPerPass })
  return findings
}

async function prepared(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stageVersions(
    warehouse,
    Array.from({ length: 40 }, (_, n) => version(`k${n}`, 'v', n + 1)),
  )
  await runScoped(warehouse, { dataset: scopeDataset() })
  return warehouse
}

describe('verify of one row a key', () => {
  test('names keys of several rows, however few are compared at once', async () => {
    const warehouse = await prepared()
    expect((await check(warehouse)).problems).toEqual([])
    await appendForeign(warehouse, [
      { id: 'k3', value: 'a' },
      { id: 'k3', value: 'b' },
      { id: 'k7', value: 'a' },
      { id: 'new', value: 'a' },
    ])
    for (const keysPerPass of [3, 10, 44, undefined]) {
      const { problems, skipped } = await check(warehouse, keysPerPass)
      expect(problems.map(({ code, message }) => `${code}: ${message}`).sort()).toEqual([
        'key-repeated: 2 rows have the key "k7"',
        'key-repeated: 3 rows have the key "k3"',
      ])
      expect(skipped).toEqual([])
    }
    const table = await loadTable(warehouse)
    const { problems } = await verifyTable({ table, warehouse: warehouse.store })
    expect(problems.filter(({ code }) => code === 'key-repeated')).toHaveLength(2)
    await table.deleteWhere(parseWhere("value = 'a' or value = 'b'", table.schemaFor()))
    expect((await check(warehouse)).problems).toEqual([])
  })

  test('counts what it does not list', async () => {
    const warehouse = await prepared()
    await appendForeign(
      warehouse,
      Array.from({ length: 40 }, (_, n) => ({ id: `k${n}`, value: 'again' })),
    )
    const { problems } = await check(warehouse)
    expect(problems).toHaveLength(21)
    expect(problems.at(-1)!.message).toBe('20 more rows have a key of another row')
  })

  test('says when a table is too large for it', async () => {
    const { problems, skipped } = await check(await prepared(), 2)
    expect({ problems, skipped }).toEqual({
      problems: [],
      skipped: ['one row a key: the table has 40 rows, 32 are compared at most'],
    })
  })

  test('is not made where two runs may have brought one key', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 2) } })
    await runCompaction(warehouse)
    const again = articleRecords(0, 2).map((record) => ({ ...record, sequence: `${Number(record.sequence) + 10}` }))
    await stage(warehouse, { a: { records: [...articleRecords(0, 2), ...again] } })
    await runCompaction(warehouse)
    expect(await check(warehouse)).toMatchObject({ problems: [], skipped: [] })
  })
})

test('the JSON manifest of a run that replaced rows is made again as it was', async () => {
  const warehouse = await prepared()
  const { store, clock } = warehouse
  const more = [
    version('k3', 'newer', 101),
    version('k4', 'newer', 102),
    version('k5', 'older', 103, { arrivalMillis: 1 }),
  ]
  await stageVersions(warehouse, [version('k0', 'v', 1), ...more])
  expect(await runScoped(warehouse)).toMatchObject({ rows_added: 2, duplicates: 1, rows_replaced: 2 })
  const table = await loadTable(warehouse)
  const { snapshotId } = table.currentSnapshot()!
  const original = await readManifest(store, TABLE, snapshotId)
  expect(original!.records).toMatchObject({ read: 3, added: 2, duplicates: 1, replaced: 2, kept: 38 })
  await store.delete(manifestKey(TABLE, snapshotId))
  const { problems } = await verifyTable({ table, warehouse: store })
  await runRepair(await planRepair(problems, { table, warehouse: store, clock }))
  const again = await readManifest(store, TABLE, snapshotId)
  expect(again).toMatchObject({ ...original, records: { ...original!.records, kinesis_records: null }, averages: null })
  expect((await verifyTable({ table, warehouse: store })).problems).toEqual([])
})
