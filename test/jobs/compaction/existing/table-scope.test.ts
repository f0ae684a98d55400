/** One row a key in the whole table, whatever run brought it. */
import { describe, expect, test } from 'vitest'
import { readManifest } from '../../../../jobs/compaction/manifest.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { parseWhere, snapshotId } from '../../../../table/index.ts'
import { loadTable, memoryWarehouse, rowsOf, TABLE, type Warehouse } from '../fixture.ts'
import { runReplay } from '../replay-support.ts'
import {
  allowLarge,
  appendForeign,
  runScoped,
  scopeDataset,
  stageVersions,
  type Version,
  valuesOf,
  version,
} from './scope-fixture.ts'

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

describe('rows of the table', () => {
  test('of other writers, which have no origin, are older than every record', async () => {
    for (const [keep, expected] of [
      ['latest', ['w=new', 'x=new', 'y=new', 'z=there']],
      ['first', ['w=old', 'x=old', 'y=old', 'z=there']],
    ] as const) {
      const warehouse = memoryWarehouse()
      await stageVersions(warehouse, [version('z', 'there', 1)])
      await runScoped(warehouse, { dataset: scopeDataset(keep) })
      await (await loadTable(warehouse)).updateSchema([{ makeOptional: 'origin' }])
      await appendForeign(warehouse, [
        { id: 'w', value: 'old', origin: null },
        { id: 'x', value: 'old' },
        { id: 'y', value: 'old', origin: 'zzz' },
      ])
      const news = ['w', 'x', 'y'].map((id, index) => version(id, 'new', index + 2))
      await stageVersions(warehouse, [version('z', 'there', 1), ...news])
      await runScoped(warehouse)
      expect(await valuesOf(warehouse)).toEqual(expected)
    }
  })

  test('that another writer doubled are one again once a record of their key comes', async () => {
    const warehouse = memoryWarehouse()
    const there = [version('x', 'one', 5), version('y', 'two', 6)]
    await stageVersions(warehouse, there)
    await runScoped(warehouse)
    const rows = await rowsOf(await loadTable(warehouse))
    const again = rows.map(({ id, origin }) => ({ id: String(id), value: 'again', origin: String(origin) }))
    await appendForeign(warehouse, again)
    await appendForeign(warehouse, [{ id: 'x', value: 'foreign' }])
    await stageVersions(warehouse, [...there, version('x', 'late', 7, { arrivalMillis: 1 })])
    expect(await runScoped(warehouse)).toMatchObject({ rows_added: 0, duplicates: 1, rows_replaced: 2 })
    expect((await valuesOf(warehouse)).filter((row) => row.startsWith('x'))).toHaveLength(1)
    // of y no record came: it is still there twice
    const { problems } = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
    const repeated = problems.filter(({ code }) => code === 'key-repeated')
    expect(repeated.map(({ message }) => message)).toEqual(['2 rows have the key "y"'])
  })

  test('stay where the same record is compacted once more', async () => {
    for (const keep of ['latest', 'first'] as const) {
      const warehouse = memoryWarehouse()
      await stageVersions(warehouse, first)
      await runScoped(warehouse, { dataset: scopeDataset(keep) })
      // as if the table had never read its stream
      const table = await loadTable(warehouse)
      const names = Object.keys(table.metadata.properties).filter((name) => name.startsWith('firn.positions.'))
      await table.setProperties({}, names)
      expect(await runScoped(warehouse)).toMatchObject({ rows_added: 0, duplicates: 2, rows_replaced: 0 })
      expect(await valuesOf(warehouse)).toEqual(['x=one', 'y=two'])
    }
  })

  test('that were deleted are forgotten, also where the delete left a file behind', async () => {
    const warehouse = memoryWarehouse()
    await stageVersions(warehouse, [version('x', 'deleted', 9), version('y', 'there', 8)])
    await runScoped(warehouse)
    const table = await loadTable(warehouse)
    await table.deleteWhere(parseWhere("id = 'x'", table.schemaFor()))
    await stageVersions(warehouse, [version('x', 'older', 3, { shard: 'shard-1' })])
    expect(await runScoped(warehouse)).toMatchObject({ rows_added: 1 })
    expect(await valuesOf(warehouse)).toEqual(['x=older', 'y=there'])
  })

  test('are replaced by a replay as well', async () => {
    const warehouse = memoryWarehouse()
    const refused = version('x', 'x'.repeat(2000), 1)
    await stageVersions(warehouse, [refused])
    await runScoped(warehouse, { maxBadRatio: 1 })
    await stageVersions(warehouse, [refused, version('x', 'newer', 2), version('y', 'older', 3)])
    await runScoped(warehouse)
    await allowLarge(warehouse)
    expect(await runReplay(warehouse)).toMatchObject({
      records_read: 1,
      rows_added: 0,
      duplicates: 1,
      rows_replaced: 0,
    })
    expect(await valuesOf(warehouse)).toEqual(['x=newer', 'y=older'])
    await expectSound(warehouse)
  })
})

test('a table that lost the column of origins is not compacted into', async () => {
  const warehouse = memoryWarehouse()
  await stageVersions(warehouse, first)
  await runScoped(warehouse)
  await (await loadTable(warehouse)).updateSchema([{ drop: 'origin' }])
  await stageVersions(warehouse, [...first, ...second])
  await expect(runScoped(warehouse)).rejects.toMatchObject({ code: 'FIRN_DATASET_MISMATCH' })
})
