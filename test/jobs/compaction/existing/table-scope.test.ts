/** One row a key in the whole table, whatever run brought it. */
import { describe, expect, test } from 'vitest'
import { readManifest } from '../../../../jobs/compaction/manifest.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { snapshotId } from '../../../../table/index.ts'
import { loadTable, memoryWarehouse, rowsOf, TABLE, type Warehouse } from '../fixture.ts'
import { runScoped, scopeDataset, stageVersions, type Version, valuesOf, version } from './scope-fixture.ts'

async function expectSound(warehouse: Warehouse): Promise<void> {
  const { problems } = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
  expect(problems).toEqual([])
}

const first: readonly Version[] = [version('x', 'one', 1), version('y', 'two', 2)]
const second: readonly Version[] = [version('x', 'three', 3), version('z', 'four', 4)]

describe('a version of a key that is in the table', () => {
  test('takes the place of the older one, by a snapshot that replaces its file', async () => {
    const warehouse = memoryWarehouse()
    await stageVersions(warehouse, first)
    expect(await runScoped(warehouse)).toMatchObject({ rows_added: 2, duplicates: 0, rows_replaced: 0 })
    const before = (await rowsOf(await loadTable(warehouse))).find(({ id }) => id === 'y')
    const [file] = await (await loadTable(warehouse)).scan().planFiles()
    await stageVersions(warehouse, [...first, ...second])
    const result = await runScoped(warehouse)
    expect(result).toMatchObject({ records_read: 2, rows_added: 2, duplicates: 0, rows_replaced: 1 })
    expect(await valuesOf(warehouse)).toEqual(['x=three', 'y=two', 'z=four'])
    const table = await loadTable(warehouse)
    expect(table.currentSnapshot()?.summary).toMatchObject({ operation: 'overwrite', 'firn.rows-replaced': '1' })
    expect((await rowsOf(table)).find(({ id }) => id === 'y')).toEqual(before)
    const manifest = await readManifest(warehouse.store, TABLE, snapshotId(BigInt(result.snapshot_id!)))
    expect(manifest).toMatchObject({
      operation: 'overwrite',
      removed: [file!.file.filePath],
      records: { read: 2, added: 2, duplicates: 0, replaced: 1, kept: 1 },
    })
    await expectSound(warehouse)
  })

  test('is a duplicate where the first one stays, and the file is left alone', async () => {
    const warehouse = memoryWarehouse()
    await stageVersions(warehouse, first)
    await runScoped(warehouse, { dataset: scopeDataset('first') })
    await stageVersions(warehouse, [...first, ...second])
    expect(await runScoped(warehouse)).toMatchObject({
      records_read: 2,
      rows_added: 1,
      duplicates: 1,
      rows_replaced: 0,
    })
    expect(await valuesOf(warehouse)).toEqual(['x=one', 'y=two', 'z=four'])
    expect((await loadTable(warehouse)).currentSnapshot()?.summary).toMatchObject({ operation: 'append' })
    await expectSound(warehouse)
  })
})
